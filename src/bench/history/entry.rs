//! What is known of a run once its document is gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::arms::Mode;
use crate::bench::design::{Load, Measure, Size};
use crate::bench::run::{PlaceKind, Run};
use crate::bench::summary::{Pick, of_lane, paired};
use crate::stats::{self, Location};

/// A figure that is watched night by night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Requests per second: more is faster.
    Rate,
    /// CPU time per request: more is slower.
    Cpu,
}

impl Figure {
    const ALL: [Self; 2] = [Self::Rate, Self::Cpu];

    fn pick(self) -> Pick {
        match self {
            Self::Rate => |of| of.rate,
            Self::Cpu => |of| of.cpu_us_per_request,
        }
    }

    /// For sentences.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Rate => "requests per second",
            Self::Cpu => "CPU time per request",
        }
    }

    /// Whether this ratio of the newer to the older is for the worse.
    #[must_use]
    pub fn worse(self, change: f64) -> bool {
        match self {
            Self::Rate => change < 1.0,
            Self::Cpu => change > 1.0,
        }
    }
}

/// A figure of one lane in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The measure's name.
    pub measure: String,
    /// The lane's name.
    pub lane: String,
    /// Which figure.
    pub figure: Figure,
    /// Rounds that it comes from.
    pub rounds: usize,
    /// Its logarithm; of a lane that is not the control, as a ratio to the control.
    pub log: Location,
}

impl Series {
    /// Whether it is the same figure in another run.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        (&self.measure, &self.lane, self.figure) == (&other.measure, &other.lane, other.figure)
    }
}

/// A run's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`FORMAT`].
    pub format: String,
    /// The run's id.
    pub run: String,
    /// How much was measured.
    pub size: Size,
    /// Whether it was made for an emulated machine.
    pub shortened: bool,
    /// `local` or `cluster`.
    pub place: String,
    /// What it ran on: CPU, their number, emulated or not.
    pub machine: String,
    /// Whether its gates hold.
    pub valid: bool,
    /// Names of decisive gates that do not.
    pub failed: Vec<String>,
    /// Its verdict.
    pub sentence: String,
    /// Compiled Wasm's rate over native's on the tiny route.
    pub tiny: Option<f64>,
    /// The same, computing.
    pub compute: Option<f64>,
    /// Titles of lanes by name.
    pub titles: BTreeMap<String, String>,
    /// What the load of each measure is.
    pub loads: BTreeMap<String, String>,
    /// What is watched: the Wasm lanes' ratios to native, closed loops.
    pub series: Vec<Series>,
    /// The control's own figures.
    pub control: Vec<Series>,
    /// Versions and digests.
    pub versions: BTreeMap<String, String>,
}

impl Entry {
    /// The line of a run.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let environment = &run.environment;
        let mut versions = environment.versions.clone();
        versions.insert("kernel".into(), environment.kernel.clone());
        versions.extend(environment.digests.clone());
        versions.insert("lock".into(), environment.lock.clone());
        versions.retain(|_, version| !version.is_empty());
        let (mut series, mut control) = (Vec::new(), Vec::new());
        for measure in run.measures.iter().filter(|measure| matches!(measure.load, Load::Closed { .. })) {
            for figure in Figure::ALL {
                control.extend(own(run, measure, figure));
                let wasm = run.lanes.iter().skip(1).filter(|lane| lane.mode != Mode::Native);
                series.extend(wasm.filter_map(|lane| ratio(run, measure, &lane.name, figure)));
            }
        }
        Self {
            format: FORMAT.into(),
            run: run.id.clone(),
            size: run.size,
            shortened: run.shortened,
            place: match run.place {
                PlaceKind::Local => "local".into(),
                PlaceKind::Cluster { .. } => "cluster".into(),
            },
            machine: format!(
                "{} x {}{}",
                environment.cpus,
                environment.cpu,
                if environment.emulated { ", emulated" } else { "" }
            ),
            valid: run.verdict.valid,
            failed: run
                .gates
                .iter()
                .filter(|gate| gate.decisive && !gate.passed)
                .map(|gate| gate.name.clone())
                .collect(),
            sentence: run.verdict.sentence.clone(),
            tiny: medians(run, "tiny-close"),
            compute: medians(run, "compute-keep-alive"),
            titles: run.lanes.iter().map(|lane| (lane.name.clone(), lane.title.clone())).collect(),
            loads: run.measures.iter().map(|measure| (measure.name.clone(), load(measure))).collect(),
            series,
            control,
            versions,
        }
    }

    /// The title of a lane.
    #[must_use]
    pub fn title<'a>(&'a self, lane: &'a str) -> &'a str {
        self.titles.get(lane).map_or(lane, String::as_str)
    }
}

fn load(measure: &Measure) -> String {
    let kept = if measure.keep_alive { "kept connections" } else { "a connection per request" };
    format!("{} {:?}, {kept}", measure.path, measure.load)
}

fn ratio(run: &Run, measure: &Measure, lane: &str, figure: Figure) -> Option<Series> {
    let control = run.lanes.first()?;
    // Where the generator ran out, a rate says nothing of the server; its CPU time does.
    if figure == Figure::Rate && run.generator_limited(&measure.name, lane) {
        return None;
    }
    let (control, own) = paired(&measure.name, &control.name, lane, &run.blocks, figure.pick());
    let logs = stats::log_ratios(&control, &own).ok()?;
    Some(Series {
        measure: measure.name.clone(),
        lane: lane.into(),
        figure,
        rounds: logs.len(),
        // Too few rounds for an error: nothing that could be watched.
        log: stats::location(&logs).ok()?,
    })
}

/// The control itself, by logarithm.
fn own(run: &Run, measure: &Measure, figure: Figure) -> Option<Series> {
    let lane = &run.lanes.first()?.name;
    let values: Vec<f64> = of_lane(&run.blocks, &measure.name, lane)
        .map(|(_, figures)| (figure.pick())(&figures.compared()).ln())
        .collect();
    let log = stats::location(&values).ok()?;
    Some(Series { measure: measure.name.clone(), lane: lane.clone(), figure, rounds: values.len(), log })
}

/// Compiled Wasm's median rate over native's.
fn medians(run: &Run, measure: &str) -> Option<f64> {
    let aot = run.lanes.iter().find(|lane| lane.mode == Mode::Aot)?;
    if run.generator_limited(measure, &aot.name) {
        return None;
    }
    let rate = |lane: &str| {
        run.summary.iter().find(|summary| summary.lane == lane && summary.measure == measure).map(|found| found.rate)
    };
    let control = rate(&run.lanes.first()?.name).filter(|rate| *rate > 0.0)?;
    Some(rate(&aot.name)? / control)
}
