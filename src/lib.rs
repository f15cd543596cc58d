//! `provision`: one command, a Kubernetes lab with WebAssembly that is proved
//! to be what it says, and figures that can be trusted.
//!
//! The floors, imports pointing only down (ARCHITECTURE.md has the table):
//! `cli` → `commands` → `steps`, `bench`, `doctor` → `provider`, `artifacts`, `kubectl`,
//! `ssh`, `templates` → `lab`, `node`, `profile` → `process`, `ui`, `paths`.

pub mod announce;
pub mod arms;
pub mod artifacts;
pub mod bench;
pub mod canary;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod console;
pub mod doctor;
pub mod events;
pub mod failure;
#[cfg(test)]
mod fuzz;
pub mod host;
pub mod http;
pub mod interrupt;
pub mod journal;
pub mod kubectl;
pub mod lab;
pub mod lockfile;
pub mod machine_file;
pub mod node;
pub mod outside;
pub mod paths;
pub mod pods;
pub mod process;
pub mod profile;
pub mod proof;
pub mod provider;
pub mod report;
pub mod sbom;
pub mod secrets;
#[cfg(test)]
mod simulation;
pub mod snapshots;
pub mod ssh;
pub mod stats;
pub mod steps;
pub mod support;
pub mod templates;
pub mod terminal;
pub mod ui;
