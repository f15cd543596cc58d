//! What a lab is made of, each piece made once and kept in the cache.
//!
//! [`set::Set`] is the list of everything a profile needs: its `plan` says what
//! would be made, its `ensure` makes it. Below it an engine that knows
//! nothing of Kubernetes: [`artifact`] (what one piece is), [`graph`] (keys and
//! order), [`cache`] and [`manifest`] (where pieces live, whether they are
//! whole), [`engine`] (making them side by side).

pub mod artifact;
pub mod bundle;
pub mod cache;
pub mod cargo;
pub mod choose;
pub mod clean;
pub mod contents;
pub mod debian_base;
pub mod digest;
pub mod download;
pub mod engine;
#[cfg(test)]
pub(crate) mod fake;
pub mod go;
pub mod graph;
pub mod images;
pub mod made;
pub mod manifest;
pub mod mbr;
pub mod namespace;
pub mod node_box;
pub mod oci;
pub mod payload;
pub mod pins;
pub mod preflight;
pub mod programs;
pub mod registry;
pub mod release;
pub mod root;
pub mod set;
pub mod source;
pub mod unbundle;
pub mod virtualbox_box;
