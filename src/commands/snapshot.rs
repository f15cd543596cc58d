//! `provision snapshot`: a ready lab, kept with disk and memory, and back to it
//! in seconds.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use super::Session;
use super::session::Parts;
use crate::artifacts::made::Made;
use crate::host::preflight::{self, Room};
use crate::journal::Entry;
use crate::provider::{MachineState, Power, Provider};
use crate::snapshots::{Machines, Snapshot, parse_name};
use crate::steps::machines::Change;
use crate::steps::{self, Check, Proof, Selection};
use crate::ui;

/// Keep a ready lab, disk and memory of all machines, and go back to it in seconds
#[derive(Debug, Args)]
pub struct SnapshotCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Keep the lab as it is; it must be ready, with nothing left to do for `up`
    Save(Named),
    /// Go back to it: what came after is lost
    Restore(Named),
    /// Show what was kept
    List,
    /// Forget it
    Delete(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// The snapshot's name
    #[arg(value_parser = parse_name)]
    name: String,
}

/// How long a machine may take to answer SSH once it runs on.
const ANSWER: Duration = Duration::from_secs(60);

impl SnapshotCommand {
    /// One of its verbs.
    pub fn run(&self, session: &Session) -> Result<()> {
        session.lab.must_exist()?;
        if matches!(self.verb, Verb::List) {
            return list(session);
        }
        let _lock = session.lock()?;
        session.ui.record_to(&session.lab.events())?;
        let provider = session.provider()?;
        let Some(power) = provider.power() else {
            bail!("provider {} keeps no snapshots: the machines are not its own", provider.name());
        };
        match &self.verb {
            Verb::Save(Named { name }) => save(session, provider.as_ref(), power, name),
            Verb::Restore(Named { name }) => restore(session, provider.as_ref(), power, name),
            Verb::Delete(Named { name }) => delete(session, provider.as_ref(), power, name),
            Verb::List => Ok(()),
        }
    }
}

fn save(session: &Session, provider: &dyn Provider, power: &dyn Power, name: &str) -> Result<()> {
    let lab = &session.lab;
    if Snapshot::all(lab)?.iter().any(|snapshot| snapshot.name == name) {
        bail!("lab `{}` has a snapshot `{name}`\n  forget it: provision snapshot delete {name}", lab.name());
    }
    must_be_of_one_time(session)?;
    let machines = machines(session, provider, power)?;
    must_be_ready(session, provider, &machines)?;
    room_for(session, provider)?;
    let task = session.ui.task("snapshot", format!("Save {}", session.node_names().join(", ")));
    task.close(machines.save(name))?;
    session.journal.write(Entry::Saved { snapshot: name.into() })?;
    Snapshot::now(name, identities(session, provider)?, Proof::load(lab)).write(lab)?;
    session.ui.note(&format!("saved as `{name}`\nback:   provision snapshot restore {name}"));
    Ok(())
}

fn restore(session: &Session, provider: &dyn Provider, power: &dyn Power, name: &str) -> Result<()> {
    let started = Instant::now();
    let lab = &session.lab;
    let snapshot = Snapshot::find(lab, name)?;
    let machines = machines(session, provider, power)?;
    if machines.list.iter().any(|(_, state)| *state == MachineState::Absent)
        || identities(session, provider)? != snapshot.machines
    {
        bail!(
            "the machines of lab `{}` are not those of snapshot `{name}`\n  forget it: provision snapshot delete {name}",
            lab.name()
        );
    }
    machines.must_have(name)?;
    let made = made(session)?;
    session.journal.write(Entry::Restoring { snapshot: name.into() })?;
    let task = session.ui.task("snapshot", format!("Put {} back to `{name}`", session.node_names().join(", ")));
    task.close(machines.restore(name))?;
    Proof::put_back(lab, snapshot.proof.as_ref())?;
    session.journal.write(Entry::Restored { snapshot: name.into() })?;

    let parts = Parts::of(session, &made, session.acceleration()?.emulated)?;
    let cx = parts.context(session);
    session.meet(provider, &cx, ANSWER)?;
    steps::run(&steps::all(), &Selection::All, &cx)?;
    let took = ui::duration(started.elapsed().as_secs_f64());
    session.ui.note(&format!("lab `{}` is what it was at `{name}`, {} ({took})", lab.name(), snapshot.saved));
    Ok(())
}

fn delete(session: &Session, provider: &dyn Provider, power: &dyn Power, name: &str) -> Result<()> {
    let snapshot = Snapshot::find(&session.lab, name)?;
    if session.journal.state()?.restoring.is_some_and(|restoring| restoring == name) {
        must_be_of_one_time(session)?;
    }
    let task = session.ui.task("snapshot", format!("Delete snapshot `{name}`"));
    // The record last: as long as it is there, it can be said again.
    task.close(machines(session, provider, power)?.delete(name).and_then(|()| snapshot.forget(&session.lab)))
}

fn list(session: &Session) -> Result<()> {
    let all = Snapshot::all(&session.lab)?;
    let text = if session.ui.is_json() {
        format!("{}\n", serde_json::to_string_pretty(&all).context("write the snapshots as JSON")?)
    } else if all.is_empty() {
        format!("lab `{}` has no snapshot\n  keep it as it is: provision snapshot save NAME\n", session.lab.name())
    } else {
        let line = |snapshot: &Snapshot| {
            let nodes: Vec<&str> = snapshot.machines.keys().map(String::as_str).collect();
            format!("{:30} {}  {}\n", snapshot.name, snapshot.saved, nodes.join(", "))
        };
        all.iter().map(line).collect()
    };
    std::io::stdout().write_all(text.as_bytes()).context("print the snapshots")
}

/// Refuses to build on machines of which some are of another time than others.
pub(super) fn must_be_of_one_time(session: &Session) -> Result<()> {
    if let Some(name) = session.journal.state()?.restoring {
        bail!(
            "going back to snapshot `{name}` was cut off: machines may be of different times\n  finish it: provision \
             snapshot restore {name}   give up: provision down"
        );
    }
    Ok(())
}

fn machines<'a>(session: &Session, provider: &dyn Provider, power: &'a dyn Power) -> Result<Machines<'a>> {
    let names = session.node_names();
    let states = provider.states(&session.lab, &names)?;
    let list = names.iter().map(|name| session.lab.machine(name)).zip(states).collect();
    Ok(Machines { power, list })
}

fn identities(session: &Session, provider: &dyn Provider) -> Result<std::collections::BTreeMap<String, String>> {
    let of = |name: String| Ok((name.clone(), provider.identity(&session.lab, &name)?.machine));
    session.node_names().into_iter().map(of).collect()
}

fn made(session: &Session) -> Result<Made> {
    session
        .artifacts()?
        .made()?
        .context("the artifacts of this profile are not in the cache\n  make them: provision up")
}

/// Only a lab with nothing left to do is worth going back to.
fn must_be_ready(session: &Session, provider: &dyn Provider, machines: &Machines) -> Result<()> {
    let states: Vec<MachineState> = machines.list.iter().map(|(_, state)| *state).collect();
    let changes = session.changes(provider, &states)?;
    let not_ready =
        |what: &str| format!("lab `{}` is not ready: {what}\n  make it so: provision up", session.lab.name());
    for ((node, state), change) in session.nodes.iter().zip(&states).zip(changes) {
        if *state != MachineState::Running || change != Change::Same {
            bail!(not_ready(&format!("{} {}", node.name, change.told().unwrap_or("does not run"))));
        }
    }
    let parts = Parts::of(session, &made(session)?, session.acceleration()?.emulated)?;
    for (name, _, check) in steps::plan(&steps::all(), &parts.context(session))? {
        if let Check::Pending(changes) = check {
            bail!(not_ready(&format!("{name}: {}", changes.join("; "))));
        }
    }
    Ok(())
}

/// The memory of all machines must find room beside their disks.
fn room_for(session: &Session, provider: &dyn Provider) -> Result<()> {
    let folder = provider.disks(&session.lab)?;
    let mib = session.nodes.iter().map(|node| node.memory_mib).sum();
    preflight::must_hold(Room { what: "the machines' memory".into(), folder, mib })
}
