//! A run with what the reports look up in it: lanes with and without the A/A
//! twin, summaries, medians over blocks.

use crate::arms::{Mode, Runtime};
use crate::bench::design::{Load, Measure};
use crate::bench::run::{Block, Lane, Run, Summary};
use crate::stats::{self, Interval};

/// The measure of the demo's table.
pub(super) const DEMO: &str = "tiny-close";

/// See the module.
pub(super) struct View<'a> {
    /// All of it.
    pub run: &'a Run,
    /// Lanes that are columns: all but twins.
    pub lanes: Vec<&'a Lane>,
    /// The control's twin.
    pub twin: Option<&'a Lane>,
    /// Rounds of which there are blocks.
    pub rounds: usize,
}

/// What may be said of a lane against the control.
pub(super) enum Ratio<'a> {
    /// It is the control, or there is nothing to compare.
    None,
    /// With its interval.
    Known(&'a Interval),
    /// From too few rounds for an interval: a first look.
    Bare(f64),
    /// The run is invalid, so nothing is said.
    Invalid,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// Requests per second.
    Rate,
    /// The median.
    P50,
    /// The 99th percentile.
    P99,
    /// CPU time per request.
    Cpu,
}

impl Metric {
    /// Its absolute value.
    pub fn value(self, summary: &Summary) -> Option<f64> {
        match self {
            Self::Rate => Some(summary.rate),
            Self::P50 => summary.p50_ms,
            Self::P99 => summary.p99_ms,
            Self::Cpu => Some(summary.cpu_us_per_request),
        }
    }

    /// Its ratio to the control; none where the value itself has too few requests.
    pub fn interval(self, summary: &Summary) -> Option<&Interval> {
        self.value(summary)?;
        let ratios = &summary.ratios;
        let found = match self {
            Self::Rate => ratios.rate.as_ref(),
            Self::P50 => ratios.p50.as_ref(),
            Self::P99 => ratios.p99.as_ref(),
            Self::Cpu => ratios.cpu.as_ref(),
        };
        found.filter(|ratio| [ratio.estimate, ratio.low, ratio.high].iter().all(|end| end.is_finite() && *end > 0.0))
    }
}

impl<'a> View<'a> {
    pub fn of(run: &'a Run) -> Self {
        let mut rounds: Vec<u32> = run.blocks.iter().map(|block| block.round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        Self {
            run,
            lanes: run.lanes.iter().filter(|lane| lane.twin_of.is_none()).collect(),
            twin: run.lanes.iter().find(|lane| lane.twin_of.is_some()),
            rounds: rounds.len(),
        }
    }

    /// The lane that others are compared with.
    pub fn control(&self) -> Option<&'a Lane> {
        self.lanes.first().copied()
    }

    /// Its title, for sentences.
    pub fn control_title(&self) -> &'a str {
        self.control().map_or("the control", |lane| lane.title.as_str())
    }

    pub fn summary(&self, measure: &str, lane: &str) -> Option<&'a Summary> {
        self.run.summary.iter().find(|summary| summary.measure == measure && summary.lane == lane)
    }

    /// Measures of users that wait for their answers: they tell capacity.
    pub fn closed(&self) -> impl Iterator<Item = &'a Measure> {
        self.run.measures.iter().filter(|measure| !is_open(measure))
    }

    /// Measures of a schedule: they tell latency.
    pub fn open(&self) -> impl Iterator<Item = &'a Measure> {
        self.run.measures.iter().filter(|measure| is_open(measure))
    }

    /// The measure of the demo's table, if it was taken.
    pub fn demo(&self) -> Option<&'a Measure> {
        self.run.measures.iter().find(|measure| measure.name == DEMO)
    }

    pub fn ratio(&self, metric: Metric, measure: &str, lane: &Lane) -> Ratio<'a> {
        let Some(control) = self.control().filter(|control| control.name != lane.name) else { return Ratio::None };
        let (Some(own), Some(base)) = (self.summary(measure, &lane.name), self.summary(measure, &control.name)) else {
            return Ratio::None;
        };
        if !self.run.verdict.valid {
            return Ratio::Invalid;
        }
        if metric != Metric::Cpu && self.run.generator_limited(measure, &lane.name) {
            return Ratio::None;
        }
        if let Some(interval) = metric.interval(own) {
            return Ratio::Known(interval);
        }
        match (metric.value(own), metric.value(base)) {
            (Some(own), Some(base)) if base > 0.0 && own.is_finite() => Ratio::Bare(own / base),
            _ => Ratio::None,
        }
    }

    /// Whether any ratio has an interval.
    pub fn has_intervals(&self) -> bool {
        self.any_interval().is_some()
    }

    /// Some interval, for its level and method.
    pub fn any_interval(&self) -> Option<&'a Interval> {
        let metrics = [Metric::Rate, Metric::P50, Metric::P99, Metric::Cpu];
        self.run.summary.iter().find_map(|summary| metrics.into_iter().find_map(|metric| metric.interval(summary)))
    }

    /// The median over the lane's blocks of what `figure` finds in them.
    pub fn median(&self, lane: &str, figure: impl Fn(&'a Block) -> Option<f64>) -> Option<f64> {
        let blocks = self.run.blocks.iter().filter(|block| block.lane == lane);
        let values: Vec<f64> = blocks.filter_map(figure).filter(|value| value.is_finite()).collect();
        stats::median(&values)
    }

    /// Requests of a measure that failed, over all blocks of a lane.
    pub fn errors(&self, measure: &str, lane: &str) -> u64 {
        let blocks = self.run.blocks.iter().filter(|block| block.lane == lane);
        let figures = blocks.flat_map(|block| &block.figures).filter(|figures| figures.measure == measure);
        figures.map(|figures| figures.errors.values().sum::<u64>()).sum()
    }
}

/// Whether requests follow a schedule.
pub(super) fn is_open(measure: &Measure) -> bool {
    matches!(measure.load, Load::Open { .. })
}

/// What a lane is, in words.
pub(super) fn about(lane: &Lane) -> String {
    let code = match lane.mode {
        Mode::Native => "machine code",
        Mode::Aot => "Wasm compiled ahead of time by WasmEdge",
        Mode::Interpreter => "Wasm interpreted by WasmEdge",
    };
    let runtime = match lane.runtime {
        Runtime::Crun => "crun",
        Runtime::Runc => "runc",
    };
    format!("{code}, under {runtime}")
}

/// What tells a lane from its neighbours where room is scarce: the part of its
/// title in parentheses, unless another lane has the same.
pub(super) fn short_title<'a>(lane: &'a Lane, lanes: &[&Lane]) -> &'a str {
    let inner = |title: &'a str| Some(title.split_once('(')?.1.split_once(')')?.0.trim());
    let same = |text: &str| lanes.iter().filter(|other| other.title.contains(&format!("({text})"))).count() > 1;
    inner(&lane.title).filter(|text| !text.is_empty() && !same(text)).unwrap_or(&lane.title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn short_titles_tell_lanes_apart() {
        let run = synthetic::quick();
        let lanes: Vec<&Lane> = run.lanes.iter().collect();
        let titles: Vec<&str> = View::of(&run).lanes.iter().map(|lane| short_title(lane, &lanes)).collect();
        assert_eq!(titles, ["Rust", "Debian", "runc", "AOT", "interpreter"]);
        let mut twins = run.clone();
        twins.lanes[2].title = "Wasm (AOT)".into();
        let lanes: Vec<&Lane> = twins.lanes.iter().collect();
        assert_eq!(short_title(lanes[2], &lanes), "Wasm (AOT)");
    }

    #[test]
    fn an_invalid_run_has_no_ratios() {
        let run = synthetic::invalid();
        let view = View::of(&run);
        for measure in &run.measures {
            for lane in &view.lanes[1..] {
                assert!(matches!(view.ratio(Metric::Rate, &measure.name, lane), Ratio::Invalid));
            }
        }
    }
}
