//! How often the benchmark's interval excludes 1 where the truth is 1: A/A runs
//! simulated from the recorded blocks of a run.
//!
//!     cargo run --release --example coverage -- RESULT.json [RUNS]

use std::io::Write;

use anyhow::{Context, Result};
use provision::bench::store;
use provision::bench::summary::{COMPARED, LEVEL, paired};
use provision::stats::coverage::{Simulation, false_alarm_share};
use provision::stats::{mean, ratio_interval};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("usage: coverage RESULT.json [RUNS]")?;
    let runs: usize = arguments.next().map_or(Ok(5000), |text| text.parse()).context("RUNS must be a number")?;
    let run = store::load(path.as_ref())?;
    let twin = run.lanes.iter().find(|lane| lane.twin_of.is_some()).context("the run has no A/A twin")?;
    let control = run.lanes.first().context("the run has no lane")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "| figure | rounds recorded | simulated runs | exclude 1 |\n|---|---|---|---|")?;
    let mut shares = Vec::new();
    for measure in &run.measures {
        for (name, pick) in COMPARED {
            let (a, b) = paired(&measure.name, &control.name, &twin.name, &run.blocks, pick);
            let recorded: Vec<(f64, f64)> = a.into_iter().zip(b).collect();
            let simulation = Simulation { runs, rounds: recorded.len(), level: LEVEL, seed: run.seed };
            let share = false_alarm_share(&recorded, simulation, ratio_interval)?;
            shares.push(share);
            writeln!(out, "| {} {name} | {} | {runs} | {:.1} % |", measure.name, recorded.len(), share * 100.0)?;
        }
    }
    writeln!(out, "| all | | {} | {:.1} % |", runs * shares.len(), mean(&shares) * 100.0)?;
    Ok(())
}
