//! The rendered Vagrantfile and `provider/vagrant.rs` against a real Vagrant
//! with vagrant-libvirt: it is accepted, and what goes wrong is told by its
//! cause, not by Ruby's stack. All is named `ci-test-…` and removed.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use provision::host::daemons;
use provision::lab::Lab;
use provision::machine_file;
use provision::process::Cmd;
use provision::profile::Provider as Kind;
use provision::provider::libvirt::orphans::{FOLDER_RECORD, encode};
use provision::provider::vagrant::{BOX_VERSION, PoolNames, VagrantLibvirt};
use provision::provider::{BootFiles, DirectBoot, Provider, libvirt};
use provision::ui::{Mode, Ui};

/// A lab of one node, with a box that holds an empty disk and boot files that
/// boot nothing.
struct Fixture {
    dir: tempfile::TempDir,
    lab: Lab,
    ui: Ui,
    #[expect(dead_code, reason = "held, not read: Vagrant is slow, and one at a time")]
    alone: MutexGuard<'static, ()>,
}

impl Fixture {
    fn new(name: &str) -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("profile.toml");
        let text = format!("name = \"{name}\"\n[network]\nmachines = \"192.168.246.0/24\"\n");
        std::fs::write(&profile, text).unwrap();
        Cmd::new(env!("CARGO_BIN_EXE_provision"))
            .args(["render", "--profile"])
            .arg(profile)
            .env("PROVISION_STATE", dir.path().join("state"))
            .read()
            .unwrap();
        let lab = Lab::below(&dir.path().join("state"), name);
        Cmd::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(lab.ssh_key()).read().unwrap();
        Self { dir, lab, ui: Ui::new(Mode::Plain), alone }
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The box and the boot files.
    fn files(&self) -> BootFiles {
        let disk = self.dir.path().join("box.img");
        Cmd::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&disk).arg("1G").read().unwrap();
        self.file("metadata.json", br#"{"provider":"libvirt","format":"qcow2","virtual_size":1}"#);
        let box_file = self.dir.path().join("test.box");
        let tar = Cmd::new("tar").dir(self.dir.path()).arg("-czf").arg(&box_file).args(["metadata.json", "box.img"]);
        tar.read().unwrap();
        let sum = Cmd::new("sha256sum").arg(&box_file).read().unwrap();
        BootFiles {
            box_name: self.lab.name().into(),
            box_sha256: sum.split(' ').next().unwrap().into(),
            box_version: BOX_VERSION.into(),
            box_url: format!("file://{}", box_file.display()),
            direct: Some(DirectBoot {
                disk,
                disk_gib: 1,
                kernel: self.file("vmlinuz", b"no kernel"),
                initrd: self.file("initrd.img", b"no initial RAM disk"),
            }),
        }
    }

    fn provider(&self) -> VagrantLibvirt {
        let name = format!("provision-{}", self.lab.name());
        VagrantLibvirt {
            network_xml: format!(
                "<network><name>{name}</name><dns><txt name='{FOLDER_RECORD}' value='{}'/></dns>\
                 <ip address='192.168.246.1' netmask='255.255.255.0'/></network>",
                encode(self.lab.dir())
            ),
            network_name: name,
            nodes: vec!["node1".into()],
        }
    }

    /// Everything up to `vagrant up`, and its error.
    fn up_fails(&self, files: &BootFiles, spoil: impl FnOnce(&Path)) -> String {
        daemons::ensure_libvirt(&self.ui).unwrap();
        let provider = self.provider();
        provider.prepare(&self.lab, files, &self.ui).unwrap();
        machine_file::write(&self.lab, files, Kind::Libvirt, true).unwrap();
        spoil(&self.lab.machine_json());
        let error = format!("{:#}", provider.up(&self.lab, &self.ui).unwrap_err());
        assert!(error.starts_with("vagrant up: "), "{error}");
        assert!(!error.contains(".rb:"), "Ruby's stack is shown: {error}");
        assert!(error.contains(&format!("full log: {}", self.lab.log("vagrant").display())), "{error}");
        error
    }

    fn vagrant(&self, args: &[&str]) -> Cmd {
        Cmd::new("vagrant").args(args).dir(self.lab.dir()).env("PROVISION_STATE", self.dir.path().join("state"))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.provider().destroy(&self.lab, &["node1".into()], &self.ui).unwrap();
        let names = PoolNames::of(self.lab.name());
        for name in [&names.disk, &names.kernel, &names.initrd] {
            libvirt::remove_volume(name).unwrap();
        }
        // Where no test got as far as adding it, there is no box to remove.
        self.vagrant(&["box", "remove", "--force", "--all", self.lab.name()]).output().unwrap();
    }
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no {from}: {text}", file.display());
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn vagrant_accepts_the_rendered_vagrantfile_and_says_what_is_missing_without_a_lab() {
    let fixture = Fixture::new("ci-test-valid");
    let output = fixture.vagrant(&["validate"]).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stderr.contains("by: provision up"), "{}", output.stderr);

    let files = fixture.files();
    daemons::ensure_libvirt(&fixture.ui).unwrap();
    fixture.provider().prepare(&fixture.lab, &files, &fixture.ui).unwrap();
    machine_file::write(&fixture.lab, &files, Kind::Libvirt, true).unwrap();
    let said = fixture.vagrant(&["validate"]).read().unwrap();
    assert!(said.contains("validated successfully"), "{said}");

    // What it stops at before it starts anything.
    for (name, value, why) in [
        (
            "PROVIDER",
            "virtualbox",
            "made for libvirt, not for virtualbox.\nMake what this lab needs by: provision up --prepare",
        ),
        ("HTTPS_PROXY", "http://127.0.0.1:9", "for other proxies than http_proxy, https_proxy and no_proxy are now"),
        ("CPUS", "two", "CPUS is two; allowed: a whole number"),
        ("MEMORY", "much", "MEMORY is much; allowed: MiB, or with a unit, such as 4GiB"),
    ] {
        let output = fixture.vagrant(&["up"]).env(name, value).output().unwrap();
        assert!(!output.status.success() && output.stderr.contains(why), "{name}: {}", output.stderr);
    }
    libvirt::remove_volume(&PoolNames::of(fixture.lab.name()).kernel).unwrap();
    let output = fixture.vagrant(&["up"]).output().unwrap();
    assert!(output.stderr.contains("_vmlinuz is missing"), "{}", output.stderr);
}

#[test]
fn a_box_that_is_corrupt_is_not_used() {
    let fixture = Fixture::new("ci-test-corrupt");
    let files = fixture.files();
    let box_file = Path::new(files.box_url.strip_prefix("file://").unwrap());
    let mut bytes = std::fs::read(box_file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(box_file, bytes).unwrap();
    let error = fixture.up_fails(&files, |_| {});
    assert!(error.contains("checksum"), "{error}");
}

#[test]
fn a_machine_that_libvirt_refuses_is_told_by_libvirts_own_words() {
    let fixture = Fixture::new("ci-test-refused");
    let error = fixture.up_fails(&fixture.files(), |file| replace(file, "\"driver\": \"qemu\"", "\"driver\": \"xen\""));
    assert!(error.contains("xen"), "libvirt's reason is missing: {error}");
}

#[test]
fn what_an_ended_vagrant_left_is_adopted_if_it_is_whole_and_removed_if_it_is_not() {
    let fixture = Fixture::new("ci-test-left");
    let files = fixture.files();
    daemons::ensure_libvirt(&fixture.ui).unwrap();
    let define = |interface: &str| {
        let xml = format!(
            "<domain type='qemu'><name>ci-test-left-node1</name><title>provision lab ci-test-left, node1</title>\
             <memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os><devices>{interface}\
             <serial type='file'><source path='{}'/></serial></devices></domain>",
            fixture.lab.console("node1").display()
        );
        let xml = fixture.file("machine.xml", xml.as_bytes());
        Cmd::new("virsh").args(["--connect", "qemu:///system", "--quiet", "define"]).arg(xml).read().unwrap();
        fixture.provider().prepare(&fixture.lab, &files, &fixture.ui).unwrap();
        machine_file::write(&fixture.lab, &files, Kind::Libvirt, true).unwrap();
        fixture.vagrant(&["status", "--machine-readable"]).read().unwrap()
    };
    let status = define("");
    assert!(status.contains(",node1,state,not_created"), "{status}");
    let status = define("<interface type='user'/>");
    assert!(status.contains(",node1,state,shutoff"), "{status}");
}
