//! What the user sees while work goes on; the only file that knows `indicatif`.
//!
//! Progress goes to standard error: spinners on a terminal, plain lines
//! elsewhere. With `--json`, each event is one line of JSON on standard output
//! instead. In every mode the events also go to a file, once a lab has one.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Spinners; standard error is a terminal.
    Terminal,
    /// One line when a task starts and one when it ends.
    Plain,
    /// JSON lines on standard output.
    Json,
}

impl Mode {
    /// JSON if asked for, else what standard error can show.
    #[must_use]
    pub fn detect(json: bool) -> Self {
        match (json, std::io::stderr().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Terminal,
            (false, false) => Self::Plain,
        }
    }
}

/// One thing that happened; a line of `events.jsonl` and of `--json`.
#[derive(Debug, Serialize)]
struct Event<'a> {
    /// RFC 3339, UTC.
    time: String,
    /// `started`, `progress`, `done`, `skipped`, `failed`, `note` or `warning`.
    event: &'static str,
    /// The task's stable name; absent for notes and warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    text: &'a str,
    /// How long the task took.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

struct Inner {
    mode: Mode,
    bars: MultiProgress,
    file: Mutex<Option<File>>,
}

/// The one voice of the program; cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

impl Ui {
    /// A voice that speaks in `mode`.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self(Arc::new(Inner { mode, bars: MultiProgress::new(), file: Mutex::new(None) }))
    }

    /// Whether programs read what is said.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.0.mode == Mode::Json
    }

    /// Appends every event from now on to `path` as well.
    pub fn record_to(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            crate::paths::create_dir(dir)?;
        }
        let file =
            File::options().create(true).append(true).open(path).with_context(|| format!("open {}", path.display()))?;
        *self.0.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    /// Starts a task. `name` is stable and for programs; `title` is an
    /// imperative for people ("Build Kubernetes 1.37.2").
    #[must_use]
    pub fn task(&self, name: impl Into<String>, title: impl Into<String>) -> Task {
        let (name, title) = (name.into(), title.into());
        self.emit("started", Some(&name), &title, None);
        let bar = (self.0.mode == Mode::Terminal).then(|| {
            let bar = self.0.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(title.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if self.0.mode == Mode::Plain {
            self.line(&format!("… {title}"));
        }
        Task { ui: self.clone(), name, title, started: Instant::now(), bar, last: Mutex::new(None), open: true }
    }

    /// Says something that is neither progress nor trouble.
    pub fn note(&self, text: &str) {
        self.emit("note", None, text, None);
        self.line(text);
    }

    /// Says something the user should know of.
    pub fn warn(&self, text: &str) {
        self.emit("warning", None, text, None);
        self.line(&format!("! {text}"));
    }

    /// A line on standard error that does not tear the spinners.
    fn line(&self, text: &str) {
        match self.0.mode {
            Mode::Json => {}
            // A closed standard error is no reason to stop the work.
            Mode::Terminal => self.0.bars.suspend(|| writeln!(std::io::stderr(), "{text}").ok()).unwrap_or(()),
            Mode::Plain => writeln!(std::io::stderr(), "{text}").unwrap_or(()),
        }
    }

    fn emit(&self, event: &'static str, task: Option<&str>, text: &str, seconds: Option<f64>) {
        let time = jiff::Timestamp::now().to_string();
        let Ok(line) = serde_json::to_string(&Event { time, event, task, text, seconds }) else { return };
        if self.0.mode == Mode::Json {
            writeln!(std::io::stdout(), "{line}").unwrap_or(());
        }
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.as_mut().is_some_and(|file| writeln!(file, "{line}").is_err()) {
            *file = None;
            drop(file);
            self.line("! the event file cannot be written any more (disk full?)");
        }
    }
}

/// A piece of work under way. Dropped without `done`, `skip` or `fail` it is
/// shown as stopped.
pub struct Task {
    ui: Ui,
    name: String,
    title: String,
    started: Instant,
    bar: Option<ProgressBar>,
    last: Mutex<Option<Instant>>,
    open: bool,
}

impl Task {
    /// Shows what is being done right now; on a terminal only, and in the
    /// events at most once a second.
    pub fn say(&self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).take(160).collect();
        if let Some(bar) = &self.bar {
            bar.set_message(text.clone());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            *last = Some(Instant::now());
            self.ui.emit("progress", Some(&self.name), &text, None);
        }
    }

    /// Ends the task as done; `note` may be empty.
    pub fn done(self, note: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.end("done", "✓", note, Some(seconds));
    }

    /// Ends the task as not needed, `why` says the reason.
    pub fn skip(self, why: &str) {
        self.end("skipped", "·", why, None);
    }

    /// Ends the task as failed; the error itself is printed once, by `main`.
    pub fn fail(self, error: &anyhow::Error) {
        let seconds = self.started.elapsed().as_secs_f64();
        let text = format!("{error:#}");
        self.end("failed", "✗", text.lines().next().unwrap_or_default(), Some(seconds));
    }

    /// Ends the task as `done` or `failed` by `result` and hands it on.
    pub fn close<T>(self, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.done(""),
            Err(error) => self.fail(error),
        }
        result
    }

    fn end(mut self, event: &'static str, mark: &str, note: &str, seconds: Option<f64>) {
        self.open = false;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.ui.emit(event, Some(&self.name), if note.is_empty() { &self.title } else { note }, seconds);
        let took = seconds.map(|seconds| format!(" ({})", duration(seconds))).unwrap_or_default();
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        self.ui.line(&format!("{mark} {}{note}{took}", self.title));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.open {
            if let Some(bar) = &self.bar {
                bar.finish_and_clear();
            }
            self.ui.emit("failed", Some(&self.name), "stopped", None);
            self.ui.line(&format!("✗ {}: stopped", self.title));
        }
    }
}

/// Bytes as people say them, in powers of 1000: `980 B`, `3.40 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// Seconds as people say them: `0.4 s`, `12 s`, `3 min 5 s`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 60 { format!("{whole} s") } else { format!("{} min {} s", whole / 60, whole % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(0.42), "0.4 s");
        assert_eq!(duration(59.7), "1 min 0 s");
        assert_eq!(duration(185.2), "3 min 5 s");
    }

    #[test]
    fn events_reach_the_file_with_their_task_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let ui = Ui::new(Mode::Plain);
        ui.record_to(&path).unwrap();
        ui.task("a", "Do it").done("well");
        drop(ui.task("b", "Leave it"));
        let events: Vec<serde_json::Value> =
            std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let short: Vec<(&str, &str)> =
            events.iter().map(|e| (e["event"].as_str().unwrap(), e["task"].as_str().unwrap())).collect();
        assert_eq!(short, [("started", "a"), ("done", "a"), ("started", "b"), ("failed", "b")]);
    }
}
