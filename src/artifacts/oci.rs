//! Writes images as one OCI archive: layers shared, uncompressed (nothing to
//! unpack twice at host speed), byte for byte the same for the same files.
//!
//! Not `oci-tar-builder`: it takes one image an archive, so that four images
//! would carry the same layer four times, and its annotations come in the order
//! of a `HashMap`, so that a digest would differ from run to run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, Digest, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder, SCHEMA_VERSION,
};

use crate::artifacts::digest::{Hashing, of_bytes, of_file};
use crate::artifacts::registry::{self, Pulled};
use crate::interrupt;

/// Where programs are looked for in every image.
const SEARCH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The name under which containerd keeps an imported image.
const NAME: &str = "io.containerd.image.name";

/// What lies at one path of a layer.
#[derive(Debug, Clone)]
pub enum Content {
    /// A copy of this file; executable if it is.
    File(PathBuf),
    /// A symbolic link to this.
    Link(String),
}

/// A layer, written to a file.
#[derive(Debug)]
pub struct Layer {
    file: PathBuf,
    sha256: String,
    size: u64,
}

/// An image of an archive.
#[derive(Debug)]
pub struct Image<'a> {
    /// Its full name with the tag.
    pub name: String,
    /// Its layers, the lowest first.
    pub layers: Vec<&'a Layer>,
    /// What it runs; empty where the pod says it.
    pub entrypoint: Vec<String>,
    /// The user and group that it runs as; empty is root.
    pub user: &'static str,
}

impl Layer {
    /// Writes the layer of `content` (by path, without a first slash) to `file`.
    pub fn write(content: &BTreeMap<String, Content>, file: PathBuf) -> Result<Self> {
        let out = File::create(&file).with_context(|| format!("create {}", file.display()))?;
        let mut tar = tar::Builder::new(Hashing::new(BufWriter::new(out)));
        let mut folders = BTreeSet::new();
        for (path, content) in content {
            interrupt::check()?;
            let mut above: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
            above.reverse();
            for folder in above.into_iter().filter(|folder| *folder != Path::new("")) {
                if folders.insert(folder) {
                    append_folder(&mut tar, folder)?;
                }
            }
            append(&mut tar, path, content).with_context(|| format!("add {path} to an image layer"))?;
        }
        let (mut out, sha256, size) = tar.into_inner().context("end an image layer")?.finish();
        out.flush().with_context(|| format!("write {}", file.display()))?;
        Ok(Self { file, sha256, size })
    }
}

impl Layer {
    /// A layer that is a tar archive already.
    pub fn of_archive(file: PathBuf) -> Result<Self> {
        let size = file.metadata().with_context(|| format!("look at {}", file.display()))?.len();
        let sha256 = of_file(&file)?;
        Ok(Self { file, sha256, size })
    }

    /// Bytes, uncompressed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn append_folder(tar: &mut tar::Builder<impl Write>, path: &Path) -> Result<()> {
    let mut header = header(tar::EntryType::Directory, 0, 0o755);
    tar.append_data(&mut header, path, std::io::empty()).with_context(|| format!("add folder {}", path.display()))
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, content: &Content) -> Result<()> {
    match content {
        Content::Link(target) => {
            tar.append_link(&mut header(tar::EntryType::Symlink, 0, 0o777), path, target)?;
        }
        Content::File(source) => {
            let file = File::open(source).with_context(|| format!("open {}", source.display()))?;
            let found = file.metadata().with_context(|| format!("look at {}", source.display()))?;
            let mode = if found.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
            tar.append_data(&mut header(tar::EntryType::Regular, found.len(), mode), path, BufReader::new(file))?;
        }
    }
    Ok(())
}

/// Writes `images`, and those that were pulled into the folder `pulled`, as one
/// archive to `file`; returns each image's manifest digest (`sha256:…`) by its name.
pub fn write_archive(
    images: &[Image],
    pulled: Option<&Path>,
    arch: &str,
    file: &Path,
) -> Result<BTreeMap<String, String>> {
    let out = File::create(file).with_context(|| format!("create {}", file.display()))?;
    let mut archive = Archive { tar: tar::Builder::new(BufWriter::new(out)), blobs: BTreeSet::new() };
    let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?.to_string()?;
    archive.file("oci-layout", layout.len() as u64, layout.as_bytes())?;
    let mut digests = BTreeMap::new();
    let mut manifests = Vec::new();
    for image in images {
        let manifest = archive.image(image, arch).with_context(|| format!("write image {}", image.name))?;
        digests.insert(image.name.clone(), manifest.digest().to_string());
        manifests.push(manifest);
    }
    if let Some(dir) = pulled {
        for image in registry::pulled(dir)? {
            let manifest = archive.pulled(&image, dir, arch).with_context(|| format!("write image {}", image.name))?;
            digests.insert(image.name.clone(), manifest.digest().to_string());
            manifests.push(manifest);
        }
    }
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .build()?
        .to_string()?;
    archive.file("index.json", index.len() as u64, index.as_bytes())?;
    let mut out = archive.tar.into_inner().context("end the image archive")?;
    out.flush().with_context(|| format!("write {}", file.display()))?;
    Ok(digests)
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    /// What is in it already: layers are shared between images.
    blobs: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    fn file(&mut self, path: &str, size: u64, content: impl Read) -> Result<()> {
        let mut header = header(tar::EntryType::Regular, size, 0o644);
        self.tar.append_data(&mut header, path, content).with_context(|| format!("add {path} to the image archive"))
    }

    fn blob(&mut self, kind: MediaType, sha256: &str, size: u64, content: impl Read) -> Result<DescriptorBuilder> {
        if self.blobs.insert(sha256.to_owned()) {
            self.file(&format!("blobs/sha256/{sha256}"), size, content)?;
        }
        let digest = Digest::from_str(&format!("sha256:{sha256}"))?;
        Ok(DescriptorBuilder::default().media_type(kind).digest(digest).size(size))
    }

    fn json(&mut self, kind: MediaType, text: &str) -> Result<DescriptorBuilder> {
        self.blob(kind, &of_bytes(text.as_bytes()), text.len() as u64, text.as_bytes())
    }

    /// An image as the registry gave it, byte for byte.
    fn pulled(&mut self, image: &Pulled, dir: &Path, arch: &str) -> Result<Descriptor> {
        let mut manifest = None;
        for sha256 in image.blobs.iter().chain([&image.manifest]) {
            interrupt::check()?;
            let path = registry::blob(dir, sha256);
            let content = File::open(&path).with_context(|| format!("open {}", path.display()))?;
            let size = content.metadata().with_context(|| format!("look at {}", path.display()))?.len();
            manifest = Some(self.blob(MediaType::from(image.media_type.as_str()), sha256, size, content)?);
        }
        let platform = PlatformBuilder::default().os(Os::Linux).architecture(Arch::from(arch)).build()?;
        let annotations = HashMap::from([(NAME.to_owned(), image.name.clone())]);
        let manifest = manifest.context("it has no manifest")?;
        Ok(manifest.platform(platform).annotations(annotations).build()?)
    }

    fn image(&mut self, image: &Image, arch: &str) -> Result<Descriptor> {
        let mut layers = Vec::new();
        for layer in &image.layers {
            interrupt::check()?;
            let content = File::open(&layer.file).with_context(|| format!("open {}", layer.file.display()))?;
            layers.push(self.blob(MediaType::ImageLayer, &layer.sha256, layer.size, content)?.build()?);
        }
        let mut run = ConfigBuilder::default().env(vec![SEARCH.to_owned()]);
        if !image.entrypoint.is_empty() {
            run = run.entrypoint(image.entrypoint.clone()).working_dir("/".to_owned());
        }
        if !image.user.is_empty() {
            run = run.user(image.user.to_owned());
        }
        // Uncompressed, a layer's digest is its diff id.
        let diff_ids: Vec<String> = image.layers.iter().map(|layer| format!("sha256:{}", layer.sha256)).collect();
        let config = ImageConfigurationBuilder::default()
            .created("1970-01-01T00:00:00Z")
            .architecture(Arch::from(arch))
            .os(Os::Linux)
            .config(run.build()?)
            .rootfs(RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?)
            .build()?
            .to_string()?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(self.json(MediaType::ImageConfig, &config)?.build()?)
            .layers(layers)
            .build()?
            .to_string()?;
        let platform = PlatformBuilder::default().os(Os::Linux).architecture(Arch::from(arch)).build()?;
        // One annotation and no more: their order would not be fixed.
        let annotations = HashMap::from([(NAME.to_owned(), image.name.clone())]);
        Ok(self.json(MediaType::ImageManifest, &manifest)?.platform(platform).annotations(annotations).build()?)
    }
}

#[cfg(test)]
#[path = "oci_tests.rs"]
mod tests;
