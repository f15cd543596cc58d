//! A command that did not end well: what is told of it, and what programs may branch on.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// A command ran and failed, was killed for taking too long, or was not found.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` {what}{}{}", indent(.tail), log_hint(.log.as_deref()))]
pub struct CommandFailed {
    /// The command, quoted so that it can be pasted into a shell.
    pub command: String,
    /// How it ended, as words that follow the command.
    pub what: String,
    /// How it ended, for programs.
    pub end: End,
    /// The last lines of its output (standard error only, where kept apart).
    pub tail: String,
    /// The file with its whole output.
    pub log: Option<PathBuf>,
}

/// How a command ended that did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is not on PATH.
    NotFound,
    /// It could not be started for another reason.
    NotStarted,
    /// It exited with this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
    /// It was ended for taking too long.
    TimedOut,
    /// It runs, or ran, and did not do what it was started for.
    Useless,
}

fn indent(tail: &str) -> String {
    tail.lines().map(|line| format!("\n  {line}")).collect()
}

fn log_hint(log: Option<&Path>) -> String {
    log.map(|path| format!("\n  full log: {}", path.display())).unwrap_or_default()
}

/// How a command ended, as words that follow it.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// How a command ended, for programs.
pub(super) fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Status(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}
