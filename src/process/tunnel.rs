//! A child whose standard input and output are one stream of ours, such as
//! `ssh -W`; it ends with its owner.

use std::io::{Read, Seek};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Cmd;

/// A running child at the other end of a stream.
pub struct Tunnel {
    handle: Arc<duct::Handle>,
    said: std::fs::File,
}

impl Cmd {
    /// Starts the command with one end of a stream; returns the other.
    pub fn tunnel(&self) -> Result<(UnixStream, Tunnel)> {
        let (ours, theirs) = UnixStream::pair().context("make a stream")?;
        let said = tempfile::tempfile().context("create a file for what a tunnel says")?;
        let share = |stream: &UnixStream| stream.try_clone().context("share a stream");
        let handle = self
            .base()
            .before_spawn(|command| {
                std::os::unix::process::CommandExt::process_group(command, 0);
                Ok(())
            })
            .stdin_file(share(&theirs)?)
            .stdout_file(share(&theirs)?)
            .stderr_file(said.try_clone().context("share a file")?)
            .unchecked()
            .start()
            .map_err(|error| self.not_started(&error))?;
        Ok((ours, Tunnel { handle: Arc::new(handle), said }))
    }
}

impl Tunnel {
    /// Whether it still runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        matches!(self.handle.try_wait(), Ok(None))
    }

    /// What it has complained about so far, on one line.
    #[must_use]
    pub fn said(&self) -> String {
        let mut text = String::new();
        let mut file = &self.said;
        // The child writes at the same offset; it says no more once it is read.
        if file.rewind().is_err() || file.take(4096).read_to_string(&mut text).is_err() {
            return String::new();
        }
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        for group in self.handle.pids().into_iter().filter_map(|id| i32::try_from(id).ok()) {
            // A group that has just ended is what is wanted: nothing to report.
            killpg(Pid::from_raw(group), Signal::SIGKILL).ok();
        }
        self.handle.wait().map(drop).unwrap_or(());
    }
}
