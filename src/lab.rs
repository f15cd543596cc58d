//! One lab's folder on the host: every path in it is named here and nowhere
//! else.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;

mod lock;

pub use lock::{Busy, Holder, LabLock};

/// The folder of one lab: `<state>/<name>/`. Everything in it but `results/`
/// goes with `provision down`.
#[derive(Debug, Clone)]
pub struct Lab {
    name: String,
    dir: PathBuf,
}

impl Lab {
    /// The lab called `name`; nothing is created yet.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::below(&paths::state_dir()?, name))
    }

    /// The lab called `name` in the state folder `state`.
    #[must_use]
    pub fn below(state: &Path, name: &str) -> Self {
        Self { name: name.into(), dir: state.join(name) }
    }

    /// The lab's name, unique on this host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lab's folder; Vagrant runs in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The machine's name at its provider (a libvirt domain, say).
    #[must_use]
    pub fn machine(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    /// Held, by the kernel's lock, while a process changes the lab.
    #[must_use]
    fn lock_file(&self) -> PathBuf {
        self.dir.join(".lock")
    }

    /// The rendered Vagrantfile.
    #[must_use]
    pub fn vagrantfile(&self) -> PathBuf {
        self.dir.join("Vagrantfile")
    }

    /// What the Vagrantfile needs to know of this host: box, boot files, acceleration.
    #[must_use]
    pub fn machine_json(&self) -> PathBuf {
        self.dir.join("machine.json")
    }

    /// The rendered files of one node, as they lie on it under `/opt/provision`.
    #[must_use]
    pub fn node_files(&self, node: &str) -> PathBuf {
        self.dir.join("node").join(node)
    }

    /// The lab's private SSH key (0600); the public one has `.pub` behind it.
    #[must_use]
    pub fn ssh_key(&self) -> PathBuf {
        self.dir.join("id_ed25519")
    }

    /// Host keys pinned from the machines' consoles.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    /// The administrator's kubeconfig (0600).
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// What a machine wrote to its serial console.
    #[must_use]
    pub fn console(&self, node: &str) -> PathBuf {
        self.dir.join("console").join(format!("{node}.log"))
    }

    /// What was begun and what ended; see [`crate::journal`].
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.dir.join("logs").join("journal.jsonl")
    }

    /// The log of one kind of work (`vagrant`, `steps`…).
    #[must_use]
    pub fn log(&self, what: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{what}.log"))
    }

    /// Every event of every run, a JSON line each.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.dir.join("logs").join("events.jsonl")
    }

    /// What the bundle held that the lab was started from, if it was.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.dir.join("bundle.json")
    }

    /// What the last proof of the runtime found.
    #[must_use]
    pub fn proof(&self) -> PathBuf {
        self.dir.join("proof.json")
    }

    /// What was saved of the machines, a JSON file a snapshot.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    /// Benchmark results, one JSON file a run; they survive `down`.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.dir.join("results")
    }

    /// Runs of the benchmark on this host, without the lab; they survive `down`.
    #[must_use]
    pub fn local_results(&self) -> PathBuf {
        self.results().join("local")
    }

    /// Where a running benchmark keeps what it is made of.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// The newest result's file, if there is any.
    pub fn newest_result(&self) -> Result<Option<PathBuf>> {
        if !self.results().is_dir() {
            return Ok(None);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(self.results()).with_context(|| format!("list {}", self.results().display()))? {
            let path = entry.with_context(|| format!("list {}", self.results().display()))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
        // File names begin with the UTC time, so the last by name is the newest.
        Ok(files.into_iter().max())
    }

    /// Whether `up` ever began here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.vagrantfile().is_file() || self.dir.join("node").is_dir()
    }

    /// An error with the next command where the lab was never made.
    pub fn must_exist(&self) -> Result<()> {
        if self.exists() {
            return Ok(());
        }
        bail!("there is no lab `{}` (looked in {})\n  make it: provision up", self.name, self.dir.display())
    }

    /// The same where it has no cluster that this host knows of.
    pub fn must_have_cluster(&self) -> Result<()> {
        if self.kubeconfig().is_file() {
            return Ok(());
        }
        self.must_exist()?;
        bail!("lab `{}` has no cluster yet\n  make it: provision up", self.name)
    }

    /// Removes everything but the results, and the folder too if there are none.
    pub fn remove(&self) -> Result<()> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&self.dir).with_context(|| format!("list {}", self.dir.display()))? {
            let path = entry.with_context(|| format!("list {}", self.dir.display()))?.path();
            if path == self.results() || path == self.lock_file() {
                continue;
            }
            if path.is_dir() && !path.is_symlink() { paths::remove_dir(&path)? } else { paths::remove_file(&path)? }
        }
        // Last, since from here on another process may take the lab, which makes a new one.
        paths::remove_file(&self.lock_file())?;
        match fs::remove_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => other.with_context(|| format!("remove folder {}", self.dir.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(dir: &Path) -> Lab {
        Lab::below(dir, "t")
    }

    #[test]
    fn removing_keeps_the_results_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let lab = lab(dir.path());
        paths::write_atomic(&lab.kubeconfig(), b"x", 0o600).unwrap();
        paths::write_atomic(&lab.results().join("1.json"), b"{}", 0o644).unwrap();
        lab.remove().unwrap();
        assert!(!lab.kubeconfig().exists());
        assert_eq!(lab.newest_result().unwrap(), Some(lab.results().join("1.json")));
        paths::remove_dir(&lab.results()).unwrap();
        lab.remove().unwrap();
        assert!(!lab.dir().exists());
    }
}
