//! `provision bench`: the benchmark again, on a running lab.

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::session::{Parts, Session};
use crate::bench;
use crate::provider::MachineState;
use crate::steps::{self, Selection};

/// Measure Rust against Wasm on the running lab.
#[derive(Debug, Args)]
pub struct Bench {}

impl Bench {
    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        session.lab.must_exist()?;
        let _lock = session.lab.lock()?;
        session.ui.record_to(&session.lab.events())?;
        let states = session.provider()?.states(&session.lab, &session.node_names())?;
        if states.iter().any(|state| *state != MachineState::Running) {
            bail!("lab `{}` does not run\n  start it: provision up", session.lab.name());
        }
        let Some(made) = session.artifacts()?.made()? else {
            bail!("the artifacts of this profile are not in the cache\n  make them: provision up");
        };
        let parts = Parts::of(session, &made, session.acceleration()?.emulated)?;
        let cx = parts.context(session);
        steps::run(&steps::all(), &Selection::Only("prove_runtime".into()), &cx)?;
        steps::run(&steps::all(), &Selection::Only("run_smoke_benchmark".into()), &cx)?;
        let path = session.lab.newest_result()?.context("the benchmark left no result")?;
        let result = bench::BenchResult::load(&path)?;
        let text = if session.ui.is_json() {
            String::new()
        } else {
            format!("{}\nresult: {}\n", bench::table(&result), path.display())
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the table")
    }
}
