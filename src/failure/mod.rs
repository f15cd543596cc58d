//! What went wrong, in a form that programs and `config/failures.toml` can
//! tell apart: a kind, a reason and where it happened, never the wording.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interrupt::Interrupted;
use crate::node::{NodeCommandFailed, NotReached, ScriptFailed};
use crate::process::{CommandFailed, End};
use crate::profile::Faults;
use crate::secrets;

pub mod known;
pub mod story;

/// The outside world in which something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A command on this host.
    Command,
    /// Vagrant's own error; the reason is its class (`Libvirt::Error`).
    Vagrant,
    /// A step's script on a node.
    Script,
    /// Another command on a node.
    NodeCommand,
    /// A node could not be reached; the reason says how far it got.
    Connection,
    /// A pod does not run; the reason is Kubernetes' (`ErrImageNeverPull`).
    Pod,
    /// A link of the chain from pod to WasmEdge is missing; the reason names it.
    Runtime,
    /// This host lacks room, memory, a program or a free network.
    Host,
    /// The operating system refused; the reason is its code (`ENOSPC`).
    System,
    /// The profile has faults.
    Profile,
    /// The user stopped it.
    Interrupted,
    /// None of these.
    Other,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The world.
    pub kind: Kind,
    /// Its own word for it: `not-found`, `time-out`, `signal 9`, `ENOSPC`…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The node it happened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The command, as one types it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The file with all it printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// The whole error, without secrets.
    pub message: String,
}

/// An error of a kind, for what has no type of its own: prints its text.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Told {
    /// The world.
    pub kind: Kind,
    /// Its own word for it.
    pub reason: String,
    /// For people; names the object.
    pub text: String,
    /// The file with all that was printed.
    pub log: Option<PathBuf>,
}

/// An error with more text around it, which keeps what it is.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Annotated {
    /// The whole text.
    pub text: String,
    /// What it is about.
    pub about: anyhow::Error,
}

impl Failure {
    /// What `error` is, wherever in its chain that is said.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        let mut failure = Self::known_part(error);
        failure.message = secrets::redact(&format!("{error:#}")).into_owned();
        failure.command = failure.command.map(|command| secrets::redact(&command).into_owned());
        failure
    }

    fn known_part(error: &anyhow::Error) -> Self {
        if let Some(outer) = find::<Annotated>(error) {
            return Self::known_part(&outer.about);
        }
        if find::<Interrupted>(error).is_some() {
            return Self::new(Kind::Interrupted);
        }
        if find::<Faults>(error).is_some() {
            return Self::new(Kind::Profile);
        }
        if let Some(told) = find::<Told>(error) {
            return Self { reason: Some(told.reason.clone()), log: told.log.clone(), ..Self::new(told.kind) };
        }
        if let Some(failed) = find::<CommandFailed>(error) {
            let (reason, status) = match &failed.end {
                End::NotFound => (Some("not-found".to_owned()), None),
                End::NotStarted => (Some("not-started".to_owned()), None),
                End::Useless => (Some("useless".to_owned()), None),
                End::TimedOut => (Some("time-out".to_owned()), None),
                End::Signal(signal) => (Some(format!("signal {signal}")), None),
                End::Status(status) => (None, Some(*status)),
            };
            let (command, log) = (Some(failed.command.clone()), failed.log.clone());
            return Self { reason, status, command, log, ..Self::new(Kind::Command) };
        }
        if let Some(failed) = find::<ScriptFailed>(error) {
            return Self {
                reason: Some(failed.step.clone()),
                node: Some(failed.node.clone()),
                command: Some(failed.command.clone()),
                status: Some(failed.status),
                log: Some(failed.log.clone()),
                ..Self::new(Kind::Script)
            };
        }
        if let Some(failed) = find::<NodeCommandFailed>(error) {
            return Self {
                node: Some(failed.node.clone()),
                command: Some(failed.command.clone()),
                status: Some(failed.status),
                ..Self::new(Kind::NodeCommand)
            };
        }
        if let Some(lost) = find::<NotReached>(error) {
            let reason = Some(lost.how.name().to_owned());
            return Self { reason, node: Some(lost.node.clone()), ..Self::new(Kind::Connection) };
        }
        if let Some(system) = find::<std::io::Error>(error) {
            let code = system.raw_os_error().map(nix::errno::Errno::from_raw);
            return Self { reason: code.map(|code| format!("{code:?}")), ..Self::new(Kind::System) };
        }
        Self::new(Kind::Other)
    }

    fn new(kind: Kind) -> Self {
        Self { kind, reason: None, node: None, command: None, status: None, log: None, message: String::new() }
    }

    /// The first word of the command, without its folder.
    #[must_use]
    pub fn program(&self) -> Option<String> {
        let words = shell_words::split(self.command.as_deref()?).ok()?;
        Some(words.first()?.rsplit('/').next()?.to_owned())
    }
}

/// A `T` in the chain: an error of it, or a context.
fn find<T: std::error::Error + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&T> {
    error.downcast_ref::<T>().or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<T>()))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;
    use crate::process::Cmd;

    #[test]
    fn what_an_error_is_survives_the_words_around_it() {
        let error = Cmd::new("sh").args(["-c", "exit 4"]).read().context("a").context("b").unwrap_err();
        let failure = Failure::of(&error);
        assert_eq!((failure.kind, failure.status, failure.program().as_deref()), (Kind::Command, Some(4), Some("sh")));
        let wrapped = anyhow::Error::new(Annotated { text: "more".into(), about: error }).context("outer");
        assert_eq!(
            (Failure::of(&wrapped).kind, Failure::of(&wrapped).message.as_str()),
            (Kind::Command, "outer: more")
        );
        let missing = Failure::of(&Cmd::new("no-such-program").read().unwrap_err());
        assert_eq!(missing.reason.as_deref(), Some("not-found"));
    }

    #[test]
    fn the_operating_systems_codes_have_their_names() {
        let full = std::io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32);
        let failure = Failure::of(&anyhow::Error::new(full).context("write x"));
        assert_eq!((failure.kind, failure.reason.as_deref()), (Kind::System, Some("ENOSPC")));
    }
}
