//! How often the benchmark's interval excludes 1 where the truth is 1: A/A runs
//! simulated from the recorded blocks of a run.
//!
//!     cargo run --release --example coverage -- RESULT.json [RUNS]

use std::io::Write;

use anyhow::{Context, Result, ensure};
use provision::bench::store;
use provision::bench::summary::{COMPARED, paired};
use provision::stats::coverage;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("usage: coverage RESULT.json [RUNS]")?;
    let runs: u32 = arguments.next().map_or(Ok(200), |text| text.parse()).context("RUNS must be a number")?;
    let run = store::load(path.as_ref())?;
    let twin = run.lanes.iter().find(|lane| lane.twin_of.is_some()).context("the run has no A/A twin")?;
    let control = run.lanes.first().context("the run has no lane")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "| figure | rounds recorded | simulated runs | rounds each | exclude 1 |\n|---|---|---|---|---|")?;
    let (mut excluded, mut all) = (0, 0);
    for measure in &run.measures {
        for (name, pick) in COMPARED {
            let (a, b) = paired(&measure.name, &control.name, &twin.name, &run.blocks, pick);
            ensure!(!a.is_empty(), "measure {} has no blocks", measure.name);
            let recorded: Vec<(f64, f64)> = a.into_iter().zip(b).collect();
            let rounds = u32::try_from(recorded.len())?;
            let found = coverage(&recorded, runs, rounds, run.seed);
            excluded += found.excluded;
            all += found.runs;
            writeln!(
                out,
                "| {} {name} | {rounds} | {} | {} | {:.1} % |",
                measure.name,
                found.runs,
                found.rounds,
                found.share() * 100.0
            )?;
        }
    }
    writeln!(out, "| all | | {all} | | {:.1} % |", f64::from(excluded) / f64::from(all.max(1)) * 100.0)?;
    Ok(())
}
