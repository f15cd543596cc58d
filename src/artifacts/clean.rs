//! What the cache holds and how to get rid of it.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::artifacts::cache::{Cache, folders, remove_tree};
use crate::artifacts::manifest::Manifest;
use crate::paths;

/// One folder of the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The artifact's name.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was made (RFC 3339), if its manifest can be read.
    pub made: Option<String>,
}

/// Everything in the cache, by folder name.
pub fn list(cache: &Cache) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for dir in folders(&cache.artifacts())? {
        let folder = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = folder.rsplit_once('-').map_or(folder.as_str(), |(name, _)| name).to_owned();
        // A folder without a readable manifest is still there to be removed.
        let manifest = Manifest::read(&dir).ok().flatten();
        kept.push(Kept {
            name,
            bytes: manifest.as_ref().map_or(0, |manifest| manifest.bytes),
            made: manifest.map(|manifest| manifest.made),
            dir,
        });
    }
    Ok(kept)
}

/// Removes `kept` (of [`list`]); one that is being made at this moment is an
/// error. Returns how many bytes were freed.
pub fn remove(cache: &Cache, kept: &[Kept]) -> Result<u64> {
    let mut freed = 0;
    for one in kept {
        // Away under its own name first, so that nobody meets half of it.
        let gone = cache.dir().join("tmp").join(one.dir.file_name().unwrap_or_default());
        let removed = cache.try_locked(&one.name, || {
            paths::create_dir(&cache.dir().join("tmp"))?;
            remove_tree(&gone)?;
            if std::fs::rename(&one.dir, &gone).is_err() {
                // A tree whose owner we are only inside a user namespace.
                return remove_tree(&one.dir);
            }
            remove_tree(&gone)
        })?;
        if removed.is_none() {
            bail!("{} is being made by another process; wait for it, then type: provision clean", one.name);
        }
        freed += one.bytes;
    }
    cache.sweep()?;
    Ok(freed)
}

/// Bytes as people say them: `980 B`, `3.4 MB`, `1.1 GB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let sizes = [999, 1000, 3_400_000, 172_671_138, 1_118_000_000].map(size);
        assert_eq!(sizes, ["999 B", "1.0 kB", "3.4 MB", "173 MB", "1.1 GB"]);
    }
}
