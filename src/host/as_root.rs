//! Commands that change this host, run as root or through sudo: shown first,
//! then carried out.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{self, Cmd};

/// How long one of them may take; a slow mirror has time.
const LIMIT: Duration = Duration::from_secs(3600);

/// A command that takes root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsRoot {
    words: Vec<String>,
    stdin: Option<String>,
    root: bool,
}

impl AsRoot {
    /// A command of these words; `root` says that we are root and need no sudo.
    pub fn new<W: AsRef<str>>(root: bool, words: &[W]) -> Self {
        Self { words: words.iter().map(|word| word.as_ref().to_owned()).collect(), stdin: None, root }
    }

    /// Feeds `text` to its standard input.
    #[must_use]
    pub fn with_stdin(mut self, text: String) -> Self {
        self.stdin = Some(text);
        self
    }

    /// The command as the user would type it.
    #[must_use]
    pub fn line(&self) -> String {
        let sudo = if self.root { "" } else { "sudo " };
        let line = format!("{sudo}{}", shell_words::join(&self.words));
        match &self.stdin {
            Some(text) => format!("echo {} | {line}", shell_words::quote(text.trim_end())),
            None => line,
        }
    }

    /// The command to run.
    #[must_use]
    pub fn cmd(&self) -> Cmd {
        let mut command = if self.root {
            // A daemon's folder may not be on PATH; sudo has a PATH of its own.
            let program = process::find(&self.words[0]).unwrap_or_else(|| self.words[0].clone().into());
            Cmd::new(program).args(&self.words[1..])
        } else {
            Cmd::new("sudo").arg("--non-interactive").args(&self.words)
        };
        if let Some(text) = &self.stdin {
            command = command.stdin(text.clone());
        }
        command.timeout(LIMIT)
    }
}

/// The commands as lines for the user, each on a line of its own.
#[must_use]
pub fn lines(commands: &[AsRoot]) -> String {
    commands.iter().map(|command| format!("\n  {}", command.line())).collect()
}

/// The commands as one line for the user.
#[must_use]
pub fn line(commands: &[AsRoot]) -> String {
    commands.iter().map(AsRoot::line).collect::<Vec<_>>().join(" && ")
}

/// Makes sure that the commands may be run as root; sudo asks for its password
/// here, on the terminal, and [`run`] goes without.
pub fn authorise(commands: &[AsRoot]) -> Result<()> {
    if commands.iter().all(|command| command.root) {
        return Ok(());
    }
    let as_root = || {
        let plain: Vec<AsRoot> = commands.iter().map(|command| AsRoot { root: true, ..command.clone() }).collect();
        lines(&plain)
    };
    if process::find("sudo").is_none() {
        bail!("this user may not change the host and there is no sudo; as root, type:{}", as_root());
    }
    if Cmd::new("sudo").arg("--validate").interactive()? != 0 {
        bail!("sudo was refused; as root, type:{}", as_root());
    }
    Ok(())
}

/// Runs the commands one after the other, their output going to `log` and
/// line by line to `on_line`.
pub fn run(commands: &[AsRoot], log: &Path, mut on_line: impl FnMut(&str)) -> Result<()> {
    commands.iter().try_for_each(|command| command.cmd().run_logged(log, &mut on_line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_pasted_into_a_shell() {
        let command = AsRoot::new(false, &["tee", "/etc/a file"]).with_stdin("it's\n".into());
        assert_eq!(command.line(), "echo 'it'\\''s' | sudo tee '/etc/a file'");
        assert_eq!(AsRoot::new(true, &["true"]).line(), "true");
    }

    #[test]
    fn what_a_command_prints_is_in_the_log_and_a_failure_ends_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let commands = [AsRoot::new(true, &["cat"]).with_stdin("fed\n".into()), AsRoot::new(true, &["false"])];
        let mut seen = Vec::new();
        let error = run(&commands, &log, |line| seen.push(line.to_owned())).unwrap_err().to_string();
        assert!(error.starts_with("`") && error.contains("false` failed with exit status 1"), "{error}");
        assert_eq!(seen, ["fed"]);
    }
}
