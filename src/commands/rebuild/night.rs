//! What a night leaves in `results/nights/<time>/`, whatever became of it: the
//! logs of the lab that it took down, its verdict, and, if it failed, a support
//! bundle. `results/nights.jsonl` has a line a night.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;

use super::Session;
use crate::bench::judge::{self, Judgement, Word};
use crate::commands::support;
use crate::lab::Lab;
use crate::paths;

/// What is kept of a lab: text that tells what happened in it, no key and no kubeconfig.
const KEPT: [&str; 3] = ["logs", "console", "proof.json"];

/// A night under way.
pub(super) struct Night {
    id: String,
    dir: PathBuf,
    began: Instant,
    started: jiff::Timestamp,
    stages: Vec<Stage>,
    /// One rebuild at a time; a dead process holds nothing.
    _lock: Flock<File>,
}

/// A part of a night.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stage {
    /// `down`, `up`, `bench` or `verdict`.
    pub name: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Whether it went well.
    pub done: bool,
}

/// What hooks and URLs get, and `verdict.json` holds.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// `provision.night/1`.
    pub format: &'static str,
    /// The lab's name.
    pub lab: String,
    /// When it began, as a file's name.
    pub night: String,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// The answer.
    pub word: Word,
    /// The exit code that goes with it.
    pub exit_code: i32,
    /// One line for people.
    pub line: String,
    /// Its parts.
    pub stages: Vec<Stage>,
    /// The run's document, if there is one.
    pub result: Option<PathBuf>,
    /// The run's page.
    pub report: Option<PathBuf>,
    /// What else the night left.
    pub folder: PathBuf,
    /// All of the verdict.
    pub judgement: Judgement,
}

impl Night {
    /// Keeps what the lab of before has to tell, before it is taken down (it
    /// stays where the benchmark needs none: `local`).
    pub fn begin(session: &Session, local: bool) -> Result<Self> {
        let lab = &session.lab;
        let started = jiff::Timestamp::now();
        let id = started.strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
        let nights = lab.results().join("nights");
        paths::create_dir(&nights)?;
        let path = nights.join(".lock");
        let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                bail!("lab `{}` is being rebuilt by another process\n  wait for it, or stop it", lab.name())
            }
            Err((_, error)) => return Err(error).with_context(|| format!("lock {}", path.display())),
        };
        let dir = nights.join(&id);
        paths::create_dir(&dir)?;
        if !local {
            keep(lab, &dir.join("before")).unwrap_or_else(|error| session.ui.warn(&format!("{error:#}")));
        }
        Ok(Self { id, dir, began: Instant::now(), started, stages: Vec::new(), _lock: lock })
    }

    /// The night's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether nothing but its first part was tried.
    pub fn is_young(&self) -> bool {
        self.stages.len() < 2
    }

    /// As if it had not begun.
    pub fn forget(self) -> Result<()> {
        paths::remove_dir(&self.dir)
    }

    /// Carries out one part and notes how long it took.
    pub fn stage<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let result = work();
        self.stages.push(Stage { name, seconds: began.elapsed().as_secs_f64(), done: result.is_ok() });
        result
    }

    /// The verdict of a night that failed: at which step, and why. This is the
    /// one place that gathers what such a night leaves.
    pub fn broken(&self, session: &Session, error: &anyhow::Error) -> Judgement {
        let text = format!("{error:#}");
        let told = paths::write_atomic(&self.dir.join("error.txt"), format!("{text}\n").as_bytes(), 0o644);
        told.and_then(|()| support::write(session, &self.dir.join("support.tar.gz")).map(drop))
            .unwrap_or_else(|error| session.ui.warn(&format!("{error:#}")));
        let stage = self.stages.last().map_or("begin", |stage| stage.name);
        let here = session.ui.failed_task().map_or_else(|| stage.to_owned(), |step| format!("{stage}, {step}"));
        // "this host lacks:" alone says nothing.
        let mut lines = text.lines().map(str::trim);
        let mut why = lines.next().unwrap_or_default().to_owned();
        if why.ends_with(':') {
            why.push_str(&format!(" {}", lines.next().unwrap_or_default()));
        }
        judge::broken(&format!("{here}: {why}; what is left: {}", self.dir.display()))
    }

    /// All there is to say of the night.
    pub fn document(&self, lab: &str, judgement: &Judgement, run: Option<&Path>) -> Document {
        Document {
            format: "provision.night/1",
            lab: lab.into(),
            night: self.id.clone(),
            started: self.started.to_string(),
            seconds: self.began.elapsed().as_secs_f64(),
            word: judgement.word,
            exit_code: judgement.word.exit_code(),
            line: judgement.line.clone(),
            stages: self.stages.clone(),
            result: run.map(Path::to_owned),
            report: run.map(|path| path.with_extension("html")),
            folder: self.dir.clone(),
            judgement: judgement.clone(),
        }
    }

    /// Writes it into the night's folder, and a line of it beside the runs.
    pub fn write(&self, json: &str, beside: &Path) -> Result<()> {
        paths::write_atomic(&self.dir.join("verdict.json"), json.as_bytes(), 0o644)?;
        let path = beside.join("nights.jsonl");
        let mut file = paths::open_lines(&path, 0o666)?;
        writeln!(file, "{json}").with_context(|| format!("write {}", path.display()))
    }

    /// Drops the folders of the oldest nights until `most` are left; their lines stay.
    pub fn prune(&self, most: usize) -> Result<()> {
        let nights = self.dir.parent().unwrap_or(&self.dir);
        let mut found = Vec::new();
        for entry in fs::read_dir(nights).with_context(|| format!("list {}", nights.display()))? {
            let path = entry.with_context(|| format!("list {}", nights.display()))?.path();
            if path.is_dir() {
                found.push(path);
            }
        }
        found.sort();
        found[..found.len().saturating_sub(most)].iter().try_for_each(|path| paths::remove_dir(path))
    }
}

/// Copies what tells what happened in a lab; nothing where there is no lab.
fn keep(lab: &Lab, to: &Path) -> Result<()> {
    for name in KEPT {
        let from = lab.dir().join(name);
        for entry in
            walkdir::WalkDir::new(&from).into_iter().filter_map(Result::ok).filter(|it| it.file_type().is_file())
        {
            let relative = entry.path().strip_prefix(lab.dir()).unwrap_or(entry.path());
            let target = to.join(relative);
            paths::create_dir(target.parent().unwrap_or(to))?;
            fs::copy(entry.path(), &target)
                .with_context(|| format!("copy {} to {}", entry.path().display(), target.display()))?;
        }
    }
    Ok(())
}
