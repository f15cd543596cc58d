//! VirtualBox's machines, brought up by Vagrant's own provider.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use ipnet::Ipv4Net;

use super::{forget, prepare_console, up};
use crate::console;
use crate::host::acceleration::Verdict;
use crate::host::known_good::Installed;
use crate::interrupt::Interrupted;
use crate::lab::Lab;
use crate::profile::Acceleration;
use crate::provider::virtualbox::{self, failures, networks, preflight};
use crate::provider::{BootFiles, Identity, MachineState, Power, Provider};
use crate::ui::Ui;

/// Its name for Vagrant and in profiles.
const NAME: &str = "virtualbox";

/// Machines of VirtualBox.
#[derive(Debug)]
pub struct VagrantVirtualbox {
    /// The lab's network between the machines and this host.
    pub network: Ipv4Net,
    /// This host's address in it.
    pub gateway: Ipv4Addr,
    /// Nodes in order.
    pub nodes: Vec<String>,
}

impl VagrantVirtualbox {
    /// The lab's host-only network, if it is there and nobody else's machines
    /// are in it.
    fn own_network(&self, lab: &Lab) -> Result<Option<String>> {
        let Some(network) = networks::at(self.gateway)? else { return Ok(None) };
        let own: Vec<String> = self.nodes.iter().map(|node| lab.machine(node)).collect();
        let foreign = networks::users_of(&network)?.into_iter().any(|user| !own.contains(&user));
        Ok((!foreign).then_some(network))
    }
}

impl Provider for VagrantVirtualbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn acceleration(&self, _: Acceleration) -> Result<Verdict> {
        Ok(Verdict { emulated: false, reason: "VirtualBox, which emulates none".into() })
    }

    fn obstacles(&self) -> Result<Vec<String>> {
        if !virtualbox::is_installed() {
            return Ok(vec!["VBoxManage is not on PATH\n    install VirtualBox".into()]);
        }
        preflight::obstacles(&preflight::probe(Installed::on_host())?, self.network)
    }

    fn own_networks(&self, lab: &Lab) -> Result<Vec<String>> {
        if !virtualbox::is_installed() {
            return Ok(Vec::new());
        }
        Ok(self.own_network(lab)?.into_iter().collect())
    }

    fn disks(&self, lab: &Lab) -> Result<PathBuf> {
        if !virtualbox::is_installed() {
            return Ok(lab.dir().to_owned());
        }
        virtualbox::machine_folder()
    }

    fn states(&self, lab: &Lab, nodes: &[String]) -> Result<Vec<MachineState>> {
        if !virtualbox::is_installed() {
            return Ok(vec![MachineState::Absent; nodes.len()]);
        }
        nodes.iter().map(|node| virtualbox::state(&lab.machine(node))).collect()
    }

    fn identity(&self, lab: &Lab, node: &str) -> Result<Identity> {
        virtualbox::identity(&lab.machine(node))
    }

    fn prepare(&self, lab: &Lab, _files: &BootFiles, ui: &Ui) -> Result<()> {
        let task = ui.task("network", format!("Prepare network {}", self.network));
        task.close(networks::ensure(self.gateway, self.network.netmask(), lab.dir()))?;
        self.nodes.iter().try_for_each(|node| prepare_console(&lab.console(node)))
    }

    fn up(&self, lab: &Lab, ui: &Ui) -> Result<()> {
        let task = ui.task("machines", format!("Start {} with Vagrant", self.nodes.join(", ")));
        let booted = up(lab, NAME, &task);
        task.close(booted.map_err(|error| match error.is::<Interrupted>() {
            true => error,
            false => console::with_tails(lab, &self.nodes, failures::explained(error)),
        }))
    }

    fn destroy(&self, lab: &Lab, nodes: &[String], ui: &Ui) -> Result<Vec<String>> {
        if !virtualbox::is_installed() {
            return Ok(Vec::new());
        }
        // By their ids too: Vagrant gives an imported machine its name later.
        let mut machines = Vec::new();
        for node in nodes {
            machines.push(lab.machine(node));
            let id = lab.dir().join(".vagrant/machines").join(node).join("virtualbox/id");
            machines.extend(std::fs::read_to_string(id).ok().map(|id| id.trim().to_owned()));
        }
        let there = machines.iter().map(|machine| Ok((machine, virtualbox::state(machine)? != MachineState::Absent)));
        let there: Vec<(&String, bool)> = there.collect::<Result<_>>()?;
        forget(lab, NAME, ui)?;
        let mut removed = Vec::new();
        for (machine, was_there) in there {
            if virtualbox::remove_machine(machine)?
                || (was_there && nodes.iter().any(|node| lab.machine(node) == *machine))
            {
                removed.push(format!("machine {machine}"));
            }
        }
        // One that the lab found there is somebody else's.
        if let Some(network) = self.own_network(lab)?
            && networks::owner_of(&network)?.as_deref() == Some(lab.dir())
        {
            networks::remove(&network)?;
            removed.push(format!("network {network}"));
        }
        Ok(removed)
    }

    fn power(&self) -> Option<&dyn Power> {
        Some(&virtualbox::Machines)
    }
}
