//! `provision sbom`: a node's bill of materials.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use super::Session;
use crate::{paths, sbom};

/// Print a node's software bill of materials (CycloneDX 1.5, JSON).
#[derive(Debug, Args)]
pub struct Sbom {
    /// File to write to [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Sbom {
    /// From what is in the cache; no lab is needed.
    pub fn run(&self, session: &Session) -> Result<()> {
        let set = session.artifacts()?;
        let made =
            set.made()?.context("the artifacts of this profile are not in the cache\n  make them: provision up")?;
        let text = sbom::document(&set.contents()?, &made.box_name)?;
        match &self.output {
            Some(path) => paths::write_atomic(path, text.as_bytes(), 0o644),
            None => std::io::stdout().write_all(text.as_bytes()).context("print the bill of materials"),
        }
    }
}
