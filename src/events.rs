//! The one stream of what happens: a JSON line an event. Screen, `--json`, the
//! lab's `events.jsonl` and `provision explain` are all fed by it.
//!
//! `config/event.schema.json` is the published schema. Readers leave fields out
//! of account that they do not know, and count lines that are no event: a file
//! that a full disk or a kill has cut is still read.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What the lines of this program say in `format`.
pub const FORMAT: &str = "provision.event/1";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// `provision.event/1`.
    pub format: String,
    /// RFC 3339, UTC.
    pub time: String,
    /// Which run of the program said it: its start and process number.
    pub run: String,
    /// What kind of thing.
    pub event: Kind,
    /// The task's stable name; absent where it is about no task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The task's title, an imperative for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For people: a task's title, a note, the first line of an error.
    pub text: String,
    /// How long the task, or at the end the run, took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// At the beginning of a run: the subcommand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// At the beginning of a run: the program's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// At the end of a run: its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// What went wrong, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// At the end of a run: the known failure that it is (`config/failures.toml`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A run of the program began.
    Begun,
    /// A task began.
    Started,
    /// A task says what it is doing.
    Progress,
    /// A task ended well.
    Done,
    /// A task had nothing to do.
    Skipped,
    /// A task failed or was stopped.
    Failed,
    /// Neither progress nor trouble.
    Note,
    /// Something the user should know of.
    Warning,
    /// The run ended by itself; one that was killed has no such event.
    Ended,
}

/// Events as read back, and how many lines were none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// In the order of the file.
    pub events: Vec<Event>,
    /// Lines that are no event of this version.
    pub strange: usize,
}

/// Reads a file of events; one that is not there holds none.
pub fn read(path: &Path) -> Result<Read> {
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Read::default()),
        other => other.with_context(|| format!("open {}", path.display()))?,
    };
    read_from(BufReader::new(file)).with_context(|| format!("read {}", path.display()))
}

/// Reads events from anything; only reading itself can fail.
pub fn read_from(mut from: impl BufRead) -> std::io::Result<Read> {
    let (mut read, mut line) = (Read::default(), Vec::new());
    loop {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(read);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Event>(&line) {
            Ok(event) if event.format == FORMAT => read.events.push(event),
            _ => read.strange += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_lines_are_counted_and_the_others_read() {
        let good = r#"{"format":"provision.event/1","time":"2026-01-01T00:00:00Z","run":"r","event":"note","text":"a","new":1}"#;
        let text = format!("{good}\n{}\nnoise\n\n{{\"format\":\"provi", good.replace("event/1", "event/2"));
        let read = read_from(text.as_bytes()).unwrap();
        assert_eq!((read.events.len(), read.strange), (1, 3));
        assert_eq!(read.events[0].event, Kind::Note);
    }

    #[test]
    fn a_file_that_is_not_there_holds_no_event() {
        assert_eq!(super::read(Path::new("/nowhere/events.jsonl")).unwrap(), Read::default());
    }
}
