//! Vagrant: brings the machines up; the only file that knows `vagrant`. What
//! it says is read in its machine-readable form.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

mod output;

use output::{Cause, Said, parse};

use super::{BootFiles, Identity, MachineState, Provider, libvirt};
use crate::console;
use crate::failure::{Kind, Told};
use crate::interrupt::Interrupted;
use crate::lab::Lab;
use crate::process::{Cmd, CommandFailed};
use crate::ui::{Task, Ui};

/// How long `vagrant up` may take; its own waits end before.
const UP: Duration = Duration::from_secs(30 * 60);
const DESTROY: Duration = Duration::from_secs(5 * 60);
/// Vagrant needs a version that is not 0 to keep a box's volume apart; what
/// tells boxes apart is the hash in their name.
pub const BOX_VERSION: &str = "1.0.0";

/// Machines of libvirt, brought up by Vagrant with vagrant-libvirt.
#[derive(Debug)]
pub struct VagrantLibvirt {
    /// The lab's network at libvirt and its XML.
    pub network_name: String,
    /// See `templates/network.xml.tera`.
    pub network_xml: String,
    /// Nodes in order.
    pub nodes: Vec<String>,
}

/// The names that a box's files have in libvirt's pool.
pub struct PoolNames {
    /// The disk, as vagrant-libvirt calls it: it is not uploaded again then.
    pub disk: String,
    /// The kernel.
    pub kernel: String,
    /// The initial RAM disk.
    pub initrd: String,
}

impl PoolNames {
    /// Of the box called `box_name`.
    #[must_use]
    pub fn of(box_name: &str) -> Self {
        let flat = box_name.replace('/', "-VAGRANTSLASH-");
        Self {
            disk: format!("{flat}_vagrant_box_image_{BOX_VERSION}_box.img"),
            kernel: format!("{flat}_vmlinuz"),
            initrd: format!("{flat}_initrd.img"),
        }
    }
}

impl Provider for VagrantLibvirt {
    fn name(&self) -> &'static str {
        "libvirt"
    }

    fn states(&self, lab: &Lab, nodes: &[String]) -> Result<Vec<MachineState>> {
        nodes.iter().map(|node| libvirt::domain_state(&lab.machine(node))).collect()
    }

    fn identity(&self, lab: &Lab, node: &str) -> Result<Identity> {
        libvirt::domain_identity(&lab.machine(node))
    }

    fn prepare(&self, lab: &Lab, files: &BootFiles, ui: &Ui) -> Result<()> {
        let task = ui.task("network", format!("Prepare network {}", self.network_name));
        task.close(libvirt::ensure_network(&self.network_name, &self.network_xml))?;
        let task = ui.task("volumes", "Copy the box into libvirt's storage pool");
        task.close(upload(files))?;
        mend(lab, &self.nodes)?;
        for node in &self.nodes {
            // An `up` that was cut off between the two leaves a disk without a
            // machine, at which Vagrant stops.
            let machine = lab.machine(node);
            if libvirt::domain_state(&machine)? == MachineState::Absent {
                libvirt::remove_volume(&disk_of(&machine))?;
            }
            prepare_console(&lab.console(node))?;
        }
        Ok(())
    }

    fn up(&self, lab: &Lab, ui: &Ui) -> Result<()> {
        let task = ui.task("machines", format!("Start {} with Vagrant", self.nodes.join(", ")));
        let booted = match vagrant_up(lab, &task) {
            // What an interrupted `up` asked of libvirt may be done only now.
            Err(error) if !error.is::<Interrupted>() && mend(lab, &self.nodes)? => vagrant_up(lab, &task),
            booted => booted,
        };
        task.close(booted.map_err(|error| match error.is::<Interrupted>() {
            true => error,
            false => console::with_tails(lab, &self.nodes, error),
        }))
    }

    fn destroy(&self, lab: &Lab, nodes: &[String], ui: &Ui) -> Result<Vec<String>> {
        let mut removed = Vec::new();
        // Vagrant's own records first, so that `vagrant global-status` forgets
        // the machines too; whatever state it is in, libvirt is cleaned below.
        if lab.dir().join(".vagrant").is_dir() && lab.vagrantfile().is_file() {
            let task = ui.task("vagrant-destroy", "Let Vagrant forget the machines");
            let forgotten =
                vagrant(lab, &["destroy", "--force"]).timeout(DESTROY).run_logged(&lab.log("vagrant"), |_| {});
            match forgotten {
                Ok(()) => task.done(""),
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(_) => task.skip("Vagrant could not; libvirt is asked directly"),
            }
        }
        for node in nodes {
            let domain = lab.machine(node);
            if libvirt::remove_domain(&domain)? {
                removed.push(format!("machine {domain}"));
            }
            let disk = disk_of(&domain);
            if libvirt::remove_volume(&disk)? {
                removed.push(format!("volume {disk}"));
            }
        }
        if libvirt::remove_network(&self.network_name)? {
            removed.push(format!("network {}", self.network_name));
        }
        let in_use = libvirt::files_in_use()?;
        for name in libvirt::volume_names()?.iter().filter(|name| name.starts_with(BOX_PREFIX)) {
            let path = libvirt::volume_path(name)?.unwrap_or_default();
            if !in_use.contains(&path) && libvirt::remove_volume(name)? {
                removed.push(format!("volume {name}"));
            }
        }
        Ok(removed)
    }
}

/// Puts right what a Vagrant that was ended has left. A machine that never got
/// its network card is half-made: libvirt defined it when nobody waited for it
/// any more; it goes. One that is whole and that Vagrant does not know is made
/// known to it. Whether there was anything to put right.
fn mend(lab: &Lab, nodes: &[String]) -> Result<bool> {
    let mut mended = false;
    for node in nodes {
        let machine = lab.machine(node);
        let id = lab.dir().join(".vagrant/machines").join(node).join("libvirt/id");
        let state = libvirt::domain_state(&machine)?;
        if state == MachineState::Absent {
            continue;
        }
        if state == MachineState::Off && !libvirt::has_interface(&machine)? {
            libvirt::remove_domain(&machine)?;
            crate::paths::remove_file(&id)?;
            mended = true;
            continue;
        }
        let uuid = libvirt::domain_uuid(&machine)?;
        if !id.is_file() || crate::paths::read(&id)?.trim() != uuid {
            crate::paths::write_atomic(&id, uuid.as_bytes(), 0o644)?;
            mended = true;
        }
    }
    Ok(mended)
}

/// The name that vagrant-libvirt gives a machine's disk.
fn disk_of(machine: &str) -> String {
    format!("{machine}.img")
}

/// All boxes' names begin so, and with them their volumes' names.
pub const BOX_PREFIX: &str = "provision-node-";

/// Copies disk, kernel and initial RAM disk into the pool, where QEMU's user
/// may read them.
fn upload(files: &BootFiles) -> Result<()> {
    libvirt::ensure_pool()?;
    let names = PoolNames::of(&files.box_name);
    libvirt::upload_volume(&names.disk, &files.disk, "qcow2", files.disk_gib << 30)?;
    for (name, file) in [(&names.kernel, &files.kernel), (&names.initrd, &files.initrd)] {
        let size = std::fs::metadata(file).with_context(|| format!("look at {}", file.display()))?.len();
        libvirt::upload_volume(name, file, "raw", size)?;
    }
    Ok(())
}

/// The path at which QEMU finds a volume of the pool.
pub fn pool_path(name: &str) -> Result<PathBuf> {
    libvirt::volume_path(name)?.map(PathBuf::from).with_context(|| format!("volume {name} is not in the pool"))
}

/// Our file, so that we may read what the log daemon appends to it.
fn prepare_console(path: &std::path::Path) -> Result<()> {
    crate::paths::create_dir(path.parent().unwrap_or(path))?;
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
        .with_context(|| format!("create {}", path.display()))
}

fn vagrant(lab: &Lab, args: &[&str]) -> Cmd {
    Cmd::new("vagrant")
        .args(args)
        .dir(lab.dir())
        .env("VAGRANT_CWD", lab.dir())
        .env("VAGRANT_DOTFILE_PATH", lab.dir().join(".vagrant"))
        .env("VAGRANT_DEFAULT_PROVIDER", "libvirt")
        .env("VAGRANT_CHECKPOINT_DISABLE", "1")
        .env("PROVISION_STATE", lab.dir().parent().unwrap_or(lab.dir()))
        // Values come from the rendered profile, which holds these overrides already.
        .env_remove("CPUS")
        .env_remove("MEMORY")
        .env_remove("PROVIDER")
}

/// What a failure's cause is found to be in `text`, for the tests of its readers.
#[cfg(test)]
pub(crate) fn read_output(text: &str) -> Option<String> {
    let mut cause = Cause::default();
    text.lines().for_each(|line| cause.see(line));
    cause.found().map(|found| found.text)
}

fn vagrant_up(lab: &Lab, task: &Task) -> Result<()> {
    let mut cause = Cause::default();
    let result = vagrant(lab, &["up", "--no-provision", "--no-destroy-on-error", "--parallel", "--machine-readable"])
        .timeout(UP)
        .run_logged(&lab.log("vagrant"), |line| {
            cause.see(line);
            if let Some(Said { text, .. }) = parse(line) {
                task.say(&text);
            }
        });
    match result {
        Err(error) => match (error.downcast_ref::<CommandFailed>(), cause.found()) {
            (Some(failed), Some(cause)) if failed.log.is_some() => {
                let log = lab.log("vagrant");
                let text = format!("vagrant up: {}\n  full log: {}", cause.text, log.display());
                Err(Told { kind: Kind::Vagrant, reason: cause.class, text, log: Some(log) }.into())
            }
            _ => Err(error),
        },
        Ok(()) => Ok(()),
    }
}
