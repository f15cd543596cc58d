//! What the cache holds and how to get rid of it.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::artifacts::cache::{Cache, remove_tree};
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
    for dir in paths::folders(&cache.artifacts())? {
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
