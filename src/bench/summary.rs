//! All blocks of a measure and lane taken together: medians, percentiles of
//! all requests, ratios to the control with their intervals.

use anyhow::Result;
use hdrhistogram::Histogram;

use super::design::{Load, Measure};
use super::figures::{Pool, encode};
use super::run::{Block, Compared, Figures, Lane, PhaseTimes, Ratios, Summary};
use crate::stats;

/// How often an interval is to hold the truth.
pub const LEVEL: f64 = 0.95;

/// From this share of its time on a generator is busy,
const SATURATED: f64 = 0.95;
/// and below this share of a CPU a single-threaded server is not.
const BUSY: f64 = 0.9;
/// Below this one it mostly waits, whoever keeps the generator from its work.
const IDLE: f64 = 0.6;

/// One of the figures that are compared.
pub type Pick = fn(&Compared) -> f64;

/// The figures that are compared with the control, by the name that results
/// and reports use.
pub const COMPARED: [(&str, Pick); 4] =
    [("rate", |of| of.rate), ("p50", |of| of.p50_ms), ("p99", |of| of.p99_ms), ("cpu", |of| of.cpu_us_per_request)];

/// One summary per measure and lane, in the order of both.
pub fn of(measures: &[Measure], lanes: &[Lane], blocks: &[Block], pool: &Pool) -> Result<Vec<Summary>> {
    let mut found = Vec::new();
    for measure in measures {
        let control_limited = generator_limited(measure, &lanes[0].name, blocks);
        for lane in lanes {
            let limited = generator_limited(measure, &lane.name, blocks);
            let figures: Vec<&Figures> =
                of_lane(blocks, &measure.name, &lane.name).map(|(_, figures)| figures).collect();
            let median = |pick: fn(&Figures) -> f64| median_of(&figures, pick);
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
        (median_of(&figures, |figures| figures.generator_busy), median_of(&figures, |figures| figures.server_busy));
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

/// The control's values in the rounds that both lanes have, and the lane's as
/// they stand to the control's.
///
/// Where both were measured in as many parts, in turn, a round's ratio is the
/// median of its parts' ratios: a moment in which the machine stood still costs
/// a part, not the block's 99th percentile. Late wake-ups reach a third of an open
/// loop's parts, which is more than Hodges' and Lehmann's centre bears (29 %).
#[must_use]
pub fn paired(measure: &str, control: &str, lane: &str, blocks: &[Block], pick: Pick) -> (Vec<f64>, Vec<f64>) {
    let lanes: Vec<(u32, &Figures)> = of_lane(blocks, measure, lane).collect();
    of_lane(blocks, measure, control)
        .filter_map(|(round, control)| {
            let (_, own) = lanes.iter().find(|(known, _)| *known == round)?;
            let (whole, own_whole) = (pick(&control.compared()), pick(&own.compared()));
            Some((whole, ratio_by_parts(control, own, pick).map_or(own_whole, |ratio| whole * ratio)))
        })
        .unzip()
}

/// None where parts were not taken in turn, or one is without an answer.
fn ratio_by_parts(control: &Figures, lane: &Figures, pick: Pick) -> Option<f64> {
    if control.parts.len() != lane.parts.len() {
        return None;
    }
    let values = |figures: &Figures| figures.parts.iter().map(pick).collect::<Vec<_>>();
    let logs = stats::log_ratios(&values(control), &values(lane)).ok()?;
    stats::median(&logs).map(f64::exp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    /// Two blocks a round of a synthetic run's, whose parts are `parts` (99th
    /// percentiles of control and twin).
    fn blocks(parts: &[(f64, f64)]) -> (String, Vec<Block>) {
        let run = synthetic::quick();
        let lane = |name: &str, value: fn(&(f64, f64)) -> f64| {
            let mut block = run.blocks.iter().find(|block| block.lane == "native").unwrap().clone();
            block.lane = name.into();
            let figures = &mut block.figures[0];
            figures.p99_ms = 10.0;
            figures.parts = parts.iter().map(|part| Compared { p99_ms: value(part), ..Compared::default() }).collect();
            block
        };
        (run.measures[0].name.clone(), vec![lane("native", |part| part.0), lane("again", |part| part.1)])
    }

    fn p99(parts: &[(f64, f64)], change: impl Fn(&mut Vec<Block>)) -> f64 {
        let (measure, mut blocks) = blocks(parts);
        change(&mut blocks);
        let (control, lane) = paired(&measure, "native", "again", &blocks, |of| of.p99_ms);
        assert_eq!((control.len(), lane.len()), (1, 1));
        lane[0] / control[0]
    }

    #[test]
    fn a_stalled_part_does_not_make_the_ratio_of_a_round() {
        let calm = [(1.0, 1.1), (2.0, 2.2), (1.0, 1.1), (4.0, 4.4), (1.0, 1.1), (1.0, 1.1), (3.0, 3.3)];
        assert!((p99(&calm, |_| {}) - 1.1).abs() < 1e-9);
        // Nearly half of them, of one side.
        let mut stalled = calm;
        for part in [0, 2, 5] {
            stalled[part].1 = 500.0;
        }
        assert!((p99(&stalled, |_| {}) - 1.1).abs() < 1e-9);
    }

    #[test]
    fn blocks_count_where_parts_do_not_match_or_hold_nothing() {
        let calm = [(1.0, 1.1), (2.0, 2.2)];
        let other = |blocks: &mut Vec<Block>| blocks[1].figures[0].parts.truncate(1);
        assert!((p99(&calm, other) - 1.0).abs() < 1e-9);
        assert!((p99(&[(1.0, 1.1), (0.0, 2.2)], |_| {}) - 1.0).abs() < 1e-9);
        assert!((p99(&[], |_| {}) - 1.0).abs() < 1e-9);
    }
}
