//! What every command begins with: the profile, the lab's folder, the voice.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::artifacts::choose::Choice;
use crate::host::acceleration::Verdict;
use crate::journal::{Entry, Journal};
use crate::lab::{Lab, LabLock};
use crate::profile::{self, Loaded, NodeSpec, Profile, Sources};
use crate::provider::hosts::Hosts;
use crate::provider::vagrant::{VagrantLibvirt, VagrantVirtualbox};
use crate::provider::{MachineState, Provider};
use crate::ssh::Password;
use crate::steps::machines::{self, Change};
use crate::ui::Ui;
use crate::{lockfile, secrets};

mod api;
mod parts;
mod reached;
mod rendered;

pub use parts::{Parts, boot_files};
use rendered::network_name;

/// A command's profile and lab.
pub struct Session {
    /// The checked profile and where each value came from.
    pub loaded: Loaded,
    /// Its folder.
    pub lab: Lab,
    /// Its nodes, in order.
    pub nodes: Vec<NodeSpec>,
    /// What was begun in it and what ended.
    pub journal: Journal,
    /// What it is built from, if the user wrote that down.
    pub lock_file: PathBuf,
    /// The profile's file, if one was named.
    pub file: Option<PathBuf>,
    /// Where progress goes.
    pub ui: Ui,
    /// What sudo asks on machines that are not ours, once the user has typed it.
    password: Arc<Password>,
    /// Where Kubernetes comes from, once that was asked.
    pub(super) choice: OnceCell<Choice>,
}

impl Session {
    /// Reads the profile; touches nothing.
    pub fn open(sources: &Sources, ui: &Ui) -> Result<Self> {
        Self::of(profile::load(sources, &|name| std::env::var(name).ok())?, sources.file.as_deref(), ui)
    }

    /// Of a profile that was read, from `file` if from one.
    pub fn of(loaded: Loaded, file: Option<&Path>, ui: &Ui) -> Result<Self> {
        let lab = Lab::open(&loaded.profile.name)?;
        let nodes = loaded.profile.nodes();
        let journal = Journal::at(lab.journal());
        let lock_file = lockfile::path(file, lab.dir());
        Ok(Self {
            loaded,
            lab,
            nodes,
            journal,
            lock_file,
            file: file.map(Into::into),
            ui: ui.clone(),
            password: Arc::default(),
            choice: OnceCell::new(),
        })
    }

    /// Takes the lab for this process, and says what a dead one had left running.
    pub fn lock(&self) -> Result<LabLock> {
        let lock = self.lab.lock()?;
        for line in lock.leftovers() {
            self.ui.warn(&format!("ended what an earlier provision, which died, had left running: {line}"));
        }
        self.journal
            .write(Entry::Command { line: secrets::redact(&shell_words::join(std::env::args())).into_owned() })?;
        Ok(lock)
    }

    /// The checked profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.loaded.profile
    }

    /// How this host will run the machines, and why.
    pub fn acceleration(&self) -> Result<Verdict> {
        self.provider()?.acceleration(self.profile().machine.acceleration)
    }

    /// What became of each machine since the journal last saw it, in order.
    pub fn changes(&self, provider: &dyn Provider, states: &[MachineState]) -> Result<Vec<Change>> {
        let known = self.journal.state()?;
        let change = |(node, state): (&NodeSpec, &MachineState)| {
            let there = match state {
                // One that is not ours is there all the same, or cannot be asked.
                MachineState::Off if node.access.is_some() => return Ok(Change::Same),
                MachineState::Absent if node.access.is_none() => None,
                _ => Some(provider.identity(&self.lab, &node.name)?),
            };
            Ok(machines::change(&known, &node.name, there.as_ref(), None))
        };
        self.nodes.iter().zip(states).map(change).collect()
    }

    /// Whether the machines' system comes without what a node needs.
    pub(super) fn has_plain_machines(&self) -> bool {
        self.nodes.iter().any(|node| node.plain)
    }

    /// Whether the machines are the lab's own.
    #[must_use]
    pub fn owns_machines(&self) -> bool {
        self.profile().provider.makes_machines()
    }

    /// Names of the nodes, in order.
    #[must_use]
    pub fn node_names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// The provider that the profile names.
    pub fn provider(&self) -> Result<Box<dyn Provider>> {
        match self.profile().provider {
            profile::Provider::Libvirt => Ok(Box::new(VagrantLibvirt {
                network_name: network_name(&self.lab),
                network_xml: self.network_xml()?,
                nodes: self.node_names(),
            })),
            profile::Provider::Virtualbox => Ok(Box::new(VagrantVirtualbox {
                network: self.profile().network.machines,
                gateway: self.profile().gateway(),
                nodes: self.node_names(),
            })),
            profile::Provider::Hosts => {
                let addresses = self.nodes.iter().map(|node| node.ip).collect();
                Ok(Box::new(Hosts::new(self.ssh_nodes()?, addresses).with_detour(self.forward())))
            }
        }
    }

    /// The node called `name`, or the first one.
    pub fn node(&self, name: Option<&str>) -> Result<&NodeSpec> {
        let Some(name) = name else { return self.nodes.first().context("the profile has no node") };
        self.nodes.iter().find(|node| node.name == name).with_context(|| {
            format!(
                "there is no node `{name}` in lab `{}`; its nodes: {}",
                self.lab.name(),
                self.node_names().join(", ")
            )
        })
    }
}

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile;
