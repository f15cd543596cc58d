//! A piece of work under way: how far it is, and how it ended.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bar, Mode, Ui, duration};
use crate::events::{Event, Kind};
use crate::failure::Failure;
use crate::secrets;

/// A piece of work under way. Dropped without `done`, `skip` or `fail` it is
/// shown as stopped.
pub struct Task {
    ui: Ui,
    name: String,
    title: String,
    started: Instant,
    bar: Option<Bar>,
    last: Mutex<Option<Instant>>,
    /// When the screen last had a line of this task.
    shown: Mutex<Instant>,
    open: bool,
}

impl Task {
    pub(super) fn new(ui: Ui, name: String, title: String, bar: Option<Bar>) -> Self {
        let started = Instant::now();
        let (last, shown) = (Mutex::new(None), Mutex::new(started));
        Self { ui, name, title, started, bar, last, shown, open: true }
    }

    /// Shows what is being done right now: at once on a terminal, once a minute
    /// in plain lines, at most once a second in the events.
    pub fn say(&self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).take(160).collect();
        if let Some(bar) = &self.bar {
            bar.set_message(text.clone());
        }
        if self.ui.0.mode == Mode::Plain
            && let Some(line) = self.minutely(&text)
        {
            self.ui.line(&line);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            *last = Some(Instant::now());
            self.ui.hear(&self.ui.event(Kind::Progress, Some(&self.name), &text));
        }
    }

    /// A line of a log in which a minute went by without one.
    fn minutely(&self, text: &str) -> Option<String> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        (shown.elapsed() >= Duration::from_secs(60)).then(|| {
            *shown = Instant::now();
            let took = duration(self.started.elapsed().as_secs_f64());
            format!("  {}: {} ({took})", self.title, secrets::redact(text))
        })
    }

    /// Ends the task as done; `note` may be empty.
    pub fn done(self, note: &str) {
        self.end(Kind::Done, note, None);
    }

    /// Ends the task as not needed, `why` says the reason.
    pub fn skip(self, why: &str) {
        self.end(Kind::Skipped, why, None);
    }

    /// Ends the task as failed; the error itself is printed once, by `main`.
    pub fn fail(self, error: &anyhow::Error) {
        let failure = Failure::of(error);
        let first = failure.message.lines().next().unwrap_or_default().to_owned();
        self.end(Kind::Failed, &first, Some(failure));
    }

    /// Ends the task as `done` or `failed` by `result` and hands it on.
    pub fn close<T>(self, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.done(""),
            Err(error) => self.fail(error),
        }
        result
    }

    fn end(mut self, kind: Kind, note: &str, failure: Option<Failure>) {
        self.tell(kind, if note.is_empty() { &self.title } else { note }, failure);
        self.open = false;
    }

    fn tell(&self, kind: Kind, text: &str, failure: Option<Failure>) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.ui.hear(&Event {
            title: Some(self.title.clone()),
            seconds: (kind != Kind::Skipped).then(|| self.started.elapsed().as_secs_f64()),
            failure,
            ..self.ui.event(kind, Some(&self.name), text)
        });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.open {
            self.tell(Kind::Failed, "stopped", None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_task_has_a_line_a_minute_in_a_log() {
        let task = Ui::new(Mode::Silent).task("measure", "Measure");
        assert_eq!(task.minutely("round 1"), None);
        *task.shown.lock().unwrap() = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        assert_eq!(task.minutely("round 2").unwrap(), "  Measure: round 2 (0.0 s)");
        assert_eq!(task.minutely("round 3"), None);
        task.done("");
    }
}
