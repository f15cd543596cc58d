//! `provision down`: nothing of the lab is left but its results.

use anyhow::Result;
use clap::Args;

use super::Session;
use crate::host::daemons;
use crate::paths;
use crate::profile::Provider;
use crate::provider::libvirt;

/// Remove the lab: machines, volumes, network, files. Results stay.
#[derive(Debug, Args)]
pub struct Down {
    /// Remove its benchmark results too
    #[arg(long)]
    results: bool,
}

impl Down {
    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        let lock = session.lock()?;
        // Where no systemd keeps it, libvirt does not outlive a restart of the host; the machines' disks do.
        if session.profile().provider == Provider::Libvirt && libvirt::must_answer().is_err() {
            daemons::ensure_libvirt(&session.ui)?;
        }
        let removed = session.provider()?.destroy(&session.lab, &session.node_names(), &session.ui)?;
        for what in &removed {
            session.ui.note(&format!("removed {what}"));
        }
        if self.results {
            paths::remove_dir(&session.lab.results())?;
        }
        session.lab.remove()?;
        drop(lock);
        let kept = session.lab.results();
        let kept = if kept.is_dir() { format!("; its results stay in {}", kept.display()) } else { String::new() };
        session.ui.note(&format!("lab `{}` is gone{kept}", session.lab.name()));
        Ok(())
    }
}
