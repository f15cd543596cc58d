//! Domains, switched and remembered. Their snapshots are libvirt's internal
//! ones: disk and memory of the same moment, inside the machine's own qcow2
//! file, so that they go with it.

use anyhow::{Context, Result};

use super::{names, virsh};
use crate::provider::Power;

/// All domains of this host.
#[derive(Debug)]
pub struct Domains;

impl Power for Domains {
    fn cut(&self, machine: &str) -> Result<()> {
        virsh(&["destroy", machine]).read().map(drop).with_context(|| format!("stop domain {machine}"))
    }

    fn pause(&self, machine: &str) -> Result<()> {
        virsh(&["suspend", machine]).read().map(drop).with_context(|| format!("pause domain {machine}"))
    }

    fn resume(&self, machine: &str) -> Result<()> {
        virsh(&["resume", machine]).read().map(drop).with_context(|| format!("resume domain {machine}"))
    }

    fn snapshots(&self, machine: &str) -> Result<Vec<String>> {
        names(&["snapshot-list", machine, "--name"]).with_context(|| format!("list the snapshots of domain {machine}"))
    }

    fn save(&self, machine: &str, snapshot: &str) -> Result<()> {
        let words = ["snapshot-create-as", machine, snapshot];
        virsh(&words).read().map(drop).with_context(|| format!("save domain {machine} as {snapshot}"))
    }

    fn restore(&self, machine: &str, snapshot: &str) -> Result<()> {
        let words = ["snapshot-revert", machine, snapshot, "--paused"];
        virsh(&words).read().map(drop).with_context(|| format!("put domain {machine} back to {snapshot}"))
    }

    fn delete(&self, machine: &str, snapshot: &str) -> Result<()> {
        let words = ["snapshot-delete", machine, snapshot];
        virsh(&words).read().map(drop).with_context(|| format!("delete snapshot {snapshot} of domain {machine}"))
    }
}
