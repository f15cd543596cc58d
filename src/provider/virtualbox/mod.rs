//! VirtualBox, asked through `VBoxManage`: its machines.
//! What it prints is read in its machine-readable form where it has one.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Identity, MachineState, Power as _};
use crate::interrupt;
use crate::process::{self, Captured, Cmd};
use crate::profile::types::Firmware;

pub mod failures;
pub mod networks;
pub mod orphans;
mod power;
pub mod preflight;

pub use power::Machines;

/// How long a machine that was just stopped may stay locked.
const UNLOCK: Duration = Duration::from_secs(10);

/// How VirtualBox calls a firmware, and the device that is configured with it.
#[must_use]
pub fn firmware(firmware: Firmware) -> (&'static str, &'static str) {
    match firmware {
        Firmware::Bios => ("bios", "pcbios"),
        Firmware::Efi => ("efi64", "efi"),
    }
}

/// Whether it is on this host at all.
#[must_use]
pub fn is_installed() -> bool {
    process::find("VBoxManage").is_some()
}

fn manage(args: &[&str]) -> Cmd {
    // Its words are compared below, so they must be English.
    Cmd::new("VBoxManage").args(args).env("LC_ALL", "C")
}

/// How often VirtualBox is asked whose server was just ending.
const ASKED: u32 = 5;

/// What `VBoxManage` answers to a question. Its server ends by itself soon after
/// nobody asks any more; who asks at that moment gets none.
fn ask(args: &[&str]) -> Result<Captured> {
    for _ in 1..ASKED {
        let output = manage(args).output()?;
        if output.status.success() || !output.stderr.contains("the VirtualBox COM server is not running") {
            return Ok(output);
        }
        interrupt::check()?;
        std::thread::sleep(Duration::from_secs(1));
    }
    manage(args).output()
}

/// All that VirtualBox knows of a machine, by its own names of things; `None`
/// if there is no such machine.
pub fn machine(name: &str) -> Result<Option<BTreeMap<String, String>>> {
    let output = ask(&["showvminfo", name, "--machinereadable"])?;
    if output.status.success() {
        return Ok(Some(values(&output.stdout)));
    }
    if machines()?.iter().any(|known| known == name) {
        bail!("describe VirtualBox machine {name}: {}", output.stderr.trim());
    }
    Ok(None)
}

/// `key=value` and `"key"="value"`, a line each; what else is printed is not.
fn values(text: &str) -> BTreeMap<String, String> {
    let plain = |part: &str| part.trim().trim_matches('"').to_owned();
    text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (plain(key), plain(value))).collect()
}

/// Names of all machines.
pub fn machines() -> Result<Vec<String>> {
    let output = ask(&["list", "vms"])?;
    if !output.status.success() {
        bail!("list VirtualBox's machines: {}", output.stderr.trim());
    }
    Ok(names(&output.stdout))
}

/// `"name" {uuid}`, a line each.
fn names(text: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix('"')?.rsplit_once("\" {")?.0.to_owned());
    text.lines().filter_map(name).collect()
}

/// The state of one machine.
pub fn state(name: &str) -> Result<MachineState> {
    Ok(machine(name)?.map_or(MachineState::Absent, |values| state_of(&values)))
}

fn state_of(values: &BTreeMap<String, String>) -> MachineState {
    match values.get("VMState").map(String::as_str) {
        Some("running") => MachineState::Running,
        Some("poweroff" | "aborted" | "saved" | "aborted-saved" | "teleported") => MachineState::Off,
        _ => MachineState::Paused,
    }
}

/// How a machine, which must be there, is known again.
pub fn identity(name: &str) -> Result<Identity> {
    let values = machine(name)?.with_context(|| format!("VirtualBox has no machine {name}"))?;
    let uuid = values.get("UUID").with_context(|| format!("machine {name} has no UUID"))?.clone();
    // The time since which it is in its state: another one with each start.
    let since = values.get("VMStateChangeTime").cloned().unwrap_or_default();
    let run = if state_of(&values) == MachineState::Off { String::new() } else { since };
    Ok(Identity { machine: uuid, run })
}

/// Stops and forgets a machine with its disks; whether there was one.
pub fn remove_machine(name: &str) -> Result<bool> {
    let Some(values) = machine(name)? else { return Ok(false) };
    let remove = || manage(&["unregistervm", name, "--delete"]).read();
    if state_of(&values) == MachineState::Off {
        remove()
    } else {
        Machines.cut(name)?;
        power::unlocked(remove)
    }
    .with_context(|| format!("remove machine {name}"))?;
    Ok(true)
}

/// Where VirtualBox puts new machines.
pub fn machine_folder() -> Result<std::path::PathBuf> {
    let text = manage(&["list", "systemproperties"]).read().context("ask VirtualBox for its folders")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Default machine folder:"));
    Ok(line.context("find VirtualBox's machine folder among its properties")?.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_from_its_machine_readable_description() {
        let values =
            values("WARNING: x\nname=\"lab-node1\"\nmemory=3072\n\"SATA-0-0\"=\"/a=b.vmdk\"\nVMState=\"aborted\"\n");
        assert_eq!(values["name"], "lab-node1");
        assert_eq!(values["memory"], "3072");
        assert_eq!(values["SATA-0-0"], "/a=b.vmdk");
        assert_eq!(state_of(&values), MachineState::Off);
        assert_eq!(names("\"a \"b\" {1}\nnone\n\"c\" {2}\n"), ["a \"b", "c"]);
    }

    #[test]
    fn states_are_those_of_the_manual() {
        let state = |name: &str| state_of(&BTreeMap::from([("VMState".to_owned(), name.to_owned())]));
        assert_eq!(state("running"), MachineState::Running);
        assert_eq!(state("saved"), MachineState::Off);
        assert_eq!(state("paused"), MachineState::Paused);
        assert_eq!(state("gurumeditation"), MachineState::Paused);
    }
}
