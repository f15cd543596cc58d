//! What a process that died without a word (SIGKILL, out of memory) left
//! running: its children carry its mark, and whoever takes over its work ends
//! them first, so that two never do the same.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt;

/// The variable in which every child finds the mark of its `provision`.
pub(super) const VARIABLE: &str = "PROVISION_STARTED_BY";
/// How long a leftover may take to end after SIGTERM, and after SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    group: i32,
    session: i32,
    /// Clock ticks since the host's boot: with the number it names one process only.
    started: u64,
}

impl Stat {
    fn of(pid: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name, in parentheses, may hold anything; see proc(5).
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

/// This process's mark: its number, its start, its session.
pub fn mark() -> Result<String> {
    let stat = Stat::of("self").context("read /proc/self/stat")?;
    Ok(format!("{}.{}.{}", std::process::id(), stat.started, stat.session))
}

/// Whether the process of `mark` lives.
#[must_use]
pub fn lives(mark: &str) -> bool {
    numbers(mark).is_some_and(|[pid, started, _]| {
        Stat::of(&pid.to_string()).is_some_and(|stat| stat.started == started && stat.state != 'Z')
    })
}

fn numbers(mark: &str) -> Option<[u64; 3]> {
    let numbers: Vec<u64> = mark.split('.').filter_map(|number| number.parse().ok()).collect();
    numbers.try_into().ok()
}

/// Ends the children that the process of `mark` has left behind and returns
/// their command lines. A process that lives keeps its children, and a daemon
/// (which has left the session) is nobody's child any more.
pub fn end_leftovers(mark: &str) -> Result<Vec<String>> {
    let Some([pid, _, session]) = numbers(mark) else { return Ok(Vec::new()) };
    if lives(mark) {
        return Ok(Vec::new());
    }
    let found = || children(mark, session);
    let first = found()?;
    let deadline = Instant::now() + GRACE;
    let mut left = first.clone();
    while !left.is_empty() {
        let late = Instant::now() > deadline;
        for (group, _) in &left {
            // One that has just ended is what is wanted.
            killpg(Pid::from_raw(*group), if late { Signal::SIGKILL } else { Signal::SIGTERM }).ok();
        }
        if Instant::now() > deadline + GRACE {
            anyhow::bail!(
                "an earlier provision (process {pid}) left processes that do not end: {}",
                left.iter().map(|(group, line)| format!("{line} (group {group})")).collect::<Vec<_>>().join(", ")
            );
        }
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(50));
        left = found()?;
    }
    Ok(first.into_iter().map(|(_, line)| line).collect())
}

/// Group and command line of all processes that carry `mark` in this session.
fn children(mark: &str, session: u64) -> Result<Vec<(i32, String)>> {
    let wanted = format!("{VARIABLE}={mark}");
    let mut found: Vec<(i32, String)> = Vec::new();
    for entry in fs::read_dir("/proc").context("list /proc")? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // Other users' processes cannot be read; they are not ours.
        let Ok(environ) = fs::read(entry.path().join("environ")) else { continue };
        if !environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            continue;
        }
        let Some(stat) = Stat::of(&name) else { continue };
        if stat.state == 'Z' || u64::try_from(stat.session).ok() != Some(session) {
            continue;
        }
        if !found.iter().any(|(group, _)| *group == stat.group) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((stat.group, String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cmd;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let text = "7 (a) b) S 1 70 71 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat, Stat { state: 'S', group: 70, session: 71, started: 4242 });
        assert_eq!(Stat::parse("no stat"), None);
    }

    #[test]
    fn children_carry_the_mark_and_a_living_process_keeps_them() {
        let mark = mark().unwrap();
        assert_eq!(Cmd::new("sh").args(["-c", "echo $PROVISION_STARTED_BY"]).read().unwrap(), mark);
        assert_eq!(end_leftovers(&mark).unwrap(), Vec::<String>::new());
        assert_eq!(end_leftovers("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_dead_process_keeps_none_and_others_are_left_alone() {
        // A mark of a process that never was, in this session: number 0 is nobody's.
        let session = Stat::of("self").unwrap().session;
        let dead = format!("0.7.{session}");
        let sleeper = |mark: &str| {
            let script = format!("export {VARIABLE}={mark}; exec sleep 600");
            Cmd::new("sh").args(["-c", &script]).start().unwrap()
        };
        let (left, foreign) = (sleeper(&dead), sleeper(&format!("0.8.{session}")));
        let until = Instant::now() + Duration::from_secs(20);
        while children(&dead, u64::try_from(session).unwrap()).unwrap().is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(end_leftovers(&dead).unwrap(), ["sleep 600"]);
        assert!(left.ended().unwrap());
        assert!(!foreign.ended().unwrap());
    }
}
