//! What labs have left without a folder that could take it away: machines,
//! disks, networks, boxes. Nothing is believed by its name alone, since others
//! may name theirs alike: each kind carries something that only our labs make.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::{libvirt, virtualbox};

/// A disk may lie alone while its machine is being made; after this long no
/// more.
pub const YOUNG: Duration = Duration::from_secs(15 * 60);

/// Something that a lab has left behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Orphan {
    /// A domain, with its disk.
    Machine {
        /// Its name.
        name: String,
        /// The folder of its lab, which is not there.
        folder: PathBuf,
    },
    /// A volume on top of one of our boxes.
    Disk(String),
    /// A network.
    Network {
        /// Its name.
        name: String,
        /// The folder of its lab, which is not there.
        folder: PathBuf,
    },
    /// A volume of a box that no machine rests on.
    Box(String),
    /// A machine of VirtualBox, with its disk.
    VirtualboxMachine {
        /// Its name.
        name: String,
        /// The folder of its lab, which is not there.
        folder: PathBuf,
    },
    /// A host-only network of VirtualBox that only machines of such labs are in.
    VirtualboxNetwork {
        /// Its interface.
        name: String,
        /// The folder of its lab, which is not there.
        folder: PathBuf,
    },
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine { name, folder } | Self::VirtualboxMachine { name, folder } => {
                write!(f, "machine {name} (its lab's folder is gone: {})", folder.display())
            }
            Self::Disk(name) => write!(f, "disk {name} (no machine has it)"),
            Self::Network { name, folder } | Self::VirtualboxNetwork { name, folder } => {
                write!(f, "network {name} (its lab's folder is gone: {})", folder.display())
            }
            Self::Box(name) => write!(f, "box {name} (no machine rests on it)"),
        }
    }
}

/// Finds what was left behind at every hypervisor that can be asked; changes
/// nothing. `state` is the folder of this user's labs; a disk that is younger
/// than `young` is left alone.
pub fn find(state: &Path, young: Duration) -> Result<Vec<Orphan>> {
    let mut found = BTreeSet::new();
    if libvirt::is_installed() {
        found.extend(libvirt::orphans::find(state, young)?);
    }
    if virtualbox::is_installed() {
        found.extend(virtualbox::orphans::find()?);
    }
    Ok(found.into_iter().collect())
}

/// Takes them away, in the order in which they hang on each other.
pub fn remove(orphans: &[Orphan]) -> Result<()> {
    for orphan in orphans {
        match orphan {
            Orphan::Machine { name, .. } => drop(libvirt::remove_domain(name)?),
            Orphan::Network { name, .. } => drop(libvirt::remove_network(name)?),
            Orphan::Disk(name) | Orphan::Box(name) => drop(libvirt::remove_volume(name)?),
            Orphan::VirtualboxMachine { name, .. } => drop(virtualbox::remove_machine(name)?),
            Orphan::VirtualboxNetwork { name, .. } => virtualbox::networks::remove(name)?,
        }
    }
    Ok(())
}

/// Whether no lab lives in `folder`. One that cannot be looked into (another
/// user's) counts as living.
pub(super) fn is_gone(folder: &Path) -> bool {
    matches!(folder.join("Vagrantfile").try_exists(), Ok(false))
}
