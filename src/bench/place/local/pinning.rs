//! Which CPUs server and generator run on: apart, where there are two, so that
//! neither waits for the other and the scheduler moves nothing.

use std::ffi::OsStr;
use std::fmt;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::process::Cmd;

/// The first and the last CPU that this process may use, if they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinning(Option<(usize, usize)>);

impl Pinning {
    /// By this process's own CPUs.
    pub fn detect() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).context("ask which CPUs may be used")?;
        let cpus: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
        Ok(Self(cpus.first().copied().zip(cpus.last().copied()).filter(|(first, last)| first != last)))
    }

    /// A command that runs `program` where servers run.
    #[must_use]
    pub fn server(&self, program: impl AsRef<OsStr>) -> Cmd {
        on(self.0.map(|(_, last)| last), program)
    }

    /// A command that runs `program` where the generator runs.
    #[must_use]
    pub fn generator(&self, program: impl AsRef<OsStr>) -> Cmd {
        on(self.0.map(|(first, _)| first), program)
    }
}

fn on(cpu: Option<usize>, program: impl AsRef<OsStr>) -> Cmd {
    match cpu {
        Some(cpu) => Cmd::new("taskset").args(["--cpu-list", &cpu.to_string()]).arg(program),
        None => Cmd::new(program),
    }
}

impl fmt::Display for Pinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((generator, server)) => write!(f, "server on CPU {server}, generator on CPU {generator}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_one_cpu_nothing_is_pinned() {
        assert_eq!(Pinning(None).server("x").to_line(), "x");
        assert_eq!(Pinning(Some((0, 3))).server("x").to_line(), "taskset --cpu-list 3 x");
        assert_eq!(Pinning(Some((0, 3))).generator("x").to_line(), "taskset --cpu-list 0 x");
    }
}
