//! Commands on this host; the only file that knows `duct`.
//!
//! Every child gets a process group of its own, so that an interruption or a
//! time-out ends the whole tree below it and the terminal's Ctrl-C reaches
//! only us.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use watch::Watch;

use crate::{interrupt, secrets};

mod failed;
mod leftovers;
mod running;
mod tunnel;
mod watch;

pub use failed::{CommandFailed, End};
use failed::{describe, end_of};
pub use leftovers::{end_leftovers, lives, mark};
pub use running::Running;
pub use tunnel::Tunnel;

/// How many last lines of output an error carries.
const TAIL_LINES: usize = 15;

/// A command to run on this host; built like `std::process::Command`.
#[derive(Debug, Clone)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    unset: Vec<OsString>,
    dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    timeout: Option<Duration>,
}

impl Cmd {
    /// A command that runs `program`, looked up on PATH.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().into(),
            args: Vec::new(),
            env: Vec::new(),
            unset: Vec::new(),
            dir: None,
            stdin: None,
            timeout: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Removes an inherited environment variable.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.unset.push(name.as_ref().into());
        self
    }

    /// Runs in `dir`.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().into());
        self
    }

    /// Feeds `bytes` to standard input, which is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Ends the command, with all it started, after `limit`.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The command as one line that can be pasted into a shell.
    #[must_use]
    pub fn to_line(&self) -> String {
        let words: Vec<String> =
            std::iter::once(&self.program).chain(&self.args).map(|word| word.to_string_lossy().into_owned()).collect();
        shell_words::join(words)
    }

    /// Runs to the end and returns standard output without its last newline;
    /// standard error is kept apart and shown if the command fails.
    pub fn read(&self) -> Result<String> {
        let output = self.output()?;
        if !output.status.success() {
            let tail = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
            return Err(self.failed(&describe(output.status), end_of(output.status), tail_of(tail.lines()), None));
        }
        Ok(output.stdout.trim_end_matches('\n').to_owned())
    }

    /// Runs to the end and returns what it printed and how it exited; an error
    /// means that it could not be run, ran too long, or the user interrupted.
    pub fn output(&self) -> Result<Captured> {
        interrupt::check()?;
        let handle = self
            .expression()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .start()
            .map_err(|error| self.not_started(&error))?;
        let watch = Watch::start(handle.pids(), self.timeout);
        let output = std::thread::scope(|scope| {
            scope.spawn(|| watch.guard());
            let output = handle.wait();
            watch.finish();
            output
        })
        .with_context(|| format!("wait for `{}`", self.to_line()))?;
        self.verdict(&watch, &[], None)?;
        Ok(Captured {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs to the end, appends standard output and error to `log` as they
    /// come, and calls `on_line` with each line. Nothing is held but the tail.
    pub fn run_logged(&self, log: &Path, mut on_line: impl FnMut(&str)) -> Result<()> {
        interrupt::check()?;
        if let Some(dir) = log.parent() {
            crate::paths::create_dir(dir)?;
        }
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open log {}", log.display()))?;
        writeln!(file, "$ {}", secrets::redact(&self.to_line()))
            .with_context(|| format!("write log {}", log.display()))?;
        let reader =
            self.expression().stderr_to_stdout().unchecked().reader().map_err(|error| self.not_started(&error))?;
        let watch = Watch::start(reader.pids(), self.timeout);
        let mut tail: Vec<String> = Vec::new();
        std::thread::scope(|scope| -> Result<()> {
            scope.spawn(|| watch.guard());
            let mut lines = BufReader::new(&reader);
            let mut line = Vec::new();
            let mut secrets = secrets::Lines::default();
            let copied = loop {
                line.clear();
                match lines.read_until(b'\n', &mut line) {
                    Ok(0) => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error).with_context(|| format!("read from `{}`", self.to_line())),
                }
                let text = String::from_utf8_lossy(&line);
                let text = secrets.redact(&text);
                // What is no UTF-8 stays as it came, unless a secret was in it.
                let kept = if text.contains(secrets::MARK) { text.as_bytes() } else { &line };
                if let Err(error) = file.write_all(kept) {
                    break Err(error).with_context(|| format!("write log {}", log.display()));
                }
                let text = text.trim_end();
                on_line(text);
                if !text.is_empty() {
                    if tail.len() == TAIL_LINES {
                        tail.remove(0);
                    }
                    tail.push(text.to_owned());
                }
            };
            watch.finish();
            copied
        })?;
        self.verdict(&watch, &tail, Some(log))?;
        let status = reader
            .try_wait()
            .with_context(|| format!("wait for `{}`", self.to_line()))?
            .map(|output| output.status)
            .with_context(|| format!("`{}` closed its output and did not end", self.to_line()))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(&describe(status), end_of(status), tail.join("\n"), Some(log)))
        }
    }

    /// Runs with this terminal's standard input, output and error and returns
    /// the exit code; for programs that talk with the user.
    pub fn interactive(&self) -> Result<i32> {
        let output = self.base().unchecked().run().map_err(|error| self.not_started(&error))?;
        Ok(output.status.code().unwrap_or(-1))
    }

    fn base(&self) -> duct::Expression {
        let mut expression = duct::cmd(&self.program, &self.args);
        if let Ok(mark) = mark() {
            expression = expression.env(leftovers::VARIABLE, mark);
        }
        for (name, value) in &self.env {
            expression = expression.env(name, value);
        }
        for name in &self.unset {
            expression = expression.env_remove(name);
        }
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        expression
    }

    fn expression(&self) -> duct::Expression {
        let expression = self.base().before_spawn(|command| {
            command.process_group(0);
            Ok(())
        });
        match &self.stdin {
            Some(bytes) => expression.stdin_bytes(bytes.clone()),
            None => expression.stdin_null(),
        }
    }

    fn verdict(&self, watch: &Watch, tail: &[String], log: Option<&Path>) -> Result<()> {
        if watch.timed_out() {
            let limit = self.timeout.unwrap_or_default().as_secs();
            return Err(self.failed(&format!("did not end within {limit} s"), End::TimedOut, tail.join("\n"), log));
        }
        if watch.interrupted() {
            return Err(interrupt::Interrupted.into());
        }
        Ok(())
    }

    fn not_started(&self, error: &std::io::Error) -> anyhow::Error {
        let (what, end) = if error.kind() == std::io::ErrorKind::NotFound {
            ("was not found on PATH".to_owned(), End::NotFound)
        } else {
            (format!("could not be started: {error}"), End::NotStarted)
        };
        self.failed(&what, end, String::new(), None)
    }

    fn failed(&self, what: &str, end: End, tail: String, log: Option<&Path>) -> anyhow::Error {
        let command = secrets::redact(&self.to_line()).into_owned();
        let tail = secrets::redact(&tail).into_owned();
        CommandFailed { command, what: what.into(), end, tail, log: log.map(Into::into) }.into()
    }
}

/// What a captured command ended with.
#[derive(Debug, Clone)]
pub struct Captured {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output, UTF-8 with replacements.
    pub stdout: String,
    /// Standard error, UTF-8 with replacements.
    pub stderr: String,
}

/// Folders for administration, which Debian leaves out of a user's PATH.
const ADMINISTRATION: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Where `program` is: on PATH, or in a folder for administration.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let elsewhere = || ADMINISTRATION.iter().find_map(|dir| which::which(Path::new(dir).join(program)).ok());
    which::which(program).ok().or_else(elsewhere)
}

/// PATH with the folders for administration, for what looks for programs there itself.
#[must_use]
pub fn path() -> String {
    let path = std::env::var("PATH").ok().filter(|path| !path.is_empty());
    format!("{}:{}", path.as_deref().unwrap_or("/usr/bin:/bin"), ADMINISTRATION.join(":"))
}

fn tail_of<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn read_returns_stdout_and_reports_stderr_with_a_pasteable_command() {
        assert_eq!(Cmd::new("echo").arg("a b").read().unwrap(), "a b");
        let error = Cmd::new("sh").args(["-c", "echo out; echo 'it broke' >&2; exit 3"]).read().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'echo out; echo '\\''it broke'\\'' >&2; exit 3'` failed with exit status 3\n  it broke"
        );
    }

    #[test]
    fn no_secret_gets_into_logs_and_errors() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let failing = Cmd::new("sh").args([
            "-c",
            "echo \"token: abcdef.0123456789abcdef\"; echo on; exit 1",
            "--token",
            "opensesame",
        ]);
        let error = format!("{:#}", failing.run_logged(&log, |line| assert!(!line.contains("abcdef"))).unwrap_err());
        let log = std::fs::read_to_string(log).unwrap();
        for text in [&error, &log, &format!("{:#}", failing.read().unwrap_err())] {
            assert!(!text.contains("abcdef") && !text.contains("opensesame") && text.contains("on"), "{text}");
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Cmd::new("no-such-program").read().unwrap_err();
        assert_eq!(error.to_string(), "`no-such-program` was not found on PATH");
    }

    #[test]
    fn a_time_out_ends_the_whole_process_tree() {
        let started = Instant::now();
        let error =
            Cmd::new("sh").args(["-c", "sleep 600 & wait"]).timeout(Duration::from_millis(200)).read().unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_log_holds_every_line_and_the_error_its_tail() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("logs/a.log");
        let mut seen = 0;
        let error =
            Cmd::new("sh").args(["-c", "seq 1 40; exit 1"]).run_logged(&log, |_| seen += 1).unwrap_err().to_string();
        assert_eq!(seen, 40);
        assert!(error.contains("  40\n") && !error.contains("  25\n"), "{error}");
        assert!(error.ends_with(&format!("full log: {}", log.display())), "{error}");
        assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 41);
    }
}
