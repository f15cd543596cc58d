//! Everything that a lab is started from in one file, for hosts without a
//! network: a zstd-compressed tar whose first entry says what follows. The way
//! back is `unbundle.rs`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read};
use std::path::{Component, Path};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::artifacts::cache::{Cache, State};
use crate::artifacts::contents::Contents;
use crate::artifacts::engine::Entry;
use crate::artifacts::manifest::{Depth, Manifest, Product};
use crate::artifacts::node_box;
use crate::interrupt;

/// Changes when older programs could not read newer bundles, or the reverse.
const FORMAT: u32 = 1;
/// The entry that says what follows.
pub(super) const CONTENTS: &str = "bundle.json";
/// Quick, and half the size; higher levels gain little on a disk's content.
const LEVEL: i32 = 3;

/// What a bundle holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inventory {
    /// Of the file.
    pub format: u32,
    /// The program's version that wrote it.
    pub provision: String,
    /// The machines' architecture, as Rust calls it.
    pub arch: String,
    /// Kubernetes' version, without `v`.
    pub kubernetes: String,
    /// The artifacts, with the digests of all their files.
    pub artifacts: Vec<Manifest>,
    /// What they consist of, for the lock; absent where parts of that were missing.
    pub contents: Option<Contents>,
}

/// What every bundle has, whatever its format.
#[derive(Deserialize)]
struct Head {
    format: u32,
    provision: String,
}

impl Inventory {
    /// Of these artifacts.
    #[must_use]
    pub fn of(kubernetes: &str, entries: &BTreeMap<String, Entry>, contents: Option<Contents>) -> Self {
        Self {
            format: FORMAT,
            provision: env!("CARGO_PKG_VERSION").to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            kubernetes: kubernetes.to_owned(),
            artifacts: entries.values().map(|entry| entry.manifest.clone()).collect(),
            contents,
        }
    }

    /// Reads the first entry of a bundle, and whether this program can use it.
    pub(super) fn parse(text: &str, file: &Path) -> Result<Self> {
        let head: Head = serde_json::from_str(text).with_context(|| not_one(file))?;
        let own = env!("CARGO_PKG_VERSION");
        ensure!(
            head.format == FORMAT && head.provision == own,
            "{} was written by provision {} (format {}), and this is provision {own} (format {FORMAT})\n  \
             use the same program here and there; nothing was changed",
            file.display(),
            head.provision,
            head.format
        );
        let contents: Self = serde_json::from_str(text).with_context(|| not_one(file))?;
        let arch = std::env::consts::ARCH;
        ensure!(contents.arch == arch, "{} is for {}, and this host is {arch}", file.display(), contents.arch);
        for manifest in &contents.artifacts {
            let stray = stray(manifest).map_or(Ok(()), |path| Err(anyhow::anyhow!("it names {path:?}")));
            stray.with_context(|| not_one(file))?;
        }
        Ok(contents)
    }

    /// Whether all of it is in the cache.
    pub(super) fn is_in(&self, cache: &Cache) -> Result<bool> {
        for manifest in &self.artifacts {
            if !matches!(cache.state(&manifest.name, &manifest.key, Depth::Full)?, State::Present(_)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What would be written elsewhere than into the artifact's own folder.
fn stray(manifest: &Manifest) -> Option<&str> {
    let plain = |path: &&str| {
        !path.is_empty()
            && path.is_ascii()
            && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
    };
    let targets = manifest.products.iter().filter_map(|product| match product {
        Product::Link { target, .. } => Some(target.as_str()),
        Product::File { .. } | Product::Tree { .. } => None,
    });
    let paths = manifest.products.iter().map(Product::path);
    let mut all = [manifest.name.as_str(), manifest.key.as_str()].into_iter().chain(paths).chain(targets);
    all.find(|path| !plain(path))
}

/// Writes the artifacts `entries` to `file`, which appears when it is whole.
/// Returns its size.
pub fn write(contents: &Inventory, entries: &BTreeMap<String, Entry>, file: &Path, say: &dyn Fn(&str)) -> Result<u64> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let out = tempfile::Builder::new().prefix(".bundle-").tempfile_in(dir);
    let out = out.with_context(|| format!("create a file beside {}", file.display()))?;
    let writing = || format!("write {}", file.display());
    let mut zstd = zstd::Encoder::new(BufWriter::new(out), LEVEL).with_context(writing)?;
    // Without threads it is slower, and the same otherwise.
    zstd.multithread(std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))).ok();
    zstd.include_checksum(true).with_context(writing)?;
    let mut tar = tar::Builder::new(zstd);
    let text = serde_json::to_vec(contents)?;
    tar.append_data(&mut header(text.len() as u64, 0o644), CONTENTS, text.as_slice()).with_context(writing)?;
    for (name, entry) in entries {
        for product in entry.manifest.products.iter().filter(|product| !is_derived(name, product)) {
            interrupt::check()?;
            match product {
                Product::File { path, size, .. } => {
                    say(&format!("{name}: {path}"));
                    let from = entry.dir.join(path);
                    let content = File::open(&from).with_context(|| format!("open {}", from.display()))?;
                    let mode = mode_of(&content).with_context(|| format!("look at {}", from.display()))?;
                    let content = Interruptible(BufReader::new(content));
                    tar.append_data(&mut header(*size, mode), format!("{name}/{path}"), content)
                        .with_context(writing)?;
                }
                Product::Link { path, target } => {
                    let mut header = header(0, 0o777);
                    header.set_entry_type(tar::EntryType::Symlink);
                    tar.append_link(&mut header, format!("{name}/{path}"), target).with_context(writing)?;
                }
                Product::Tree { path, .. } => bail!("artifact {name} holds the root tree {path}: no bundle takes one"),
            }
        }
    }
    let zstd = tar.into_inner().with_context(writing)?;
    let out = zstd.finish().and_then(|out| out.into_inner().map_err(std::io::IntoInnerError::into_error));
    let out = out.with_context(writing)?;
    out.as_file().sync_all().with_context(writing)?;
    let size = out.as_file().metadata().with_context(writing)?.len();
    let out = out.persist(file).with_context(writing)?;
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).with_context(writing)?;
    drop(out);
    Ok(size)
}

/// Whether a product can be made again from its neighbours, byte for byte.
pub(super) fn is_derived(artifact: &str, product: &Product) -> bool {
    artifact == node_box::NAME && product.path() == node_box::BOX
}

pub(super) fn mode_of(file: &File) -> std::io::Result<u32> {
    Ok(std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions()) & 0o777)
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}

pub(super) fn not_one(file: &Path) -> String {
    format!("{} is no bundle of provision, or its beginning is damaged", file.display())
}

/// Reading that ends when the user asks to stop.
pub(super) struct Interruptible<R>(pub R);

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // Not `ErrorKind::Interrupted`, which means: try again.
        interrupt::check().map_err(std::io::Error::other)?;
        self.0.read(buffer)
    }
}
