//! A bundle's way into the cache: all of its artifacts or none.
//!
//! Nothing of a bundle is used before all of it was read and every file has
//! the digest that the first entry names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::artifacts::bundle::{CONTENTS, Interruptible, Inventory, is_derived, not_one};
use crate::artifacts::cache::{Cache, State, remove_tree};
use crate::artifacts::digest::Hashing;
use crate::artifacts::manifest::{Depth, Product};
use crate::artifacts::node_box;
use crate::{interrupt, paths, ui};

/// The lock and the folder of the unpacking.
const NAME: &str = "bundle";

/// Puts the artifacts of a bundle into the cache: all of them or none.
pub fn unpack(file: &Path, kubernetes: &str, cache: &Cache, say: &dyn Fn(&str)) -> Result<Inventory> {
    let inventory = first(&mut open(file)?.entries().with_context(|| not_one(file))?, file)?;
    ensure!(
        inventory.kubernetes == kubernetes,
        "{} holds Kubernetes {}, and the profile asks for {kubernetes}\n  set kubernetes.version = \"{}\", or make another bundle: provision bundle FILE",
        file.display(),
        inventory.kubernetes,
        inventory.kubernetes
    );
    if inventory.is_in(cache)? {
        return Ok(inventory);
    }
    let dir = cache.workshop(NAME, &"0".repeat(16));
    let waiting = |who: &str| say(&format!("waiting for {who}, which unpacks a bundle"));
    cache.locked(NAME, waiting, || {
        remove_tree(&dir)?;
        let unpacked = all(&inventory, &dir, file, say).and_then(|()| settle(&inventory, cache, &dir));
        remove_tree(&dir)?;
        unpacked
    })?;
    Ok(inventory)
}

type Tar = tar::Archive<zstd::Decoder<'static, BufReader<Interruptible<File>>>>;

fn open(file: &Path) -> Result<Tar> {
    let input = File::open(file).with_context(|| format!("open the bundle {}", file.display()))?;
    let input = BufReader::with_capacity(1 << 20, Interruptible(input));
    Ok(tar::Archive::new(zstd::Decoder::with_buffer(input).with_context(|| not_one(file))?))
}

/// The list of contents, the first of a bundle's entries.
fn first<R: Read>(entries: &mut tar::Entries<R>, file: &Path) -> Result<Inventory> {
    let first = entries.next().with_context(|| not_one(file))?.with_context(|| not_one(file))?;
    ensure!(first.path().is_ok_and(|path| path == Path::new(CONTENTS)), not_one(file));
    let mut text = String::new();
    first.take(64 << 20).read_to_string(&mut text).with_context(|| broken(file))?;
    Inventory::parse(&text, file)
}

/// Reads a bundle to its very end, where the checksum of it all is.
fn all(inventory: &Inventory, dir: &Path, file: &Path, say: &dyn Fn(&str)) -> Result<()> {
    let mut tar = open(file)?;
    let mut entries = tar.entries().with_context(|| not_one(file))?;
    first(&mut entries, file)?;
    files(inventory, entries, dir, file, say)?;
    std::io::copy(&mut tar.into_inner(), &mut std::io::sink()).map(drop).with_context(|| broken(file))
}

/// Writes all files of a bundle below `dir` and checks each of them.
fn files<R: Read>(
    inventory: &Inventory,
    entries: tar::Entries<R>,
    dir: &Path,
    file: &Path,
    say: &dyn Fn(&str),
) -> Result<()> {
    let mut wanted: BTreeMap<PathBuf, &Product> = BTreeMap::new();
    for manifest in &inventory.artifacts {
        for product in manifest.products.iter().filter(|product| !is_derived(&manifest.name, product)) {
            wanted.insert(Path::new(&manifest.name).join(product.path()), product);
        }
    }
    for entry in entries {
        interrupt::check()?;
        let mut entry = entry.with_context(|| broken(file))?;
        let path = entry.path().with_context(|| broken(file))?.into_owned();
        let Some(product) = wanted.remove(&path) else {
            bail!("{}: {} is in it and not in its list of contents", broken(file), path.display());
        };
        say(&path.display().to_string());
        let to = dir.join(&path);
        paths::create_dir(to.parent().unwrap_or(dir))?;
        match product {
            Product::File { size, sha256, .. } => {
                let mode = entry.header().mode().with_context(|| broken(file))?;
                let out = File::create(&to).with_context(|| format!("create {}", to.display()))?;
                let mut out = Hashing::new(BufWriter::new(out));
                std::io::copy(&mut entry, &mut out).with_context(|| broken(file))?;
                let (mut out, found, length) = out.finish();
                out.flush().with_context(|| format!("write {}", to.display()))?;
                ensure!(
                    found == *sha256 && length == *size,
                    "{}: {} has another SHA-256 than its list of contents says",
                    broken(file),
                    path.display()
                );
                fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777))
                    .with_context(|| format!("set the mode of {}", to.display()))?;
            }
            Product::Link { target, .. } => {
                std::os::unix::fs::symlink(target, &to).with_context(|| format!("link {}", to.display()))?;
            }
            Product::Tree { .. } => bail!("{}: it lists a root tree", broken(file)),
        }
    }
    match wanted.keys().next() {
        Some(path) => bail!("{}: {} is in its list of contents and not in it", broken(file), path.display()),
        None => Ok(()),
    }
}

/// Moves what was unpacked to `dir` to its places in the cache.
fn settle(inventory: &Inventory, cache: &Cache, dir: &Path) -> Result<()> {
    for manifest in &inventory.artifacts {
        let from = dir.join(&manifest.name);
        if manifest.name == node_box::NAME {
            node_box::pack(&from, manifest)?;
        }
        for product in &manifest.products {
            // The cache notices by the time of change what was written to later.
            if let Product::File { path, mtime, .. } = product {
                set_mtime(&from.join(path), *mtime)?;
            }
        }
        if let Some(fault) = manifest.fault(&from, Depth::Full)? {
            bail!("{} was unpacked from the bundle, and {fault}", manifest.name);
        }
        manifest.write(&from)?;
    }
    for manifest in &inventory.artifacts {
        cache.locked(
            &manifest.name,
            |_| {},
            || {
                let to = cache.entry(&manifest.name, &manifest.key);
                if matches!(cache.state(&manifest.name, &manifest.key, Depth::Full)?, State::Present(_)) {
                    return Ok(());
                }
                remove_tree(&to)?;
                paths::create_dir(&cache.artifacts())?;
                let from = dir.join(&manifest.name);
                fs::rename(&from, &to).with_context(|| format!("rename {} to {}", from.display(), to.display()))
            },
        )?;
    }
    Ok(())
}

fn set_mtime(path: &Path, nanoseconds: i64) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let file = File::options().append(true).open(path).with_context(|| format!("open {}", path.display()))?;
    file.set_modified(time).with_context(|| format!("set the time of {}", path.display()))
}

fn broken(file: &Path) -> String {
    let size = file.metadata().map_or(0, |found| found.len());
    format!(
        "the bundle {} is truncated or damaged ({}); nothing of it was used, copy it again",
        file.display(),
        ui::size(size)
    )
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
