//! One file per subcommand: its arguments and a `run` that is its list of steps.

pub mod bench;
pub mod clean;
pub mod down;
pub mod kubeconfig;
pub mod logs;
pub mod plan;
pub mod render;
mod session;
pub mod ssh;
pub mod status;
pub mod up;

pub use session::Session;
