//! `provision up`: from a profile to a proved lab and a first table.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::session::{Parts, Session, boot_files};
use super::snapshot;
use crate::artifacts::made::Made;
use crate::artifacts::set::Set;
use crate::bench::store;
use crate::host::acceleration::Verdict;
use crate::host::{packages, preflight};
use crate::lockfile::Lock;
use crate::process::Cmd;
use crate::profile::NodeSpec;
use crate::provider::{self, MachineState};
use crate::steps::{self, Selection};
use crate::{console, machine_file, paths, ui};

/// Make the lab, or what is missing of it, prove it and measure it once.
#[derive(Debug, Args)]
pub struct Up {
    /// Install what this host lacks without asking
    #[arg(long, short)]
    yes: bool,
    /// Go on even if what was built is not what the lock says
    #[arg(long)]
    unlocked: bool,
    /// Run this step only, even if it is done
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    step: Option<String>,
    /// Run this step, even if it is done, and those after it that are not
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Make all that the lab needs and start nothing: for `vagrant up` alone
    #[arg(long, conflicts_with_all = ["step", "from"])]
    prepare: bool,
    /// Take everything from this file, which `bundle` wrote, and nothing from a network
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// The name under which the journal keeps the machines' start.
const MACHINES: &str = "machines";
/// Room for a machine's disk and the box below it, as far as a lab fills them.
const DISK_MIB: u64 = 4096;
/// Room for logs, keys and results.
const LAB_MIB: u64 = 256;
/// How long a machine that runs may take to answer SSH; one that is being
/// started was waited for by Vagrant before.
const ANSWER: Duration = Duration::from_secs(300);

impl Up {
    /// All of it; `yes` installs what this host lacks.
    #[must_use]
    pub fn unattended(yes: bool) -> Self {
        Self { yes, step: None, from: None, unlocked: false, prepare: false, bundle: None }
    }

    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        let started = Instant::now();
        let (steps, selection) = (steps::all(), self.selection());
        selection.of(&steps)?;
        if self.prepare && !session.owns_machines() {
            bail!("the machines are there already, and Vagrant makes none of them\n  make them nodes: provision up");
        }
        let _lock = session.lock()?;
        session.ui.record_to(&session.lab.events())?;
        let provider = session.provider()?;
        snapshot::must_be_of_one_time(session)?;

        let consent = packages::Consent::detect(self.yes, session.ui.is_json());
        let job = packages::Job::Lab(session.profile().provider);
        if self.bundle.is_some() || session.lab.bundle().is_file() {
            // Nothing is to be built, and nothing can be installed without a network.
            packages::must_run(job)?;
        } else {
            packages::offer(&session.ui, job, consent, &session.lab.log("apt"))?;
        }
        provider.wake(&session.ui)?;
        let acceleration = provider.acceleration(session.profile().machine.acceleration)?;
        let names = session.node_names();
        let states = provider.states(&session.lab, &names)?;
        if states.iter().any(|state| *state != MachineState::Running) {
            tell_acceleration(session, &acceleration);
            fits(session, provider.as_ref(), &states)?;
        }
        if let Some(untried) = session.untried() {
            session.ui.warn(untried);
        }
        for proxy in session.outside()?.only_here() {
            session.ui.warn(&format!("the proxy {proxy} listens on this host only: nodes go without it"));
        }
        if let Some(bundle) = &self.bundle {
            session.unpack(bundle)?;
        }
        let artifacts = session.artifacts()?;
        if let Some(choice) = session.choice_made() {
            session.ui.note(&choice.to_string());
        }
        let made = artifacts.ensure(&session.ui)?;
        self.must_be_locked(session, &artifacts)?;
        let changes = session.changes(provider.as_ref(), &states)?;
        session.forget_replaced(&changes)?;
        if self.prepare {
            prepare(session, provider.as_ref(), &made, &acceleration, &states)?;
            session.ui.note(&format!("all that lab `{}` needs is made\nnext:   vagrant up", session.lab.name()));
            return Ok(());
        }
        let machines: BTreeMap<String, String> = names.iter().map(|name| (name.clone(), String::new())).collect();
        let cut_off = !session.journal.state()?.again(MACHINES, &machines).is_empty();
        // What is on machines that are not ours outlives the lab's folder here.
        let unknown = !session.owns_machines() && !session.lab.exists();
        if cut_off || unknown || states.iter().any(|state| *state != MachineState::Running) {
            session.journal.began(MACHINES, &machines)?;
            prepare(session, provider.as_ref(), &made, &acceleration, &states)?;
            if session.owns_machines() {
                provider.up(&session.lab, &session.ui)?;
            }
            session.journal.done(MACHINES, &machines)?;
        } else {
            session.ui.task("machines", format!("Start {}", names.join(", "))).skip("already running");
        }
        session.pin_host_keys()?;

        let parts = Parts::of(session, &made, acceleration.emulated)?;
        let cx = parts.context(session);
        session.meet(provider.as_ref(), &cx, ANSWER)?;
        let summary = steps::run(&steps, &selection, &cx)?;
        for node in provider.leftovers(&session.lab, &names)? {
            session.ui.warn(&format!(
                "{node} has a machine of this lab and is not in the profile (any more)\n  remove it: provision down --node {node}"
            ));
        }
        report(session, &summary, started.elapsed())
    }

    /// Refuses, before any machine is touched, what the lock does not say.
    fn must_be_locked(&self, session: &Session, artifacts: &Set) -> Result<()> {
        let Some(locked) = Lock::read(&session.lock_file)? else { return Ok(()) };
        match locked.must_match(&Lock::of(artifacts.contents()?), &session.lock_file) {
            Err(error) if self.unlocked => session.ui.warn(&format!("{error:#}")),
            other => other?,
        }
        Ok(())
    }

    fn selection(&self) -> Selection {
        match (&self.step, &self.from) {
            (Some(name), _) => Selection::Only(name.clone()),
            (_, Some(name)) => Selection::From(name.clone()),
            _ => Selection::All,
        }
    }
}

fn tell_acceleration(session: &Session, acceleration: &Verdict) {
    session.ui.note(&format!("machines: {}", acceleration.reason));
    if acceleration.emulated {
        session.ui.note(
            "  about ten times slower than with KVM; the lab is tuned for it, the benchmark is shorter, and absolute \
             times mean nothing",
        );
    }
}

/// Refuses, before anything is made, what this host cannot hold, and existing
/// machines that cannot be nodes.
fn fits(session: &Session, provider: &dyn provider::Provider, states: &[MachineState]) -> Result<()> {
    let obstacles = provider.obstacles()?;
    if !obstacles.is_empty() {
        bail!("{} starts no machine on this host:\n  {}", provider.name(), obstacles.join("\n  "));
    }
    if !session.owns_machines() {
        return provider.up(&session.lab, &session.ui);
    }
    for warning in fit(session, states, &provider.networks()?)?? {
        session.ui.warn(&warning);
    }
    Ok(())
}

/// Whether the machines that do not run fit this host, where the provider has
/// these `networks`. What does not fit is the inner error; the rest are warnings.
pub(super) fn fit(
    session: &Session,
    states: &[MachineState],
    networks: &[String],
) -> Result<Result<Vec<String>, preflight::Misfits>> {
    let provider = session.provider()?;
    let starting: Vec<NodeSpec> = session
        .nodes
        .iter()
        .zip(states)
        .filter(|(_, state)| **state != MachineState::Running)
        .map(|(node, _)| node.clone())
        .collect();
    let room = |what: &str, folder: PathBuf, mib: u64| preflight::Room { what: what.into(), folder, mib };
    let demand = preflight::Demand {
        networks,
        nodes: &starting,
        network: session.profile().network.machines,
        own_networks: &provider.own_networks(&session.lab)?,
        folders: &[
            room("the machines' disks", provider.disks(&session.lab)?, DISK_MIB * starting.len() as u64),
            room("the lab's folder", session.lab.dir().to_owned(), LAB_MIB),
        ],
    };
    let supply = preflight::supply(&demand)?;
    Ok(preflight::check(&demand, &supply))
}

/// Everything that machines need to start.
fn prepare(
    session: &Session,
    provider: &dyn provider::Provider,
    made: &Made,
    acceleration: &Verdict,
    states: &[MachineState],
) -> Result<()> {
    let lab = &session.lab;
    if !session.owns_machines() {
        // They were looked at, and nothing needs to be started.
        return session.render_to(lab.dir(), acceleration.emulated);
    }
    ensure_key(session)?;
    for (node, state) in session.nodes.iter().zip(states) {
        // A machine that is made anew has a new host key and a new console.
        if *state == MachineState::Absent {
            console::forget(lab, node)?;
        }
    }
    session.render_to(lab.dir(), acceleration.emulated)?;
    let files = boot_files(session.profile(), made);
    provider.prepare(lab, &files, &session.ui)?;
    machine_file::write(lab, &files, session.profile().provider, acceleration.emulated)
}

/// The lab's own key pair.
fn ensure_key(session: &Session) -> Result<()> {
    let key = session.lab.ssh_key();
    if key.is_file() && key.with_extension("pub").is_file() {
        return paths::only_owner(&key);
    }
    paths::create_dir(session.lab.dir())?;
    paths::remove_file(&key)?;
    Cmd::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C"])
        .arg(format!("provision-{}", session.lab.name()))
        .arg("-f")
        .arg(&key)
        .timeout(Duration::from_secs(60))
        .read()
        .map(drop)
        .context("make the lab's SSH key")
}

fn report(session: &Session, summary: &steps::Summary, took: Duration) -> Result<()> {
    let took = ui::duration(took.as_secs_f64());
    let lab = session.lab.name();
    if summary.ran.is_empty() {
        session.ui.note(&format!("lab `{lab}` is up: nothing to do ({took})"));
        return Ok(());
    }
    session.ui.note(&format!("lab `{lab}` is up ({took})"));
    if !summary.ran.contains(&"run_smoke_benchmark") {
        return Ok(());
    }
    let Some(path) = session.lab.newest_result()? else { bail!("the smoke benchmark left no result") };
    if session.ui.is_json() {
        return Ok(());
    }
    let run = store::load(&path)?;
    let kubectl = match session.api_jump() {
        None => "eval \"export KUBECONFIG=$(provision kubeconfig --path)\"",
        Some(_) => "provision kubectl get pods -A",
    };
    let text = format!(
        "{}\nresult: {}\nreport: {}\nnext:   {kubectl}   provision status   provision down\n",
        crate::report::terminal(&run),
        path.display(),
        path.with_extension("html").display()
    );
    std::io::stdout().write_all(text.as_bytes()).context("print the table")
}
