//! One figure, held against the baseline by the two rules.

use super::{CHANCE, Finding, MARGIN, UNUSUAL, WORTH};
use crate::bench::history::{Entry, Series};
use crate::bench::summary::LEVEL;
use crate::stats::{self, Interval, Location, Night, Shape};

/// A figure of tonight with its past.
pub(super) struct Watched<'a> {
    pub now: &'a Series,
    base: &'a Series,
    entries: Vec<&'a Entry>,
    /// By entry: the lane's ratio to native.
    pub ratios: Vec<Night>,
    /// By entry: native itself.
    native: Vec<(Location, usize)>,
}

impl<'a> Watched<'a> {
    /// None where the baseline does not have it.
    pub fn of(now: &'a Series, nights: &[&'a Entry]) -> Option<Self> {
        let base = nights.first()?.series.iter().find(|series| series.same(now))?;
        let mut watched = Self { now, base, entries: Vec::new(), ratios: Vec::new(), native: Vec::new() };
        for entry in nights {
            let Some(series) = entry.series.iter().find(|series| series.same(now)) else { continue };
            let native = entry.control.iter().find(|own| (&own.measure, own.figure) == (&now.measure, now.figure));
            let Some(native) = native else { continue };
            watched.entries.push(entry);
            watched.ratios.push(Night { at: series.log.at, error: series.log.error });
            watched.native.push((native.log, native.rounds));
        }
        Some(watched)
    }

    /// Tonight over the baseline, with errors that allow for how much nights
    /// scatter beyond what rounds do, where that is known.
    pub fn tonight(&self, inflation: Option<f64>) -> Option<Interval> {
        let more = inflation.unwrap_or(1.0).max(1.0).sqrt();
        let wide = |series: &Series| Location { error: series.log.error * more, ..series.log };
        let (base, now) = (wide(self.base), wide(self.now));
        stats::compare_locations((&base, self.base.rounds), (&now, self.now.rounds), LEVEL).ok()
    }

    /// What has changed.
    pub fn look(&self, watched: usize, inflation: Option<f64>) -> Option<Finding> {
        let own = stats::inflation(&self.ratios).or(inflation);
        let last = self.ratios.len() - 1;
        let chance = |share: f64| share / watched.max(1) as f64;
        let level = stats::newest_level(&self.ratios, inflation.unwrap_or(1.0), chance(CHANCE.1), LEVEL);
        let level = level.filter(|shift| shift.change.estimate.ln().abs() >= (1.0 + WORTH).ln());
        if let Some(shift) = level {
            let each = match shift.shape {
                Shape::Step => None,
                Shape::Drift { each } => Some(each),
            };
            return Some(self.finding(shift.change, shift.since, each));
        }
        let change = self.tonight(own)?;
        // 95 % is too little where so many figures are asked and the noise is larger than the margin.
        let sure = 1.0 - chance(CHANCE.0);
        let chance_excluded = !stats::at_level(&change, sure, self.freedom()).contains(1.0);
        (change.excludes_within(MARGIN) && chance_excluded).then(|| self.finding(change, last, None))
    }

    /// Degrees of freedom of tonight against the baseline, at least.
    fn freedom(&self) -> f64 {
        self.base.log.freedom.min(self.now.log.freedom)
    }

    fn finding(&self, change: Interval, since: usize, each_night: Option<f64>) -> Finding {
        let now = self.entries[self.entries.len() - 1];
        Finding {
            measure: self.now.measure.clone(),
            lane: self.now.lane.clone(),
            title: now.title(&self.now.lane).to_owned(),
            figure: self.now.figure,
            change,
            since: self.entries[since].run.clone(),
            nights: self.entries.len() - since,
            each_night,
            native: self.native_moved(since),
        }
    }

    /// Native since then over native before, if that is more than it usually is.
    fn native_moved(&self, since: usize) -> Option<f64> {
        let logs: Vec<f64> = self.native.iter().map(|(log, _)| log.at).collect();
        let (before, after) = logs.split_at(since.max(1));
        let moved = stats::median(after)? - stats::median(before)?;
        let nights: Vec<Night> =
            self.native[..since.max(1)].iter().map(|(log, _)| Night { at: log.at, error: log.error }).collect();
        let usual = match stats::scatter(&nights, 1.0) {
            Some((deviation, _)) => deviation,
            // Too few nights: how much it moves between rounds.
            None => self.native.iter().map(|(log, rounds)| log.error * (*rounds as f64).sqrt()).fold(0.0, f64::max),
        };
        (moved.abs() > (1.0 + MARGIN).ln().max(UNUSUAL * usual)).then(|| moved.exp())
    }
}
