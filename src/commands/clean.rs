//! `provision clean`: the cache of artifacts, with sizes.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;

use super::Session;
use crate::artifacts::clean;

/// List the cache of artifacts with sizes, or empty it.
#[derive(Debug, Args)]
pub struct Clean {
    /// Remove what this profile does not need
    #[arg(long)]
    unused: bool,
    /// Remove everything
    #[arg(long, conflicts_with = "unused")]
    all: bool,
}

impl Clean {
    /// Lists or removes.
    pub fn run(&self, session: &Session) -> Result<()> {
        let needed = session.artifacts()?.keys();
        let entries = clean::list()?;
        let mut out = std::io::stdout().lock();
        let mut freed = 0;
        for entry in &entries {
            let used = needed.contains(&entry.dir_name);
            let remove = self.all || (self.unused && !used);
            if remove {
                clean::remove(entry)?;
                freed += entry.bytes;
            }
            let state = if remove { "removed" } else if used { "used" } else { "unused" };
            writeln!(out, "{:8} {:>9}  {}", state, size(entry.bytes), entry.dir_name).context("print")?;
        }
        let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        writeln!(out, "{:8} {:>9}", "total", size(total)).context("print")?;
        if freed > 0 {
            writeln!(out, "{:8} {:>9}", "freed", size(freed)).context("print")?;
        }
        Ok(())
    }
}

fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
