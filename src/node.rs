//! A node is a thing that runs commands: steps see this trait, not SSH, so
//! that tests give them a node made of nothing.

use std::io::Read;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::failure::Annotated;
use crate::interrupt::Interrupted;

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

    /// The same for a command that is to answer within `limit`.
    fn exec_within(&self, command: &str, stdin: &[u8], _limit: Duration) -> Result<Output> {
        self.exec(command, stdin)
    }

    /// The same with a standard input that is too much to hold.
    fn feed(&self, command: &str, input: &mut dyn Read) -> Result<Output> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).context("read what is to be sent")?;
        self.exec(command, &bytes)
    }

    /// Gives back what is held between commands; the next one connects again.
    fn hang_up(&self) {}
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
    /// The jump host does not let through.
    Jump,
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
            Self::Jump => "jump",
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
        self.succeed(command, self.exec(command, stdin)?)
    }

    /// The same for a command that is to answer within `limit`.
    pub fn read_within(&self, command: &str, stdin: &[u8], limit: Duration) -> Result<String> {
        self.succeed(command, self.exec_within(command, stdin, limit)?)
    }

    /// The same with a standard input that is too much to hold.
    pub fn read_fed(&self, command: &str, input: &mut dyn Read) -> Result<String> {
        self.succeed(command, self.feed(command, input)?)
    }

    fn succeed(&self, command: &str, output: Output) -> Result<String> {
        if output.status == 0 {
            return Ok(output.stdout);
        }
        let printed: Vec<&str> = output.stdout.lines().chain(output.stderr.lines()).collect();
        let tail = printed[printed.len().saturating_sub(20)..].join("\n");
        let tail = crate::secrets::redact(&tail).into_owned();
        Err(NodeCommandFailed { node: self.name().into(), command: command.into(), status: output.status, tail }.into())
    }
}

/// Most nodes that are worked on at the same time; with more nodes, none keeps
/// its connection in between.
pub const AT_ONCE: usize = 256;

/// Does `work` on all nodes side by side, [`AT_ONCE`] of them at a time; every
/// node is let finish, then the errors of those that failed are one, in the
/// nodes' order.
pub fn fan_out<'n, N, T>(nodes: &[N], work: impl Fn(usize, &dyn Node) -> Result<T> + Sync) -> Result<Vec<T>>
where
    N: Deref<Target = dyn Node + 'n> + Sync,
    T: Send,
{
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(node) = nodes.get(index) else { return };
            let result = work(index, &**node);
            if nodes.len() > AT_ONCE {
                node.hang_up();
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..nodes.len().min(AT_ONCE)).map(|_| scope.spawn(worker)).collect();
        running.into_iter().try_for_each(|thread| thread.join())
    })
    .map_err(|_| anyhow!("a worker thread panicked"))?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (_, result) in results {
        match result {
            Ok(value) => done.push(value),
            Err(error) => failed.push(error),
        }
    }
    together(nodes.len(), failed).map_or(Ok(done), Err)
}

/// The errors of several nodes, which name them, as one; one alone stays as it
/// is, and so does an interruption.
fn together(of: usize, mut failed: Vec<anyhow::Error>) -> Option<anyhow::Error> {
    if let Some(at) = failed.iter().position(anyhow::Error::is::<Interrupted>) {
        return Some(failed.swap_remove(at));
    }
    if failed.len() < 2 {
        return failed.pop();
    }
    let told: String = failed.iter().map(|error| format!("\n{error:#}")).collect();
    let text = format!("{} of {of} nodes failed:{told}", failed.len());
    Some(Annotated { text, about: failed.swap_remove(0) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake(String);

    impl Node for Fake {
        fn name(&self) -> &str {
            &self.0
        }
        fn exec(&self, _: &str, _: &[u8]) -> Result<Output> {
            Ok(Output { status: 0, stdout: self.0.clone(), stderr: String::new() })
        }
    }

    #[test]
    fn answers_come_in_the_nodes_order_and_never_more_than_so_many_at_once() {
        let nodes: Vec<Box<dyn Node>> =
            (0..3 * AT_ONCE).map(|index| Box::new(Fake(index.to_string())) as Box<dyn Node>).collect();
        let (busy, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let answers = fan_out(&nodes, |_, node| {
            most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            busy.fetch_sub(1, Ordering::SeqCst);
            node.read("", b"")
        })
        .unwrap();
        assert_eq!(answers, (0..3 * AT_ONCE).map(|index| index.to_string()).collect::<Vec<_>>());
        assert!(most.into_inner() <= AT_ONCE);
    }

    #[test]
    fn all_that_fail_are_named_and_an_interruption_stays_one() {
        let nodes: Vec<Box<dyn Node>> =
            ["a", "b", "c"].map(|name| Box::new(Fake(name.into())) as Box<dyn Node>).into_iter().collect();
        let fail = |except: &str| {
            fan_out(
                &nodes,
                |_, node| {
                    if node.name() == except { Ok(()) } else { Err(anyhow!("{} is gone", node.name())) }
                },
            )
            .unwrap_err()
        };
        assert_eq!(fail("b").to_string(), "2 of 3 nodes failed:\na is gone\nc is gone");
        let interrupted =
            fan_out(
                &nodes,
                |index, _| {
                    if index == 1 { Err::<(), _>(Interrupted.into()) } else { Err(anyhow!("gone")) }
                },
            );
        assert!(interrupted.unwrap_err().is::<Interrupted>());
    }
}
