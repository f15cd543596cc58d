//! What a lab is started from, read from finished artifacts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::artifacts::engine::Entry;
use crate::artifacts::set::{BoxForm, KUBERNETES};
use crate::artifacts::{images, node_box};

/// What a lab is started from; all of it lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The Vagrant box, or the payload of machines that have a system already.
    pub box_file: PathBuf,
    /// A name for it that changes with its content.
    pub box_name: String,
    /// Hex SHA-256 of the box file.
    pub box_sha256: String,
    /// What boots it without a boot loader, if it has none.
    pub direct: Option<Direct>,
    /// kubectl of the nodes' version, for this host.
    pub kubectl: PathBuf,
    /// The images in the box: name to manifest digest (`sha256:…`).
    pub images: BTreeMap<String, String>,
    /// The images once more, if they were wanted so.
    pub archive: Option<Archive>,
    /// What making the box measured and recorded (`preload_seconds`, …).
    pub facts: BTreeMap<String, String>,
}

/// The images in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// An OCI layout as tar.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its hex SHA-256.
    pub sha256: String,
}

/// A node's disk without a boot loader, and what boots it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// The disk in the box, qcow2: one ext4 file system, no partitions.
    pub disk: PathBuf,
    /// The disk's size in GiB; a node's may be larger, it grows at boot.
    pub disk_gib: u64,
    /// The kernel.
    pub kernel: PathBuf,
    /// Its initial RAM disk.
    pub initrd: PathBuf,
}

impl Made {
    /// Image name to bytes of all its layers, uncompressed.
    #[must_use]
    pub fn image_bytes(&self) -> BTreeMap<String, u64> {
        let named = self.facts.iter().filter_map(|(fact, bytes)| Some((fact.strip_prefix(images::BYTES)?, bytes)));
        named.filter_map(|(name, bytes)| Some((name.to_owned(), bytes.parse().ok()?))).collect()
    }

    pub(super) fn of(entries: &BTreeMap<String, Entry>, form: BoxForm) -> Result<Self> {
        let entry = |name: &str| entries.get(name).with_context(|| format!("artifact {name} is not there"));
        let (node, kubernetes) = (entry(form.artifact())?, entry(KUBERNETES)?);
        let facts = &node.manifest.facts;
        let direct = (form == BoxForm::Libvirt).then(|| direct(node)).transpose()?;
        Ok(Made {
            box_file: node.dir.join(form.file()),
            box_name: format!("provision-node-{}", &node.manifest.key[..16]),
            box_sha256: node.manifest.sha256(form.file())?.to_owned(),
            direct,
            kubectl: kubernetes.dir.join("kubectl"),
            images: node_box::digests_in(&node.manifest),
            archive: entries.get(images::NAME).map(archive).transpose()?,
            facts: facts.clone(),
        })
    }
}

fn archive(images: &Entry) -> Result<Archive> {
    let sha256 = images.manifest.sha256(images::ARCHIVE)?.to_owned();
    Ok(Archive { file: images.dir.join(images::ARCHIVE), bytes: images.manifest.bytes, sha256 })
}

fn direct(node: &Entry) -> Result<Direct> {
    let gib = node.manifest.facts.get(node_box::GIB).context("the box's manifest does not say its disk's size")?;
    Ok(Direct {
        disk: node.dir.join(node_box::DISK),
        disk_gib: gib.parse().context("read the disk's size in the box's manifest")?,
        kernel: node.dir.join(node_box::KERNEL),
        initrd: node.dir.join(node_box::INITRD),
    })
}
