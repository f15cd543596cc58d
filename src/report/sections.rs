//! The rows of the tables, the same on the terminal, in Markdown and on the
//! page; the demo's five rows come first.

use super::numbers::{self, NONE};
use super::view::{Metric, Ratio, View};
use crate::bench::design::Measure;
use crate::bench::run::{Lane, PhaseTimes};

/// Rows under one heading.
pub(super) struct Section {
    /// What the rows are of.
    pub kind: Kind,
    /// In the order of reading.
    pub rows: Vec<Row>,
}

/// What rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The demo's table.
    Phases,
    /// Requests per second of the closed loops.
    Rate,
    /// Times from the intended send of the open loops.
    Latency,
    /// CPU time per request.
    Cpu,
    /// Start, memory, image.
    Cost,
    /// Requests that failed.
    Errors,
}

impl Kind {
    /// The heading; none for the demo's table, which comes first.
    pub fn title(self) -> &'static str {
        match self {
            Self::Phases => "",
            Self::Rate => "requests/s",
            Self::Latency => "latency, open loop",
            Self::Cpu => "CPU per request",
            Self::Cost => "start, memory, size",
            Self::Errors => "failed requests",
        }
    }
}

/// One row.
pub(super) struct Row {
    /// What it tells.
    pub label: String,
    /// By lane, twins left out.
    pub cells: Vec<Cell>,
}

/// One figure.
pub(super) struct Cell {
    /// With its unit, or a dash.
    pub value: String,
    /// Against the control.
    pub ratio: Option<Told>,
}

/// A ratio as text.
pub(super) enum Told {
    /// `0.93 x` and, where there is one, its interval `0.91-0.95`.
    Ratio(String, Option<String>),
    /// Instead of a figure.
    Invalid,
}

impl Told {
    /// On one line.
    pub fn line(&self) -> String {
        match self {
            Self::Ratio(ratio, Some(range)) => format!("{ratio} ({range})"),
            Self::Ratio(ratio, None) => ratio.clone(),
            Self::Invalid => "invalid".into(),
        }
    }
}

/// A phase's name and where its time is.
pub(super) type Phase = (&'static str, fn(&PhaseTimes) -> f64);

/// The demo's rows, in its order.
pub(super) const PHASES: [Phase; 5] = [
    ("blocked", |phases| phases.blocked),
    ("connecting", |phases| phases.connecting),
    ("receiving", |phases| phases.receiving),
    ("sending", |phases| phases.sending),
    ("waiting", |phases| phases.waiting),
];

/// All sections that have rows.
pub(super) fn all(view: &View) -> Vec<Section> {
    let latency = |measure: &Measure| {
        [(Metric::P50, "p50"), (Metric::P99, "p99")]
            .map(|(metric, name)| metric_row(view, metric, measure, format!("{} {name}", measure.name)))
    };
    let named = |metric: Metric| move |measure: &Measure| metric_row(view, metric, measure, measure.name.clone());
    let sections = [
        Section { kind: Kind::Phases, rows: view.demo().map(|demo| phases(view, demo)).unwrap_or_default() },
        Section { kind: Kind::Rate, rows: view.closed().map(named(Metric::Rate)).collect() },
        Section { kind: Kind::Latency, rows: view.open().flat_map(latency).collect() },
        Section { kind: Kind::Cpu, rows: view.run.measures.iter().map(named(Metric::Cpu)).collect() },
        Section { kind: Kind::Cost, rows: costs(view) },
        Section { kind: Kind::Errors, rows: errors(view) },
    ];
    sections.into_iter().filter(|section| !section.rows.is_empty()).collect()
}

fn row(view: &View, label: impl Into<String>, cell: impl Fn(&Lane) -> Cell) -> Row {
    Row { label: label.into(), cells: view.lanes.iter().map(|lane| cell(lane)).collect() }
}

fn plain(value: Option<f64>, text: fn(f64) -> String) -> Cell {
    Cell { value: value.map_or_else(|| NONE.into(), text), ratio: None }
}

fn phases(view: &View, demo: &Measure) -> Vec<Row> {
    let cell = |lane: &Lane, phase: fn(&PhaseTimes) -> f64| {
        plain(view.summary(&demo.name, &lane.name).map(|summary| phase(&summary.phases_p95)), numbers::ms)
    };
    PHASES.into_iter().map(|(name, phase)| row(view, format!("{name} p95"), |lane| cell(lane, phase))).collect()
}

fn metric_row(view: &View, metric: Metric, measure: &Measure, label: String) -> Row {
    let text = match metric {
        Metric::Rate => numbers::rate,
        Metric::P50 | Metric::P99 => numbers::latency,
        Metric::Cpu => numbers::us,
    };
    row(view, label, |lane| {
        let summary = view.summary(&measure.name, &lane.name);
        let mut cell = plain(summary.and_then(|summary| metric.value(summary)), text);
        if metric == Metric::Rate && summary.is_some_and(|summary| summary.generator_limited) {
            cell.value = format!("≥ {}", cell.value);
        }
        cell.ratio = told(&view.ratio(metric, &measure.name, lane));
        cell
    })
}

fn told(ratio: &Ratio) -> Option<Told> {
    match ratio {
        Ratio::None => None,
        Ratio::Known(interval) => {
            let parts = numbers::parts(interval);
            Some(Told::Ratio(format!("{} x", parts.estimate), Some(format!("{}-{}", parts.low, parts.high))))
        }
        Ratio::Bare(value) => Some(Told::Ratio(format!("{} x", numbers::ratio(*value)), None)),
        Ratio::Invalid => Some(Told::Invalid),
    }
}

/// Start, memory and image. Rows of which no lane has a figure are left out.
fn costs(view: &View) -> Vec<Row> {
    let memory = |figure: fn(&crate::bench::run::Block) -> u64| {
        // 0 is what a place reports that cannot tell.
        move |lane: &Lane| {
            let kib = view.median(&lane.name, |block| Some(figure(block) as f64).filter(|kib| *kib > 0.0));
            plain(kib, numbers::memory)
        }
    };
    let replica =
        |lane: &Lane| plain(view.run.costs.get(&lane.name).and_then(|cost| cost.replica_kib), numbers::memory);
    let start = |lane: &Lane| plain(view.median(&lane.name, |block| Some(block.start.total_ms)), numbers::ms);
    let image = |lane: &Lane| plain(Some(lane.image_bytes as f64).filter(|bytes| *bytes > 0.0), numbers::size);
    let mut rows = vec![
        row(view, "first answer", start),
        row(view, "idle memory", memory(|block| block.idle_kib)),
        row(view, "peak memory", memory(|block| block.peak_kib)),
        row(view, "one more replica", replica),
        row(view, "image", image),
    ];
    rows.retain(|row| row.cells.iter().any(|cell| cell.value != NONE));
    rows
}

fn errors(view: &View) -> Vec<Row> {
    let failed = |measure: &Measure| {
        row(view, measure.name.clone(), |lane| {
            plain(Some(view.errors(&measure.name, &lane.name) as f64), numbers::count)
        })
    };
    view.run.measures.iter().map(failed).filter(|row| row.cells.iter().any(|cell| cell.value != "0")).collect()
}
