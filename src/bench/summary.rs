//! All blocks of a measure and lane taken together: medians, percentiles of
//! all requests, ratios to the control with their intervals.

use anyhow::Result;
use hdrhistogram::Histogram;

use super::design::{Load, Measure};
use super::figures::{Pool, encode};
use super::run::{Block, Figures, Lane, PhaseTimes, Ratios, Summary};
use crate::stats;

/// How often an interval is to hold the truth.
pub const LEVEL: f64 = 0.95;

/// From this share of its time on a generator is busy,
const SATURATED: f64 = 0.95;
/// and below this share of a CPU a single-threaded server is not.
const BUSY: f64 = 0.9;
/// Below this one it mostly waits, whoever keeps the generator from its work.
const IDLE: f64 = 0.6;

/// A figure of a block.
pub type Pick = fn(&Figures) -> f64;

/// The figures that are compared with the control, by the name that results
/// and reports use.
pub const COMPARED: [(&str, Pick); 4] = [
    ("rate", |figures| figures.rate),
    ("p50", |figures| figures.p50_ms),
    ("p99", |figures| figures.p99_ms),
    ("cpu", |figures| figures.cpu_us_per_request),
];

/// One summary per measure and lane, in the order of both.
pub fn of(measures: &[Measure], lanes: &[Lane], blocks: &[Block], pool: &Pool) -> Result<Vec<Summary>> {
    let mut found = Vec::new();
    for measure in measures {
        let control_limited = generator_limited(measure, &lanes[0].name, blocks);
        for lane in lanes {
            let limited = generator_limited(measure, &lane.name, blocks);
            let figures: Vec<&Figures> =
                of_lane(blocks, &measure.name, &lane.name).map(|(_, figures)| figures).collect();
            let median = |pick: Pick| median(&figures, pick);
            let phases = |of: fn(&Figures) -> PhaseTimes| PhaseTimes {
                blocked: median_of(&figures, |figures| of(figures).blocked),
                connecting: median_of(&figures, |figures| of(figures).connecting),
                sending: median_of(&figures, |figures| of(figures).sending),
                waiting: median_of(&figures, |figures| of(figures).waiting),
                receiving: median_of(&figures, |figures| of(figures).receiving),
            };
            let empty = Histogram::<u64>::new(3)?;
            let times = pool.corrected(&measure.name, &lane.name).unwrap_or(&empty);
            found.push(Summary {
                measure: measure.name.clone(),
                lane: lane.name.clone(),
                succeeded: figures.iter().map(|figures| figures.succeeded).sum(),
                rate: median(|figures| figures.rate),
                generator_limited: limited,
                cpu_us_per_request: median(|figures| figures.cpu_us_per_request),
                p50_ms: percentile(times, 50.0),
                p90_ms: percentile(times, 90.0),
                p95_ms: percentile(times, 95.0),
                p99_ms: percentile(times, 99.0),
                p999_ms: percentile(times, 99.9),
                ratios: match ratios(&measure.name, &lane.name, &lanes[0].name, blocks) {
                    // What the server took per request is known all the same.
                    Ratios { cpu, .. } if limited || control_limited => Ratios { cpu, ..Ratios::default() },
                    all => all,
                },
                histogram_us_v2_base64: encode(times)?,
                uncorrected_us_v2_base64: pool.uncorrected(&measure.name, &lane.name).map(encode).transpose()?,
                phases_p95: phases(|figures| figures.phases_p95),
                phases_mean: phases(|figures| figures.phases_mean),
            });
        }
    }
    Ok(found)
}

/// Whether the generator was what a closed loop on that lane measured.
fn generator_limited(measure: &Measure, lane: &str, blocks: &[Block]) -> bool {
    let figures: Vec<&Figures> = of_lane(blocks, &measure.name, lane).map(|(_, figures)| figures).collect();
    let (generator, server) =
        (median(&figures, |figures| figures.generator_busy), median(&figures, |figures| figures.server_busy));
    matches!(measure.load, Load::Closed { .. })
        && !figures.is_empty()
        && (server < IDLE || generator > SATURATED && server < BUSY)
}

/// The figures of a measure and lane with their rounds, in the order of rounds.
pub fn of_lane<'a>(blocks: &'a [Block], measure: &'a str, lane: &'a str) -> impl Iterator<Item = (u32, &'a Figures)> {
    let mut own: Vec<&Block> = blocks.iter().filter(|block| block.lane == lane).collect();
    own.sort_by_key(|block| block.round);
    own.into_iter().filter_map(move |block| {
        block.figures.iter().find(|figures| figures.measure == measure).map(|figures| (block.round, figures))
    })
}

fn median(figures: &[&Figures], pick: Pick) -> f64 {
    median_of(figures, pick)
}

fn median_of(figures: &[&Figures], pick: impl Fn(&Figures) -> f64) -> f64 {
    let values: Vec<f64> = figures.iter().map(|figures| pick(figures)).collect();
    stats::median(&values).unwrap_or_default()
}

/// Milliseconds, where there are enough requests for that percentile.
fn percentile(times: &Histogram<u64>, p: f64) -> Option<f64> {
    stats::enough_samples(p, times.len()).is_ok().then(|| times.value_at_percentile(p).min(times.max()) as f64 / 1000.0)
}

fn ratios(measure: &str, lane: &str, control: &str, blocks: &[Block]) -> Ratios {
    if lane == control {
        return Ratios::default();
    }
    let of = |pick: Pick| {
        let (control, lane) = paired(measure, control, lane, blocks, pick);
        stats::ratio_interval(&control, &lane, LEVEL).ok()
    };
    let [rate, p50, p99, cpu] = COMPARED.map(|(_, pick)| of(pick));
    // A block's own 99th percentile takes a thousand requests.
    let enough = [lane, control].iter().all(|name| {
        of_lane(blocks, measure, name).all(|(_, figures)| stats::enough_samples(99.0, figures.succeeded).is_ok())
    });
    Ratios { rate, p50, p99: p99.filter(|_| enough), cpu }
}

/// The values of two lanes in the rounds that both have.
#[must_use]
pub fn paired(measure: &str, control: &str, lane: &str, blocks: &[Block], pick: Pick) -> (Vec<f64>, Vec<f64>) {
    let lanes: Vec<(u32, f64)> =
        of_lane(blocks, measure, lane).map(|(round, figures)| (round, pick(figures))).collect();
    of_lane(blocks, measure, control)
        .filter_map(|(round, figures)| {
            let (_, value) = lanes.iter().find(|(known, _)| *known == round)?;
            Some((pick(figures), *value))
        })
        .unzip()
}
