//! `provision clean`: the cache of artifacts, with sizes.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;

use super::Session;
use crate::artifacts::cache::Cache;
use crate::artifacts::clean::{self, Kept};
use crate::ui;

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
        let needed = session.artifacts()?.folders()?;
        let cache = Cache::of_user()?;
        let all = clean::list(&cache)?;
        let (used, unused): (Vec<_>, Vec<_>) = all.into_iter().partition(|kept| needed.contains(&kept.dir));
        let mut out = std::io::stdout().lock();
        let mut show = |state: &str, kept: &[Kept]| -> Result<()> {
            for one in kept {
                let folder = one.dir.file_name().unwrap_or_default().to_string_lossy();
                writeln!(out, "{state:8} {:>9}  {folder}", ui::size(one.bytes)).context("print")?;
            }
            Ok(())
        };
        show(if self.all { "removed" } else { "used" }, &used)?;
        show(if self.all || self.unused { "removed" } else { "unused" }, &unused)?;
        let mut freed = 0;
        if self.all {
            freed += clean::remove(&cache, &used)?;
            crate::paths::remove_dir(&cache.downloads())?;
        }
        if self.all || self.unused {
            freed += clean::remove(&cache, &unused)?;
            writeln!(out, "freed    {:>9}", ui::size(freed)).context("print")?;
        } else {
            let total = used.iter().chain(&unused).map(|kept| kept.bytes).sum();
            writeln!(out, "total    {:>9}  in {}", ui::size(total), cache.dir().display()).context("print")?;
        }
        Ok(())
    }
}
