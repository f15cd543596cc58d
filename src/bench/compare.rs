//! Two runs held against each other: the ratio of their ratios to native, so
//! that a machine that is faster or slower tonight cancels out.

use anyhow::{Result, bail};
use serde::Serialize;

use super::run::{PlaceKind, Run};
use super::summary::{COMPARED, LEVEL, paired};
use crate::stats::{self, Interval};

/// One figure of one arm in both runs.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The measure's name.
    pub measure: String,
    /// The lane's name.
    pub lane: String,
    /// `rate`, `p50`, `p99` or `cpu`.
    pub figure: &'static str,
    /// Newer over older, each as a ratio to native.
    pub change: Interval,
}

/// Why two runs cannot be compared; nothing if they can.
#[must_use]
pub fn obstacles(older: &Run, newer: &Run) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, a: String, b: String| {
        if a != b {
            found.push(format!("{what}: {a} against {b}"));
        }
    };
    let kind = |place: &PlaceKind| match place {
        PlaceKind::Local => "on the host".to_owned(),
        PlaceKind::Cluster { .. } => "in a cluster".to_owned(),
    };
    differs("place", kind(&older.place), kind(&newer.place));
    differs("emulated", older.environment.emulated.to_string(), newer.environment.emulated.to_string());
    let idle =
        |run: &Run| if run.environment.idle.is_empty() { "sleeping".into() } else { run.environment.idle.clone() };
    differs("idle CPUs", idle(older), idle(newer));
    let control = |run: &Run| run.lanes.first().map(|lane| lane.arm.clone()).unwrap_or_default();
    differs("control", control(older), control(newer));
    for (name, run) in [("older", older), ("newer", newer)] {
        if !run.verdict.valid {
            found.push(format!("the {name} run is {}", run.verdict.sentence));
        }
    }
    let common = |lane: &&super::run::Lane| newer.lanes.iter().any(|other| other.name == lane.name);
    if older.lanes.iter().filter(common).count() < 2 {
        found.push("they have no arm in common but the control".into());
    }
    for measure in &older.measures {
        let Some(other) = newer.measures.iter().find(|other| other.name == measure.name) else { continue };
        if (&measure.path, measure.keep_alive, &measure.load) != (&other.path, other.keep_alive, &other.load) {
            found.push(format!("{} is another load in each", measure.name));
        }
    }
    if !older.measures.iter().any(|measure| newer.measures.iter().any(|other| other.name == measure.name)) {
        found.push("they have no measure in common".into());
    }
    found
}

/// Every figure that both runs have; an error where they cannot be compared.
pub fn compare(older: &Run, newer: &Run) -> Result<Vec<Line>> {
    let obstacles = obstacles(older, newer);
    if !obstacles.is_empty() {
        bail!("{} and {} cannot be compared:\n  {}", older.id, newer.id, obstacles.join("\n  "));
    }
    let mut lines = Vec::new();
    for measure in &older.measures {
        for lane in older.lanes.iter().skip(1).filter(|lane| lane.twin_of.is_none()) {
            let limited = [older, newer].iter().any(|run| run.generator_limited(&measure.name, &lane.name));
            for (figure, pick) in COMPARED.into_iter().filter(|(figure, _)| !limited || *figure == "cpu") {
                let logs = |run: &Run| {
                    let control = run.lanes.first()?;
                    let (control, own) = paired(&measure.name, &control.name, &lane.name, &run.blocks, pick);
                    stats::log_ratios(&control, &own).ok()
                };
                let (Some(old), Some(new)) = (logs(older), logs(newer)) else { continue };
                // Too few rounds for an interval: left out rather than guessed.
                if let Ok(change) = stats::compare(&old, &new, LEVEL) {
                    lines.push(Line { measure: measure.name.clone(), lane: lane.name.clone(), figure, change });
                }
            }
        }
    }
    Ok(lines)
}
