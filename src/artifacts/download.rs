//! Large files whose digest is known: fetched several at once, gone on with
//! where a connection broke (or an earlier run ended), looked through before
//! anybody sees them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use backon::{BackoffBuilder, ExponentialBuilder};

use crate::artifacts::digest;
use crate::http::{Client, Trouble};
use crate::{interrupt, paths, ui};

/// How many files are fetched at once.
const AT_ONCE: usize = 4;
/// How often in a row a server may give nothing before it is given up.
const TRIES: usize = 5;
/// Bytes that count as something; a server that trickles is as good as none.
const SOMETHING: u64 = 16 << 10;

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub url: String,
    /// Hex SHA-256 of all of it.
    pub sha256: String,
    /// What to accept; `*/*` for plain files.
    pub accept: &'static str,
    /// Where to put it.
    pub to: PathBuf,
}

/// Fetches files into their places.
pub struct Downloads<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// Where unfinished files wait, named by their digests; it outlives this run.
    pub dir: PathBuf,
    /// The first pause before a server is asked again; it doubles.
    pub pause: Duration,
    /// A connection that brings fewer bytes than this in this time is given up.
    pub slow: (u64, Duration),
}

impl<'a> Downloads<'a> {
    /// With the patience of a real network.
    #[must_use]
    pub fn new(client: &'a Client, dir: PathBuf) -> Self {
        Self { client, dir, pause: Duration::from_secs(1), slow: (30 << 10, Duration::from_secs(30)) }
    }

    /// Fetches `all`, [`AT_ONCE`] side by side. After the first failure nothing
    /// new is begun; what has come so far is kept for the next run. `say` hears
    /// how far it is.
    pub fn fetch(&self, all: &[Wanted], say: &(dyn Fn(&str) + Sync)) -> Result<()> {
        let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
        let failed = || failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(all.len()) {
                scope.spawn(|| {
                    while failed().is_none()
                        && let Some(wanted) = all.get(next.fetch_add(1, Ordering::SeqCst))
                    {
                        let told = |more: u64| {
                            let sum = bytes.fetch_add(more, Ordering::SeqCst) + more;
                            say(&format!("{} of {} files", ui::size(sum), all.len()));
                        };
                        if let Err(error) = self.one(wanted, &told) {
                            failed().get_or_insert(error);
                        }
                    }
                });
            }
        });
        interrupt::check()?;
        failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// A small text, asked for again while that may help.
    pub fn text(&self, url: &str, accept: &str) -> Result<String> {
        let mut pauses = self.pauses();
        loop {
            interrupt::check()?;
            match self.client.text(url, accept) {
                Ok(text) => return Ok(text),
                Err(Trouble::Lasting(text) | Trouble::Beyond(text)) => bail!(text),
                Err(Trouble::Passing(text)) => match pauses.next() {
                    Some(pause) => std::thread::sleep(pause),
                    None => bail!("{text}\n  given up after {TRIES} tries"),
                },
            }
        }
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default().with_min_delay(self.pause).with_max_times(TRIES - 1).build()
    }

    /// Fetches one file; where it is already, nothing happens.
    fn one(&self, wanted: &Wanted, told: &dyn Fn(u64)) -> Result<()> {
        if wanted.to.is_file() && digest::of_file(&wanted.to)? == wanted.sha256 {
            return Ok(());
        }
        paths::create_dir(&self.dir)?;
        // Two files may be the same.
        let name = wanted.to.file_name().unwrap_or_default().to_string_lossy();
        let part = self.dir.join(format!("{}-{name}.part", wanted.sha256));
        // An earlier run may have ended between the last byte and the next line.
        if part.is_file() && digest::of_file(&part)? == wanted.sha256 {
            return self.keep(wanted, &part);
        }
        let mut left = self.pauses();
        loop {
            interrupt::check()?;
            let before = size_of(&part);
            let trouble = match self.attempt(wanted, &part, told) {
                Ok(()) => return self.keep(wanted, &part),
                Err(Trouble::Lasting(text)) => bail!(text),
                Err(Trouble::Passing(text) | Trouble::Beyond(text)) => text,
            };
            interrupt::check()?;
            // A connection that broke after it brought something is no failure.
            if size_of(&part) > before + SOMETHING {
                left = self.pauses();
            }
            let Some(pause) = left.next() else {
                let kept = size_of(&part);
                bail!(
                    "{trouble}\n  given up after {TRIES} tries in a row that brought nothing; {} of the file are kept, the same command goes on from there",
                    ui::size(kept)
                );
            };
            std::thread::sleep(pause);
        }
    }

    /// Asks once, for what is missing.
    fn attempt(&self, wanted: &Wanted, part: &Path, told: &dyn Fn(u64)) -> Result<(), Trouble> {
        let io = |error: std::io::Error| Trouble::Lasting(format!("write {}: {error}", part.display()));
        let have = size_of(part);
        let answer = match self.client.get(&wanted.url, have, wanted.accept) {
            Err(Trouble::Beyond(text)) => {
                // What is there is as long as the file or longer, and not the file.
                fs::remove_file(part).map_err(io)?;
                return Err(Trouble::Passing(text));
            }
            other => other?,
        };
        let mut file = if answer.status == 206 {
            File::options().append(true).open(part).map_err(io)?
        } else {
            File::create(part).map_err(io)?
        };
        let (mut body, mut buffer, mut got) = (answer.body, vec![0; 1 << 16], 0_u64);
        let (mut window, mut at_window) = (Instant::now(), 0_u64);
        loop {
            if interrupt::requested() {
                return Err(Trouble::Passing("interrupted".into()));
            }
            if window.elapsed() > self.slow.1 {
                if got - at_window < self.slow.0 {
                    let seconds = self.slow.1.as_secs_f64();
                    let gave = ui::size(got - at_window);
                    return Err(Trouble::Passing(format!("{} gave no more than {gave} in {seconds} s", wanted.url)));
                }
                (window, at_window) = (Instant::now(), got);
            }
            let read = body.read(&mut buffer);
            let broken = |error| {
                let of = answer.length.map(|length| format!(" of {length}")).unwrap_or_default();
                Trouble::Passing(format!("{} ends after {got}{of} bytes ({error})", wanted.url))
            };
            match read.map_err(broken)? {
                0 => break,
                n => {
                    file.write_all(&buffer[..n]).map_err(io)?;
                    got += n as u64;
                    told(n as u64);
                }
            }
        }
        match answer.length {
            Some(length) if got < length => {
                Err(Trouble::Passing(format!("{} ends after {got} of {length} bytes", wanted.url)))
            }
            _ => Ok(()),
        }
    }

    /// Looks through what has come, and puts it in its place if it is that.
    fn keep(&self, wanted: &Wanted, part: &Path) -> Result<()> {
        let (found, size) = (digest::of_file(part)?, size_of(part));
        if found != wanted.sha256 {
            paths::remove_file(part)?;
            bail!(
                "{} is not the file that is pinned: {} with SHA-256 {found} instead of {}\n  nothing of it was used; a mirror that changes files, or another release: see provision pin",
                wanted.url,
                ui::size(size),
                wanted.sha256
            );
        }
        if let Some(dir) = wanted.to.parent() {
            paths::create_dir(dir)?;
        }
        fs::rename(part, &wanted.to).with_context(|| format!("rename {} to {}", part.display(), wanted.to.display()))
    }
}

fn size_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}
