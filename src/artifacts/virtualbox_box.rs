//! The box for VirtualBox: a node's disk that boots by itself, as VirtualBox
//! imports it (OVF and streamOptimized VMDK).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::mbr::{self, Partition};
use crate::artifacts::namespace::Namespace;
use crate::artifacts::node_box::{BOX, fill_tree, inside, tree_inputs, write_box};
use crate::artifacts::{images, programs, root};
use crate::process::Cmd;
use crate::{paths, templates};

/// The artifact's name.
pub const NAME: &str = "box-virtualbox";
/// Size of the disk that machines see, in GiB. It takes only what is written to
/// it; the root file system grows to what the profile says, up to this.
pub const CAPACITY_GIB: u64 = crate::profile::types::MAX_VIRTUALBOX_DISK_GIB;

const BOOTABLE: &str = include_str!("../../templates/box/bootable.sh");
const SEED: &str = include_str!("../../templates/box/seed.sh");
const WRITE_DISK: &str = include_str!("scripts/bootable_disk.sh");
const OVF: &str = include_str!("../../templates/box/box.ovf.tera");
/// The disk's file in the box, named as VirtualBox's own exports name it.
const DISK: &str = "box-disk001.vmdk";
/// How the disk is stored: compressed, in one stream, the form that OVF demands.
const VMDK: [&str; 2] = ["-o", "subformat=streamOptimized"];
/// Vagrant gives each machine's first card this address; it is behind a NAT of
/// the machine's own.
const VAGRANTFILE: &str = "Vagrant.configure(\"2\") do |config|\n  config.vm.base_mac = \"080027D013A0\"\nend\n";

/// First sectors of the two partitions, as `bootable_disk.sh` lays them out.
const ESP_START: u32 = 2048;
const ROOT_START: u32 = 133_120;

/// A node's disk for VirtualBox and the box around it.
pub struct VirtualboxBox;

impl Artifact for VirtualboxBox {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "Make the node's box for VirtualBox, images preloaded".into()
    }

    fn inputs(&self) -> Inputs {
        tree_inputs(Inputs::new().with("arch", std::env::consts::ARCH))
            .with("vmdk", VMDK.join(" "))
            .with("capacity", CAPACITY_GIB.to_string())
            // The number stands for the partition table below.
            .with("layout", "1")
            .file("bootable", BOOTABLE.as_bytes())
            .file("seed", SEED.as_bytes())
            .file("disk", WRITE_DISK.as_bytes())
            .file("ovf", OVF.as_bytes())
            .file("Vagrantfile", VAGRANTFILE.as_bytes())
    }

    fn needs(&self) -> Vec<&str> {
        vec![root::BOOTABLE, "kubernetes", "containerd", images::NAME]
    }

    fn obstacles(&self) -> Vec<String> {
        let mut found = Namespace::detect().obstacles();
        found.extend(programs::missing(&["mke2fs", "qemu-img", "chroot", "dd"]));
        found
    }

    fn room(&self) -> Vec<Room> {
        // The tree, the raw disk, the VMDK and the box hold the same once each;
        // two of them are there at a time, the latter two compressed.
        vec![Room::in_cache(5 << 30)]
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        let tree = fill_tree(cx, root::BOOTABLE)?;
        let seed = cx.script("seed.sh", SEED)?;
        cx.run(&inside(cx, "bootable.sh", BOOTABLE)?.arg(&tree).arg(seed))?;

        let raw = cx.work().join("disk.raw");
        let write = inside(cx, "bootable_disk.sh", WRITE_DISK)?.arg(&tree).arg(cx.work()).arg(&raw);
        cx.timed("ext4", || cx.run(&write.arg(CAPACITY_GIB.to_string())))?;
        mbr::write(&raw, &cx.work().join("boot.img"), &cx.work().join("core.img"), &partitions()?)?;

        let disk = cx.work().join(DISK);
        let convert = Cmd::new("qemu-img").args(["convert", "-f", "raw", "-O", "vmdk"]).args(VMDK);
        cx.timed("vmdk", || cx.run(&convert.arg(&raw).arg(&disk)))?;
        paths::remove_file(&raw)?;
        let bytes = fs::metadata(&disk).with_context(|| format!("look at {}", disk.display()))?.len();
        let ovf = ovf(bytes)?;
        let texts = [
            ("metadata.json", r#"{"provider":"virtualbox"}"#),
            ("Vagrantfile", VAGRANTFILE),
            ("box.ovf", ovf.as_str()),
        ];
        cx.timed("box", || write_box(&into.join(BOX), &texts, (DISK, &disk)))?;
        let gib = paths::read(&cx.work().join("gib"))?;
        cx.record("root_gib", gib.trim());
        Ok(())
    }
}

/// An EFI system partition and the root, to the end of the disk.
fn partitions() -> Result<[Partition; 2]> {
    let all = u32::try_from((CAPACITY_GIB << 30) / mbr::SECTOR).context("count the disk's sectors")?;
    Ok([
        Partition { kind: 0xef, active: false, start: ESP_START, sectors: ROOT_START - ESP_START },
        Partition { kind: 0x83, active: true, start: ROOT_START, sectors: all - ROOT_START },
    ])
}

/// The machine's description around a VMDK of `file_bytes`.
fn ovf(file_bytes: u64) -> Result<String> {
    #[derive(Serialize)]
    struct Values {
        disk: &'static str,
        file_bytes: u64,
        capacity_bytes: u64,
    }
    templates::render("box.ovf", OVF, &Values { disk: DISK, file_bytes, capacity_bytes: CAPACITY_GIB << 30 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ovf_is_xml_and_names_disk_sizes_and_devices() {
        let text = ovf(12345).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let disk = document.descendants().find(|node| node.has_tag_name("Disk") || node.tag_name().name() == "Disk");
        let attribute = |name: &str| {
            disk.unwrap().attributes().find(|attribute| attribute.name() == name).map(|found| found.value().to_owned())
        };
        assert_eq!(attribute("capacity"), Some((CAPACITY_GIB << 30).to_string()));
        assert!(attribute("format").unwrap().ends_with("#streamOptimized"));
        for device in ["AHCI", "E1000", DISK, "12345"] {
            assert!(text.contains(device), "{device}");
        }
    }

    /// The table as `head` begins it, and what a machine made of it.
    fn seeded(head: &[u8]) -> (String, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            fs::write(dir.path().join(name), bytes).unwrap();
            dir.path().join(name)
        };
        let strings = b"provision.key=ssh-ed25519 AAAA\0provision.node=node1 192.168.56.10/24 52:54:00:00:00:0a 12\0\0";
        let table = file("table", &[head, strings].concat());
        let seed = Cmd::new("sh").arg(file("seed", SEED.as_bytes())).arg(table).arg(dir.path().join("root"));
        seed.read().unwrap();
        let read = |path: &str| fs::read_to_string(dir.path().join("root").join(path)).unwrap();
        let network = read("run/systemd/network/05-lab.network");
        (read("root/.ssh/authorized_keys"), network, read("run/provision/disk-gib"))
    }

    #[test]
    fn a_machine_reads_its_strings_in_the_layouts_of_virtualbox_and_of_qemu() {
        let (key, network, gib) = seeded(&[11, 7, 2, 0, 2, 1, 2]);
        assert_eq!(key, "ssh-ed25519 AAAA\n");
        insta::assert_snapshot!(network, @r"
        [Match]
        MACAddress=52:54:00:00:00:0a

        [Network]
        Address=192.168.56.10/24
        LinkLocalAddressing=no
        IPv6AcceptRA=no
        ");
        assert_eq!(gib, "12\n");
        assert_eq!(seeded(&[11, 5, 0, 14, 2]), (key, network, gib));
    }

    #[test]
    fn the_partitions_fill_the_disk_and_begin_where_the_script_writes() {
        let [esp, root] = partitions().unwrap();
        assert_eq!(esp.start + esp.sectors, root.start);
        assert_eq!(u64::from(root.start + root.sectors) * mbr::SECTOR, CAPACITY_GIB << 30);
        assert_eq!(u64::from(root.start) * mbr::SECTOR, 65 << 20);
        assert_eq!(u64::from(esp.start) * mbr::SECTOR, 1 << 20);
    }
}
