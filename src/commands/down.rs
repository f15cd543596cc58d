//! `provision down`: nothing of the lab is left but its results.

use anyhow::{Result, bail};
use clap::Args;

use super::Session;
use crate::host::packages::Consent;
use crate::interrupt::Interrupted;
use crate::paths;
use crate::profile::Role;
use crate::provider::libvirt;
use crate::provider::orphans::{self, Orphan};

/// Remove the lab: machines, volumes, network, files. Results stay.
#[derive(Debug, Default, Args)]
pub struct Down {
    /// Remove its benchmark results too
    #[arg(long, conflicts_with = "node")]
    results: bool,
    /// Remove instead what other labs left whose folders are gone: shows it and asks
    #[arg(long, conflicts_with_all = ["results", "node"])]
    orphans: bool,
    /// Remove orphans without asking
    #[arg(long, short, requires = "orphans")]
    yes: bool,
    /// Remove this worker only: drain it, take it out of the cluster, remove its machine
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

impl Down {
    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        if self.orphans {
            return self.remove_orphans(session);
        }
        let lock = session.lock()?;
        // For `explain`, if this fails; no new file where there is no lab. A full
        // disk must not keep the lab that fills it.
        let events = session.lab.events();
        if events.is_file() {
            session.ui.record_to(&events).unwrap_or_else(|error| session.ui.warn(&format!("{error:#}")));
        }
        // Where no systemd keeps it, libvirt does not outlive a restart of the host; the machines' disks do.
        let provider = session.provider()?;
        if !provider.answers()? {
            provider.wake(&session.ui)?;
        }
        if let Some(node) = &self.node {
            return one(session, node);
        }
        let removed = provider.destroy(&session.lab, &session.node_names(), &session.ui)?;
        for what in &removed {
            session.ui.note(&format!("removed {what}"));
        }
        if self.results {
            paths::remove_dir(&session.lab.results())?;
        }
        session.lab.remove()?;
        session.journal.close();
        drop(lock);
        let kept = session.lab.results();
        let kept = if kept.is_dir() { format!("; its results stay in {}", kept.display()) } else { String::new() };
        session.ui.note(&format!("lab `{}` is gone{kept}", session.lab.name()));
        Ok(())
    }

    fn remove_orphans(&self, session: &Session) -> Result<()> {
        if libvirt::is_installed() {
            libvirt::must_answer()?;
        }
        let found = orphans::find(&paths::state_dir()?, orphans::YOUNG)?;
        if found.is_empty() {
            session.ui.note("no lab has left anything behind");
            return Ok(());
        }
        let list: String = found.iter().map(|orphan| format!("\n  {orphan}")).collect();
        let told = format!("left behind by labs whose folders are gone:{list}");
        let consent = Consent::detect(self.yes, session.ui.is_json());
        if consent == Consent::Given {
            session.ui.note(&told);
        }
        if !consent.agreed(&session.ui, &format!("{told}\nRemove it now?"))? {
            bail!("{told}\n  remove it: provision down --orphans --yes");
        }
        let mut removing = found;
        while !removing.is_empty() {
            for orphan in &removing {
                orphans::remove(std::slice::from_ref(orphan))?;
                session.ui.note(&format!("removed {orphan}"));
            }
            // What only the machines just removed rested on.
            removing = orphans::find(&paths::state_dir()?, orphans::YOUNG)?;
            removing.retain(|orphan| matches!(orphan, Orphan::Box(_)));
        }
        Ok(())
    }
}

/// Takes one worker away. The rest of the lab goes on.
fn one(session: &Session, node: &str) -> Result<()> {
    let lab = &session.lab;
    lab.must_exist()?;
    let spec = session.nodes.iter().find(|spec| spec.name == node);
    if spec.is_some_and(|spec| spec.role == Role::ControlPlane) {
        bail!("{node} holds the control plane of lab `{}`\n  remove the whole lab: provision down", lab.name());
    }
    let provider = session.provider()?;
    let names = session.node_names();
    if spec.is_none() && !provider.leftovers(lab, &names)?.iter().any(|left| left == node) {
        bail!("lab `{}` has no node `{node}`; its nodes: {}", lab.name(), names.join(", "));
    }
    if let Some(made) = session.artifacts()?.made()?.filter(|_| lab.kubeconfig().is_file()) {
        let kubectl = session.kubectl(&made);
        let task = session.ui.task("drain", format!("Drain {node} and take it out of the cluster"));
        let drain = ["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=90s"];
        let left = match kubectl.read(&["get", "node", node, "--ignore-not-found", "-o", "name"]) {
            Ok(known) if known.is_empty() => Ok(()),
            // A node that hangs cannot be drained, and goes all the same.
            Ok(_) => {
                let drained = kubectl.read(&drain);
                kubectl.read(&["delete", "node", node, "--ignore-not-found"]).and(drained).map(drop)
            }
            Err(error) => Err(error),
        };
        match left {
            Ok(()) => task.done(""),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => task.fail(&error),
        }
    }
    for what in provider.remove(lab, node)? {
        session.ui.note(&format!("removed {what}"));
    }
    let next = if spec.is_some() { "; the profile has it: provision up makes it anew" } else { "" };
    session.ui.note(&format!("{node} of lab `{}` is gone{next}", lab.name()));
    Ok(())
}
