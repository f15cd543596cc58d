//! The lab's journal: what was begun, on which machine, from which inputs, and
//! what ended; written ahead, a JSON line each. It tells what an interruption
//! cut off. What is *done* is still read from the machines: the journal can
//! only make a step run again, never leave one out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::paths;

/// The subject of what is done for the lab as a whole and not on a node.
pub const LAB: &str = "lab";

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// RFC 3339, UTC.
    pub time: String,
    /// Number of the process that wrote it.
    pub pid: u32,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// A command that changes the lab began.
    Command {
        /// Its command line.
        line: String,
    },
    /// A machine answered.
    Machine {
        /// The node's name.
        node: String,
        /// Which machine, and which of its boots.
        #[serde(flatten)]
        seen: Seen,
    },
    /// A step began.
    Began {
        /// Its name.
        step: String,
        /// A node's name, or [`LAB`].
        on: String,
        /// Hash of all it depends on; empty where its check compares all.
        inputs: String,
    },
    /// A step ended and its check was satisfied.
    Done {
        /// Its name.
        step: String,
        /// A node's name, or [`LAB`].
        on: String,
    },
    /// A step failed.
    Failed {
        /// Its name.
        step: String,
        /// The first line of why.
        why: String,
    },
    /// All machines were saved.
    Saved {
        /// The snapshot's name.
        snapshot: String,
    },
    /// The machines begin to be put back: until that has ended, some are of
    /// another time than others.
    Restoring {
        /// The snapshot's name.
        snapshot: String,
    },
    /// All machines are what they were when they were saved.
    Restored {
        /// The snapshot's name.
        snapshot: String,
    },
}

/// How a machine is known again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The provider's own name for this very machine (a UUID); another one
    /// after it was replaced.
    pub machine: String,
    /// Another one each time the machine is switched on (libvirt's domain id).
    pub run: String,
    /// The kernel's boot id; another one at each boot.
    pub boot: String,
}

/// What became of a step on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepState {
    /// The inputs it began with.
    pub inputs: String,
    /// When it began.
    pub since: String,
    /// Whether it ended well.
    pub done: bool,
}

/// What all lines together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// By step and subject.
    pub steps: Steps,
    /// By node, as last seen.
    pub machines: BTreeMap<String, Seen>,
    /// The snapshot that machines were being put back to, and never all were.
    pub restoring: Option<String>,
    /// What the steps were when a snapshot was saved.
    pub saved: BTreeMap<String, Steps>,
}

/// By step and subject.
pub type Steps = BTreeMap<(String, String), StepState>;

impl State {
    fn take(&mut self, line: Line) {
        match line.entry {
            Entry::Began { step, on, inputs } => {
                self.steps.insert((step, on), StepState { inputs, since: line.time, done: false });
            }
            Entry::Done { step, on } => {
                if let Some(state) = self.steps.get_mut(&(step, on)) {
                    state.done = true;
                }
            }
            Entry::Machine { node, seen } => {
                // What was done on another machine says nothing of this one.
                if self.machines.get(&node).is_some_and(|before| before.machine != seen.machine) {
                    self.steps.retain(|(_, on), _| *on != node);
                    self.saved.clear();
                }
                self.machines.insert(node, seen);
            }
            Entry::Saved { snapshot } => {
                self.saved.insert(snapshot, self.steps.clone());
            }
            Entry::Restoring { snapshot } => self.restoring = Some(snapshot),
            Entry::Restored { snapshot } => {
                self.steps = self.saved.get(&snapshot).cloned().unwrap_or_default();
                self.restoring = None;
            }
            Entry::Command { .. } | Entry::Failed { .. } => {}
        }
    }

    /// Why a step must run although its check has nothing to say, a line per
    /// subject: it was cut off, or it was done from other inputs. `inputs` are
    /// those of now by subject.
    #[must_use]
    pub fn again(&self, step: &str, inputs: &BTreeMap<String, String>) -> Vec<String> {
        let mut why = Vec::new();
        for (on, now) in inputs {
            let Some(before) = self.steps.get(&(step.to_owned(), on.clone())) else { continue };
            if !before.done {
                why.push(format!("{on}: begun {} and never ended: again", before.since));
            } else if before.inputs != *now {
                why.push(format!("{on}: what it was made from has changed: again"));
            }
        }
        why
    }
}

/// The journal of one lab.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl Journal {
    /// The journal at `path`; nothing is opened or made yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path, file: Mutex::new(None) }
    }

    /// Lets go of the file, because `down` removes it: what this process writes
    /// next goes into a new one.
    pub fn close(&self) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All that it says so far. A line that cannot be read (torn by a crash,
    /// or written by a newer version) is left out; a journal that is not there
    /// says nothing.
    pub fn state(&self) -> Result<State> {
        let mut state = State::default();
        for line in lines(&self.path)? {
            state.take(line);
        }
        Ok(state)
    }

    /// All lines that can be read, in order.
    pub fn lines(&self) -> Result<Vec<Line>> {
        lines(&self.path)
    }

    /// Writes a line ahead of (or after) what it tells of, down to the disk.
    pub fn write(&self, entry: Entry) -> Result<()> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match slot.as_mut() {
            Some(file) => file,
            None => slot.insert(paths::open_lines(&self.path, 0o600)?),
        };
        let time = jiff::Timestamp::now().to_string();
        let mut text = serde_json::to_string(&Line { time, pid: std::process::id(), entry }).context("write JSON")?;
        text.push('\n');
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .with_context(|| format!("write the journal {}", self.path.display()))
    }

    /// A step begins on the subjects of `inputs`.
    pub fn began(&self, step: &str, inputs: &BTreeMap<String, String>) -> Result<()> {
        inputs.iter().try_for_each(|(on, inputs)| {
            self.write(Entry::Began { step: step.into(), on: on.clone(), inputs: inputs.clone() })
        })
    }

    /// A step has ended well on these subjects.
    pub fn done(&self, step: &str, inputs: &BTreeMap<String, String>) -> Result<()> {
        inputs.keys().try_for_each(|on| self.write(Entry::Done { step: step.into(), on: on.clone() }))
    }
}

fn lines(path: &Path) -> Result<Vec<Line>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("read the journal {}", path.display())),
    }
}

/// The lines of a journal that can be read.
#[must_use]
pub fn parse(bytes: &[u8]) -> Vec<Line> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(dir: &tempfile::TempDir) -> Journal {
        Journal::at(dir.path().join("lab/journal.jsonl"))
    }

    fn inputs(hash: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("node1".to_owned(), hash.to_owned())])
    }

    fn machine(journal: &Journal, machine: &str) {
        let seen = Seen { machine: machine.into(), run: "1".into(), boot: "b".into() };
        journal.write(Entry::Machine { node: "node1".into(), seen }).unwrap();
    }

    #[test]
    fn what_was_begun_and_not_ended_is_to_be_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(&dir);
        assert_eq!(journal.state().unwrap().again("a", &inputs("1")), Vec::<String>::new());
        journal.began("a", &inputs("1")).unwrap();
        let why = Journal::at(dir.path().join("lab/journal.jsonl")).state().unwrap().again("a", &inputs("1"));
        assert!(
            why.len() == 1 && why[0].starts_with("node1: begun ") && why[0].ends_with("never ended: again"),
            "{why:?}"
        );
        journal.done("a", &inputs("1")).unwrap();
        assert_eq!(journal.state().unwrap().again("a", &inputs("1")), Vec::<String>::new());
        assert_eq!(
            journal.state().unwrap().again("a", &inputs("2")),
            ["node1: what it was made from has changed: again"]
        );
    }

    #[test]
    fn after_down_the_same_process_writes_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(&dir);
        journal.began("a", &inputs("1")).unwrap();
        std::fs::remove_dir_all(dir.path().join("lab")).unwrap();
        journal.close();
        journal.began("b", &inputs("1")).unwrap();
        let steps: Vec<String> = journal.state().unwrap().steps.into_keys().map(|(step, _)| step).collect();
        assert_eq!(steps, ["b"]);
    }

    #[test]
    fn another_machine_begins_with_an_empty_page_and_a_reboot_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(&dir);
        machine(&journal, "first");
        journal.began("a", &inputs("1")).unwrap();
        machine(&journal, "first");
        assert_eq!(journal.state().unwrap().again("a", &inputs("1")).len(), 1);
        machine(&journal, "second");
        assert_eq!(journal.state().unwrap().again("a", &inputs("1")), Vec::<String>::new());
    }

    #[test]
    fn a_machine_that_was_put_back_knows_what_it_knew_then() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(&dir);
        let snapshot = || "clean".to_owned();
        let again = || journal.state().unwrap().again("a", &inputs("1"));
        journal.began("a", &inputs("1")).unwrap();
        journal.done("a", &inputs("1")).unwrap();
        journal.write(Entry::Saved { snapshot: snapshot() }).unwrap();
        journal.began("a", &inputs("2")).unwrap();
        journal.done("a", &inputs("2")).unwrap();
        assert_eq!(again().len(), 1);
        journal.write(Entry::Restoring { snapshot: snapshot() }).unwrap();
        assert_eq!(journal.state().unwrap().restoring, Some(snapshot()));
        journal.write(Entry::Restored { snapshot: snapshot() }).unwrap();
        assert_eq!(again(), Vec::<String>::new());
        assert_eq!(journal.state().unwrap().restoring, None);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_swallows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(&dir);
        journal.began("a", &inputs("1")).unwrap();
        journal.began("b", &inputs("1")).unwrap();
        let path = dir.path().join("lab/journal.jsonl");
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..60 {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let again = Journal::at(path.clone());
            again.done("a", &inputs("1")).unwrap();
            let state = again.state().unwrap();
            assert!(state.steps[&("a".to_owned(), "node1".to_owned())].done, "cut {cut}");
        }
    }

    #[test]
    fn what_no_version_wrote_is_left_out() {
        let text = b"\xff\xfe\n{}\n{\"time\":\"t\",\"pid\":1,\"event\":\"later\",\"x\":[1]}\nnull\n\
            {\"time\":\"t\",\"pid\":1,\"event\":\"command\",\"line\":\"up\"}";
        assert_eq!(parse(text), [Line { time: "t".into(), pid: 1, entry: Entry::Command { line: "up".into() } }]);
    }
}
