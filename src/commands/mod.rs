//! One file per subcommand: its arguments and a `run` that is its list of steps.

pub mod accept;
pub mod bench;
pub mod bundle;
pub mod clean;
pub mod compare;
pub mod doctor;
pub mod down;
pub mod explain;
pub mod halt;
pub mod history;
pub mod init;
pub mod kubeconfig;
pub mod kubectl;
pub mod lock;
pub mod logs;
mod made_of;
pub mod pin;
pub mod plan;
pub mod rebuild;
pub mod render;
pub mod report;
pub mod sbom;
mod session;
pub mod shell;
pub mod snapshot;
pub mod ssh;
pub mod status;
pub mod support;
pub mod up;
pub mod verdict;

pub use session::Session;
