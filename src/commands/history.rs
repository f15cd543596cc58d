//! `provision history`: all runs of the benchmark, a line each, with a trend.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::Session;
use super::report::store_of;
use crate::arms::Mode;
use crate::bench::run::Run;
use crate::bench::store;

/// List the runs of the benchmark with what each said of Wasm.
#[derive(Debug, Args)]
pub struct History {
    /// List the runs made on this host, without a lab
    #[arg(long)]
    local: bool,
    /// Only the newest so many
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
}

#[derive(Serialize)]
struct Entry {
    run: String,
    size: String,
    valid: bool,
    /// Compiled Wasm's rate over native's, by measure.
    tiny: Option<f64>,
    compute: Option<f64>,
    sentence: String,
}

/// Marks of a trend, low to high.
const MARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl History {
    /// Reads all and prints them.
    pub fn run(&self, session: &Session) -> Result<()> {
        let mut paths = store_of(session, self.local).list()?;
        if let Some(last) = self.last {
            paths.drain(..paths.len().saturating_sub(last));
        }
        let mut entries = Vec::new();
        for path in &paths {
            match store::load(path) {
                Ok(run) => entries.push(entry(&run)),
                // One document that cannot be read does not hide the others.
                Err(error) => session.ui.warn(&format!("{error:#}")),
            }
        }
        let text = if session.ui.is_json() {
            format!("{}\n", serde_json::to_string_pretty(&entries).context("write the history as JSON")?)
        } else {
            plain(&entries)
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the history")
    }
}

fn entry(run: &Run) -> Entry {
    let aot = run.lanes.iter().find(|lane| lane.mode == Mode::Aot);
    let ratio = |measure: &str| {
        let aot = aot.filter(|aot| !run.generator_limited(measure, &aot.name))?;
        let rate = |lane: &str| {
            run.summary
                .iter()
                .find(|summary| summary.lane == lane && summary.measure == measure)
                .map(|found| found.rate)
        };
        let control = rate(&run.lanes.first()?.name).filter(|rate| *rate > 0.0)?;
        Some(rate(&aot.name)? / control)
    };
    Entry {
        run: run.id.clone(),
        size: run.size.name().into(),
        valid: run.verdict.valid,
        tiny: ratio("tiny-close"),
        compute: ratio("compute-keep-alive"),
        sentence: run.verdict.sentence.clone(),
    }
}

fn plain(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "no run yet; make one: provision bench\n".into();
    }
    let mut text = format!("{:22} {:9} {:8} {:>6} {:>8}\n", "run", "size", "", "tiny", "compute");
    let cell = |ratio: Option<f64>| ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.3}"));
    for entry in entries {
        text.push_str(&format!(
            "{:22} {:9} {:8} {:>6} {:>8}\n",
            entry.run,
            entry.size,
            if entry.valid { "valid" } else { "invalid" },
            cell(entry.tiny),
            cell(entry.compute)
        ));
    }
    for (name, pick) in
        [("tiny", (|entry: &Entry| entry.tiny) as fn(&Entry) -> Option<f64>), ("compute", |entry| entry.compute)]
    {
        let values: Vec<f64> = entries.iter().filter(|entry| entry.valid).filter_map(pick).collect();
        if values.len() > 1 {
            text.push_str(&format!("{name:8} {}\n", trend(&values)));
        }
    }
    text.push_str("compiled Wasm's requests per second over native's, of the same run\n");
    text
}

/// The values as marks between their least and their greatest.
fn trend(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let marks: String = values
        .iter()
        .map(|value| {
            let share = if most > least { (value - least) / (most - least) } else { 0.5 };
            MARKS[((share * 7.0).round() as usize).min(7)]
        })
        .collect();
    format!("{marks}  {least:.3} to {most:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_goes_from_the_least_to_the_greatest() {
        assert_eq!(trend(&[0.5, 0.75, 1.0]), "▁▅█  0.500 to 1.000");
        assert_eq!(trend(&[1.0, 1.0]), "▅▅  1.000 to 1.000");
    }
}
