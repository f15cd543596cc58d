//! What one piece of the cache is: a name, the inputs that decide its content,
//! and a way to make it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::artifacts::digest;
use crate::outside::Outside;
use crate::process::Cmd;
use crate::ui::Task;

/// Something made once and kept, keyed by all that determines its content.
pub trait Artifact: Send + Sync {
    /// Stable, unique, fit for a folder's name ("node-root").
    fn name(&self) -> &str;

    /// An imperative for people ("Build Kubernetes 1.37.2").
    fn title(&self) -> String;

    /// Everything that determines the result, apart from [`Artifact::needs`].
    fn inputs(&self) -> Inputs;

    /// The names of the artifacts this one is made from.
    fn needs(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What stands in the way of making it here (a program that is missing,
    /// say), each with its cure; asked before anything starts.
    fn obstacles(&self) -> Vec<String> {
        Vec::new()
    }

    /// How many bytes making it takes at most, and in which folder where that
    /// is not the cache.
    fn room(&self) -> Vec<Room> {
        vec![Room::in_cache(100 << 20)]
    }

    /// Which queue it waits in.
    fn lane(&self) -> Lane {
        Lane::Wide
    }

    /// The folder among its products that is a root tree: tens of thousands of
    /// files with owners of their own, checked as a whole.
    fn tree(&self) -> Option<&str> {
        None
    }

    /// Makes it in the empty folder `into`; every file left there is a product.
    fn make(&self, into: &Path, cx: &Making) -> Result<()>;
}

/// Space that making an artifact takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The folder; `None` is the cache.
    pub dir: Option<PathBuf>,
    /// Bytes.
    pub bytes: u64,
}

impl Room {
    /// So many bytes of the cache.
    #[must_use]
    pub fn in_cache(bytes: u64) -> Self {
        Self { dir: None, bytes }
    }
}

/// Queues of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Uses every core by itself: one at a time.
    Cores,
    /// Waits for network and disk a lot: beside others.
    Wide,
}

/// Named values that determine an artifact's content, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(Vec<(String, String)>);

impl Inputs {
    /// No inputs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value that people can read: a version, a flag.
    #[must_use]
    pub fn with(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((label.into(), value.into()));
        self
    }

    /// Adds a file by the digest of its bytes.
    #[must_use]
    pub fn file(self, label: impl Into<String>, bytes: &[u8]) -> Self {
        let digest = format!("sha256:{}", digest::of_bytes(bytes));
        self.with(label, digest)
    }

    /// The labels with their values, as kept in the manifest.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Hex SHA-256 over all of it; lengths keep neighbours apart.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (label, value) in &self.0 {
            for part in [label, value] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        digest::hex(&hash.finalize())
    }
}

/// What an artifact is given while it is being made.
pub struct Making<'a> {
    pub(crate) task: &'a Task,
    pub(crate) log: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) needs: BTreeMap<String, PathBuf>,
    pub(crate) outside: &'a Outside,
    pub(crate) facts: Mutex<BTreeMap<String, String>>,
}

impl Making<'_> {
    /// The folder of a finished artifact that this one [needs](Artifact::needs).
    pub fn need(&self, name: &str) -> Result<&Path> {
        self.needs.get(name).map(PathBuf::as_path).with_context(|| format!("artifact {name} was not asked for"))
    }

    /// The file that holds the whole output of making it.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// An empty folder for what is needed on the way only.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// How the outside is reached; [`Making::run`] tells commands by itself.
    #[must_use]
    pub fn outside(&self) -> &Outside {
        self.outside
    }

    /// Writes a script into [`Making::work`], for bash to run.
    pub fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.work.join(name);
        crate::paths::write_atomic(&path, text.as_bytes(), 0o755)?;
        Ok(path)
    }

    /// Shows what is being done right now.
    pub fn say(&self, text: &str) {
        self.task.say(text);
    }

    /// Runs a command, its output in the log, its last telling line shown.
    pub fn run(&self, command: &Cmd) -> Result<()> {
        let variables = self.outside.variables();
        let command = variables.iter().fold(command.clone(), |command, (name, value)| command.env(name, value));
        command.run_logged(&self.log, |line| {
            if line.chars().any(char::is_alphanumeric) {
                self.task.say(line);
            }
        })
    }

    /// Runs `work`, keeps how long it took in the manifest as `<name>_seconds`.
    pub fn timed<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = work()?;
        self.record(format!("{name}_seconds"), format!("{:.1}", started.elapsed().as_secs_f64()));
        Ok(result)
    }

    /// Keeps something found out or measured on the way in the manifest.
    pub fn record(&self, name: impl Into<String>, value: impl Into<String>) {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_keeps_labels_and_values_apart() {
        let digests = [
            Inputs::new().with("ab", "c").digest(),
            Inputs::new().with("a", "bc").digest(),
            Inputs::new().with("a", "b").with("c", "").digest(),
            Inputs::new().file("ab", b"c").digest(),
        ];
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
        assert_eq!(digests[0], Inputs::new().with("ab", "c").digest());
    }
}
