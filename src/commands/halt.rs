//! `provision halt`: the machines are switched off and stay as they are.
//! `provision up` goes on with them.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use super::Session;
use crate::interrupt;
use crate::lab::Lab;
use crate::node::Node;
use crate::profile::{NodeSpec, Role};
use crate::provider::{MachineState, Power, Provider};

/// Switch the machines off in an orderly way; `up` goes on with them
#[derive(Debug, Args)]
pub struct Halt {
    /// Pull the plug: of machines that do not answer
    #[arg(long)]
    force: bool,
}

/// How long a machine may take to end all it runs; systemd gives each unit 90 s.
const LIMIT: Duration = Duration::from_secs(300);
/// How often it is looked whether it is off.
const LOOK: Duration = Duration::from_millis(500);
/// Asked of systemd itself, which goes on with it when the connection is gone.
const POWER_OFF: &str = "systemctl --no-block poweroff";

impl Halt {
    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        let lab = &session.lab;
        lab.must_exist()?;
        let _lock = session.lock()?;
        session.ui.record_to(&lab.events())?;
        let provider = session.provider()?;
        let nodes = session.ssh_nodes()?;
        let halting = Halting {
            lab,
            provider: provider.as_ref(),
            specs: &session.nodes,
            nodes: &nodes,
            force: self.force,
            limit: LIMIT,
        };
        let task = session.ui.task("halt", format!("Switch {} off", session.node_names().join(", ")));
        let halted = halting.run(|node| task.say(node));
        let count = task.close(halted)?;
        let told = if count == 0 { "was off already" } else { "is off" };
        session.ui.note(&format!("lab `{}` {told}\nnext:   provision up", lab.name()));
        Ok(())
    }
}

/// Machines that are to be switched off.
struct Halting<'a> {
    lab: &'a Lab,
    provider: &'a dyn Provider,
    specs: &'a [NodeSpec],
    nodes: &'a [Box<dyn Node>],
    force: bool,
    limit: Duration,
}

impl Halting<'_> {
    /// Workers first, so that nothing of theirs asks a control plane that is
    /// gone. How many there were to switch off.
    fn run(&self, say: impl Fn(&str)) -> Result<usize> {
        let Some(power) = self.provider.power() else {
            bail!("provider {} switches no machines off: they are not its own", self.provider.name());
        };
        let mut count = 0;
        for role in [Role::Worker, Role::ControlPlane] {
            let states = self.states()?;
            let on: Vec<usize> = (0..self.specs.len())
                .filter(|&index| self.specs[index].role == role)
                .filter(|&index| matches!(states[index], MachineState::Running | MachineState::Paused))
                .collect();
            for &index in &on {
                say(&self.specs[index].name);
                self.ask(power, index, states[index])?;
            }
            self.wait(&on)?;
            count += on.len();
        }
        Ok(count)
    }

    fn ask(&self, power: &dyn Power, index: usize, state: MachineState) -> Result<()> {
        let name = &self.specs[index].name;
        let machine = self.lab.machine(name);
        if self.force {
            return power.cut(&machine);
        }
        if state == MachineState::Paused {
            power.resume(&machine)?;
        }
        self.nodes[index].read(POWER_OFF, b"").map(drop).map_err(|error| {
            error.context(format!("{name} cannot be asked to switch off\n  pull its plug: provision halt --force"))
        })
    }

    /// Until these are off.
    fn wait(&self, nodes: &[usize]) -> Result<()> {
        let started = Instant::now();
        loop {
            let states = self.states()?;
            let on = nodes.iter().find(|&&index| states[index] != MachineState::Off);
            let Some(&index) = on else { return Ok(()) };
            if started.elapsed() > self.limit {
                bail!(
                    "{} is not off after {} s\n  pull its plug: provision halt --force",
                    self.specs[index].name,
                    self.limit.as_secs()
                );
            }
            interrupt::check()?;
            std::thread::sleep(LOOK.min(self.limit));
        }
    }

    fn states(&self) -> Result<Vec<MachineState>> {
        let names: Vec<String> = self.specs.iter().map(|spec| spec.name.clone()).collect();
        self.provider.states(self.lab, &names)
    }
}

#[cfg(test)]
#[path = "halt_tests.rs"]
mod tests;
