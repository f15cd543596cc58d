//! Meets the machines before any step looks at them: which ones they are, how
//! often they were started since, and whether their clocks are right.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use super::Context;
use crate::journal::{Entry, Seen, State};
use crate::node::Node;
use crate::provider::Identity;

/// How far a machine's clock may be off before it is set: certificates and
/// leases stand more, an emulated machine's answer may take a second.
const CLOCK_OFF_SECONDS: u64 = 10;

/// What became of a machine since the journal last saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Nothing, as far as can be seen.
    Same,
    /// It was never seen before.
    New,
    /// It was switched off and on, or has booted again.
    Restarted,
    /// It is switched off.
    Stopped,
    /// Another machine has its name.
    Replaced,
    /// It is not there any more.
    Vanished,
}

impl Change {
    /// For people; nothing where there is nothing to tell.
    #[must_use]
    pub fn told(self) -> Option<&'static str> {
        match self {
            Self::Same | Self::New => None,
            Self::Restarted => Some("started again since the last up"),
            Self::Stopped => Some("switched off since the last up"),
            Self::Replaced => Some("another machine than at the last up"),
            Self::Vanished => Some("it has vanished since the last up"),
        }
    }
}

/// Compares a machine with what the journal saw last. `boot` is its kernel's
/// boot id, where it was asked.
#[must_use]
pub fn change(state: &State, node: &str, now: Option<&Identity>, boot: Option<&str>) -> Change {
    match (state.machines.get(node), now) {
        (None, _) => Change::New,
        (Some(_), None) => Change::Vanished,
        (Some(before), Some(now)) if before.machine != now.machine => Change::Replaced,
        (Some(before), Some(now)) if now.run.is_empty() && !before.run.is_empty() => Change::Stopped,
        // The same boot in another process: it was put back from a snapshot.
        (Some(before), Some(now)) if before.run != now.run && boot != Some(&before.boot) => Change::Restarted,
        (Some(before), _) if boot.is_some_and(|boot| boot != before.boot) => Change::Restarted,
        _ => Change::Same,
    }
}

/// What a machine says of itself.
struct Answer {
    boot: String,
    /// Seconds since 1970.
    clock: u64,
}

/// Bash's own words: no further process on a slow guest.
const ASK: &str = "read -r boot </proc/sys/kernel/random/boot_id; printf '%s %(%s)T\\n' \"$boot\" -1";

fn ask(node: &dyn Node) -> Result<Answer> {
    let text = node.read(&format!("bash -c {}", shell_words::quote(ASK)), b"")?;
    let Some((boot, clock)) = text.trim().split_once(' ') else {
        bail!("{}: asked for boot id and clock, it said `{}`", node.name(), text.trim());
    };
    let clock = clock.parse().with_context(|| format!("{}: read its clock `{clock}`", node.name()))?;
    Ok(Answer { boot: boot.to_owned(), clock })
}

fn host_clock() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("read this host's clock")?.as_secs())
}

/// Says what has changed since the last time, sets clocks that are wrong, and
/// writes down who was met. `identities` are the nodes', in order.
pub fn meet(cx: &Context, identities: Vec<Identity>) -> Result<()> {
    let state = cx.journal.state()?;
    let answers = cx.on_each_node(|node, _| {
        let mut answer = ask(node)?;
        let now = host_clock()?;
        if answer.clock.abs_diff(now) > CLOCK_OFF_SECONDS {
            // Of a machine that is not ours, who knows which of the two is right?
            let ours = cx.profile.provider.makes_machines();
            cx.ui.warn(&format!(
                "{}: its clock is {} s {}; {}",
                node.name(),
                answer.clock.abs_diff(now),
                if answer.clock > now { "ahead" } else { "behind" },
                if ours { "it is set to this host's" } else { "certificates may not be valid yet: set one of the two" }
            ));
            if ours {
                node.read(&format!("date --utc --set=@{}", host_clock()?), b"")?;
                answer.clock = now;
            }
        }
        Ok(answer)
    })?;
    for ((node, identity), answer) in cx.nodes.iter().zip(identities).zip(answers) {
        let name = node.name();
        match change(&state, name, Some(&identity), Some(&answer.boot)) {
            // One that answers is neither gone nor off.
            Change::Same | Change::New | Change::Vanished | Change::Stopped => {}
            Change::Restarted => cx.ui.note(&format!("{name} was started again since the last time")),
            Change::Replaced => {
                cx.ui.note(&format!("{name} is another machine than the last time: all is looked at anew"))
            }
        }
        let seen = Seen { machine: identity.machine, run: identity.run, boot: answer.boot };
        if state.machines.get(name) != Some(&seen) {
            cx.journal.write(Entry::Machine { node: name.into(), seen })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_compared_with_what_was_seen_last() {
        let seen = Seen { machine: "m".into(), run: "1".into(), boot: "b".into() };
        let state = State { machines: [("n".to_owned(), seen)].into(), ..State::default() };
        let now = |machine: &str, run: &str| Identity { machine: machine.into(), run: run.into() };
        let of = |identity: Option<Identity>, boot| change(&state, "n", identity.as_ref(), boot);
        assert_eq!(of(Some(now("m", "1")), Some("b")), Change::Same);
        assert_eq!(of(Some(now("m", "1")), None), Change::Same);
        assert_eq!(of(Some(now("m", "1")), Some("c")), Change::Restarted);
        assert_eq!(of(Some(now("m", "2")), None), Change::Restarted);
        assert_eq!(of(Some(now("m", "2")), Some("b")), Change::Same);
        assert_eq!(of(Some(now("m", "")), None), Change::Stopped);
        assert_eq!(of(Some(now("x", "1")), Some("c")), Change::Replaced);
        assert_eq!(of(None, None), Change::Vanished);
        assert_eq!(change(&state, "new", Some(&now("m", "1")), None), Change::New);
    }
}
