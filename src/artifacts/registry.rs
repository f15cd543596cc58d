//! Images from a registry, by digest: every manifest and every blob is what its
//! digest says, or it is not used.
//!
//! Not `oci-client`: it needs an asynchronous runtime and takes blobs without
//! going on where a connection broke; three kinds of GET are all that is asked here.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::{Deserialize, Serialize};

use crate::artifacts::digest;
use crate::artifacts::download::{Downloads, Wanted};
use crate::artifacts::pins::{MANIFESTS, PinnedImage, repository_of};
use crate::paths;

/// The file that lists the images beside their blobs.
const LIST: &str = "images.json";
/// The folder of the blobs.
const BLOBS: &str = "blobs";

/// An image as it was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// Its name on a node.
    pub name: String,
    /// Its manifest's media type.
    pub media_type: String,
    /// Hex SHA-256 of its manifest for one platform.
    pub manifest: String,
    /// Hex SHA-256 of its configuration and its layers.
    pub blobs: Vec<String>,
}

/// Pulls `images` for Linux on `arch` (in Go's words) from `registry` into `into`.
pub fn pull(
    downloads: &Downloads,
    registry: &str,
    images: &[PinnedImage],
    arch: &str,
    into: &Path,
    say: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let registry = registry.trim_end_matches('/');
    let (mut list, mut wanted) = (Vec::new(), BTreeMap::new());
    for image in images {
        say(&image.name);
        let (repository, _) = repository_of(&image.name)?;
        let base = format!("{registry}/v2/{repository}");
        let (pulled, text) =
            manifest(downloads, &base, image, arch).with_context(|| format!("pull image {}", image.name))?;
        paths::write_atomic(&blob(into, &pulled.manifest), text.as_bytes(), 0o644)?;
        for sha256 in &pulled.blobs {
            let url = format!("{base}/blobs/sha256:{sha256}");
            let to = blob(into, sha256);
            wanted.insert(sha256.clone(), Wanted { url, sha256: sha256.clone(), accept: "*/*", to });
        }
        list.push(pulled);
    }
    downloads.fetch(&wanted.into_values().collect::<Vec<_>>(), say)?;
    paths::write_atomic(&into.join(LIST), &serde_json::to_vec_pretty(&list)?, 0o644)
}

/// The images that [`pull`] left in `dir`.
pub fn pulled(dir: &Path) -> Result<Vec<Pulled>> {
    let path = dir.join(LIST);
    serde_json::from_str(&paths::read(&path)?).with_context(|| format!("read {}", path.display()))
}

/// Where the blob of this hex SHA-256 is in `dir`.
#[must_use]
pub fn blob(dir: &Path, sha256: &str) -> std::path::PathBuf {
    dir.join(BLOBS).join(sha256)
}

/// The manifest of an image for one platform, with its text.
fn manifest(downloads: &Downloads, base: &str, image: &PinnedImage, arch: &str) -> Result<(Pulled, String)> {
    let text = by_digest(downloads, base, &image.digest)?;
    let Ok(index) = ImageIndex::from_reader(text.as_bytes()) else {
        return of_platform(image, &image.digest, text);
    };
    let fits = |descriptor: &&Descriptor| {
        let platform = descriptor.platform().as_ref();
        platform.is_some_and(|it| it.os().to_string() == "linux" && it.architecture().to_string() == arch)
    };
    let chosen = index.manifests().iter().find(fits);
    let digest = chosen.with_context(|| format!("it has no manifest for linux/{arch}"))?.digest().to_string();
    let text = by_digest(downloads, base, &digest)?;
    of_platform(image, &digest, text)
}

fn of_platform(image: &PinnedImage, digest: &str, text: String) -> Result<(Pulled, String)> {
    let manifest = ImageManifest::from_reader(text.as_bytes()).context("read its manifest")?;
    let media_type = manifest
        .media_type()
        .as_ref()
        .map_or_else(|| "application/vnd.oci.image.manifest.v1+json".to_owned(), |media_type| media_type.to_string());
    let blobs = std::iter::once(manifest.config()).chain(manifest.layers());
    let blobs = blobs.map(|descriptor| hex_of(descriptor.digest().as_ref())).collect::<Result<_>>()?;
    let manifest = hex_of(digest)?;
    Ok((Pulled { name: image.name.clone(), media_type, manifest, blobs }, text))
}

/// A manifest that has this digest.
fn by_digest(downloads: &Downloads, base: &str, digest: &str) -> Result<String> {
    let wanted = hex_of(digest)?;
    let url = format!("{base}/manifests/{digest}");
    let text = downloads.text(&url, MANIFESTS)?;
    let found = digest::of_bytes(text.as_bytes());
    ensure!(
        found == wanted,
        "{url} is not what is pinned: SHA-256 {found} instead of {wanted}; nothing of it was used"
    );
    Ok(text)
}

fn hex_of(digest: &str) -> Result<String> {
    match digest.split_once(':') {
        Some(("sha256", hex)) if digest::is_sha256(hex) => Ok(hex.to_owned()),
        _ => bail!("{digest} is no SHA-256 digest"),
    }
}
