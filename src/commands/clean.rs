//! `provision clean`: the cache of artifacts, with sizes.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;

use super::Session;
use crate::artifacts::cache::Cache;
use crate::artifacts::clean::{self, Kept};
use crate::provider::vagrant::boxes;
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
        let states =
            (if self.all { "removed" } else { "used" }, if self.all || self.unused { "removed" } else { "unused" });
        show(states.0, &used)?;
        show(states.1, &unused)?;
        // What Vagrant has unpacked stays there when the box itself has gone.
        let (used_boxes, unused_boxes): (Vec<_>, Vec<_>) = boxes::copies()?
            .into_iter()
            .partition(|copy| needed.iter().any(|dir| dir.to_string_lossy().ends_with(&format!("-{}", copy.key))));
        for (state, copies) in [(states.0, &used_boxes), (states.1, &unused_boxes)] {
            for copy in copies {
                writeln!(out, "{state:8} {:>9}  {} (Vagrant's copy)", ui::size(copy.bytes), copy.name)
                    .context("print")?;
            }
        }
        let mut freed = 0;
        if self.all {
            freed += clean::remove(&cache, &used)? + forget(&used_boxes)?;
            crate::paths::remove_dir(&cache.downloads())?;
        }
        if self.all || self.unused {
            freed += clean::remove(&cache, &unused)? + forget(&unused_boxes)?;
            writeln!(out, "freed    {:>9}", ui::size(freed)).context("print")?;
        } else {
            let copies: u64 = used_boxes.iter().chain(&unused_boxes).map(|copy| copy.bytes).sum();
            let total = copies + used.iter().chain(&unused).map(|kept| kept.bytes).sum::<u64>();
            writeln!(out, "total    {:>9}  in {}", ui::size(total), cache.dir().display()).context("print")?;
        }
        Ok(())
    }
}

/// Lets Vagrant remove the copies; how many bytes that freed.
fn forget(copies: &[boxes::Copy]) -> Result<u64> {
    for copy in copies {
        boxes::remove(copy).with_context(|| format!("remove Vagrant's copy of {}", copy.name))?;
    }
    Ok(copies.iter().map(|copy| copy.bytes).sum())
}
