//! What the user sees while work goes on; the only file that knows `indicatif`.
//!
//! Everything said is an [`Event`] first, and every ear hears the same ones:
//! the screen (spinners on a terminal, plain lines elsewhere), standard output
//! with `--json`, and the lab's file of events once there is one.

mod task;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::events::{self, Event, Kind};
use crate::failure::Failure;
use crate::secrets;

pub use task::Task;

/// A spinner with a title and what is being done.
type Bar = ProgressBar;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Spinners; standard error is a terminal.
    Terminal,
    /// One line when a task starts, one a minute while it goes on, and one when it ends.
    Plain,
    /// JSON lines on standard output.
    Json,
    /// Nothing is shown: the file of events alone hears.
    Silent,
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

struct Inner {
    mode: Mode,
    bars: MultiProgress,
    file: Mutex<Option<File>>,
    command: String,
    /// When and as which process this run began.
    run: String,
    began: Instant,
    /// The task that failed first.
    failed: Mutex<Option<String>>,
}

/// The one voice of the program; cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

impl Ui {
    /// A voice that speaks in `mode`.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self::of(mode, "")
    }

    /// A voice for the subcommand `command`.
    #[must_use]
    pub fn of(mode: Mode, command: &str) -> Self {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        Self(Arc::new(Inner {
            mode,
            bars: MultiProgress::new(),
            file: Mutex::new(None),
            command: command.into(),
            run: format!("{now}-{}", std::process::id()),
            began: Instant::now(),
            failed: Mutex::new(None),
        }))
    }

    /// Whether programs read what is said.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.0.mode == Mode::Json
    }

    /// Appends every event from now on to `path` as well; the first says that
    /// a run began.
    pub fn record_to(&self, path: &Path) -> Result<()> {
        *self.file() = Some(crate::paths::open_lines(path, 0o600)?);
        let event = Event {
            command: Some(self.0.command.clone()),
            version: Some(env!("CARGO_PKG_VERSION").into()),
            ..self.event(Kind::Begun, None, &format!("provision {}", self.0.command))
        };
        self.hear(&event);
        Ok(())
    }

    /// Whether events go to a file.
    #[must_use]
    pub fn records(&self) -> bool {
        self.file().is_some()
    }

    /// The task that failed first in this run.
    #[must_use]
    pub fn failed_task(&self) -> Option<String> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last event of a run that was recorded: how it ended.
    pub fn end(&self, code: u8, failure: Option<Failure>, known: Option<&str>) {
        if !self.records() {
            return;
        }
        let text = failure.as_ref().map_or("fine", |failure| failure.message.lines().next().unwrap_or_default());
        let event = Event {
            seconds: Some(self.0.began.elapsed().as_secs_f64()),
            code: Some(code),
            known: known.map(Into::into),
            ..self.event(Kind::Ended, None, text)
        };
        self.hear(&Event { failure, ..event });
    }

    /// Starts a task. `name` is stable and for programs; `title` is an
    /// imperative for people ("Build Kubernetes 1.37.2").
    #[must_use]
    pub fn task(&self, name: impl Into<String>, title: impl Into<String>) -> Task {
        let (name, title) = (name.into(), title.into());
        self.hear(&self.event(Kind::Started, Some(&name), &title));
        let bar = (self.0.mode == Mode::Terminal).then(|| {
            let bar = self.0.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(title.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Task::new(self.clone(), name, title, bar)
    }

    /// Says something that is neither progress nor trouble.
    pub fn note(&self, text: &str) {
        self.hear(&self.event(Kind::Note, None, text));
    }

    /// Says something the user should know of.
    pub fn warn(&self, text: &str) {
        self.hear(&self.event(Kind::Warning, None, text));
    }

    /// A line on standard error that does not tear the spinners.
    fn line(&self, text: &str) {
        match self.0.mode {
            Mode::Json | Mode::Silent => {}
            // A closed standard error is no reason to stop the work.
            Mode::Terminal => self.0.bars.suspend(|| writeln!(std::io::stderr(), "{text}").ok()).unwrap_or(()),
            Mode::Plain => writeln!(std::io::stderr(), "{text}").unwrap_or(()),
        }
    }

    fn event(&self, event: Kind, task: Option<&str>, text: &str) -> Event {
        Event {
            format: events::FORMAT.into(),
            time: jiff::Timestamp::now().to_string(),
            run: self.0.run.clone(),
            event,
            task: task.map(Into::into),
            title: None,
            text: secrets::redact(text).into_owned(),
            seconds: None,
            command: None,
            version: None,
            code: None,
            failure: None,
            known: None,
        }
    }

    /// Tells one event to all ears.
    fn hear(&self, event: &Event) {
        if event.event == Kind::Failed {
            let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.is_none() {
                failed.clone_from(&event.task);
            }
        }
        if let Some(line) = on_screen(event, self.0.mode) {
            self.line(&line);
        }
        let Ok(line) = serde_json::to_string(event) else { return };
        // Standard output and the file hear in the same order.
        let mut file = self.file();
        if self.0.mode == Mode::Json {
            writeln!(std::io::stdout(), "{line}").unwrap_or(());
        }
        // In one write: what another process appends does not get between.
        if file.as_mut().is_some_and(|file| file.write_all(format!("{line}\n").as_bytes()).is_err()) {
            *file = None;
            drop(file);
            self.line("! the event file cannot be written any more (disk full?)");
        }
    }

    fn file(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        self.0.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line that an event is on the screen, if it is one there.
fn on_screen(event: &Event, mode: Mode) -> Option<String> {
    let text = &event.text;
    let mark = match event.event {
        Kind::Begun | Kind::Progress | Kind::Ended => return None,
        Kind::Started if mode == Mode::Plain => return Some(format!("… {text}")),
        Kind::Started => return None,
        Kind::Note => return Some(text.clone()),
        Kind::Warning => return Some(format!("! {text}")),
        Kind::Done => "✓",
        Kind::Skipped => "·",
        Kind::Failed => "✗",
    };
    let title = event.title.as_ref().unwrap_or(text);
    let note = if text == title { String::new() } else { format!(": {text}") };
    let took = event.seconds.map(|seconds| format!(" ({})", duration(seconds))).unwrap_or_default();
    Some(format!("{mark} {title}{note}{took}"))
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
        std::fs::write(&path, "{\"cut\":").unwrap();
        let ui = Ui::of(Mode::Plain, "up");
        ui.record_to(&path).unwrap();
        ui.task("a", "Do it").done("well");
        drop(ui.task("b", "Leave it"));
        let full = std::io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32);
        ui.task("c", "Write it").fail(&anyhow::Error::new(full).context("write x, token=abcdef"));
        ui.end(1, None, Some("disk-full"));
        let read = events::read(&path).unwrap();
        let short: Vec<(Kind, &str)> =
            read.events.iter().map(|e| (e.event, e.task.as_deref().unwrap_or_default())).collect();
        let (started, failed) = (Kind::Started, Kind::Failed);
        assert_eq!(
            short,
            [
                (Kind::Begun, ""),
                (started, "a"),
                (Kind::Done, "a"),
                (started, "b"),
                (failed, "b"),
                (started, "c"),
                (failed, "c"),
                (Kind::Ended, "")
            ]
        );
        assert_eq!(read.strange, 1, "the line that was cut is closed, and counted");
        let failure = read.events[6].failure.as_ref().unwrap();
        assert_eq!(failure.reason.as_deref(), Some("ENOSPC"));
        assert!(!failure.message.contains("abcdef"), "{}", failure.message);
        assert_eq!(ui.failed_task().as_deref(), Some("b"));
    }

    #[test]
    fn the_screen_is_made_of_the_same_events() {
        let ui = Ui::new(Mode::Json);
        let event =
            |kind| Event { title: Some("Do it".into()), seconds: Some(185.2), ..ui.event(kind, Some("a"), "well") };
        let line = |kind, mode| on_screen(&event(kind), mode);
        assert_eq!(line(Kind::Done, Mode::Plain).unwrap(), "✓ Do it: well (3 min 5 s)");
        assert_eq!(line(Kind::Started, Mode::Plain).unwrap(), "… well");
        assert_eq!(line(Kind::Started, Mode::Terminal), None);
        assert_eq!(line(Kind::Warning, Mode::Terminal).unwrap(), "! well");
    }
}
