//! A provider brings machines up to the point where they answer SSH, just
//! short of Kubernetes, and takes them away again.

use anyhow::Result;

use crate::host::acceleration::{self, Verdict};
use crate::lab::Lab;
use crate::profile::Acceleration;
use crate::ui::Ui;

pub mod hosts;
pub mod libvirt;
pub mod orphans;
pub mod vagrant;
pub mod virtualbox;

/// What a machine is doing, in the words of `provision status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// There is no such machine.
    Absent,
    /// It runs.
    Running,
    /// It exists and is off.
    Off,
    /// It exists and is paused, suspended, crashed or in between.
    Paused,
}

/// What the machines are made of; everything the host knows and no profile does.
#[derive(Debug, Clone)]
pub struct BootFiles {
    /// The box's name; of one of ours it ends in its hash.
    pub box_name: String,
    /// Its version.
    pub box_version: String,
    /// The URL of the Vagrant box file (tar).
    pub box_url: String,
    /// Its SHA-256, hexadecimal.
    pub box_sha256: String,
    /// What starts a machine without a boot loader, if the box is made for that.
    pub direct: Option<DirectBoot>,
}

/// The parts of a direct boot, which brings no boot loader.
#[derive(Debug, Clone)]
pub struct DirectBoot {
    /// The disk image inside the box (qcow2).
    pub disk: std::path::PathBuf,
    /// Size of that disk as the machine sees it, GiB.
    pub disk_gib: u64,
    /// Linux kernel for direct boot.
    pub kernel: std::path::PathBuf,
    /// Its initial RAM disk.
    pub initrd: std::path::PathBuf,
}

/// Which machine it is, and which of its runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The provider's own name for this very machine (libvirt's UUID).
    pub machine: String,
    /// Another one each time it is switched on (libvirt's domain id); empty
    /// while it is off.
    pub run: String,
}

/// Where machines come from.
pub trait Provider: Send + Sync {
    /// The name in the profile.
    fn name(&self) -> &'static str;

    /// How the machines' code is run on this host, and why; `wanted` is the profile's wish.
    fn acceleration(&self, wanted: Acceleration) -> Result<Verdict> {
        acceleration::decide(wanted, &acceleration::probe()?)
    }

    /// Whether it can be asked now. Starts nothing.
    fn answers(&self) -> Result<bool> {
        Ok(true)
    }

    /// Makes this host ready to start its machines, where its programs are
    /// installed: what it asks answers then, daemons started if need be.
    fn wake(&self, _ui: &Ui) -> Result<()> {
        Ok(())
    }

    /// What on this host stands in the way of its machines, a text each with
    /// the next command; asked before anything is made.
    fn obstacles(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Networks that it knows, whoever's they are, as libvirt's XML: their ranges are taken.
    fn networks(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Networks of this host that are the lab's own already: a network's name
    /// at libvirt, or an interface's.
    fn own_networks(&self, _lab: &Lab) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The folder that will hold the machines' disks.
    fn disks(&self, lab: &Lab) -> Result<std::path::PathBuf> {
        Ok(lab.dir().to_owned())
    }

    /// Each node's machine, in the order of `nodes`; reads only, in milliseconds.
    fn states(&self, lab: &Lab, nodes: &[String]) -> Result<Vec<MachineState>>;

    /// How the machine of a node, which must be there, is known again; empty
    /// where the provider cannot tell. Reads only.
    fn identity(&self, _lab: &Lab, _node: &str) -> Result<Identity> {
        Ok(Identity::default())
    }

    /// Why the machine of a node (by its place) does not run, if that was found
    /// out when its state was.
    fn why(&self, _node: usize) -> Option<String> {
        None
    }

    /// Brings what the machines need and share: network, volumes, consoles.
    fn prepare(&self, lab: &Lab, files: &BootFiles, ui: &Ui) -> Result<()>;

    /// Starts the machines that do not run and waits until all answer; one
    /// that runs is left alone.
    fn up(&self, lab: &Lab, ui: &Ui) -> Result<()>;

    /// Nodes that have a machine of this lab and are none of `nodes`: a profile
    /// that has shrunk leaves them behind.
    fn leftovers(&self, _lab: &Lab, _nodes: &[String]) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Takes one node's machine away and says what that was, a line each.
    fn remove(&self, _lab: &Lab, node: &str) -> Result<Vec<String>> {
        anyhow::bail!("provider {} cannot take {node} away alone", self.name())
    }

    /// Takes away everything of the lab that is at the provider and says what
    /// that was, a line each. What is already gone is no error.
    fn destroy(&self, lab: &Lab, nodes: &[String], ui: &Ui) -> Result<Vec<String>>;

    /// Power and snapshots of its machines; none where they are not its own.
    fn power(&self) -> Option<&dyn Power> {
        None
    }
}

/// Machines, by their names at the provider, switched and remembered. A machine
/// that is paused keeps its memory and does nothing.
pub trait Power: Send + Sync {
    /// Pulls the plug of one that runs.
    fn cut(&self, machine: &str) -> Result<()>;

    /// Pauses one that runs.
    fn pause(&self, machine: &str) -> Result<()>;

    /// Lets one that is paused run on.
    fn resume(&self, machine: &str) -> Result<()>;

    /// Names of the snapshots that a machine has. Reads only.
    fn snapshots(&self, machine: &str) -> Result<Vec<String>>;

    /// Keeps disk and memory of one that is paused, which it stays.
    fn save(&self, machine: &str, snapshot: &str) -> Result<()>;

    /// Puts disk and memory back, whatever it does now; it is paused then.
    fn restore(&self, machine: &str, snapshot: &str) -> Result<()>;

    /// Forgets a snapshot.
    fn delete(&self, machine: &str, snapshot: &str) -> Result<()>;
}
