//! Failures that are known, as data: `config/failures.toml`. Each is told by
//! what an error *is* (kind, reason, step, program, status) and, where that is
//! not enough, by a line of a log; it has a cause and a next command.

use std::path::Path;

use anyhow::{Context, Result};
use regex::Regex;
use serde::Deserialize;

use super::{Failure, Kind};
use crate::lab::Lab;
use crate::paths;

/// The data.
const FILE: &str = include_str!("../../config/failures.toml");
/// How much of a log's end is looked at.
const TAIL: u64 = 256 << 10;

/// One known failure.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Stable and unique, for programs.
    pub name: String,
    /// Why it happens.
    pub cause: String,
    /// What to type next.
    pub next: String,
    /// Where this is known from.
    pub source: String,
    /// What tells it from others.
    #[serde(rename = "match")]
    pub pattern: Pattern,
    /// A case that it is and no other.
    pub example: Example,
}

/// What must be so for a failure to be the known one; an empty list asks nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pattern {
    /// One of these kinds.
    pub kind: Vec<Kind>,
    /// One of these reasons.
    pub reason: Vec<String>,
    /// The task that failed first.
    pub task: Vec<String>,
    /// The command's program.
    pub program: Vec<String>,
    /// The command's exit status.
    pub status: Vec<i32>,
    /// The log that `line` is looked for in; by default the failed command's own.
    pub log: Log,
    /// A regular expression that a line of the log matches.
    pub line: Option<String>,
}

/// Logs to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// What the failed command printed.
    #[default]
    Own,
    /// The machines' consoles.
    Console,
}

/// A case of a known failure, for the test of the data.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Example {
    /// See [`Failure`].
    pub kind: Option<Kind>,
    /// See [`Failure`].
    pub reason: Option<String>,
    /// The task that failed first.
    pub task: Option<String>,
    /// See [`Failure`].
    pub command: Option<String>,
    /// See [`Failure`].
    pub status: Option<i32>,
    /// What the log ends with.
    pub log: String,
}

/// All known failures, in the order in which they are tried.
pub fn all() -> Result<Vec<Known>> {
    #[derive(Deserialize)]
    struct File {
        failure: Vec<Known>,
    }
    let file: File = toml::from_str(FILE).context("read config/failures.toml")?;
    Ok(file.failure)
}

/// The known failure that `failure` of the task `task` is, if any.
pub fn find(failure: &Failure, task: Option<&str>, lab: &Lab) -> Result<Option<Known>> {
    let logs = Logs { own: text_of(failure), consoles: consoles(lab) };
    pick(all()?, failure, task, &logs)
}

struct Logs {
    own: String,
    consoles: String,
}

fn pick(all: Vec<Known>, failure: &Failure, task: Option<&str>, logs: &Logs) -> Result<Option<Known>> {
    for known in all {
        if known.pattern.fits(failure, task, logs).with_context(|| format!("known failure {}", known.name))? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

impl Pattern {
    fn fits(&self, failure: &Failure, task: Option<&str>, logs: &Logs) -> Result<bool> {
        fn among<T: PartialEq<U>, U: ?Sized>(list: &[T], value: Option<&U>) -> bool {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|one| one == value))
        }
        let told = among(&self.kind, Some(&failure.kind))
            && among(&self.reason, failure.reason.as_deref())
            && among(&self.task, task)
            && among(&self.program, failure.program().as_deref())
            && among(&self.status, failure.status.as_ref());
        let Some(line) = self.line.as_ref().filter(|_| told) else { return Ok(told) };
        let line = Regex::new(line).with_context(|| format!("compile {line}"))?;
        let log = match self.log {
            Log::Own => &logs.own,
            Log::Console => &logs.consoles,
        };
        Ok(log.lines().any(|text| line.is_match(text)))
    }
}

/// What the failed command printed: its log's end, or what the error holds of it.
fn text_of(failure: &Failure) -> String {
    failure.log.as_deref().and_then(tail).unwrap_or_else(|| failure.message.clone())
}

fn consoles(lab: &Lab) -> String {
    let Ok(list) = std::fs::read_dir(lab.dir().join("console")) else { return String::new() };
    list.flatten().filter_map(|file| tail(&file.path())).collect::<Vec<_>>().join("\n")
}

/// The end of a file, if it can be read.
pub(super) fn tail(path: &Path) -> Option<String> {
    let (bytes, _) = paths::read_end(path, TAIL).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_example_is_its_own_failure_and_no_other() {
        let all = all().unwrap();
        let names: BTreeSet<&str> = all.iter().map(|known| known.name.as_str()).collect();
        assert_eq!(names.len(), all.len(), "names are unique");
        for known in &all {
            let example = &known.example;
            let failure = Failure {
                kind: example.kind.unwrap_or(Kind::Other),
                reason: example.reason.clone(),
                node: None,
                command: example.command.clone(),
                status: example.status,
                log: None,
                message: example.log.clone(),
            };
            let logs = Logs { own: example.log.clone(), consoles: example.log.clone() };
            let found = pick(all.clone(), &failure, example.task.as_deref(), &logs).unwrap();
            assert_eq!(found.map(|found| found.name).as_ref(), Some(&known.name));
            for text in [&known.cause, &known.next, &known.source] {
                assert!(!text.trim().is_empty(), "{} is not complete", known.name);
            }
        }
    }

    #[test]
    fn what_nobody_knows_is_nothing() {
        let failure = Failure::of(&anyhow::anyhow!("something new"));
        let lab = Lab::below(Path::new("/nowhere"), "t");
        assert!(find(&failure, Some("init_control_plane"), &lab).unwrap().is_none());
    }

    #[test]
    fn the_end_of_the_log_is_what_counts() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        std::fs::write(&log, format!("{}\nthe end\n", "x".repeat(300 << 10))).unwrap();
        assert!(tail(&log).unwrap().ends_with("the end\n"));
        assert_eq!(tail(&log).unwrap().len() as u64, TAIL);
    }
}
