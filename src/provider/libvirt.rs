//! libvirt, asked through `virsh`: machines' states, the lab's network and the
//! volumes of its boxes. Answers take 30-80 ms where Vagrant takes seconds.

use std::path::Path;

use anyhow::{Context, Result, bail};

mod network;
pub mod orphans;
mod power;

pub use network::{ensure_network, network_definitions, remove_host, remove_network};
pub use power::Domains;

use super::{Identity, MachineState};
use crate::process::{self, Captured, Cmd};

/// The connection that Vagrant uses too.
const URI: &str = "qemu:///system";
/// The pool that vagrant-libvirt uses, and makes in the same place if missing.
const POOL: &str = "default";
/// Where that pool is.
pub const POOL_DIR: &str = "/var/lib/libvirt/images";

fn virsh(args: &[&str]) -> Cmd {
    // Its words are compared below, so they must be English.
    Cmd::new("virsh").args(["--connect", URI, "--quiet"]).args(args).env("LC_ALL", "C")
}

/// Whether it can be asked at all.
#[must_use]
pub fn is_installed() -> bool {
    process::find("virsh").is_some()
}

/// An error that says what to do if libvirt does not answer at all.
pub fn must_answer() -> Result<()> {
    virsh(&["uri"]).read().map(drop).context(
        "libvirt does not answer at qemu:///system\n  start it: systemctl start libvirtd \
         (without systemd, as root: virtlogd -d; libvirtd -d)",
    )
}

/// The state of one domain.
pub fn domain_state(name: &str) -> Result<MachineState> {
    let output = virsh(&["domstate", name]).output()?;
    if !output.status.success() {
        must_answer()?;
        if domain_names()?.iter().any(|known| known == name) {
            bail!("ask the state of domain {name}: {}", output.stderr.trim());
        }
        return Ok(MachineState::Absent);
    }
    Ok(match output.stdout.trim() {
        "running" | "idle" | "in shutdown" => MachineState::Running,
        "shut off" => MachineState::Off,
        _ => MachineState::Paused,
    })
}

/// The XML that a domain starts with.
pub(super) fn definition(name: &str) -> Result<String> {
    virsh(&["dumpxml", "--inactive", name]).read().with_context(|| format!("describe domain {name}"))
}

/// The UUID of a domain.
pub fn domain_uuid(name: &str) -> Result<String> {
    let uuid = virsh(&["domuuid", name]).read().with_context(|| format!("ask the UUID of domain {name}"))?;
    Ok(uuid.trim().to_owned())
}

/// How a domain is known again.
pub fn domain_identity(name: &str) -> Result<Identity> {
    let xml = virsh(&["dumpxml", name]).read().with_context(|| format!("describe domain {name}"))?;
    let document = roxmltree::Document::parse(&xml).with_context(|| format!("parse the XML of domain {name}"))?;
    let domain = document.root_element();
    let uuid = domain.children().find(|node| node.has_tag_name("uuid")).and_then(|node| node.text());
    Ok(Identity {
        machine: uuid.with_context(|| format!("domain {name} has no UUID"))?.trim().to_owned(),
        run: domain.attribute("id").unwrap_or_default().to_owned(),
    })
}

/// Whether a domain is defined with a network card.
pub fn has_interface(name: &str) -> Result<bool> {
    let xml = definition(name)?;
    let document = roxmltree::Document::parse(&xml).with_context(|| format!("parse the XML of domain {name}"))?;
    Ok(document.descendants().any(|node| node.has_tag_name("interface")))
}

/// All domains, running or not.
pub fn domain_names() -> Result<Vec<String>> {
    names(&["list", "--all", "--name"])
}

fn names(args: &[&str]) -> Result<Vec<String>> {
    let text = virsh(args).read()?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Stops and forgets a domain with its own disks; whether there was one.
pub fn remove_domain(name: &str) -> Result<bool> {
    let state = domain_state(name)?;
    if state == MachineState::Absent {
        return Ok(false);
    }
    let disks = domain_disks(name)?;
    if state != MachineState::Off {
        virsh(&["destroy", name]).read().with_context(|| format!("stop domain {name}"))?;
    }
    virsh(&["undefine", name, "--managed-save", "--snapshots-metadata", "--nvram"])
        .read()
        .with_context(|| format!("remove domain {name}"))?;
    for disk in disks {
        remove_volume_at(&disk)?;
    }
    Ok(true)
}

/// Files behind a domain's disks (not those behind the disks' backing files).
fn domain_disks(name: &str) -> Result<Vec<String>> {
    let xml = definition(name)?;
    let document = roxmltree::Document::parse(&xml).with_context(|| format!("parse the XML of domain {name}"))?;
    Ok(document
        .descendants()
        .filter(|node| node.has_tag_name("disk") && node.attribute("device") == Some("disk"))
        .filter_map(|disk| disk.children().find(|child| child.has_tag_name("source")))
        .filter_map(|source| source.attribute("file").map(str::to_owned))
        .collect())
}

fn remove_volume_at(path: &str) -> Result<()> {
    let output = virsh(&["vol-delete", path]).output()?;
    gone_or(output, &format!("remove volume {path}"))
}

/// Success, or an error unless the object is not there (any more).
fn gone_or(output: Captured, what: &str) -> Result<()> {
    if output.status.success() || output.stderr.to_lowercase().contains("not found") {
        return Ok(());
    }
    bail!("{what}: {}", output.stderr.trim())
}

/// Makes and starts the pool if there is none.
pub fn ensure_pool() -> Result<()> {
    if !names(&["pool-list", "--all", "--name"])?.iter().any(|name| name == POOL) {
        virsh(&["pool-define-as", POOL, "dir", "--target", POOL_DIR]).read().context("define the storage pool")?;
        virsh(&["pool-build", POOL]).read().context("make the storage pool's folder")?;
    }
    if !names(&["pool-list", "--name"])?.iter().any(|name| name == POOL) {
        virsh(&["pool-start", POOL]).read().context("start the storage pool")?;
    }
    Ok(())
}

/// The path of a volume, if the pool has it.
pub fn volume_path(name: &str) -> Result<Option<String>> {
    let output = virsh(&["vol-path", "--pool", POOL, name]).output()?;
    Ok(output.status.success().then(|| output.stdout.trim().to_owned()))
}

/// Copies `file` into the pool as `name`, in `format` (`raw` or `qcow2`), and
/// returns its path there. Written under another name and renamed at the end
/// is not possible for a volume, so a half-made one is removed.
pub fn upload_volume(name: &str, file: &Path, format: &str, virtual_bytes: u64) -> Result<String> {
    if let Some(path) = volume_path(name)? {
        return Ok(path);
    }
    virsh(&["vol-create-as", POOL, name, &virtual_bytes.to_string(), "--allocation", "0", "--format", format])
        .read()
        .with_context(|| format!("make volume {name}"))?;
    let uploaded = virsh(&["vol-upload", "--sparse", "--pool", POOL, name]).arg(file).read();
    if let Err(error) = uploaded {
        virsh(&["vol-delete", "--pool", POOL, name]).output().ok();
        return Err(error.context(format!("copy {} into volume {name}", file.display())));
    }
    // vol-upload replaced the header that vol-create wrote; let libvirt read it.
    virsh(&["pool-refresh", POOL]).read().context("refresh the storage pool")?;
    volume_path(name)?.with_context(|| format!("volume {name} was made and is not there"))
}

/// Names of all volumes in the pool.
pub fn volume_names() -> Result<Vec<String>> {
    let text = virsh(&["vol-list", "--pool", POOL]).output()?;
    // Without a pool there are no volumes.
    Ok(text.stdout.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// The XML of a volume; `None` if it has just gone.
pub fn volume_definition(name: &str) -> Result<Option<String>> {
    let output = virsh(&["vol-dumpxml", "--pool", POOL, name]).output()?;
    Ok(output.status.success().then_some(output.stdout))
}

/// Removes a volume by name; whether there was one.
pub fn remove_volume(name: &str) -> Result<bool> {
    if volume_path(name)?.is_none() {
        return Ok(false);
    }
    let output = virsh(&["vol-delete", "--pool", POOL, name]).output()?;
    gone_or(output, &format!("remove volume {name}"))?;
    Ok(true)
}

/// Files that any domain's disks rest on, backing files included, and kernels
/// and initial RAM disks: what must not be removed with a box.
pub fn files_in_use() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in domain_names()? {
        let xml = virsh(&["dumpxml", &name]).read().with_context(|| format!("describe domain {name}"))?;
        let document = roxmltree::Document::parse(&xml).with_context(|| format!("parse the XML of domain {name}"))?;
        for node in document.descendants() {
            if node.has_tag_name("source") {
                files.extend(node.attribute("file").map(str::to_owned));
            }
            if node.has_tag_name("kernel") || node.has_tag_name("initrd") {
                files.extend(node.text().map(str::to_owned));
            }
        }
        for disk in domain_disks(&name)? {
            let xml = virsh(&["vol-dumpxml", &disk]).output()?.stdout;
            if let Ok(volume) = roxmltree::Document::parse(&xml) {
                files.extend(
                    volume
                        .descendants()
                        .filter(|node| node.has_tag_name("backingStore"))
                        .flat_map(|node| node.children())
                        .filter(|node| node.has_tag_name("path"))
                        .filter_map(|path| path.text().map(str::to_owned)),
                );
            }
        }
    }
    Ok(files)
}
