//! The story of a lab's last failure, put together from its events: the tasks
//! with their times, what failed, the end of its log, the cause if it is known.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::known::{self, Known};
use super::{Failure, Kind as FailureKind};
use crate::events::{self, Event, Kind};
use crate::lab::Lab;
use crate::secrets;
use crate::ui::duration;

/// How many lines of a log's end are told.
const LINES: usize = 15;

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Story {
    /// `provision.story/1`.
    pub format: &'static str,
    /// The subcommand.
    pub command: String,
    /// Version of the program.
    pub version: String,
    /// When it began, RFC 3339.
    pub began: String,
    /// How long it took; absent where it was killed.
    pub seconds: Option<f64>,
    /// How it ended.
    pub end: End,
    /// Its tasks, in the order in which they began.
    pub tasks: Vec<Task>,
    /// What went wrong, if it was said.
    pub failure: Option<Failure>,
    /// The end of the failed command's log.
    pub tail: Vec<String>,
    /// The known failure's name, cause, next command and source.
    pub known: Option<Decoded>,
    /// When a later run of the same command ended well.
    pub mended: Option<String>,
    /// Lines of the file that are no event.
    pub strange: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// By an error.
    Failed,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// Without a word: SIGKILL, a crash, power.
    Cut,
}

/// A task of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// Its stable name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// `done`, `skipped`, `failed`, or `started` if it never ended.
    pub state: Kind,
    /// How long it took.
    pub seconds: Option<f64>,
    /// What it said at its end, or last.
    pub note: String,
}

/// A known failure, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decoded {
    /// Its name in `config/failures.toml`.
    pub name: String,
    /// Why it happens.
    pub cause: String,
    /// What to type.
    pub next: String,
    /// Where this is known from.
    pub source: String,
}

impl From<Known> for Decoded {
    fn from(known: Known) -> Self {
        Self { name: known.name, cause: known.cause, next: known.next, source: known.source }
    }
}

impl Story {
    /// The last run of `lab` that failed, if any did.
    pub fn of(lab: &Lab) -> Result<Option<Self>> {
        let read = events::read(&lab.events())?;
        let Some(mut story) = Self::from_events(&read.events, running(lab)) else { return Ok(None) };
        story.strange = read.strange;
        if let Some(failure) = &story.failure {
            let task = story.tasks.iter().find(|task| task.state == Kind::Failed).map(|task| task.name.as_str());
            story.known = known::find(failure, task, lab)?.map(Into::into);
            story.tail = tail(failure);
        }
        Ok(Some(story))
    }

    /// The last failed run among `events`. `running` is the process that works
    /// on the lab now: its run has not failed, it has not ended.
    #[must_use]
    pub fn from_events(events: &[Event], running: Option<u32>) -> Option<Self> {
        let mut runs: Vec<(&str, Vec<&Event>)> = Vec::new();
        for event in events {
            match runs.iter_mut().rev().find(|(run, _)| *run == event.run) {
                Some((_, of_run)) => of_run.push(event),
                None => runs.push((&event.run, vec![event])),
            }
        }
        let alive = |run: &str| running.is_some_and(|pid| run.ends_with(&format!("-{pid}")));
        // By its last event; a verdict's exit code is no failure.
        let well = |of_run: &[&Event]| {
            of_run.iter().rev().find(|event| event.event == Kind::Ended).is_some_and(|event| event.failure.is_none())
        };
        let at = runs.iter().rposition(|(run, of_run)| !well(of_run) && !alive(run))?;
        let (_, of_run) = &runs[at];
        let begun = of_run.iter().find(|event| event.event == Kind::Begun);
        let last = of_run.iter().rev().find(|event| event.event == Kind::Ended);
        let command = begun.and_then(|event| event.command.clone()).unwrap_or_default();
        let failure = last
            .and_then(|event| event.failure.clone())
            .or_else(|| of_run.iter().find(|event| event.event == Kind::Failed)?.failure.clone());
        let later_and_well = |(_, of_run): &&(&str, Vec<&Event>)| {
            well(of_run) && of_run.iter().any(|event| event.command.as_deref() == Some(&command))
        };
        let mended = runs[at + 1..].iter().find(later_and_well).and_then(|(_, of_run)| of_run.last());
        Some(Self {
            format: "provision.story/1",
            version: begun.and_then(|event| event.version.clone()).unwrap_or_default(),
            began: of_run.first()?.time.clone(),
            seconds: last.and_then(|event| event.seconds),
            end: match (last, failure.as_ref().map(|failure| failure.kind)) {
                (None, _) => End::Cut,
                (_, Some(FailureKind::Interrupted)) => End::Interrupted,
                _ => End::Failed,
            },
            tasks: tasks(of_run),
            failure,
            tail: Vec::new(),
            known: None,
            mended: mended.map(|event| event.time.clone()),
            strange: 0,
            command,
        })
    }
}

fn tasks(events: &[&Event]) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for event in events {
        let Some(name) = &event.task else { continue };
        let open = tasks.iter_mut().rev().find(|task| task.name == *name && task.state == Kind::Started);
        match (open, event.event) {
            (None, Kind::Started) => tasks.push(Task {
                name: name.clone(),
                title: event.text.clone(),
                state: Kind::Started,
                seconds: None,
                note: String::new(),
            }),
            (Some(task), Kind::Progress) => task.note.clone_from(&event.text),
            (Some(task), Kind::Done | Kind::Skipped | Kind::Failed) => {
                task.state = event.event;
                task.seconds = event.seconds;
                task.note = if event.text == task.title { String::new() } else { event.text.clone() };
            }
            _ => {}
        }
    }
    tasks
}

/// The process that holds the lab, if one does.
fn running(lab: &Lab) -> Option<u32> {
    lab.holder().map(|holder| holder.pid)
}

fn tail(failure: &Failure) -> Vec<String> {
    let Some(text) = failure.log.as_deref().and_then(known::tail) else { return Vec::new() };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
    secrets::redact(&end).lines().map(|line| line.chars().filter(|c| !c.is_control()).collect()).collect()
}

/// The story for people.
#[must_use]
pub fn to_text(story: &Story) -> String {
    let mut text = String::new();
    let took = story.seconds.map(|seconds| format!(" after {}", duration(seconds))).unwrap_or_default();
    let how = match story.end {
        End::Failed => "failed",
        End::Interrupted => "was interrupted",
        End::Cut => "was cut off: killed, or the host went down",
    };
    let Story { command, version, began, .. } = story;
    let began = began.split('.').next().unwrap_or(began).trim_end_matches('Z');
    // Writing to a String cannot fail.
    writeln!(text, "`provision {command}` of {began}Z (version {version}) {how}{took}").ok();
    for task in &story.tasks {
        let mark = match task.state {
            Kind::Done => "✓",
            Kind::Skipped => "·",
            Kind::Failed => "✗",
            _ => "…",
        };
        let took = task.seconds.map(duration).unwrap_or_default();
        let note = match task.state {
            Kind::Skipped | Kind::Done if !task.note.is_empty() => format!(": {}", task.note),
            Kind::Started if !task.note.is_empty() => format!(": {}", task.note),
            _ => String::new(),
        };
        writeln!(text, "  {mark} {took:>13}  {:<20} {}{note}", task.name, task.title).ok();
    }
    if let Some(failure) = &story.failure {
        let mut fact = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                writeln!(text, "{name:<8} {value}").ok();
            }
        };
        fact("node", failure.node.clone());
        let end = failure.status.map(|status| format!("  (exit status {status})")).unwrap_or_default();
        fact("command", failure.command.as_ref().map(|command| format!("{command}{end}")));
        fact("log", failure.log.as_ref().map(|log| log.display().to_string()));
        if story.tail.is_empty() {
            writeln!(text, "error:").ok();
            failure.message.lines().for_each(|line| writeln!(text, "  | {line}").unwrap_or(()));
        } else {
            story.tail.iter().for_each(|line| writeln!(text, "  | {line}").unwrap_or(()));
        }
    }
    let next = match command.as_str() {
        "down" | "halt" => format!("next     provision {command}"),
        _ => "next     provision up   (goes on from there)".to_owned(),
    };
    match &story.known {
        Some(known) => {
            writeln!(
                text,
                "cause    {}\nnext     {}\nsource   {} ({})",
                known.cause, known.next, known.source, known.name
            )
            .ok();
        }
        None if story.end == End::Failed => {
            writeln!(text, "cause    not among the known failures\n{next}").ok();
            writeln!(text, "ask      provision support   (packs everything for others to look at, without secrets)")
                .ok();
        }
        None => {
            writeln!(text, "{next}").ok();
        }
    }
    if let Some(time) = &story.mended {
        writeln!(text, "mended   the next `provision {command}` that ended well did so at {time}").ok();
    }
    if story.strange > 0 {
        writeln!(text, "note     {} lines of the event file are no event", story.strange).ok();
    }
    text
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
