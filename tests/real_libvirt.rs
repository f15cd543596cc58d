//! `provider/libvirt.rs` against a real libvirtd: networks, volumes, and
//! domains, one of which runs without anything to boot. All is named
//! `ci-test-…` and removed; what belongs to others stays.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provision::host::daemons;
use provision::lab::Lab;
use provision::process::Cmd;
use provision::provider::libvirt::Domains;
use provision::provider::libvirt::orphans::{FOLDER_RECORD, encode};
use provision::provider::orphans::{self, Orphan};
use provision::provider::vagrant::VagrantLibvirt;
use provision::provider::{MachineState, Power as _, Provider as _, libvirt};
use provision::ui::{Mode, Ui};

const PREFIX: &str = "ci-test-";
/// What a lab of ours and its box are called, apart from that.
const OWN: [&str; 2] = ["provision-ci-test-", "provision-node-00000000c17e57c1_"];

/// The tests share libvirt's one pool: one at a time. Removes what a test has
/// made, whichever way it ends.
struct Alone(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Alone {
    fn start() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = Self(ONE.lock().unwrap_or_else(PoisonError::into_inner));
        daemons::ensure_libvirt(&Ui::new(Mode::Plain)).unwrap();
        libvirt::ensure_pool().unwrap();
        sweep();
        alone
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        sweep();
    }
}

fn virsh(args: &[&str]) -> Cmd {
    Cmd::new("virsh").args(["--connect", "qemu:///system", "--quiet"]).args(args)
}

fn sweep() {
    for (list, commands) in [
        (&["list", "--all", "--name"][..], &[&["destroy"][..], &["undefine", "--snapshots-metadata"]][..]),
        (&["net-list", "--all", "--name"], &[&["net-destroy"], &["net-undefine"]]),
        (&["vol-list", "default"], &[&["vol-delete", "--pool", "default"]]),
    ] {
        let text = virsh(list).read().unwrap();
        for name in text.lines().filter_map(|line| line.split_whitespace().next()).filter(|it| is_tests(it)) {
            for command in commands {
                virsh(command).arg(name).output().unwrap();
            }
        }
    }
}

fn is_tests(name: &str) -> bool {
    name.starts_with(PREFIX) || OWN.iter().any(|own| name.starts_with(own))
}

fn network(name: &str) -> String {
    format!(
        "<network><name>{name}</name><forward mode='nat'/><ip address='192.168.247.1' netmask='255.255.255.0'/></network>"
    )
}

fn define(name: &str, disk: &str, kernel: &str) {
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>\
         <os><type arch='x86_64'>hvm</type><kernel>{kernel}</kernel></os><devices>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>\
         <target dev='vda' bus='virtio'/></disk></devices></domain>"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), xml).unwrap();
    virsh(&["define"]).arg(file.path()).read().unwrap();
}

/// A volume of the pool, on top of another one if `backing` names it.
fn volume(name: &str, backing: Option<&str>) -> String {
    let mut command = virsh(&["vol-create-as", "default", name, "8M", "--format", "qcow2"]);
    if let Some(backing) = backing {
        command = command.args(["--backing-vol", backing, "--backing-vol-format", "qcow2"]);
    }
    command.read().unwrap();
    libvirt::volume_path(name).unwrap().unwrap()
}

#[test]
fn a_network_is_made_once_and_removed_once() {
    let _alone = Alone::start();
    let name = "ci-test-network";
    libvirt::ensure_network(name, &network(name)).unwrap();
    libvirt::ensure_network(name, &network(name)).unwrap();
    let active = virsh(&["net-list", "--name"]).read().unwrap();
    assert_eq!(active.lines().filter(|line| line.trim() == name).count(), 1, "{active}");
    assert!(libvirt::remove_network(name).unwrap());
    assert!(!libvirt::remove_network(name).unwrap());
}

#[test]
fn machines_that_are_new_get_an_address_in_a_network_that_runs() {
    let _alone = Alone::start();
    let name = "ci-test-network";
    let with = |hosts: &[(u8, u8)]| {
        let host = |(machine, place): &(u8, u8)| {
            format!("<host mac='52:54:00:00:00:0{machine}' name='node{machine}' ip='192.168.247.{place}'/>")
        };
        let hosts: String = hosts.iter().map(host).collect();
        network(name).replace("'255.255.255.0'/>", &format!("'255.255.255.0'><dhcp>{hosts}</dhcp></ip>"))
    };
    let known = || -> Vec<String> {
        let xml = virsh(&["net-dumpxml", name]).read().unwrap();
        xml.lines().filter(|line| line.contains("<host ")).map(|line| line.trim().to_owned()).collect()
    };
    libvirt::ensure_network(name, &with(&[(1, 11)])).unwrap();
    let first = "<host mac='52:54:00:00:00:01' name='node1' ip='192.168.247.11'/>";
    assert_eq!(known(), [first]);
    // One more, and one in the place of another.
    libvirt::ensure_network(name, &with(&[(1, 11), (2, 12)])).unwrap();
    libvirt::ensure_network(name, &with(&[(1, 11), (3, 12)])).unwrap();
    assert_eq!(known(), [first, "<host mac='52:54:00:00:00:03' name='node3' ip='192.168.247.12'/>"]);
    libvirt::remove_host(name, "node3").unwrap();
    assert_eq!(known(), [first]);
    // Not of the running network only.
    let kept = virsh(&["net-dumpxml", "--inactive", name]).read().unwrap();
    assert!(kept.contains("node1") && !kept.contains("node3"), "{kept}");
}

#[test]
fn a_network_whose_range_is_taken_is_named_with_the_way_to_look() {
    let _alone = Alone::start();
    libvirt::ensure_network("ci-test-first", &network("ci-test-first")).unwrap();
    let error = libvirt::ensure_network("ci-test-second", &network("ci-test-second")).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("start network ci-test-second (is its address range in use? `ip addr`"), "{error}");
    assert!(error.contains("already in use"), "libvirt's own reason is missing: {error}");
}

#[test]
fn a_file_becomes_a_volume_of_the_same_bytes_once() {
    let _alone = Alone::start();
    let dir = tempfile::tempdir().unwrap();
    let (source, back) = (dir.path().join("source"), dir.path().join("back"));
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&source, &bytes).unwrap();
    let upload = || libvirt::upload_volume("ci-test-volume", &source, "raw", bytes.len() as u64).unwrap();
    let path = upload();
    assert_eq!(upload(), path);
    virsh(&["vol-download", "--pool", "default", "ci-test-volume"]).arg(&back).read().unwrap();
    assert!(std::fs::read(&back).unwrap() == bytes, "the volume holds other bytes");
    assert!(libvirt::volume_names().unwrap().iter().any(|name| name == "ci-test-volume"));
    assert!(libvirt::remove_volume("ci-test-volume").unwrap());
    assert!(!libvirt::remove_volume("ci-test-volume").unwrap());
    assert_eq!(libvirt::volume_path("ci-test-volume").unwrap(), None);
}

#[test]
fn an_upload_that_fails_leaves_no_volume() {
    let _alone = Alone::start();
    let error = libvirt::upload_volume("ci-test-volume", Path::new("/no/such/file"), "raw", 1 << 20).unwrap_err();
    assert!(format!("{error:#}").contains("copy /no/such/file into volume ci-test-volume"), "{error:#}");
    assert_eq!(libvirt::volume_path("ci-test-volume").unwrap(), None);
}

#[test]
fn a_machine_goes_with_its_disk_and_nothing_else_goes() {
    let _alone = Alone::start();
    let kernel = volume("ci-test-kernel", None);
    let base = volume("ci-test-base", None);
    let disk = volume("ci-test-mine.img", Some(&base));
    let foreign = volume("ci-test-foreign.img", Some(&base));
    define("ci-test-mine", &disk, &kernel);
    define("ci-test-foreign", &foreign, &kernel);

    assert_eq!(libvirt::domain_state("ci-test-mine").unwrap(), MachineState::Off);
    assert_eq!(libvirt::domain_state("ci-test-none").unwrap(), MachineState::Absent);
    let in_use = libvirt::files_in_use().unwrap();
    for file in [&kernel, &base, &disk, &foreign] {
        assert!(in_use.contains(file), "{file} is in use: {in_use:?}");
    }

    assert!(libvirt::remove_domain("ci-test-mine").unwrap());
    assert!(!libvirt::remove_domain("ci-test-mine").unwrap());
    let volumes = libvirt::volume_names().unwrap();
    let has = |name: &str| volumes.iter().any(|volume| volume == name);
    assert!(!has("ci-test-mine.img"));
    assert!(has("ci-test-foreign.img") && has("ci-test-base") && has("ci-test-kernel"), "{volumes:?}");
    assert_eq!(libvirt::domain_state("ci-test-foreign").unwrap(), MachineState::Off);
}

/// Defines a domain as Vagrant does for a lab, without starting it.
fn lab_machine(name: &str, title: &str, folder: &Path, disk: &str) {
    let console = folder.join("console/node1.log");
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><title>{title}</title><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64'>hvm</type></os><devices>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>\
         <target dev='vda' bus='virtio'/></disk>\
         <serial type='file'><source path='{}'/></serial></devices></domain>",
        console.display()
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), xml).unwrap();
    virsh(&["define"]).arg(file.path()).read().unwrap();
}

#[test]
fn what_only_bears_a_labs_names_is_not_touched() {
    let _alone = Alone::start();
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::below(dir.path(), "ci-test-gone");
    let provider = VagrantLibvirt {
        network_name: "provision-ci-test-gone".into(),
        network_xml: String::new(),
        nodes: vec!["node1".into()],
    };
    let destroy =
        || provider.destroy(&lab, &provider.nodes, &Ui::new(Mode::Plain)).map_err(|error| format!("{error:#}"));

    // A machine that no lab has made, then one of a lab elsewhere, then its network alone.
    let disk = volume("ci-test-gone-node1.img", None);
    lab_machine("ci-test-gone-node1", "my machine", Path::new("/srv/mine"), &disk);
    assert!(destroy().unwrap_err().contains("was not made by this lab, and stays untouched"));
    assert!(provider.states(&lab, &provider.nodes).is_err());
    virsh(&["undefine", "ci-test-gone-node1"]).read().unwrap();
    lab_machine("ci-test-gone-node1", "provision lab ci-test-gone, node1", Path::new("/elsewhere/ci-test-gone"), &disk);
    assert!(destroy().unwrap_err().contains("belongs to the lab in /elsewhere/ci-test-gone"));
    assert!(provider.remove(&lab, "node1").is_err());
    assert_eq!(libvirt::domain_state("ci-test-gone-node1").unwrap(), MachineState::Off);
    virsh(&["undefine", "ci-test-gone-node1"]).read().unwrap();
    lab_network("provision-ci-test-gone", 246, Some(Path::new("/elsewhere/ci-test-gone")));
    assert!(destroy().unwrap_err().contains("network provision-ci-test-gone"));

    // Its own, by a path with a link in it.
    virsh(&["net-destroy", "provision-ci-test-gone"]).read().unwrap();
    virsh(&["net-undefine", "provision-ci-test-gone"]).read().unwrap();
    std::fs::create_dir_all(lab.dir()).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    lab_machine("ci-test-gone-node1", "provision lab ci-test-gone, node1", &link.join("ci-test-gone"), &disk);
    lab_network("provision-ci-test-gone", 246, Some(lab.dir()));
    let removed = destroy().unwrap();
    for what in ["machine ci-test-gone-node1", "network provision-ci-test-gone"] {
        assert!(removed.iter().any(|removed| removed == what), "{what}: {removed:?}");
    }
    assert_eq!(libvirt::domain_state("ci-test-gone-node1").unwrap(), MachineState::Absent);
}

#[test]
fn a_machine_is_kept_put_back_and_taken_away_with_its_snapshots() {
    let _alone = Alone::start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("console")).unwrap();
    let name = "ci-test-kept";
    let disk = volume("ci-test-kept.img", None);
    lab_machine(name, "kept", dir.path(), &disk);
    let state = || libvirt::domain_state(name).unwrap();
    virsh(&["start", name]).read().unwrap();

    assert!(Domains.snapshots(name).unwrap().is_empty());
    Domains.pause(name).unwrap();
    Domains.save(name, "one").unwrap();
    assert_eq!(state(), MachineState::Paused);
    Domains.save(name, "two").unwrap();
    Domains.resume(name).unwrap();
    assert_eq!(state(), MachineState::Running);
    Domains.restore(name, "one").unwrap();
    assert_eq!(state(), MachineState::Paused);
    Domains.resume(name).unwrap();
    Domains.cut(name).unwrap();
    assert_eq!(state(), MachineState::Off);
    Domains.restore(name, "two").unwrap();
    Domains.resume(name).unwrap();
    assert_eq!(state(), MachineState::Running);
    Domains.delete(name, "two").unwrap();
    assert_eq!(Domains.snapshots(name).unwrap(), ["one"]);
    let error = format!("{:#}", Domains.restore(name, "two").unwrap_err());
    assert!(error.starts_with("put domain ci-test-kept back to two: "), "{error}");

    assert!(libvirt::remove_domain(name).unwrap());
    assert_eq!(state(), MachineState::Absent);
    assert_eq!(libvirt::volume_path("ci-test-kept.img").unwrap(), None);
}

fn lab_network(name: &str, place: u8, folder: Option<&Path>) {
    let dns = folder.map(|folder| format!("<dns><txt name='{FOLDER_RECORD}' value='{}'/></dns>", encode(folder)));
    let xml = format!(
        "<network><name>{name}</name><forward mode='nat'/>{}<ip address='192.168.{place}.1' netmask='255.255.255.0'/></network>",
        dns.unwrap_or_default()
    );
    libvirt::ensure_network(name, &xml).unwrap();
}

#[test]
fn what_a_lab_left_behind_goes_and_nothing_of_anybody_else() {
    let _alone = Alone::start();
    let dir = tempfile::tempdir().unwrap();
    let (gone, alive) = (dir.path().join("state/ci-test-gone"), dir.path().join("state/ci-test-alive"));
    std::fs::create_dir_all(&alive).unwrap();
    std::fs::write(alive.join("Vagrantfile"), "").unwrap();

    let used_box = volume(&format!("{}vagrant_box_image_1.0.0_box.img", OWN[1]), None);
    assert!(used_box.ends_with("_box.img"));
    let on_box = |name: &str| volume(name, Some(&format!("{}vagrant_box_image_1.0.0_box.img", OWN[1])));
    volume(&format!("{}vmlinuz", OWN[1]), None);
    let (mine, living) = (on_box("ci-test-gone-node1.img"), on_box("ci-test-alive-node1.img"));
    on_box("ci-test-gone-node2.img");
    // The disk of a machine that is just being made for a lab that lives.
    on_box("ci-test-alive-node2.img");
    lab_machine("ci-test-gone-node1", "provision lab ci-test-gone, node1", &gone, &mine);
    Domains.save("ci-test-gone-node1", "clean").unwrap();
    lab_machine("ci-test-alive-node1", "provision lab ci-test-alive, node1", &alive, &living);
    lab_network("provision-ci-test-gone", 246, Some(&gone));
    lab_network("provision-ci-test-alive", 245, Some(&alive));
    // Foreign: alike in name, in title, on a base of another name, of a network without our record.
    let base = volume("ci-test-base", None);
    let foreign = volume("ci-test-gone-node3.img", Some("ci-test-base"));
    assert_ne!(base, foreign);
    let other = volume("ci-test-other.img", None);
    lab_machine("ci-test-other", "provision lab ci-test-gone, node1", &gone, &other);
    lab_network("provision-ci-test-foreign", 244, None);
    virsh(&["pool-refresh", "default"]).read().unwrap();

    let find = |young| -> Vec<Orphan> {
        let found = orphans::find(&dir.path().join("state"), young).unwrap();
        let name = |orphan: &Orphan| match orphan {
            Orphan::Machine { name, .. } | Orphan::Network { name, .. } | Orphan::Disk(name) | Orphan::Box(name) => {
                name.clone()
            }
            Orphan::VirtualboxMachine { name, .. } | Orphan::VirtualboxNetwork { name, .. } => name.clone(),
        };
        found.into_iter().filter(|orphan| is_tests(&name(orphan))).collect()
    };
    let machine = Orphan::Machine { name: "ci-test-gone-node1".into(), folder: gone.clone() };
    let network = Orphan::Network { name: "provision-ci-test-gone".into(), folder: gone.clone() };
    // Whatever is young may be in the making.
    assert_eq!(find(orphans::YOUNG), [machine.clone(), network.clone()]);
    let kernel = Orphan::Box(format!("{}vmlinuz", OWN[1]));
    let all = find(Duration::ZERO);
    assert_eq!(all, [machine, Orphan::Disk("ci-test-gone-node2.img".into()), network, kernel]);

    orphans::remove(&all).unwrap();
    assert_eq!(find(Duration::ZERO), []);
    let (domains, volumes) = (libvirt::domain_names().unwrap(), libvirt::volume_names().unwrap());
    let mut domains: Vec<&str> = domains.iter().map(String::as_str).filter(|name| is_tests(name)).collect();
    domains.sort_unstable();
    assert_eq!(domains, ["ci-test-alive-node1", "ci-test-other"]);
    for kept in [
        "ci-test-alive-node1.img",
        "ci-test-alive-node2.img",
        "ci-test-gone-node3.img",
        "ci-test-other.img",
        "ci-test-base",
    ] {
        assert!(volumes.iter().any(|volume| volume == kept), "{kept}: {volumes:?}");
    }
    let networks = virsh(&["net-list", "--all", "--name"]).read().unwrap();
    let networks: Vec<&str> = networks.lines().map(str::trim).filter(|name| is_tests(name)).collect();
    assert_eq!(networks, ["provision-ci-test-alive", "provision-ci-test-foreign"]);
}
