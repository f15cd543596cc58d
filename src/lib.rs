//! `provision`: one command, a Kubernetes lab with WebAssembly that is proved
//! to be what it says, and figures that can be trusted.
//!
//! The floors, imports pointing only down (ARCHITECTURE.md has the table):
//! `cli` → `commands` → `steps`, `bench` → `provider`, `artifacts`, `kubectl`,
//! `ssh`, `templates` → `lab`, `node`, `profile` → `process`, `ui`, `paths`.

pub mod artifacts;
pub mod cli;
pub mod interrupt;
pub mod kubectl;
pub mod lab;
pub mod node;
pub mod paths;
pub mod process;
pub mod profile;
pub mod provider;
pub mod ssh;
pub mod templates;
pub mod ui;
