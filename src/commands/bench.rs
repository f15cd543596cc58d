//! `provision bench`: Rust against Wasm, on the running lab or on this host.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::session::{Parts, Session};
use super::snapshot;
use crate::artifacts::set::Set;
use crate::bench::design::{Choice, Design};
use crate::bench::place::local::Local;
use crate::bench::run::Run;
use crate::bench::verdict::Invalid;
use crate::bench::{engine, store::Store};
use crate::host::packages::{self, Consent, Job};
use crate::profile::Size;
use crate::provider::MachineState;
use crate::report;
use crate::steps::{self, Selection};

/// Measure Rust against Wasm on the running lab, or on this host.
#[derive(Debug, Args)]
pub struct Bench {
    /// Run the arms in containers on this host: no machine, no Kubernetes
    #[arg(long)]
    local: bool,
    /// How much to measure [default: the profile's]
    #[arg(long, value_enum, value_name = "SIZE")]
    size: Option<Size>,
    /// Only these arms, besides the control (comma-separated)
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    arms: Vec<String>,
    /// Only these routes (comma-separated)
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    routes: Vec<String>,
    /// Rounds, each with a fresh server of every arm
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<u32>,
    /// Requests per second of the open loop, instead of a share of what the slowest arm can do
    #[arg(long, value_name = "NUMBER")]
    rate: Option<f64>,
    /// Generators side by side in the cluster [default: as many as it takes]
    #[arg(long, value_name = "NUMBER", conflicts_with = "local")]
    generators: Option<u32>,
    /// What decides the order of blocks, so that a run can be repeated
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Install what this host lacks without asking
    #[arg(long, short)]
    yes: bool,
}

/// How long a machine that runs may take to answer SSH.
const ANSWER: Duration = Duration::from_secs(60);

impl Bench {
    /// Whether it needs no lab.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Whether it may install what this host lacks.
    #[must_use]
    pub fn yes(&self) -> bool {
        self.yes
    }

    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        if self.local { self.on_this_host(session) } else { self.on_the_lab(session) }
    }

    fn design(&self, session: &Session, shortened: bool) -> Result<Design> {
        let load = session.profile().benchmark.load(shortened);
        let choice = Choice {
            arms: self.arms.clone(),
            routes: self.routes.clone(),
            rounds: self.rounds,
            rate: self.rate,
            generators: self.generators,
            users: load.users,
            seconds: load.seconds,
            seed: self.seed.unwrap_or_else(steps::seed),
        };
        Design::of(self.size.unwrap_or(session.profile().benchmark.size), shortened, &choice)
    }

    fn on_this_host(&self, session: &Session) -> Result<()> {
        let lab = &session.lab;
        let design = self.design(session, false)?;
        let _lock = session.lock()?;
        session.ui.record_to(&lab.events())?;
        let consent = Consent::detect(self.yes, session.ui.is_json());
        packages::offer(&session.ui, Job::LocalBenchmark, consent, &lab.log("apt"))?;
        let parts = Set::ensure_local(session.debian_mirror().as_deref(), &session.outside()?, &session.ui)?;
        let local = Local::prepare(parts, &design.arms, &lab.work())?;
        let title = format!("Measure {} arms on this host, size {}", design.arms.len(), design.size.name());
        let task = session.ui.task("bench", title);
        let run = engine::run(&design, &local, lab.name(), &task);
        let run = task.close(run)?;
        drop(local);
        let store = Store::at(lab.local_results());
        store.save(&run, &report::beside(&run)?)?;
        tell(session, &store, &run)
    }

    fn on_the_lab(&self, session: &Session) -> Result<()> {
        let lab = &session.lab;
        lab.must_exist()?;
        let acceleration = session.acceleration()?;
        let design = self.design(session, acceleration.emulated)?;
        let _lock = session.lock()?;
        session.ui.record_to(&lab.events())?;
        snapshot::must_be_of_one_time(session)?;
        let provider = session.provider()?;
        let states = provider.states(lab, &session.node_names())?;
        if states.iter().any(|state| *state != MachineState::Running) {
            bail!("lab `{}` does not run\n  start it: provision up", lab.name());
        }
        let Some(made) = session.artifacts()?.made()? else {
            bail!("the artifacts of this profile are not in the cache\n  make them: provision up");
        };
        session.forget_replaced(&session.changes(provider.as_ref(), &states)?)?;
        session.pin_host_keys()?;
        let parts = Parts::of(session, &made, acceleration.emulated)?;
        let cx = parts.context(session);
        session.meet(provider.as_ref(), &cx, ANSWER)?;
        // Vagrant alone may have made the lab, or made it again.
        let fetch: Vec<_> = steps::all().into_iter().filter(|step| step.name() == "fetch_kubeconfig").collect();
        steps::run(&fetch, &Selection::All, &cx)?;
        steps::run(&steps::all(), &Selection::Only("prove_runtime".into()), &cx)?;
        let title = format!("Measure {} arms in the cluster, size {}", design.arms.len(), design.size.name());
        let task = session.ui.task("bench", title);
        let run = steps::measure(&cx, &design, &task);
        let run = task.close(run)?;
        tell(session, &Store::at(lab.results()), &run)
    }
}

/// Prints a run's table; an invalid run is an error, after all of it was told.
fn tell(session: &Session, store: &Store, run: &Run) -> Result<()> {
    let path = store.path(run);
    let text = if session.ui.is_json() {
        format!("{}\n", serde_json::to_string(run).context("write the run as JSON")?)
    } else {
        let page = path.with_extension("html");
        format!("{}\nresult: {}\nreport: {}\n", report::terminal(run), path.display(), page.display())
    };
    std::io::stdout().write_all(text.as_bytes()).context("print the table")?;
    if !run.verdict.valid {
        return Err(Invalid { sentence: run.verdict.sentence.clone(), kept: path }.into());
    }
    Ok(())
}
