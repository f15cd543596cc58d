//! Where artifacts live: `<cache>/artifacts/<name>-<16 hex of the key>/`.
//!
//! Each is made in `<cache>/tmp` and renamed when complete, under a lock by
//! its name, so that two processes do not make the same thing twice and what
//! an ended process left half-made is known to be nobody's.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use fd_lock::RwLock;

use crate::artifacts::manifest::{Depth, Manifest};
use crate::artifacts::namespace::Namespace;
use crate::{interrupt, paths, process};

/// How often a waiting process looks whether a lock has become free.
const POLL: Duration = Duration::from_millis(200);

/// The folder in an artifact's workshop that becomes the artifact.
pub const MADE: &str = "made";
/// The folder in an artifact's workshop for all else.
pub const WORK: &str = "work";

/// The folder of everything made once.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

/// Whether an artifact is there.
#[derive(Debug)]
pub enum State {
    /// It is, and its files are as they were made.
    Present(Box<Manifest>),
    /// It is not.
    Absent,
    /// It is there and damaged; the words say how.
    Damaged(String),
}

impl Cache {
    /// The cache in `dir`, which need not exist yet.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The user's cache.
    pub fn of_user() -> Result<Self> {
        Ok(Self::at(paths::cache_dir()?))
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of all finished artifacts.
    #[must_use]
    pub fn artifacts(&self) -> PathBuf {
        self.dir.join("artifacts")
    }

    /// The folder of one artifact, finished or not.
    #[must_use]
    pub fn entry(&self, name: &str, key: &str) -> PathBuf {
        self.artifacts().join(entry_name(name, key))
    }

    /// The folder in which one artifact is being made; see [`MADE`], [`WORK`].
    #[must_use]
    pub fn workshop(&self, name: &str, key: &str) -> PathBuf {
        self.tmp().join(entry_name(name, key))
    }

    /// Where unfinished downloads wait.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.dir.join("downloads")
    }

    /// The log of making an artifact.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Whether an artifact is there and, as closely as `depth` says, whole.
    pub fn state(&self, name: &str, key: &str, depth: Depth) -> Result<State> {
        let dir = self.entry(name, key);
        let manifest = match Manifest::read(&dir) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(State::Absent),
            Err(error) => return Ok(State::Damaged(format!("{error:#}"))),
        };
        if manifest.key != key {
            return Ok(State::Damaged(format!("its manifest is that of key {}", manifest.key)));
        }
        Ok(match manifest.fault(&dir, depth)? {
            Some(fault) => State::Damaged(fault),
            None => State::Present(Box::new(manifest)),
        })
    }

    /// Runs `work` while holding the lock of the artifacts named `name`.
    /// While another process holds it, `waiting` is told which.
    pub fn locked<T>(&self, name: &str, mut waiting: impl FnMut(&str), work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut lock = self.lock_file(name)?;
        loop {
            interrupt::check()?;
            match lock.try_write() {
                Ok(mut held) => {
                    // What a maker that died has left compiling would write into the same folder.
                    if let Some((_, mark)) = paths::read(&self.lock_path(name))?.trim().split_once(" mark ") {
                        process::end_leftovers(mark)?;
                    }
                    sign(&mut held).with_context(|| format!("write the lock of {name}"))?;
                    return work();
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let holder = paths::read(&self.lock_path(name))?;
                    waiting(holder.split(" mark ").next().unwrap_or_default().trim());
                    std::thread::sleep(POLL);
                }
                Err(error) => return Err(error).with_context(|| format!("lock artifact {name}")),
            }
        }
    }

    /// As [`Cache::locked`], but `None` at once if another process holds it.
    pub fn try_locked<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let mut lock = self.lock_file(name)?;
        match lock.try_write() {
            Ok(_held) => work().map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).with_context(|| format!("lock artifact {name}")),
        }
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.dir.join("locks").join(format!("{name}.lock"))
    }

    fn lock_file(&self, name: &str) -> Result<RwLock<File>> {
        let path = self.lock_path(name);
        paths::create_dir(&self.dir.join("locks"))?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("open lock {}", path.display()))?;
        Ok(RwLock::new(file))
    }

    /// Removes what ended processes left half-made: every folder in `tmp` whose
    /// lock nobody holds.
    pub fn sweep(&self) -> Result<()> {
        for path in paths::folders(&self.tmp())? {
            let folder = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some((name, _)) = folder.rsplit_once('-') {
                self.try_locked(name, || remove_tree(&path))?;
            }
        }
        Ok(())
    }

    /// Moves a finished artifact from its workshop to its place.
    pub fn keep(&self, manifest: &Manifest) -> Result<()> {
        let workshop = self.workshop(&manifest.name, &manifest.key);
        let from = workshop.join(MADE);
        let to = self.entry(&manifest.name, &manifest.key);
        paths::create_dir(&self.artifacts())?;
        manifest.write(&from)?;
        fs::rename(&from, &to).with_context(|| format!("rename {} to {}", from.display(), to.display()))?;
        remove_tree(&workshop)
    }
}

/// Removes a folder, also where files in it belong to a user's subordinate ids.
pub fn remove_tree(path: &Path) -> Result<()> {
    let Err(error) = paths::remove_dir(path) else { return Ok(()) };
    if Namespace::detect() == Namespace::Root {
        return Err(error);
    }
    Namespace::User.command().args(["rm", "-rf", "--"]).arg(path).read().map(drop)
}

fn entry_name(name: &str, key: &str) -> String {
    format!("{name}-{}", &key[..key.len().min(16)])
}

/// Writes into a lock who holds it, for those who wait.
fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let mark = process::mark().map_err(std::io::Error::other)?;
    write!(file, "process {} mark {mark}", std::process::id())
}
