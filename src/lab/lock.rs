//! One process per lab: the kernel's lock on a file in the lab's folder. It
//! goes with its process however that ends, and no child inherits it.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::Lab;
use crate::{paths, process, secrets};

/// Who changes a lab, as written into the lock's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process's number.
    pub pid: u32,
    /// Its command line, fit for a shell.
    pub command: String,
    /// When it took the lab, RFC 3339, UTC, whole seconds.
    pub since: String,
    /// By which its children are known; see [`process::mark`].
    pub mark: String,
}

/// Another process is changing the lab. The command line branches on this type
/// for the exit code.
#[derive(Debug, thiserror::Error)]
#[error(
    "lab `{lab}` is being worked on by process {}: {}, since {}\n  \
     wait for it to end, or end it (kill {}); status, plan, logs and ssh work meanwhile",
    .holder.pid, .holder.command, .holder.since, .holder.pid
)]
pub struct Busy {
    /// The lab.
    pub lab: String,
    /// The other process.
    pub holder: Holder,
}

impl Busy {
    /// Exit code for "try again later": `EX_TEMPFAIL` of sysexits(3).
    pub const EXIT_CODE: u8 = 75;
}

/// Held while this process changes a lab.
#[derive(Debug)]
pub struct LabLock {
    file: Flock<File>,
    leftovers: Vec<String>,
}

impl LabLock {
    /// Command lines of processes that an earlier holder, which died, had left
    /// running on this lab, and that were ended.
    #[must_use]
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }
}

impl Drop for LabLock {
    fn drop(&mut self) {
        // An empty file tells the next holder that nothing was left behind.
        self.file.set_len(0).ok();
    }
}

/// How long a holder that has just taken the lock may take to sign it.
const SIGNING: Duration = Duration::from_secs(2);

impl Lab {
    /// Takes the lab for this process; [`Busy`] if another one has it. What an
    /// earlier holder that died has left running is ended first.
    pub fn lock(&self) -> Result<LabLock> {
        let path = self.lock_file();
        let started = Instant::now();
        loop {
            paths::create_private_dir(&self.dir)?;
            let file = match File::options().create(true).truncate(false).read(true).write(true).open(&path) {
                Ok(file) => file,
                // The folder has just gone with `down`: it is made anew.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && started.elapsed() < SIGNING => continue,
                Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
            };
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) if is_at(&file, &path)? => return self.sign(file),
                // `down` removed the file while we opened it.
                Ok(_) => {}
                Err((_, Errno::EWOULDBLOCK)) => match self.holder() {
                    Some(holder) => return Err(Busy { lab: self.name.clone(), holder }.into()),
                    None if started.elapsed() > SIGNING => {
                        anyhow::bail!(
                            "lab `{}` is being worked on by a process that did not sign {}",
                            self.name,
                            path.display()
                        )
                    }
                    None => {}
                },
                Err((_, error)) => return Err(error).with_context(|| format!("lock {}", path.display())),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Who is changing the lab at this moment, as far as the lock's file says.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let text = fs::read_to_string(self.lock_file()).ok()?;
        let holder: Holder = serde_json::from_str(&text).ok()?;
        // A dead process signs nothing off.
        process::lives(&holder.mark).then_some(holder)
    }

    /// Whether a process is changing another lab in the same folder.
    pub fn others_at_work(&self) -> Result<bool> {
        let state = self.dir.parent().context("a lab's folder has one above it")?;
        for entry in fs::read_dir(state).with_context(|| format!("list {}", state.display()))? {
            let entry = entry.with_context(|| format!("list {}", state.display()))?;
            let other = Self::below(state, &entry.file_name().to_string_lossy());
            if other.name != self.name && other.holder().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sign(&self, file: Flock<File>) -> Result<LabLock> {
        let path = self.lock_file();
        let before: Option<Holder> = serde_json::from_str(&paths::read(&path)?).ok();
        let leftovers = match before {
            Some(dead) => process::end_leftovers(&dead.mark)?,
            None => Vec::new(),
        };
        let now = jiff::Timestamp::now().round(jiff::Unit::Second).context("read the clock")?;
        let holder = Holder {
            pid: std::process::id(),
            command: secrets::redact(&shell_words::join(std::env::args())).into_owned(),
            since: now.to_string(),
            mark: process::mark()?,
        };
        let text = serde_json::to_string(&holder).context("write down who has the lab")?;
        (&*file)
            .rewind()
            .and_then(|()| file.set_len(0))
            .and_then(|()| (&*file).write_all(text.as_bytes()))
            .with_context(|| format!("write {}", path.display()))?;
        Ok(LabLock { file, leftovers })
    }
}

/// Whether the open `file` is the one that lies at `path`.
fn is_at(file: &File, path: &std::path::Path) -> Result<bool> {
    let held = file.metadata().with_context(|| format!("look at {}", path.display()))?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cmd;

    #[test]
    fn others_on_this_host_see_nothing_of_a_lab() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let lab = Lab::below(dir.path(), "t");
        paths::create_dir(lab.dir()).unwrap();
        let _held = lab.lock().unwrap();
        assert_eq!(fs::metadata(lab.dir()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_second_holder_is_told_who_has_the_lab_since_when() {
        let dir = tempfile::tempdir().unwrap();
        let lab = Lab::below(dir.path(), "t");
        let held = lab.lock().unwrap();
        let error = lab.lock().unwrap_err();
        assert!(error.is::<Busy>());
        let holder = lab.holder().unwrap();
        let text = error.to_string();
        for part in [format!("process {}: ", std::process::id()), holder.command, format!("since {}", holder.since)] {
            assert!(text.contains(&part), "{part}: {text}");
        }
        drop(held);
        assert_eq!(lab.holder(), None);
        lab.lock().unwrap();
    }

    #[test]
    fn labs_beside_it_are_seen_while_they_are_worked_on() {
        let dir = tempfile::tempdir().unwrap();
        let lab = |name| Lab::below(dir.path(), name);
        let (one, other) = (lab("one"), lab("other"));
        let _held = one.lock().unwrap();
        fs::write(dir.path().join("no-lab"), "").unwrap();
        assert!(!one.others_at_work().unwrap());
        let busy = other.lock().unwrap();
        assert!(one.others_at_work().unwrap());
        drop(busy);
        assert!(!one.others_at_work().unwrap());
    }

    #[test]
    fn no_child_inherits_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let lab = Lab::below(dir.path(), "t");
        let _held = lab.lock().unwrap();
        let open = Cmd::new("sh").args(["-c", "ls -l /proc/self/fd /proc/$$/fd"]).read().unwrap();
        assert!(open.contains("->") && !open.contains(".lock"), "{open}");
    }

    #[test]
    fn what_the_dead_have_signed_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let lab = Lab::below(dir.path(), "t");
        let dead = Holder { pid: u32::MAX, command: "x".into(), since: "y".into(), mark: "4294967295.1.1".into() };
        paths::write_atomic(&lab.lock_file(), serde_json::to_string(&dead).unwrap().as_bytes(), 0o644).unwrap();
        assert_eq!(lab.holder(), None);
        assert_eq!(lab.lock().unwrap().leftovers(), Vec::<String>::new());
    }

    #[test]
    fn a_lab_that_is_removed_can_be_taken_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let lab = Lab::below(dir.path(), "t");
        let held = lab.lock().unwrap();
        lab.remove().unwrap();
        assert!(!lab.dir().exists());
        let _next = lab.lock().unwrap();
        drop(held);
        assert!(lab.lock().unwrap_err().is::<Busy>());
    }
}
