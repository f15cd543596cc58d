//! A provider and nodes made of nothing: they know the commands that the real
//! steps send and do in the world what the scripts would do on a machine.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};

use super::schedule::Actor;
use super::world::{Disk, Work, World};
use crate::lab::Lab;
use crate::node::{Node, Output};
use crate::provider::{BootFiles, Identity, MachineState, Provider};
use crate::ui::Ui;

/// Steps whose work does not outlive a restart.
const VOLATILE: [&str; 1] = ["prepare_system"];

/// A node's shell.
pub struct FakeNode {
    pub world: Arc<World>,
    pub number: usize,
    pub name: String,
}

impl Node for FakeNode {
    fn name(&self) -> &str {
        &self.name
    }

    fn exec(&self, command: &str, stdin: &[u8]) -> Result<Output> {
        self.world.work(Actor::Node(self.number), |work| match work {
            Work::Fails => Ok(output(1, "it broke")),
            Work::Done => self.shell(command, stdin, false),
            Work::Half => self.shell(command, stdin, true),
            Work::Lost => {
                let (disk, memory) =
                    self.world.machine(self.number, |machine| (machine.disk.clone(), machine.memory.clone()));
                let said = self.shell(command, stdin, false);
                self.world.machine(self.number, |machine| (machine.disk, machine.memory) = (disk, memory));
                said
            }
        })
    }
}

impl FakeNode {
    fn shell(&self, command: &str, stdin: &[u8], half: bool) -> Result<Output> {
        self.world.machine(self.number, |machine| {
            let words: Vec<&str> = command.split_whitespace().collect();
            let is_done = |name: &str, machine: &super::world::Machine| {
                if VOLATILE.contains(&name) { machine.memory.contains(name) } else { machine.disk.done.contains(name) }
            };
            if command.contains("/proc/sys/kernel/random/boot_id") {
                let now = jiff::Timestamp::now().as_second();
                return Ok(output(0, &format!("boot-{}-{} {now}\n", machine.disk.id, machine.boots)));
            }
            if command == "true" {
                return Ok(output(0, ""));
            }
            if command.starts_with("test -e /opt/provision/hash") {
                return Ok(output(0, machine.disk.hash.as_deref().unwrap_or_default()));
            }
            if command.starts_with("set -e; rm -rf /opt/provision.new") {
                if machine.full {
                    return Ok(output(1, "tar: No space left on device"));
                }
                if stdin.is_empty() {
                    bail!("no files came with `{command}`");
                }
                let hash = words.iter().skip_while(|word| **word != "echo").nth(1).copied().unwrap_or_default();
                machine.write(|disk| disk.hash = Some(hash.to_owned()));
                return Ok(output(0, ""));
            }
            // All checks in one command.
            if let Some(rest) = command.strip_prefix("for s in ") {
                let names = rest.split(';').next().unwrap_or_default();
                let said = names.split_whitespace().map(|name| {
                    if is_done(name, machine) {
                        format!("@ {name} 0\n")
                    } else {
                        format!("would do {name}\n@ {name} 10\n")
                    }
                });
                return Ok(output(0, &said.collect::<String>()));
            }
            if let Some(name) =
                command.strip_prefix("bash /opt/provision/steps/").and_then(|rest| rest.split(".sh").next())
            {
                return Ok(self.step(name, machine, half));
            }
            if command == "cat /etc/kubernetes/admin.conf" {
                let there = machine.disk.done.contains("init_control_plane");
                return Ok(if there {
                    output(0, &format!("cluster of disk {}\n", machine.disk.id))
                } else {
                    output(1, "No such file")
                });
            }
            // The steps of the simulation itself.
            match words.as_slice() {
                ["simulated", name] => Ok(self.step(name, machine, half)),
                ["simulated?", name] => Ok(output(i32::from(!is_done(name, machine)), "")),
                _ => Err(anyhow!("the simulated node does not know the command `{command}`")),
            }
        })
    }

    /// A step's script: it needs its files and room.
    fn step(&self, name: &str, machine: &mut super::world::Machine, half: bool) -> Output {
        if machine.disk.hash.is_none() {
            return output(127, "bash: No such file or directory");
        }
        if machine.full {
            return output(1, "cp: No space left on device");
        }
        if VOLATILE.contains(&name) {
            machine.memory.insert(name.to_owned());
        } else {
            machine.write(|disk| {
                disk.done.insert(name.to_owned());
                if half {
                    disk.half.insert(name.to_owned())
                } else {
                    disk.half.remove(name)
                };
            });
        }
        output(0, &format!("{name} is done"))
    }
}

fn output(status: i32, text: &str) -> Output {
    Output { status, stdout: text.to_owned(), stderr: String::new() }
}

/// Where the machines come from.
pub struct FakeProvider {
    pub world: Arc<World>,
    pub nodes: usize,
}

impl Provider for FakeProvider {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn states(&self, _: &Lab, _: &[String]) -> Result<Vec<MachineState>> {
        self.world.work(Actor::Provider, |work| match work {
            Work::Fails => bail!("the provider does not answer"),
            _ => Ok((0..self.nodes).map(|number| self.world.machine(number, |machine| machine.state)).collect()),
        })
    }

    fn identity(&self, _: &Lab, node: &str) -> Result<Identity> {
        let number: usize = node.trim_start_matches("node").parse().context("number of the node")?;
        Ok(self.world.machine(number - 1, |machine| Identity {
            machine: machine.disk.id.to_string(),
            run: machine.boots.to_string(),
        }))
    }

    fn prepare(&self, _: &Lab, _: &BootFiles, _: &Ui) -> Result<()> {
        self.world.work(Actor::Provider, |work| if matches!(work, Work::Fails) { bail!("no network") } else { Ok(()) })
    }

    fn up(&self, _: &Lab, _: &Ui) -> Result<()> {
        for number in 0..self.nodes {
            let absent = self.world.machine(number, |machine| machine.state == MachineState::Absent);
            if absent {
                let id = self.world.new_disk();
                self.world.machine(number, |machine| {
                    machine.write(|disk| *disk = Disk { id, ..Disk::default() });
                    machine.state = MachineState::Off;
                });
            }
            self.world.work(Actor::Provider, |work| match work {
                Work::Fails => bail!("machine {number} does not start"),
                _ => {
                    self.world.machine(number, |machine| {
                        if machine.state != MachineState::Running {
                            machine.boot();
                        }
                    });
                    Ok(())
                }
            })?;
        }
        Ok(())
    }

    fn destroy(&self, _: &Lab, _: &[String], _: &Ui) -> Result<Vec<String>> {
        bail!("nothing is destroyed here")
    }
}
