//! A node is a thing that runs commands: steps see this trait, not SSH, so
//! that tests give them a node made of nothing.

use anyhow::Result;

/// What a command on a node ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status; -1 if a signal ended it.
    pub status: i32,
    /// Standard output, UTF-8 with replacements.
    pub stdout: String,
    /// Standard error, UTF-8 with replacements.
    pub stderr: String,
}

/// A machine of the lab on which commands run as root.
pub trait Node: Send + Sync {
    /// The node's name, as Kubernetes shows it.
    fn name(&self) -> &str;

    /// Runs `command` by the node's shell with `stdin`, however it exits; an
    /// error means that it could not be run at all (connection, time-out).
    fn exec(&self, command: &str, stdin: &[u8]) -> Result<Output>;
}

/// A command ran on a node and failed.
#[derive(Debug, thiserror::Error)]
#[error("{node}: `{command}` exited with status {status}{}", indent(.tail))]
pub struct NodeCommandFailed {
    /// The node's name.
    pub node: String,
    /// The command line, as typed into the node's shell.
    pub command: String,
    /// Its exit status.
    pub status: i32,
    /// The last lines of what it printed.
    pub tail: String,
}

/// A step's script ran on a node and failed.
#[derive(Debug, thiserror::Error)]
#[error("{node}: {step}.sh exited with status {status}\n  {tail}\n  full log: {}", .log.display())]
pub struct ScriptFailed {
    /// The node's name.
    pub node: String,
    /// The step's name.
    pub step: String,
    /// The command line, as typed into the node's shell.
    pub command: String,
    /// Its exit status.
    pub status: i32,
    /// The last lines of what it printed.
    pub tail: String,
    /// The file on this host with all it printed.
    pub log: std::path::PathBuf,
}

/// A command could not be run on a node at all.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct NotReached {
    /// The node's name.
    pub node: String,
    /// What stood in the way.
    pub how: Obstacle,
    /// For people.
    pub text: String,
}

/// What stands between this host and a command on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing accepts the connection.
    Connect,
    /// Whoever answers does not speak SSH.
    Handshake,
    /// No host key is pinned.
    HostKeyUnknown,
    /// The host key is not the pinned one.
    HostKeyChanged,
    /// The lab's key is refused.
    Login,
    /// The connection broke while a command ran.
    Lost,
    /// The command took too long.
    TimeOut,
}

impl Obstacle {
    /// The word for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::HostKeyUnknown => "host-key-unknown",
            Self::HostKeyChanged => "host-key-changed",
            Self::Login => "login",
            Self::Lost => "lost",
            Self::TimeOut => "time-out",
        }
    }
}

fn indent(tail: &str) -> String {
    tail.lines().map(|line| format!("\n  {line}")).collect()
}

impl dyn Node + '_ {
    /// Runs `command` and returns its standard output; another exit status
    /// than 0 is a [`NodeCommandFailed`] with the last 20 lines printed.
    pub fn read(&self, command: &str, stdin: &[u8]) -> Result<String> {
        let output = self.exec(command, stdin)?;
        if output.status == 0 {
            return Ok(output.stdout);
        }
        let printed: Vec<&str> = output.stdout.lines().chain(output.stderr.lines()).collect();
        let tail = printed[printed.len().saturating_sub(20)..].join("\n");
        let tail = crate::secrets::redact(&tail).into_owned();
        Err(NodeCommandFailed { node: self.name().into(), command: command.into(), status: output.status, tail }.into())
    }
}
