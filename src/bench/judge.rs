//! Last good against tonight: same, faster, slower, drift, environment, broken.
//!
//! Two rules look at each watched figure (the Wasm lanes' ratios to native):
//!
//! - *tonight*: the ratio of tonight's ratio to the baseline's; alarm where its
//!   95 % interval lies wholly beyond ±5 % and chance is excluded;
//! - *change point* ([`stats::newest_level`]): since the baseline the level has
//!   moved, at once or slowly, by half of that or more.
//!
//! The chance of an alarm on a night on which nothing happened is shared out
//! among all watched figures, so that it does not grow with their number. A
//! figure whose native side has moved as well says nothing of Wasm:
//! *environment*. `docs/DETECTION.md` counts how all of it comes out.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::history::{Entry, Figure, Series};
use crate::stats::{self, Interval};

mod watched;
mod words;

use watched::Watched;

/// The `format` of a judgement.
pub const FORMAT: &str = "provision.judgement/1";
/// What is an alarm: a change for sure larger than this.
pub const MARGIN: f64 = 0.05;
/// A level that has moved by less than this for sure is not worth waking anyone.
const WORTH: f64 = MARGIN / 2.0;
/// How often, at most, a night on which nothing happened may give an alarm by
/// each of the two rules, over all figures.
const CHANCE: (f64, f64) = (0.001, 0.003);
/// How many of its usual deviations native must be off to have moved.
const UNUSUAL: f64 = 3.0;

/// What there is to say of a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Nothing has changed that could be told from noise.
    Same,
    /// Wasm gained on native.
    Faster,
    /// Wasm lost against native.
    Slower,
    /// Wasm moves slowly, night by night.
    Drift,
    /// The machine, not Wasm: native moved too, or the run is too noisy.
    Environment,
    /// No lab, no run, or a run that proves that something is broken.
    Broken,
    /// There is no baseline to judge by.
    New,
}

impl Word {
    /// In sentences and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Drift => "drift",
            Self::Environment => "environment",
            Self::Broken => "broken",
            Self::New => "new",
        }
    }

    /// Of `provision verdict` and `provision rebuild`.
    #[must_use]
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Same => 0,
            Self::Broken => 1,
            Self::Faster => 10,
            Self::Slower => 11,
            Self::Drift => 12,
            Self::Environment => 13,
            Self::New => 14,
        }
    }
}

/// A figure that has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The measure's name.
    pub measure: String,
    /// The lane's name.
    pub lane: String,
    /// Its title.
    pub title: String,
    /// Which figure.
    pub figure: Figure,
    /// Tonight's ratio to native over the baseline's.
    pub change: Interval,
    /// The first run that has it.
    pub since: String,
    /// Nights that have it.
    pub nights: usize,
    /// A drift's part for each night; 0.99 is 1 % less.
    pub each_night: Option<f64>,
    /// Native's own figure over what it was, where that moved too.
    pub native: Option<f64>,
}

impl Finding {
    /// Whether Wasm lost.
    #[must_use]
    pub fn worse(&self) -> bool {
        self.figure.worse(self.change.estimate)
    }
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// [`FORMAT`].
    pub format: String,
    /// The answer.
    pub word: Word,
    /// One line for the morning, the word first.
    pub line: String,
    /// The run that was judged.
    pub run: Option<String>,
    /// What it was judged by.
    pub baseline: Option<String>,
    /// Nights since the baseline, both ends counted.
    pub nights: usize,
    /// Figures that were watched.
    pub watched: usize,
    /// What has changed, the surest and largest first.
    pub findings: Vec<Finding>,
    /// Versions and files that differ from the baseline's.
    pub changed: Vec<String>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// Judges the run `tonight` of `entries` (oldest first) by the run `baseline`.
///
/// # Errors
/// Where one of them is not among `entries`.
pub fn judge(entries: &[Entry], baseline: Option<&str>, tonight: &str) -> Result<Judgement> {
    let find = |id: &str| {
        let place = entries.iter().position(|entry| entry.run == id);
        place.ok_or_else(|| anyhow::anyhow!("there is no run {id} in the history\n  list them: provision history"))
    };
    let now = &entries[find(tonight)?];
    if !now.valid {
        return Ok(words::invalid(now, baseline));
    }
    let Some(baseline) = baseline else { return Ok(words::new(now)) };
    let base = &entries[find(baseline)?];
    anyhow::ensure!(base.run <= now.run, "{} is older than the baseline {}", now.run, base.run);
    let obstacles = obstacles(base, now);
    if !obstacles.is_empty() {
        return Ok(words::incomparable(base, now, &obstacles));
    }
    let nights: Vec<&Entry> = entries
        .iter()
        .filter(|entry| (base.run.as_str()..=now.run.as_str()).contains(&entry.run.as_str()))
        .filter(|entry| entry.valid && self::obstacles(base, entry).is_empty())
        .collect();
    let figures: Vec<Watched> = now.series.iter().filter_map(|series| Watched::of(series, &nights)).collect();
    let inflation = typical_inflation(&figures);
    let mut findings: Vec<Finding> =
        figures.iter().filter_map(|figure| figure.look(figures.len(), inflation)).collect();
    // What native explains comes last; else the largest change first.
    let size = |finding: &Finding| finding.change.estimate.ln().abs();
    findings.sort_by(|a, b| {
        (a.native.is_some(), size(b)).partial_cmp(&(b.native.is_some(), size(a))).unwrap_or(std::cmp::Ordering::Equal)
    });
    let furthest = figures
        .iter()
        .filter_map(|figure| Some((figure, figure.tonight(None)?)))
        .max_by(|a, b| a.1.estimate.ln().abs().total_cmp(&b.1.estimate.ln().abs()));
    let furthest = furthest.map(|(figure, change)| words::figure(figure.now, now, &change));
    Ok(words::judged(base, now, nights.len(), figures.len(), findings, furthest))
}

/// A night that left no run to judge: `why` begins with the step that failed.
#[must_use]
pub fn broken(why: &str) -> Judgement {
    words::broken(why)
}

/// Why two runs cannot be held against each other.
fn obstacles(base: &Entry, now: &Entry) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, a: &str, b: &str| {
        if a != b {
            found.push(format!("{what} {a} against {b}"));
        }
    };
    differs("place", &base.place, &now.place);
    differs("size", base.size.name(), now.size.name());
    differs("machine", &base.machine, &now.machine);
    let common = |series: &&Series| now.series.iter().any(|other| other.same(series));
    if !base.series.iter().any(|series| common(&series)) {
        found.push("no figure of Wasm in common".into());
    }
    for (measure, load) in &base.loads {
        if now.loads.get(measure).is_some_and(|other| other != load) {
            found.push(format!("{measure} is another load in each"));
        }
    }
    found
}

/// How much more nights scatter than their rounds say, over all figures.
fn typical_inflation(figures: &[Watched]) -> Option<f64> {
    let all: Vec<f64> = figures.iter().filter_map(|figure| stats::inflation(&figure.ratios)).collect();
    stats::median(&all)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
