//! One command over a session: its input, its output, its end, within a time.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Session};

use super::sudo::Way;
use crate::interrupt;
use crate::node::{Obstacle, Output};

/// How much output of one command is kept; more is an error, not memory.
const OUTPUT_LIMIT: usize = 8 << 20;
/// Longest wait on a silent socket; then the user's Ctrl-C is looked for.
const LOOK: u8 = 100;
/// How much input is read at a time.
const CHUNK: usize = 64 << 10;
/// libssh2's code for "not now".
const WOULD_BLOCK: i32 = -37;

/// One command under way.
pub struct Exec<'a> {
    pub session: &'a Session,
    pub socket: &'a OwnedFd,
    pub name: &'a str,
    pub limit: Duration,
    pub deadline: Instant,
}

impl Exec<'_> {
    /// Runs `command` as root, the way this connection becomes root.
    pub fn run(&self, way: &Way, command: &str, input: &mut dyn Read) -> Result<Output> {
        let first = way.input();
        self.stream(&way.command(command), &mut first.chain(input))
    }

    fn stream(&self, command: &str, input: &mut dyn Read) -> Result<Output> {
        let mut channel = self.retry(|| self.session.channel_session())?;
        self.retry(|| channel.exec(command))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut chunk = vec![0; CHUNK];
        let (mut unsent, mut filled, mut ended, mut eof_sent) = (0, 0, false, false);
        let mut silent = false;
        loop {
            let mut moved = false;
            if unsent == filled && !ended {
                (unsent, filled) = (0, input.read(&mut chunk).context("read what is to be sent")?);
                ended = filled == 0;
            }
            if unsent < filled {
                match channel.write(&chunk[unsent..filled]) {
                    Ok(n) => {
                        unsent += n;
                        moved = n > 0;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // A command that ended without reading all of it has said what it had to.
                    Err(_) if channel.eof() => (unsent, filled, ended) = (0, 0, true),
                    Err(error) => return Err(error).context("send standard input"),
                }
            } else if ended && !eof_sent {
                self.retry(|| channel.send_eof())?;
                eof_sent = true;
            }
            moved |= drain(&mut channel.stream(0), &mut stdout)?;
            moved |= drain(&mut channel.stream(1), &mut stderr)?;
            if channel.eof() && !moved {
                break;
            }
            // Reading one stream may have taken in what belongs to the other:
            // only two passes in vain mean that there is nothing.
            if !moved && silent {
                self.pause()?;
            }
            silent = !moved;
            if moved && Instant::now() > self.deadline {
                self.pause()?;
            }
        }
        self.retry(|| channel.close())?;
        self.retry(|| channel.wait_close())?;
        let signal = self.retry(|| channel.exit_signal())?;
        let status =
            if signal.exit_signal.is_some() { -1 } else { channel.exit_status().context("read exit status")? };
        Ok(Output {
            status,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    fn retry<T>(&self, mut action: impl FnMut() -> Result<T, ssh2::Error>) -> Result<T> {
        loop {
            match action() {
                Err(error) if error.code() == ssh2::ErrorCode::Session(WOULD_BLOCK) => self.pause()?,
                other => return other.map_err(Into::into),
            }
        }
    }

    /// Waits until the socket has something, or for a moment.
    fn pause(&self) -> Result<()> {
        interrupt::check()?;
        if Instant::now() > self.deadline {
            let text = format!("{} did not answer within {}", self.name, crate::ui::duration(self.limit.as_secs_f64()));
            return Err(super::stuck(self.name, Obstacle::TimeOut, text).into());
        }
        match self.session.keepalive_send() {
            Ok(_) => {}
            Err(error) if error.code() == ssh2::ErrorCode::Session(WOULD_BLOCK) => {}
            Err(error) => return Err(anyhow!(error)).context("the connection was lost"),
        }
        let mut wanted = PollFlags::POLLIN;
        if matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both) {
            wanted |= PollFlags::POLLOUT;
        }
        // A signal ends the wait early, which is as good as an answer.
        poll(&mut [PollFd::new(self.socket.as_fd(), wanted)], PollTimeout::from(LOOK)).unwrap_or(0);
        Ok(())
    }
}

/// Moves what is there; whether anything was.
fn drain(stream: &mut ssh2::Stream, into: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0; 16 << 10];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(n) => {
            if into.len() + n > OUTPUT_LIMIT {
                bail!("the command printed more than {} MiB", OUTPUT_LIMIT >> 20);
            }
            into.extend_from_slice(&buffer[..n]);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("read output"),
    }
}
