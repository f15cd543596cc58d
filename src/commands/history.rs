//! `provision history`: all runs of the benchmark, a line each, with a trend.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Session;
use super::report::store_of;
use super::verdict::Judged;
use crate::bench::history;
use crate::bench::judge::Word;
use crate::bench::store::{self, Store};
use crate::paths;
use crate::report::{self, Nights};

/// List the runs of the benchmark with what each said of Wasm.
#[derive(Debug, Args)]
pub struct History {
    /// List the runs made on this host, without a lab
    #[arg(long)]
    local: bool,
    /// Only the newest so many
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
    /// Draw the trend since the baseline into this SVG file instead
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Serialize)]
struct Entry {
    run: String,
    size: String,
    valid: bool,
    /// Whether later runs are judged by it.
    baseline: bool,
    /// What a rebuild said of it.
    verdict: Option<Word>,
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
        let store = store_of(session, self.local);
        if let Some(file) = &self.svg {
            return draw(session, &store, file);
        }
        let found = history::read(&store)?;
        for reason in &found.unreadable {
            session.ui.warn(reason);
        }
        let (baseline, verdicts) = (store.baseline()?, verdicts(&store)?);
        let mut entries: Vec<Entry> = found
            .entries
            .into_iter()
            .map(|entry| Entry {
                size: entry.size.name().into(),
                valid: entry.valid,
                baseline: baseline.as_deref() == Some(entry.run.as_str()),
                verdict: verdicts.get(&entry.run).copied(),
                tiny: entry.tiny,
                compute: entry.compute,
                sentence: entry.sentence,
                run: entry.run,
            })
            .collect();
        if let Some(last) = self.last {
            entries.drain(..entries.len().saturating_sub(last));
        }
        let text = if session.ui.is_json() {
            format!("{}\n", serde_json::to_string_pretty(&entries).context("write the history as JSON")?)
        } else {
            plain(&entries)
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the history")
    }
}

/// The trend up to the newest run.
fn draw(session: &Session, store: &Store, file: &std::path::Path) -> Result<()> {
    let path = store.find("newest")?;
    let run = store::load(&path)?;
    let judged = Judged::of(session, store, store::id(&path))?;
    let baseline = store.baseline()?;
    let nights = Nights { entries: &judged.entries, baseline: baseline.as_deref(), judgement: Some(&judged.judgement) };
    let Some(picture) = report::trend(&run, &nights) else {
        bail!("a trend needs a baseline and a run after it\n  hold a run as good: provision accept RUN");
    };
    paths::write_atomic(file, picture.as_bytes(), 0o644)
}

/// What rebuilds said, by run.
fn verdicts(store: &Store) -> Result<BTreeMap<String, Word>> {
    #[derive(Deserialize)]
    struct Night {
        word: Word,
        judgement: Judged,
    }
    #[derive(Deserialize)]
    struct Judged {
        run: Option<String>,
    }
    let path = store.dir().join("nights.jsonl");
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = paths::read(&path)?;
    // A line that was cut off costs a word, not the history.
    let nights = text.lines().filter_map(|line| serde_json::from_str::<Night>(line).ok());
    Ok(nights.filter_map(|night| Some((night.judgement.run?, night.word))).collect())
}

fn plain(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "no run yet; make one: provision bench\n".into();
    }
    let mut text = format!("{:22} {:9} {:8} {:>6} {:>8}  {}\n", "run", "size", "", "tiny", "compute", "verdict");
    let cell = |ratio: Option<f64>| ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.3}"));
    for entry in entries {
        text.push_str(&format!(
            "{:22} {:9} {:8} {:>6} {:>8}  {}\n",
            entry.run,
            entry.size,
            if entry.valid { "valid" } else { "invalid" },
            cell(entry.tiny),
            cell(entry.compute),
            if entry.baseline { "the baseline" } else { entry.verdict.map_or("-", Word::name) }
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
