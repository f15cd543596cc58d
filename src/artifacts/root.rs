//! Root trees of Debian 13: one in which programs are compiled, one that
//! becomes a node's disk, one from which other systems get crun, WasmEdge
//! and nft.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::namespace::Namespace;
use crate::artifacts::programs::missing;
use crate::process::Cmd;

/// The name of the tree with the compilers.
pub const BUILDER: &str = "builder-root";
/// The name of the tree that becomes a node's disk.
pub const NODE: &str = "node-root";
/// The name of the tree that becomes a node's disk with a boot loader on it.
pub const BOOTABLE: &str = "node-root-bootable";
/// The name of the tree from which other systems get crun, WasmEdge and nft.
pub const RUNTIME: &str = "runtime-root";
/// The folder of the tree inside the artifact.
pub const TREE: &str = "root";

/// Debian 13.
const SUITE: &str = "trixie";
/// Debian's own keys; on other distributions the package of the same name.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What compiles the programs: rustc for the node and for WebAssembly, and
/// WasmEdge of the very version that the node runs.
const BUILDER_PACKAGES: &str = "
rustc
cargo
libstd-rust-dev-wasm32
lld
gcc
libc6-dev
wasmedge
ca-certificates
";
const NODE_PACKAGES: &str =
    concat!(include_str!("../../templates/box/packages.txt"), include_str!("../../templates/node/packages.txt"));
/// The kernel in them; it has no driver for the network cards of VirtualBox.
const CLOUD_KERNEL: &str = "linux-image-cloud-amd64";
/// crun that is built with WasmEdge, the library that it loads, the nft that
/// kube-proxy's image has, and what makes them run from another place.
const RUNTIME_PACKAGES: &str = "
crun
libwasmedge0
nftables
patchelf
";
const BOOTABLE_PACKAGES: &str = include_str!("../../templates/box/packages-bootable.txt");

const MAKE: &str = include_str!("scripts/make_root.sh");

/// A Debian root tree with packages.
pub struct Root {
    /// [`BUILDER`], [`NODE`], [`BOOTABLE`] or [`RUNTIME`].
    name: &'static str,
    /// What goes on top of Debian's minimal base.
    packages: Vec<String>,
    /// Where Debian comes from, as mmdebstrap takes it; `None` is its default.
    mirror: Option<String>,
    /// Bytes of the finished tree, generously.
    bytes: u64,
}

impl Root {
    /// The tree in which programs are compiled.
    #[must_use]
    pub fn builder(mirror: Option<String>) -> Self {
        Self { name: BUILDER, packages: packages(BUILDER_PACKAGES), mirror, bytes: 1300 << 20 }
    }

    /// The tree that becomes a node's disk.
    #[must_use]
    pub fn node(mirror: Option<String>) -> Self {
        Self { name: NODE, packages: packages(NODE_PACKAGES), mirror, bytes: 600 << 20 }
    }

    /// The same with GRUB for BIOS and UEFI and Debian's kernel for all
    /// hardware, for machines that boot from their disk.
    #[must_use]
    pub fn bootable(mirror: Option<String>) -> Self {
        let mut packages = packages(NODE_PACKAGES);
        packages.retain(|package| package != CLOUD_KERNEL);
        packages.extend(self::packages(BOOTABLE_PACKAGES));
        Self { name: BOOTABLE, packages, mirror, bytes: 900 << 20 }
    }

    /// The tree from which other systems get crun, WasmEdge and nft.
    #[must_use]
    pub fn runtime(mirror: Option<String>) -> Self {
        Self { name: RUNTIME, packages: packages(RUNTIME_PACKAGES), mirror, bytes: 500 << 20 }
    }

    fn options(&self) -> Vec<String> {
        options("minbase", &self.packages, self.mirror.as_deref())
    }
}

/// What mmdebstrap is told: a tree as a tar archive on standard output.
pub(super) fn options(variant: &str, packages: &[String], mirror: Option<&str>) -> Vec<String> {
    let mut options = vec![format!("--variant={variant}")];
    options.extend(
        [
            "--format=tar",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--aptopt=Apt::Install-Recommends \"false\"",
        ]
        .map(str::to_owned),
    );
    options.push(format!("--keyring={KEYRING}"));
    if !packages.is_empty() {
        options.push(format!("--include={}", packages.join(",")));
    }
    options.extend([SUITE.to_owned(), "-".to_owned()]);
    options.extend(mirror.map(str::to_owned));
    options
}

/// What mmdebstrap is told of the user's own authorities. They do not change
/// the tree, so they are no input.
pub(super) fn authorities(cx: &Making) -> Option<String> {
    let bundle = cx.outside().bundle()?;
    Some(format!("--aptopt=Acquire::https::CAInfo \"{}\"", bundle.display()))
}

/// What to say where Debian's keys are missing.
pub(super) fn missing_keyring() -> Option<String> {
    (!Path::new(KEYRING).exists())
        .then(|| format!("{KEYRING} is missing: type sudo apt install debian-archive-keyring"))
}

/// `bash SCRIPT TARGET MODE`, where MODE is mmdebstrap's for this user.
pub(super) fn in_mode(cx: &Making, script: PathBuf, target: &Path) -> Cmd {
    let mode = match Namespace::detect() {
        Namespace::Root => "root",
        Namespace::User => "unshare",
    };
    let make = Cmd::new("bash").arg(script).arg(target).arg(mode);
    // /tmp may be memory. A user's own folders may be closed to the ids
    // under which mmdebstrap works for that user, so /tmp it is there.
    if mode == "root" { make.env("TMPDIR", cx.work()) } else { make }
}

/// One package a line; what follows a `#` is for people.
fn packages(list: &str) -> Vec<String> {
    let names = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Artifact for Root {
    fn name(&self) -> &str {
        self.name
    }

    fn title(&self) -> String {
        match self.name {
            BUILDER => "Install Debian 13 with the compilers".into(),
            BOOTABLE => "Install Debian 13 for a node that boots from its disk".into(),
            RUNTIME => "Install Debian 13's crun, WasmEdge and nft".into(),
            _ => "Install Debian 13 for the node".into(),
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs::new()
            .with("arch", std::env::consts::ARCH)
            .with("mmdebstrap", self.options().join(" "))
            .file("recipe", MAKE.as_bytes())
    }

    fn obstacles(&self) -> Vec<String> {
        let mut found = Namespace::detect().obstacles();
        found.extend(missing(&["mmdebstrap", "tar"]));
        found.extend(missing_keyring());
        found
    }

    fn room(&self) -> Vec<Room> {
        // The tree, and mmdebstrap's own copy on its way into the pipe.
        let dir = (Namespace::detect() == Namespace::User).then(std::env::temp_dir);
        vec![Room::in_cache(self.bytes), Room { dir, bytes: self.bytes }]
    }

    fn tree(&self) -> Option<&str> {
        Some(TREE)
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        let script = cx.script("make_root.sh", MAKE)?;
        cx.run(&in_mode(cx, script, &into.join(TREE)).args(authorities(cx)).args(self.options()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_are_the_lines_without_comments() {
        assert_eq!(packages("# why\na\n\n  b # because\n"), ["a", "b"]);
        let node = Root::node(None);
        assert!(node.packages.iter().any(|package| package == "crun"), "{:?}", node.packages);
    }

    #[test]
    fn a_tree_that_boots_by_itself_has_one_kernel_and_grub_for_both_firmwares() {
        let packages = Root::bootable(None).packages;
        let kernels: Vec<&String> = packages.iter().filter(|package| package.starts_with("linux-image")).collect();
        assert_eq!(kernels, ["linux-image-amd64"]);
        assert!(["grub-pc-bin", "grub-efi-amd64-bin", "crun"].iter().all(|name| packages.iter().any(|p| p == name)));
    }

    #[test]
    fn the_mirror_comes_last_and_changes_the_key() {
        let mirror = "https://mirror.example/debian";
        let with = Root::node(Some(mirror.into()));
        assert_eq!(with.options().last().map(String::as_str), Some(mirror));
        assert_ne!(with.inputs().digest(), Root::node(None).inputs().digest());
    }
}
