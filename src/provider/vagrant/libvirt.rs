//! libvirt's machines, brought up by Vagrant with vagrant-libvirt.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{BOX_PREFIX, BOX_VERSION, forget, prepare_console, up};
use crate::console;
use crate::host::daemons;
use crate::interrupt::Interrupted;
use crate::lab::Lab;
use crate::provider::libvirt::{self, orphans};
use crate::provider::{BootFiles, DirectBoot, Identity, MachineState, Power, Provider};
use crate::ui::Ui;

/// Its name for Vagrant and in profiles.
const NAME: &str = "libvirt";

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

impl VagrantLibvirt {
    /// The name at libvirt of a lab's machine; one that is another's is refused.
    fn own(lab: &Lab, node: &str) -> Result<String> {
        let machine = lab.machine(node);
        orphans::must_be_own(&machine, lab.dir())?;
        Ok(machine)
    }
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
        NAME
    }

    fn answers(&self) -> Result<bool> {
        Ok(libvirt::is_installed() && daemons::virsh_answers()?)
    }

    fn wake(&self, ui: &Ui) -> Result<()> {
        if libvirt::is_installed() { daemons::ensure_libvirt(ui) } else { Ok(()) }
    }

    fn networks(&self) -> Result<Vec<String>> {
        libvirt::network_definitions()
    }

    fn own_networks(&self, _lab: &Lab) -> Result<Vec<String>> {
        Ok(vec![self.network_name.clone()])
    }

    fn disks(&self, _lab: &Lab) -> Result<PathBuf> {
        Ok(libvirt::POOL_DIR.into())
    }

    fn states(&self, lab: &Lab, nodes: &[String]) -> Result<Vec<MachineState>> {
        nodes.iter().map(|node| libvirt::domain_state(&Self::own(lab, node)?)).collect()
    }

    fn identity(&self, lab: &Lab, node: &str) -> Result<Identity> {
        libvirt::domain_identity(&lab.machine(node))
    }

    fn prepare(&self, lab: &Lab, files: &BootFiles, ui: &Ui) -> Result<()> {
        for node in &self.nodes {
            Self::own(lab, node)?;
        }
        let task = ui.task("network", format!("Prepare network {}", self.network_name));
        orphans::network_must_be_own(&self.network_name, lab.dir())?;
        task.close(libvirt::ensure_network(&self.network_name, &self.network_xml))?;
        libvirt::ensure_pool()?;
        // Vagrant itself brings a box that others made.
        if let Some(direct) = &files.direct {
            let task = ui.task("volumes", "Copy the box into libvirt's storage pool");
            task.close(upload(&files.box_name, direct))?;
        }
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
        let booted = match up(lab, NAME, &task) {
            // What an interrupted `up` asked of libvirt may be done only now.
            Err(error) if !error.is::<Interrupted>() && mend(lab, &self.nodes)? => up(lab, NAME, &task),
            booted => booted,
        };
        task.close(booted.map_err(|error| match error.is::<Interrupted>() {
            true => error,
            false => console::with_tails(lab, &self.nodes, error),
        }))
    }

    fn leftovers(&self, lab: &Lab, nodes: &[String]) -> Result<Vec<String>> {
        let prefix = lab.machine("");
        let domains = libvirt::domain_names()?;
        let ours = domains.iter().filter_map(|domain| domain.strip_prefix(&prefix)).filter(|node| {
            node.strip_prefix("node")
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        });
        Ok(ours.filter(|node| !nodes.iter().any(|known| known == node)).map(str::to_owned).collect())
    }

    fn remove(&self, lab: &Lab, node: &str) -> Result<Vec<String>> {
        let removed = remove_machine(&Self::own(lab, node)?)?;
        libvirt::remove_host(&self.network_name, node)?;
        // Vagrant's own record of it.
        crate::paths::remove_dir(&lab.dir().join(".vagrant/machines").join(node))?;
        Ok(removed)
    }

    fn destroy(&self, lab: &Lab, nodes: &[String], ui: &Ui) -> Result<Vec<String>> {
        let mut removed = Vec::new();
        let left = self.leftovers(lab, nodes)?;
        let machines: Vec<String> =
            nodes.iter().chain(&left).map(|node| Self::own(lab, node)).collect::<Result<_>>()?;
        orphans::network_must_be_own(&self.network_name, lab.dir())?;
        forget(lab, NAME, ui)?;
        for machine in machines {
            removed.extend(remove_machine(&machine)?);
        }
        if libvirt::remove_network(&self.network_name)? {
            removed.push(format!("network {}", self.network_name));
        }
        // Another lab's `up` may have brought a box that nothing rests on yet.
        if lab.others_at_work()? {
            return Ok(removed);
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

    fn power(&self) -> Option<&dyn Power> {
        Some(&libvirt::Domains)
    }
}

/// Takes a machine and its disk away.
fn remove_machine(domain: &str) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    if libvirt::remove_domain(domain)? {
        removed.push(format!("machine {domain}"));
    }
    let disk = disk_of(domain);
    if libvirt::remove_volume(&disk)? {
        removed.push(format!("volume {disk}"));
    }
    Ok(removed)
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

/// Copies disk, kernel and initial RAM disk into the pool, where QEMU's user
/// may read them.
fn upload(box_name: &str, direct: &DirectBoot) -> Result<()> {
    let names = PoolNames::of(box_name);
    libvirt::upload_volume(&names.disk, &direct.disk, "qcow2", direct.disk_gib << 30)?;
    for (name, file) in [(&names.kernel, &direct.kernel), (&names.initrd, &direct.initrd)] {
        let size = std::fs::metadata(file).with_context(|| format!("look at {}", file.display()))?.len();
        libvirt::upload_volume(name, file, "raw", size)?;
    }
    Ok(())
}

/// The path at which QEMU finds a volume of the pool.
pub fn pool_path(name: &str) -> Result<PathBuf> {
    libvirt::volume_path(name)?.map(PathBuf::from).with_context(|| format!("volume {name} is not in the pool"))
}
