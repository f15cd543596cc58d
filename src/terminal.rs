//! A question on the user's terminal whose answer is not shown.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::interrupt;

/// Asks on the terminal of this process, whatever its standard input is, and
/// reads a line without showing it; `None` where there is no terminal.
pub fn ask_hidden(question: &str) -> Result<Option<String>> {
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    let mut silent = Silent::make(&terminal)?;
    (&terminal).write_all(question.as_bytes()).context("ask on the terminal")?;
    let line = read_line(&terminal);
    silent.restore();
    (&terminal).write_all(b"\n").context("write to the terminal")?;
    line.map(Some)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silent<'a> {
    terminal: &'a File,
    before: Option<Termios>,
}

impl<'a> Silent<'a> {
    fn make(terminal: &'a File) -> Result<Self> {
        let before = tcgetattr(terminal).context("ask how the terminal is set")?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet).context("keep the terminal from showing what is typed")?;
        Ok(Self { terminal, before: Some(before) })
    }

    fn restore(&mut self) {
        if let Some(before) = self.before.take() {
            // A terminal that is gone shows nothing any more.
            tcsetattr(self.terminal, SetArg::TCSAFLUSH, &before).unwrap_or(());
        }
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        self.restore();
    }
}

/// A line, byte by byte, so that Ctrl-C ends the wait.
fn read_line(mut terminal: &File) -> Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        interrupt::check()?;
        let mut ready = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(100u8)).unwrap_or(0) == 0 {
            continue;
        }
        match terminal.read(&mut byte).context("read from the terminal")? {
            0 => bail!("the terminal was closed before it gave an answer"),
            _ if byte[0] == b'\n' => break,
            _ => line.push(byte[0]),
        }
    }
    String::from_utf8(line).context("read the terminal's answer as UTF-8")
}
