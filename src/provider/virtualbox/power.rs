//! VirtualBox's machines, switched and remembered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{UNLOCK, failures, machine, manage, state};
use crate::interrupt;
use crate::provider::{MachineState, Power};

/// All machines of this user.
#[derive(Debug)]
pub struct Machines;

impl Power for Machines {
    fn cut(&self, name: &str) -> Result<()> {
        manage(&["controlvm", name, "poweroff"]).read().map(drop).with_context(|| format!("stop machine {name}"))
    }

    fn pause(&self, name: &str) -> Result<()> {
        manage(&["controlvm", name, "pause"]).read().map(drop).with_context(|| format!("pause machine {name}"))
    }

    fn resume(&self, name: &str) -> Result<()> {
        manage(&["controlvm", name, "resume"]).read().map(drop).with_context(|| format!("resume machine {name}"))
    }

    fn snapshots(&self, name: &str) -> Result<Vec<String>> {
        let values = machine(name)?.with_context(|| format!("VirtualBox has no machine {name}"))?;
        Ok(names(&values))
    }

    fn save(&self, name: &str, snapshot: &str) -> Result<()> {
        let words = ["snapshot", name, "take", snapshot];
        manage(&words).read().map(drop).with_context(|| format!("save machine {name} as {snapshot}"))
    }

    /// VirtualBox starts none paused: it runs for the moment in between.
    fn restore(&self, name: &str, snapshot: &str) -> Result<()> {
        if state(name)? != MachineState::Off {
            self.cut(name)?;
        }
        let context = || format!("put machine {name} back to {snapshot}");
        unlocked(|| manage(&["snapshot", name, "restore", snapshot]).read()).with_context(context)?;
        let started = manage(&["startvm", name, "--type", "headless"]).read();
        started.map_err(failures::explained).with_context(context)?;
        self.pause(name)
    }

    fn delete(&self, name: &str, snapshot: &str) -> Result<()> {
        let words = ["snapshot", name, "delete", snapshot];
        manage(&words).read().map(drop).with_context(|| format!("delete snapshot {snapshot} of machine {name}"))
    }
}

/// The names of the snapshots among what VirtualBox knows of a machine: the
/// root's, and with numbers behind those below it.
fn names(values: &std::collections::BTreeMap<String, String>) -> Vec<String> {
    let is_name = |key: &str| key == "SnapshotName" || key.starts_with("SnapshotName-");
    values.iter().filter(|(key, _)| is_name(key)).map(|(_, name)| name.clone()).collect()
}

/// Does what a machine that was just stopped may still refuse for a while.
pub(super) fn unlocked<T>(work: impl Fn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + UNLOCK;
    loop {
        match work() {
            Err(_) if Instant::now() < deadline => {}
            other => return other,
        }
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_found_among_a_machines_values() {
        let text = "name=\"a\"\nSnapshotName=\"one\"\nSnapshotUUID=\"1\"\nSnapshotName-1=\"two\"\nSnapshotName-1-1=\"x\"\n\
                    CurrentSnapshotName=\"x\"\nCurrentSnapshotNode=\"SnapshotName-1-1\"\n";
        assert_eq!(names(&super::super::values(text)), ["one", "two", "x"]);
    }
}
