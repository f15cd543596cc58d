//! A child that runs beside us: its lines as they come, and its certain end.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Cmd, End, TAIL_LINES};
use crate::interrupt;

/// How often a wait for a line looks whether the user interrupted.
const LOOK: Duration = Duration::from_millis(100);

/// A running child; dropping it ends it and all below it.
pub struct Running {
    command: Cmd,
    reader: Arc<duct::ReaderHandle>,
    lines: Receiver<(Instant, String)>,
    tail: Vec<String>,
}

impl Cmd {
    /// Starts the command and returns at once.
    pub fn start(&self) -> Result<Running> {
        interrupt::check()?;
        let reader = self.expression().stderr_to_stdout().unchecked().reader();
        let reader = Arc::new(reader.map_err(|error| self.not_started(&error))?);
        let (send, lines) = channel();
        let read = Arc::clone(&reader);
        std::thread::spawn(move || {
            for line in BufReader::new(&*read).lines() {
                let Ok(line) = line else { return };
                // Nobody listens any more: the child is being ended.
                if send.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Running { command: self.clone(), reader, lines, tail: Vec::new() })
    }
}

impl Running {
    /// The child's process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.reader.pids().first().copied().unwrap_or_default()
    }

    /// Waits for a line that `pick` wants and returns what it made of it, with
    /// the moment the line came. The child's end and the end of `limit` are
    /// errors with the last lines.
    pub fn wait_line<T>(&mut self, limit: Duration, pick: impl Fn(&str) -> Option<T>) -> Result<(Instant, T)> {
        let deadline = Instant::now() + limit;
        loop {
            interrupt::check()?;
            match self.lines.recv_timeout(LOOK.min(deadline.saturating_duration_since(Instant::now()))) {
                Ok((at, line)) => {
                    if let Some(found) = pick(&line) {
                        return Ok((at, found));
                    }
                    self.keep(line);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.failed("ended")),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    return Err(self.failed(&format!("said nothing of use within {} s", limit.as_secs())));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Whether it has ended.
    pub fn ended(&self) -> Result<bool> {
        let ended = self.reader.try_wait().with_context(|| format!("look at `{}`", self.command.to_line()))?;
        Ok(ended.is_some())
    }

    /// An error that tells how it went, with the last lines that it printed.
    #[must_use]
    pub fn failed(&mut self, what: &str) -> anyhow::Error {
        while let Ok((_, line)) = self.lines.try_recv() {
            self.keep(line);
        }
        self.command.failed(what, End::Useless, self.tail.join("\n"), None)
    }

    fn keep(&mut self, line: String) {
        if self.tail.len() == TAIL_LINES {
            self.tail.remove(0);
        }
        self.tail.push(line);
    }

    /// Sends a signal to the child and all of its process group.
    pub fn signal(&self, signal: Signal) {
        for group in self.reader.pids().into_iter().filter_map(|id| i32::try_from(id).ok()) {
            // A group that has just ended is what is wanted: nothing to report.
            killpg(Pid::from_raw(group), signal).ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL, since `unshare` ignores SIGTERM while its child runs.
        self.signal(Signal::SIGKILL);
        // Reaps it. What the kernel does not let go for a second is stuck in it.
        for _ in 0..1000 {
            if !matches!(self.reader.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_waited_for_and_the_child_ends_with_its_owner() {
        let mut child = Cmd::new("sh").args(["-c", "echo a; echo port 7; sleep 600"]).start().unwrap();
        let (_, port) = child
            .wait_line(Duration::from_secs(20), |line| line.strip_prefix("port ").and_then(|text| text.parse().ok()))
            .unwrap();
        let (pid, port): (u32, u32) = (child.pid(), port);
        assert_eq!(port, 7);
        assert!(!child.ended().unwrap());
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
    }

    #[test]
    fn an_end_before_the_line_is_told_with_what_was_said() {
        let mut child = Cmd::new("sh").args(["-c", "echo why; exit 3"]).start().unwrap();
        let error = child.wait_line(Duration::from_secs(20), |_| None::<()>).unwrap_err().to_string();
        assert!(error.contains("ended") && error.contains("why"), "{error}");
    }
}
