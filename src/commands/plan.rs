//! `provision plan`: what `up` would do, and where each value came from.
//! Changes nothing.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;

use super::session::{Parts, Session};
use crate::host::packages::{self, Job};
use crate::provider::MachineState;
use crate::steps::machines::Change;
use crate::steps::{self, Check};

/// Show what `up` would change, and where each value of the profile came from.
#[derive(Debug, Args)]
pub struct Plan {
    /// Leave out the profile's values
    #[arg(long)]
    changes_only: bool,
}

impl Plan {
    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        let mut text = String::new();
        if !self.changes_only {
            values(session, &mut text)?;
        }
        let acceleration = session.acceleration()?;
        writeln!(text, "machines: {}", acceleration.reason)?;
        writeln!(text, "{}", tuning(acceleration.emulated))?;
        let changes = changes(session, acceleration.emulated, &mut text)?;
        match changes {
            0 => writeln!(text, "\nno change: lab `{}` is as the profile says", session.lab.name())?,
            1 => writeln!(text, "\n1 change; make it: provision up")?,
            n => writeln!(text, "\n{n} changes; make them: provision up")?,
        }
        std::io::stdout().write_all(text.as_bytes()).context("print the plan")
    }
}

fn tuning(emulated: bool) -> &'static str {
    if emulated {
        "  tuned for it (templates/node/EMULATION.md): kernel command line, disk cache, longer time-outs and intervals of \
         kubeadm, kubelet, etcd and containerd, a shorter benchmark"
    } else {
        "  no tuning for emulation applies"
    }
}

fn values(session: &Session, text: &mut String) -> Result<()> {
    writeln!(text, "profile")?;
    let explain = &session.loaded.explain;
    let path_width = explain.iter().map(|value| value.path.len()).max().unwrap_or(0);
    let value_width = explain.iter().map(|value| value.value.len()).max().unwrap_or(0);
    for value in explain {
        writeln!(text, "  {:path_width$}  {:value_width$}  {}", value.path, value.value, value.origin)?;
    }
    writeln!(text)?;
    Ok(())
}

/// The machines' states, what became of them, and why those that do not run do
/// not, where that is known.
type Machines = (Vec<MachineState>, Vec<Change>, Vec<Option<String>>);

/// What is known of the machines. Without the provider's
/// programs there are none, and a plan is no place to fail for it: `up`
/// installs them.
pub(super) fn machines(session: &Session) -> Result<Machines> {
    let names = session.node_names();
    if !can_be_asked(session) {
        let unknown = vec![None; names.len()];
        return Ok((vec![MachineState::Absent; names.len()], vec![Change::New; names.len()], unknown));
    }
    let provider = session.provider()?;
    let states = provider.states(&session.lab, &names)?;
    let changes = session.changes(provider.as_ref(), &states)?;
    let whys = (0..names.len()).map(|node| provider.why(node)).collect();
    Ok((states, changes, whys))
}

/// Whether the programs are there that know of machines.
fn can_be_asked(session: &Session) -> bool {
    !packages::missing(Job::Lab(session.profile().provider)).iter().any(|need| need.asks_for_machines())
}

/// Writes the changes down and counts them.
fn changes(session: &Session, emulated: bool, text: &mut String) -> Result<usize> {
    let mut count = 0;
    let mut line = |text: &mut String, pending: bool, name: &str, what: &str| -> Result<()> {
        count += usize::from(pending);
        writeln!(text, "  {} {name}: {what}", if pending { '+' } else { '=' })?;
        Ok(())
    };

    writeln!(text, "\nartifacts")?;
    let set = session.artifacts()?;
    if let Some(untried) = session.untried() {
        writeln!(text, "  {untried}")?;
    }
    if let Some(choice) = session.choice_made() {
        writeln!(text, "  {choice}")?;
    }
    let planned = set.plan()?;
    for artifact in &planned {
        let what = if artifact.is_pending() { artifact.title.clone() } else { "in the cache".to_owned() };
        line(text, artifact.is_pending(), &artifact.name, &what)?;
    }
    let made = set.made()?;

    writeln!(text, "\nmachines")?;
    let (states, changes, whys) = machines(session)?;
    for (((node, state), change), why) in session.nodes.iter().zip(&states).zip(&changes).zip(whys) {
        let what = match (state, &node.access) {
            (MachineState::Off, Some(_)) => format!("does not answer: {}", why.unwrap_or_default()),
            (_, Some(_)) => format!("{} answers", node.ip),
            (MachineState::Running, None) => "running".to_owned(),
            (MachineState::Absent, None) => {
                format!("new: {} CPUs, {} MiB, {} GiB disk, {}", node.cpus, node.memory_mib, node.disk_gib, node.ip)
            }
            (MachineState::Off | MachineState::Paused, None) => "start again".to_owned(),
        };
        let told = change.told().map(|told| format!(" ({told})")).unwrap_or_default();
        let pending = *state != MachineState::Running || *change == Change::Replaced;
        line(text, pending, &node.name, &format!("{what}{told}"))?;
    }
    let running = states.iter().all(|state| *state == MachineState::Running);
    for obstacle in if running { Vec::new() } else { session.provider()?.obstacles()? } {
        writeln!(text, "  ! {obstacle}")?;
    }

    if can_be_asked(session) {
        for node in session.provider()?.leftovers(&session.lab, &session.node_names())? {
            writeln!(text, "  ! {node}: not in the profile (any more); remove it: provision down --node {node}")?;
        }
    }

    writeln!(text, "\nsteps")?;
    let all = steps::all();
    let running = running
        // Its host key is not the pinned one: nothing can be asked of it yet.
        && !changes.contains(&Change::Replaced);
    if let (true, Some(made)) = (running && session.knows_hosts(), made) {
        let parts = Parts::of(session, &made, emulated)?;
        for (name, title, check) in steps::plan(&all, &parts.context(session))? {
            match check {
                Check::Done => line(text, false, name, title)?,
                Check::Pending(changes) => line(text, true, name, &changes.join("; "))?,
            }
        }
    } else {
        for step in all.iter().filter(|step| step.concerns(&session.nodes)) {
            line(text, true, step.name(), step.title())?;
        }
    }
    Ok(count)
}
