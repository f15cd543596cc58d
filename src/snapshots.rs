//! Snapshots of a whole lab: all machines, disk and memory, at one moment. What
//! one machine has sent and another has not got yet must not fall between two
//! times, so all are paused before the first is saved or put back, and none
//! runs on before the last has been.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::lab::Lab;
use crate::paths;
use crate::provider::{MachineState, Power};
use crate::steps::Proof;

/// What is kept of a snapshot on this host. It is written when all machines
/// were saved: without it there is no snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// `provision.snapshot/1`.
    format: String,
    /// Its name.
    pub name: String,
    /// RFC 3339, UTC.
    pub saved: String,
    /// By node, the provider's own name for the very machine.
    pub machines: BTreeMap<String, String>,
    /// The proof that held then.
    pub proof: Option<Proof>,
}

const FORMAT: &str = "provision.snapshot/1";

/// Whether `name` may be a snapshot's: a file here, a word at every provider.
pub fn parse_name(name: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=30).contains(&name.len()) && name.bytes().all(fine) && !name.starts_with('-') {
        return Ok(name.to_owned());
    }
    Err("allowed: up to 30 of a-z, 0-9 and -, with no - at the start".into())
}

fn file(lab: &Lab, name: &str) -> PathBuf {
    lab.snapshots().join(format!("{name}.json"))
}

impl Snapshot {
    /// Of machines that were saved just now.
    #[must_use]
    pub fn now(name: &str, machines: BTreeMap<String, String>, proof: Option<Proof>) -> Self {
        let saved = jiff::Timestamp::now().strftime("%FT%TZ").to_string();
        Self { format: FORMAT.into(), name: name.into(), saved, machines, proof }
    }

    /// Keeps it.
    pub fn write(&self, lab: &Lab) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("write a snapshot as JSON")?;
        paths::write_atomic(&file(lab, &self.name), &text, 0o644)
    }

    /// All of a lab, by name.
    pub fn all(lab: &Lab) -> Result<Vec<Self>> {
        let dir = lab.snapshots();
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let path = entry.with_context(|| format!("list {}", dir.display()))?.path();
            let snapshot: Self =
                serde_json::from_str(&paths::read(&path)?).with_context(|| format!("read {}", path.display()))?;
            if snapshot.format == FORMAT {
                all.push(snapshot);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The one called `name`; an error names those that there are.
    pub fn find(lab: &Lab, name: &str) -> Result<Self> {
        let all = Self::all(lab)?;
        let names: Vec<String> = all.iter().map(|snapshot| snapshot.name.clone()).collect();
        let found = all.into_iter().find(|snapshot| snapshot.name == name);
        found.with_context(|| {
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            format!("lab `{}` has no snapshot `{name}`; there are: {there}", lab.name())
        })
    }

    /// Forgets it on this host.
    pub fn forget(&self, lab: &Lab) -> Result<()> {
        paths::remove_file(&file(lab, &self.name))
    }
}

/// A lab's machines, in the nodes' order, by their names at the provider.
pub struct Machines<'a> {
    /// What switches them.
    pub power: &'a dyn Power,
    /// Names and states.
    pub list: Vec<(String, MachineState)>,
}

impl Machines<'_> {
    /// Saves all, at one moment; they run on, whatever comes of it (but for an
    /// interruption: then the next `up` lets them). Of a snapshot that could not
    /// be saved whole nothing is left.
    pub fn save(&self, snapshot: &str) -> Result<()> {
        // What a save that was cut off has left.
        self.delete(snapshot)?;
        let saved = self.pause().and_then(|()| self.each(|machine| self.power.save(machine, snapshot)));
        let resumed = self.each(|machine| self.power.resume(machine));
        if saved.is_err() {
            // Why it could not be saved says more than why it could not be deleted, which the next save does.
            self.delete(snapshot).unwrap_or_default();
        }
        saved.and(resumed)
    }

    /// Puts all back. Where one cannot be, all stay paused: some are of
    /// another time than others.
    pub fn restore(&self, snapshot: &str) -> Result<()> {
        self.pause()?;
        self.each(|machine| self.power.restore(machine, snapshot))?;
        self.each(|machine| self.power.resume(machine))
    }

    /// Deletes it where it is.
    pub fn delete(&self, snapshot: &str) -> Result<()> {
        self.each(|machine| if self.has(machine, snapshot)? { self.power.delete(machine, snapshot) } else { Ok(()) })
    }

    /// An error where a machine has it no more.
    pub fn must_have(&self, snapshot: &str) -> Result<()> {
        for (machine, _) in &self.list {
            if !self.has(machine, snapshot)? {
                bail!(
                    "{machine} has no snapshot `{snapshot}` (any more)\n  forget it: provision snapshot delete {snapshot}"
                );
            }
        }
        Ok(())
    }

    fn has(&self, machine: &str, snapshot: &str) -> Result<bool> {
        Ok(self.power.snapshots(machine)?.iter().any(|name| name == snapshot))
    }

    fn pause(&self) -> Result<()> {
        let running = self.list.iter().filter(|(_, state)| *state == MachineState::Running);
        running.into_iter().try_for_each(|(machine, _)| self.power.pause(machine))
    }

    fn each(&self, work: impl Fn(&str) -> Result<()>) -> Result<()> {
        let mut first = Ok(());
        for (machine, state) in &self.list {
            if *state != MachineState::Absent {
                first = first.and(work(machine));
            }
        }
        first
    }
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
