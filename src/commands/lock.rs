//! `provision lock`: what the lab is built from, written beside its profile.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;

use super::Session;
use crate::lockfile::Lock;

/// Write down exactly what the lab is built from, or show how that has changed.
#[derive(Debug, Args)]
pub struct LockCommand {
    /// Take over what has changed, after showing it
    #[arg(long)]
    update: bool,
}

impl LockCommand {
    /// Writes the first lock; compares with one that is there.
    pub fn run(&self, session: &Session) -> Result<()> {
        let path = &session.lock_file;
        let built = Lock::of(session.artifacts()?.contents()?);
        let show = |text: &str| std::io::stdout().write_all(text.as_bytes()).context("print the difference");
        // One that cannot be read is no reason to keep it when a new one is wanted.
        let locked = match Lock::read(path) {
            Err(error) if self.update => {
                session.ui.warn(&format!("{error:#}"));
                None
            }
            locked => locked?,
        };
        match locked {
            None => built.write(path)?,
            Some(locked) => {
                let diff = locked.diff(&built)?;
                if diff.is_empty() {
                    session.ui.note(&format!("{} says what is built", path.display()));
                    return Ok(());
                }
                if !self.update {
                    return locked.must_match(&built, path);
                }
                show(&diff)?;
                built.write(path)?;
            }
        }
        session.ui.note(&format!("wrote {}", path.display()));
        Ok(())
    }
}
