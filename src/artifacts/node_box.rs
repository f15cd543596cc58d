//! The box: a node's disk with every program and image in it, kernel and initrd
//! for a direct boot, and the Vagrant box around the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::manifest::Manifest;
use crate::artifacts::namespace::Namespace;
use crate::artifacts::{images, programs, root};
use crate::paths;
use crate::process::Cmd;

/// The artifact's name.
pub const NAME: &str = "box";
/// The disk, qcow2.
pub const DISK: &str = "disk.qcow2";
/// The kernel.
pub const KERNEL: &str = "vmlinuz";
/// Its initial RAM disk.
pub const INITRD: &str = "initrd";
/// The Vagrant box.
pub const BOX: &str = "node.box";
/// The fact that holds the disk's size in GiB.
pub const GIB: &str = "disk_gib";

const IMPORT: &str = include_str!("scripts/import_images.sh");
const PROGRAMS: &str = include_str!("scripts/programs.sh");
const WRITE_DISK: &str = include_str!("scripts/box_disk.sh");
const CUSTOMIZE: &str = include_str!("../../templates/box/customize.sh");
const SYSTEM: &str = include_str!("../../templates/node/system.sh");

const VAGRANTFILE: &str = "Vagrant.configure(\"2\") do |_config|\nend\n";
/// How the disk is stored.
const QCOW2: [&str; 0] = [];

/// A node's disk and the box around it.
pub struct NodeBox;

impl Artifact for NodeBox {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "Make the node's box, images preloaded".into()
    }

    fn inputs(&self) -> Inputs {
        tree_inputs(Inputs::new().with("arch", std::env::consts::ARCH))
            .with("qcow2", QCOW2.join(" "))
            .file("disk", WRITE_DISK.as_bytes())
            .file("Vagrantfile", VAGRANTFILE.as_bytes())
    }

    fn needs(&self) -> Vec<&str> {
        vec![root::NODE, "kubernetes", "containerd", images::NAME]
    }

    fn obstacles(&self) -> Vec<String> {
        let mut found = Namespace::detect().obstacles();
        found.extend(programs::missing(&["mke2fs", "qemu-img", "chroot"]));
        found
    }

    fn room(&self) -> Vec<Room> {
        // The tree, the raw disk, qcow2 and the box hold the same once each.
        vec![Room::in_cache(4 << 30)]
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        let tree = fill_tree(cx, root::NODE)?;
        let (raw, gib) = (cx.work().join("disk.raw"), cx.work().join("gib"));
        let write = inside(cx, "box_disk.sh", WRITE_DISK)?.arg(&tree).arg(into).arg(&raw).arg(&gib);
        cx.timed("ext4", || cx.run(&write))?;
        let gib: u64 = paths::read(&gib)?.trim().parse().context("the disk's size is a number of GiB")?;

        let disk = into.join(DISK);
        let convert = Cmd::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).args(QCOW2);
        cx.timed("qcow2", || cx.run(&convert.arg(&raw).arg(&disk)))?;
        cx.timed("box", || pack_around(into, gib))?;
        cx.record(GIB, gib.to_string());
        Ok(())
    }
}

/// The recipes of [`fill_tree`], for the inputs of what calls it.
pub(super) fn tree_inputs(inputs: Inputs) -> Inputs {
    preload_inputs(inputs).file("customize", CUSTOMIZE.as_bytes()).file("system", SYSTEM.as_bytes())
}

/// A script that runs as root of the tree's namespace.
pub(super) fn inside(cx: &Making, name: &str, script: &str) -> Result<Cmd> {
    Ok(Namespace::detect().command().arg("bash").arg(cx.script(name, script)?))
}

/// A node's tree from the root artifact `root`: with Kubernetes, containerd,
/// the images unpacked and all that is the same in every lab; returns its
/// folder. What the images are is recorded.
pub(super) fn fill_tree(cx: &Making, root: &str) -> Result<PathBuf> {
    let tree = cx.work().join("tree");
    let copy = Namespace::detect().command().args(["cp", "-a", "--reflink=auto"]);
    cx.timed("copy", || cx.run(&copy.arg(cx.need(root)?.join(root::TREE)).arg(&tree)))?;

    preload(cx, &tree)?;
    // The one sources the other, beside it.
    cx.script("system.sh", SYSTEM)?;
    let customize = inside(cx, "customize.sh", CUSTOMIZE)?.arg(&tree);
    cx.timed("customize", || cx.run(&customize))?;
    Ok(tree)
}

/// Imports the images into the store of `tree`'s containerd, at host speed, and
/// records what they are; then puts the programs beside them.
pub(super) fn preload(cx: &Making, tree: &Path) -> Result<()> {
    let archive = cx.need(images::NAME)?.join(images::ARCHIVE);
    let import =
        inside(cx, "import_images.sh", IMPORT)?.arg(tree).arg(archive).arg(cx.need("containerd")?).arg(cx.work());
    cx.timed("preload", || cx.run(&import))?;
    let programs = inside(cx, "programs.sh", PROGRAMS)?.arg(tree).arg(cx.need("kubernetes")?);
    cx.run(&programs.arg(cx.need("containerd")?))?;
    let wanted = image_digests(cx.need(images::NAME)?)?;
    check_imported(&paths::read(&cx.work().join("imported"))?, &wanted)?;
    for (name, digest) in wanted {
        cx.record(format!("{}{name}", images::DIGEST), digest);
    }
    let manifest = Manifest::read(cx.need(images::NAME)?)?.context("find the images' manifest")?;
    for (fact, bytes) in manifest.facts.iter().filter(|(fact, _)| fact.starts_with(images::BYTES)) {
        cx.record(fact.clone(), bytes.clone());
    }
    Ok(())
}

/// The recipe of [`preload`], for the inputs of what calls it.
pub(super) fn preload_inputs(inputs: Inputs) -> Inputs {
    inputs.file("import", IMPORT.as_bytes()).file("programs", PROGRAMS.as_bytes())
}

/// The images by name with their manifest digests, as the manifest in `dir`
/// (of the archive, or of a box that holds it) recorded them.
pub fn image_digests(dir: &Path) -> Result<BTreeMap<String, String>> {
    let manifest = Manifest::read(dir)?.with_context(|| format!("find {}", dir.display()))?;
    Ok(digests_in(&manifest))
}

/// The images that a manifest recorded.
#[must_use]
pub fn digests_in(manifest: &Manifest) -> BTreeMap<String, String> {
    let named = manifest.facts.iter().filter_map(|(fact, digest)| Some((fact.strip_prefix(images::DIGEST)?, digest)));
    named.map(|(name, digest)| (name.to_owned(), digest.clone())).collect()
}

/// Compares what containerd says it imported with what was written.
fn check_imported(printed: &str, wanted: &BTreeMap<String, String>) -> Result<()> {
    let imported: BTreeMap<String, String> = printed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, digest)| (name.to_owned(), digest.trim().to_owned()))
        .collect();
    for (name, digest) in wanted {
        match imported.get(name) {
            Some(found) if found == digest => {}
            Some(found) => anyhow::bail!("containerd imported image {name} as {found}, and it was written as {digest}"),
            None => anyhow::bail!("containerd did not import image {name}"),
        }
    }
    ensure!(!wanted.is_empty(), "the image archive's manifest names no image");
    Ok(())
}

/// Packs the box in `dir` again from the disk beside it, as `manifest` knows it.
pub fn pack(dir: &Path, manifest: &Manifest) -> Result<()> {
    let gib = manifest.facts.get(GIB).context("the box's manifest does not say its disk's size")?;
    pack_around(dir, gib.parse().context("read the disk's size in the box's manifest")?)
}

/// Packs the Vagrant box for libvirt around the disk in `dir`, whose size is `gib`.
fn pack_around(dir: &Path, gib: u64) -> Result<()> {
    let metadata = serde_json::json!({ "provider": "libvirt", "format": "qcow2", "virtual_size": gib }).to_string();
    let texts = [("metadata.json", metadata.as_str()), ("Vagrantfile", VAGRANTFILE)];
    write_box(&dir.join(BOX), &texts, ("box.img", &dir.join(DISK)))
}

/// Writes a Vagrant box: `texts` by name, and a disk by name and file.
pub(super) fn write_box(to: &Path, texts: &[(&str, &str)], (disk_name, disk): (&str, &Path)) -> Result<()> {
    let out = File::create(to).with_context(|| format!("create {}", to.display()))?;
    let mut tar = tar::Builder::new(BufWriter::new(out));
    for (name, text) in texts {
        tar.append_data(&mut file_header(text.len() as u64), name, text.as_bytes())
            .with_context(|| format!("add {name} to {}", to.display()))?;
    }
    let image = File::open(disk).with_context(|| format!("open {}", disk.display()))?;
    let size = image.metadata().with_context(|| format!("look at {}", disk.display()))?.len();
    tar.append_data(&mut file_header(size), disk_name, image)
        .with_context(|| format!("add {} to {}", disk.display(), to.display()))?;
    let out = tar.into_inner().and_then(|out| out.into_inner().map_err(std::io::IntoInnerError::into_error));
    out.with_context(|| format!("write {}", to.display())).map(drop)
}

fn file_header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;

    #[test]
    fn a_box_holds_its_texts_and_its_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, file) = (dir.path().join("disk"), dir.path().join("box"));
        fs::write(&disk, "QFI").unwrap();
        write_box(&file, &[("metadata.json", "{}"), ("Vagrantfile", VAGRANTFILE)], ("box.img", &disk)).unwrap();
        let mut read = BTreeMap::new();
        for entry in tar::Archive::new(File::open(file).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            read.insert(entry.path().unwrap().display().to_string(), text);
        }
        assert_eq!(read["box.img"], "QFI");
        assert_eq!(read["metadata.json"], "{}");
        assert!(read["Vagrantfile"].contains("Vagrant.configure"));
    }

    #[test]
    fn an_image_that_is_missing_or_another_is_named() {
        let wanted = BTreeMap::from([("x/a:1".to_owned(), "sha256:1".to_owned())]);
        check_imported("x/a:1 sha256:1\nx/more:1 sha256:2\n", &wanted).unwrap();
        let error = |printed| check_imported(printed, &wanted).unwrap_err().to_string();
        assert_eq!(error(""), "containerd did not import image x/a:1");
        assert!(error("x/a:1 sha256:9").contains("imported image x/a:1 as sha256:9"));
        assert!(check_imported("", &BTreeMap::new()).is_err());
    }
}
