//! The paper that lies beside each finished artifact: what it was made from
//! and how its files looked, so that damage is noticed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::artifacts::digest;
use crate::artifacts::graph::Planned;
use crate::paths;

/// The manifest's file name inside an artifact's folder.
pub const FILE: &str = "manifest.json";

/// What is known of a finished artifact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The artifact's name.
    pub name: String,
    /// Hex SHA-256 over all inputs.
    pub key: String,
    /// The inputs, readable.
    pub inputs: Vec<(String, String)>,
    /// The keys of the artifacts it was made from.
    pub needs: BTreeMap<String, String>,
    /// When it was finished (RFC 3339, UTC).
    pub made: String,
    /// How long making it took.
    pub seconds: f64,
    /// The size of all its products.
    pub bytes: u64,
    /// Each file.
    pub products: Vec<Product>,
    /// What making it found out or measured.
    pub facts: BTreeMap<String, String>,
}

/// One file, link or root tree of an artifact.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Product {
    /// A file.
    File {
        /// Where, below the artifact's folder.
        path: String,
        /// Bytes.
        size: u64,
        /// Modification time in nanoseconds since 1970.
        mtime: i64,
        /// Hex SHA-256 of its content.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where, below the artifact's folder.
        path: String,
        /// What it points to.
        target: String,
    },
    /// A root tree.
    Tree {
        /// Where, below the artifact's folder.
        path: String,
        /// Bytes of the files in it.
        size: u64,
        /// Hex SHA-256 of the list of all its files with kind, mode, owner,
        /// size and modification time.
        listing: String,
    },
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Sizes and times: milliseconds.
    Cheap,
    /// Every byte (of trees: every entry).
    Full,
}

/// Describes everything in `dir`; `tree` names the folder that is one.
pub fn describe(dir: &Path, tree: Option<&str>) -> Result<Vec<Product>> {
    let mut products = Vec::new();
    let mut entries = WalkDir::new(dir).min_depth(1).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let entry = entry.with_context(|| format!("list {}", dir.display()))?;
        let path = relative(dir, entry.path());
        let kind = entry.file_type();
        if kind.is_dir() && Some(path.as_str()) == tree {
            entries.skip_current_dir();
            let (listing, size) = tree_listing(entry.path())?;
            products.push(Product::Tree { path, size, listing });
        } else if kind.is_symlink() {
            products.push(Product::Link { path, target: link_target(entry.path())? });
        } else if kind.is_file() {
            let (size, mtime) = stat(entry.path())?;
            products.push(Product::File { path, size, mtime, sha256: digest::of_file(entry.path())? });
        }
    }
    Ok(products)
}

impl Manifest {
    /// The manifest of what `planned` left in `dir`.
    pub fn of(planned: &Planned, needs: BTreeMap<String, String>, dir: &Path) -> Result<Self> {
        let products = describe(dir, planned.artifact.tree())?;
        let bytes = products.iter().map(Product::size).sum();
        Ok(Self {
            name: planned.artifact.name().to_owned(),
            key: planned.key.clone(),
            inputs: planned.inputs.pairs().to_vec(),
            needs,
            made: jiff::Timestamp::now().to_string(),
            seconds: 0.0,
            bytes,
            products,
            facts: BTreeMap::new(),
        })
    }

    /// Reads the manifest in `dir`; `None` if there is no such folder.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        if !dir.exists() {
            return Ok(None);
        }
        let manifest =
            serde_json::from_str(&paths::read(&path)?).with_context(|| format!("parse {}", path.display()))?;
        Ok(Some(manifest))
    }

    /// Writes it into `dir`.
    pub fn write(&self, dir: &Path) -> Result<()> {
        paths::write_atomic(&dir.join(FILE), &serde_json::to_vec_pretty(self)?, 0o644)
    }

    /// What is wrong with the files in `dir`, if anything is.
    pub fn fault(&self, dir: &Path, depth: Depth) -> Result<Option<String>> {
        for product in &self.products {
            if let Some(fault) = product.fault(dir, depth)? {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    }

    /// The recorded SHA-256 of the file at `path` below the artifact's folder.
    pub fn sha256(&self, path: &str) -> Result<&str> {
        self.products
            .iter()
            .find_map(|product| match product {
                Product::File { path: at, sha256, .. } if at == path => Some(sha256.as_str()),
                _ => None,
            })
            .with_context(|| format!("artifact {} has no file {path}", self.name))
    }
}

impl Product {
    /// Where it is, below the artifact's folder.
    #[must_use]
    pub fn path(&self) -> &str {
        let (Self::File { path, .. } | Self::Link { path, .. } | Self::Tree { path, .. }) = self;
        path
    }

    fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } | Self::Tree { size, .. } => *size,
            Self::Link { .. } => 0,
        }
    }

    fn fault(&self, dir: &Path, depth: Depth) -> Result<Option<String>> {
        let path = self.path();
        let at = dir.join(path);
        let Ok(found) = fs::symlink_metadata(&at) else { return Ok(Some(format!("{path} is missing"))) };
        Ok(match self {
            Self::File { size, mtime, sha256, .. } => {
                if !found.is_file() {
                    Some(format!("{path} is no file any more"))
                } else if found.len() != *size {
                    Some(format!("{path} has {} bytes instead of {size}", found.len()))
                } else if stat(&at)?.1 != *mtime {
                    Some(format!("{path} was written to after it was made"))
                } else if depth == Depth::Full && digest::of_file(&at)? != *sha256 {
                    Some(format!("{path} has another SHA-256 than when it was made"))
                } else {
                    None
                }
            }
            Self::Link { target, .. } => {
                let changed = !found.is_symlink() || link_target(&at)? != *target;
                changed.then(|| format!("{path} is no link to {target} any more"))
            }
            Self::Tree { listing, .. } => {
                let changed = !found.is_dir() || (depth == Depth::Full && tree_listing(&at)?.0 != *listing);
                changed.then(|| format!("files in {path} changed after it was made"))
            }
        })
    }
}

/// The digest of a tree's entries and the bytes of its files. Made by `find`
/// inside the tree's own user namespace, where every folder can be read.
fn tree_listing(tree: &Path) -> Result<(String, u64)> {
    // Sockets and the like have no place in a root tree; %D/%i would change by a copy.
    const LIST: &str = r#"set -euo pipefail
find "$1" -printf '%P\t%y\t%m\t%U\t%G\t%s\t%T@\t%l\n' | LC_ALL=C sort | sha256sum | cut -d' ' -f1
find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f\n", sum }'"#;
    let printed = crate::artifacts::namespace::Namespace::detect()
        .bash(LIST)
        .arg(tree)
        .read()
        .with_context(|| format!("list the root tree {}", tree.display()))?;
    let (listing, size) = printed.split_once('\n').context("the list of a root tree has two lines")?;
    Ok((listing.to_owned(), size.trim().parse().context("the size of a root tree is a number")?))
}

fn relative(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}

fn link_target(path: &Path) -> Result<String> {
    let target = fs::read_link(path).with_context(|| format!("read link {}", path.display()))?;
    Ok(target.to_string_lossy().into_owned())
}

fn stat(path: &Path) -> Result<(u64, i64)> {
    let found = fs::symlink_metadata(path).with_context(|| format!("look at {}", path.display()))?;
    Ok((found.len(), found.mtime() * 1_000_000_000 + found.mtime_nsec()))
}
