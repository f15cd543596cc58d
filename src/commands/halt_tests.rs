//! The order in which machines are switched off, and who refuses.

use std::sync::{Arc, Mutex};

use super::*;
use crate::node::Output;
use crate::profile::default_profile;
use crate::provider::BootFiles;
use crate::ui::Ui;

/// What was asked, and the machines' states.
struct World {
    asked: Mutex<Vec<String>>,
    states: Mutex<Vec<MachineState>>,
    /// Whether its machines are its own.
    owns: bool,
    /// Whether they do what they are asked.
    obeys: bool,
}

impl World {
    fn of(states: &[MachineState]) -> World {
        World { asked: Mutex::default(), states: Mutex::new(states.to_vec()), owns: true, obeys: true }
    }

    fn ask(&self, verb: &str, machine: &str, then: MachineState) {
        self.asked.lock().unwrap().push(format!("{verb} {machine}"));
        let number: usize = machine.rsplit("node").next().unwrap().parse().unwrap();
        if self.obeys {
            self.states.lock().unwrap()[number - 1] = then;
        }
    }
}

struct Fake(Arc<World>);

impl Provider for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }
    fn states(&self, _: &Lab, _: &[String]) -> Result<Vec<MachineState>> {
        Ok(self.0.states.lock().unwrap().clone())
    }
    fn prepare(&self, _: &Lab, _: &BootFiles, _: &Ui) -> Result<()> {
        Ok(())
    }
    fn up(&self, _: &Lab, _: &Ui) -> Result<()> {
        Ok(())
    }
    fn destroy(&self, _: &Lab, _: &[String], _: &Ui) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn power(&self) -> Option<&dyn Power> {
        self.0.owns.then_some(self)
    }
}

impl Power for Fake {
    fn cut(&self, machine: &str) -> Result<()> {
        self.0.ask("cut", machine, MachineState::Off);
        Ok(())
    }
    fn pause(&self, _: &str) -> Result<()> {
        bail!("halting pauses nothing")
    }
    fn resume(&self, machine: &str) -> Result<()> {
        self.0.ask("resume", machine, MachineState::Running);
        Ok(())
    }
    fn snapshots(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn save(&self, _: &str, _: &str) -> Result<()> {
        bail!("halting saves nothing")
    }
    fn restore(&self, _: &str, _: &str) -> Result<()> {
        bail!("halting puts nothing back")
    }
    fn delete(&self, _: &str, _: &str) -> Result<()> {
        bail!("halting deletes nothing")
    }
}

struct FakeNode(String, Arc<World>);

impl Node for FakeNode {
    fn name(&self) -> &str {
        &self.0
    }
    fn exec(&self, command: &str, _: &[u8]) -> Result<Output> {
        assert_eq!(command, POWER_OFF);
        self.1.ask("ask", &self.0, MachineState::Off);
        Ok(Output { status: 0, stdout: String::new(), stderr: String::new() })
    }
}

/// Halts a control plane and two workers.
fn halt(world: World, force: bool) -> (Result<usize>, String) {
    let world = Arc::new(world);
    let first = default_profile().nodes().remove(0);
    let spec = |number: usize| NodeSpec {
        name: format!("node{number}"),
        role: if number == 1 { Role::ControlPlane } else { Role::Worker },
        ..first.clone()
    };
    let specs: Vec<NodeSpec> = (1..=3).map(spec).collect();
    let node = |spec: &NodeSpec| Box::new(FakeNode(spec.name.clone(), Arc::clone(&world))) as Box<dyn Node>;
    let nodes: Vec<Box<dyn Node>> = specs.iter().map(node).collect();
    let halting = Halting {
        lab: &Lab::below(std::path::Path::new("/nowhere"), "t"),
        provider: &Fake(Arc::clone(&world)),
        specs: &specs,
        nodes: &nodes,
        force,
        limit: Duration::from_millis(20),
    };
    let result = halting.run(|_| {});
    let asked = world.asked.lock().unwrap().join(", ");
    (result, asked)
}

#[test]
fn workers_go_before_the_control_plane() {
    let (result, asked) = halt(World::of(&[MachineState::Running; 3]), false);
    assert_eq!((result.unwrap(), asked.as_str()), (3, "ask node2, ask node3, ask node1"));
}

#[test]
fn what_is_off_stays_off_and_what_is_paused_runs_to_its_end() {
    let (result, asked) = halt(World::of(&[MachineState::Paused, MachineState::Off, MachineState::Absent]), false);
    assert_eq!((result.unwrap(), asked.as_str()), (1, "resume t-node1, ask node1"));
    assert_eq!(halt(World::of(&[MachineState::Off; 3]), false).0.unwrap(), 0);
}

#[test]
fn force_asks_no_machine() {
    let (result, asked) = halt(World::of(&[MachineState::Running; 3]), true);
    assert_eq!((result.unwrap(), asked.as_str()), (3, "cut t-node2, cut t-node3, cut t-node1"));
}

#[test]
fn a_machine_that_stays_on_is_named_and_the_control_plane_is_left_on() {
    let (result, asked) = halt(World { obeys: false, ..World::of(&[MachineState::Running; 3]) }, false);
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "node2 is not off after 0 s\n  pull its plug: provision halt --force");
    assert_eq!(asked, "ask node2, ask node3");
}

#[test]
fn machines_that_are_not_ours_are_left_alone() {
    let (result, asked) = halt(World { owns: false, ..World::of(&[MachineState::Running; 3]) }, false);
    assert_eq!(result.unwrap_err().to_string(), "provider fake switches no machines off: they are not its own");
    assert_eq!(asked, "");
}
