//! What labs whose folders are gone have left at hypervisors.

use anyhow::Result;

use super::{Asked, Finding, Host, Topic};
use crate::host::daemons::{self, Libvirt};
use crate::paths;
use crate::provider::{libvirt, orphans};

/// Machines, disks, networks and boxes that belong to no lab any more.
pub struct Leftovers;

impl Topic for Leftovers {
    fn title(&self, _: &Asked) -> String {
        "left behind".into()
    }

    fn look(&self, _: &Asked, _: &Host) -> Result<Vec<Finding>> {
        if libvirt::is_installed() && daemons::libvirt()? != Libvirt::Answers {
            return Ok(vec![Finding::ok("nothing that can be seen: libvirt does not answer")]);
        }
        let found = orphans::find(&paths::state_dir()?, orphans::YOUNG)?;
        if found.is_empty() {
            return Ok(vec![Finding::ok("nothing")]);
        }
        let note = |orphan: &orphans::Orphan| Finding::note(orphan.to_string()).next("provision down --orphans");
        Ok(found.iter().map(note).collect())
    }
}
