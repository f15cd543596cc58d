//! A level that moved: when, how far, and whether at once or slowly.
//!
//! The change-point model of Hawkins, Qiu and Kang ("The Changepoint Model for
//! Statistical Process Control", Journal of Quality Technology 35, 2003): each
//! night the history is cut in two at every candidate and the halves' means are
//! compared by t; the largest |t| decides. What lies behind the cut is searched
//! again (Vostrikova's binary segmentation, Soviet Math. Doklady 24, 1981), so
//! that what was mended is no longer told.
//!
//! Two things are added because nights are few and machines are shared:
//!
//! - a night that stands alone is pulled in to three standard deviations from
//!   the median of its five neighbours (Hampel's identifier), so that one bad
//!   night neither makes a level nor hides one; one whose own rounds disagree
//!   more than usual is pulled in further, and has less weight as a neighbour;
//! - the standard deviation is that of the differences of successive nights
//!   (von Neumann, Ann. Math. Stat. 12, 1941), which a step or a drift hardly
//!   touches, moderated by what the rounds within the nights say (Smyth, Stat.
//!   Appl. Genet. Mol. Biol. 3, 2004).
//!
//! The probability of a false alarm tonight is bounded by Bonferroni over the
//! cuts; `examples/detection.rs` counts how it comes out on recorded noise.

use super::interval::{Interval, LogInterval, Method};
use super::{median, student};

/// A night's value and the standard error that its own rounds give it, both on
/// the log scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Night {
    /// The log-ratio.
    pub at: f64,
    /// Its standard error.
    pub error: f64,
}

/// The newest level is not the first one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Index of the first night of the newest level; of a drift, where it began.
    pub since: usize,
    /// Tonight over the first level. A step compares levels; a drift its ends.
    pub change: Interval,
    /// At once or slowly.
    pub shape: Shape,
}

/// How a level moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// From one night to the next.
    Step,
    /// Night by night; so much each, as a ratio.
    Drift {
        /// 1.01 is 1 % a night.
        each: f64,
    },
}

/// Fewest nights whose scatter says something.
const FEWEST: usize = 6;
/// Nights of a new level at the end, the fewest and then about 1.4 times more each.
const LENGTHS: [usize; 17] = [2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 452];
/// Fewest nights in which a drift can be told from a step.
const DRIFT: usize = 5;
/// By how much, as a logarithm, a slope must be likelier than a step.
const LIKELIER: f64 = 2.0;
/// Degrees of freedom with which the nights' own errors speak on their scatter.
const PRIOR: f64 = 10.0;
/// How far, in standard deviations, a night may stand alone.
const ALONE: f64 = 3.0;
/// From how many times the usual error on a night is the less to be trusted.
const UNSURE: f64 = 2.0;

/// The standard deviation between nights of one level, on the log scale, and
/// its degrees of freedom; none for fewer than six nights. `inflation` is how
/// many times the variance between nights is that within, as seen elsewhere (1
/// where unknown).
#[must_use]
pub fn scatter(nights: &[Night], inflation: f64) -> Option<(f64, f64)> {
    if nights.len() < FEWEST {
        return None;
    }
    // A difference shares a night with the next: two thirds count.
    let freedom = (nights.len() - 1) as f64 * 2.0 / 3.0;
    let variance = (PRIOR * inflation.max(1.0) * within(nights) + freedom * between(nights)) / (PRIOR + freedom);
    Some((variance.sqrt().max(f64::MIN_POSITIVE), PRIOR + freedom))
}

/// How many times the variance between nights is that within; none for fewer
/// than six nights.
#[must_use]
pub fn inflation(nights: &[Night]) -> Option<f64> {
    if nights.len() < FEWEST {
        return None;
    }
    let within = within(nights);
    (within > 0.0).then(|| between(nights) / within)
}

/// The variance of nights of one level, by their successive differences.
fn between(nights: &[Night]) -> f64 {
    let squares: Vec<f64> = calm(nights).windows(2).map(|two| (two[1] - two[0]).powi(2)).collect();
    super::mean(&squares) / 2.0
}

/// The variance that a night's own rounds give it: the median, so that a night
/// with bad rounds does not make the others' look larger.
fn within(nights: &[Night]) -> f64 {
    median(&nights.iter().map(|night| night.error.powi(2)).collect::<Vec<_>>()).unwrap_or_default()
}

/// The values with those pulled in that stand alone.
fn calm(nights: &[Night]) -> Vec<f64> {
    let values: Vec<f64> = nights.iter().map(|night| night.at).collect();
    let steps: Vec<f64> = values.windows(2).map(|two| (two[1] - two[0]).abs()).collect();
    // The median of |differences| of normal values is 0.6745 times sqrt(2) standard deviations.
    let spread = median(&steps).unwrap_or_default() / (0.6745 * std::f64::consts::SQRT_2);
    let usual = within(nights).sqrt();
    let reach = ALONE * spread.max(usual);
    (0..values.len())
        .map(|index| {
            let middle = middle(&nights[index.saturating_sub(2)..(index + 3).min(values.len())], usual);
            let reach = reach * trust(&nights[index], usual);
            values[index].clamp(middle - reach, middle + reach)
        })
        .collect()
}

/// How much of what stands alone is left to a night: all, unless its own error is
/// out of the ordinary, so that two nights with bad rounds make no level.
fn trust(night: &Night, usual: f64) -> f64 {
    if night.error > UNSURE * usual { UNSURE * usual / night.error } else { 1.0 }
}

/// The median of `nights`, weighted by the variance of those that are less trusted.
fn middle(nights: &[Night], usual: f64) -> f64 {
    let weight = |night: &Night| trust(night, usual).powi(2);
    let mut sorted = nights.to_vec();
    sorted.sort_by(|a, b| a.at.total_cmp(&b.at));
    let half = sorted.iter().map(weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (index, night) in sorted.iter().enumerate() {
        below += weight(night);
        if below > half {
            return night.at;
        }
        if below == half {
            return sorted.get(index + 1).map_or(night.at, |next| f64::midpoint(night.at, next.at));
        }
    }
    sorted.last().map_or(0.0, |night| night.at)
}

/// Whether the newest level differs from the first one: less than `alpha` of
/// the nights on which nothing happened give a shift. `level` is that of the
/// interval.
#[must_use]
pub fn newest_level(nights: &[Night], inflation: f64, alpha: f64, level: f64) -> Option<Shift> {
    let (deviation, freedom) = scatter(nights, inflation)?;
    let values = calm(nights);
    let first = cut(&values, 0, deviation, freedom, alpha)?;
    let mut since = first;
    while let Some(next) = cut(&values, since, deviation, freedom, alpha) {
        since = next;
    }
    let (before, after) = (&values[..first], &values[since..]);
    let estimate = super::mean(after) - super::mean(before);
    let error = deviation * (1.0 / before.len() as f64 + 1.0 / after.len() as f64).sqrt();
    if student::two_sided(estimate / error, freedom) > alpha / LENGTHS.len() as f64 {
        // It is back where it was.
        return None;
    }
    let reach = student::quantile(level, freedom) * error;
    let interval = |estimate: f64| {
        let log = LogInterval { estimate, low: estimate - reach, high: estimate + reach };
        Interval::from_logs(&log, level, before.len().min(after.len()), Method::Welch)
    };
    Some(match ramp(&values, deviation) {
        Some(ramp) => Shift {
            since: ramp.from,
            change: interval(ramp.slope * (values.len() - ramp.from) as f64),
            shape: Shape::Drift { each: ramp.slope.exp() },
        },
        None => Shift { since, change: interval(estimate), shape: Shape::Step },
    })
}

/// The best cut of what begins at `from`, if it is sure.
fn cut(values: &[f64], from: usize, deviation: f64, freedom: f64, alpha: f64) -> Option<usize> {
    let end = values.len();
    let sums = sums(&values[from..]);
    let t = |at: usize| {
        let (left, right) = ((at - from) as f64, (end - at) as f64);
        let (before, all) = (sums[at - from], sums[end - from]);
        ((all - before) / right - before / left) / (deviation * (1.0 / left + 1.0 / right).sqrt())
    };
    let candidates: Vec<usize> = LENGTHS.iter().filter(|length| **length + 2 <= end - from).map(|l| end - l).collect();
    let best = candidates.iter().copied().max_by(|a, b| t(*a).abs().total_cmp(&t(*b).abs()))?;
    if student::two_sided(t(best), freedom) > alpha / LENGTHS.len() as f64 {
        return None;
    }
    // The lengths only look where; the place itself may be between them.
    let at = candidates.iter().position(|at| *at == best)?;
    let low = candidates.get(at + 1).map_or(from + 2, |next| next + 1).max(from + 2);
    let high = if at == 0 { best } else { candidates[at - 1] - 1 };
    (low..=high.max(low)).max_by(|a, b| t(*a).abs().total_cmp(&t(*b).abs()))
}

/// `sums[i]` is that of the first `i` values.
fn sums(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for value in values {
        sums.push(sums[sums.len() - 1] + value);
    }
    sums
}

struct Ramp {
    from: usize,
    slope: f64,
}

/// A level that bends into a slope, if that fits clearly better than any step.
fn ramp(values: &[f64], deviation: f64) -> Option<Ramp> {
    let end = values.len();
    let sums = sums(values);
    let total: f64 = values.iter().map(|value| value.powi(2)).sum();
    let step = (1..end).map(|at| {
        let (left, right) = (sums[at], sums[end] - sums[at]);
        total - left.powi(2) / at as f64 - right.powi(2) / (end - at) as f64
    });
    let step = step.fold(f64::INFINITY, f64::min);
    let bends = (1..=end.saturating_sub(DRIFT)).map(|from| {
        let of = |index: usize| if index < from { 0.0 } else { (index - from + 1) as f64 };
        let n = end as f64;
        let x_mean = (from..end).map(of).sum::<f64>() / n;
        let y_mean = sums[end] / n;
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (index, value) in values.iter().enumerate() {
            let (x, y) = (of(index) - x_mean, value - y_mean);
            (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
        }
        (yy - xy.powi(2) / xx, Ramp { from, slope: xy / xx })
    });
    let (rest, ramp) = bends.min_by(|a, b| a.0.total_cmp(&b.0))?;
    // Both have as many parameters: their squares tell which is likelier.
    (step - rest > LIKELIER * 2.0 * deviation.powi(2)).then_some(ramp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: f64 = 0.001;

    /// Normal noise of 1 %, on top of `of`.
    fn nights(count: usize, seed: u64, of: impl Fn(usize) -> f64) -> Vec<Night> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut normal = || (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos() * 0.01;
        (0..count).map(|index| Night { at: of(index) + normal(), error: 0.01 }).collect()
    }

    fn found(nights: &[Night]) -> Option<Shift> {
        newest_level(nights, 1.0, ALPHA, 0.95)
    }

    #[test]
    fn a_step_is_found_on_its_third_night_and_dated() {
        let shifts: Vec<Shift> =
            (0..100).filter_map(|seed| found(&nights(33, seed, |index| if index < 30 { 0.3 } else { 0.36 }))).collect();
        let count = |what: &dyn Fn(&Shift) -> bool| shifts.iter().filter(|shift| what(shift)).count();
        assert!(shifts.len() >= 97, "{}", shifts.len());
        assert!(count(&|shift| (29..=31).contains(&shift.since)) >= 90);
        assert!(count(&|shift| shift.shape == Shape::Step) >= 95);
        // What is found is a little larger than what is: the luckier ones are found.
        assert!(count(&|shift| shift.change.contains(0.06_f64.exp())) >= 85);
    }

    #[test]
    fn nothing_is_found_where_nothing_happened() {
        let alarms = (0..1000).filter(|seed| found(&nights(40, *seed, |_| -1.0)).is_some()).count();
        assert!(alarms <= 3, "{alarms}");
    }

    #[test]
    fn one_bad_night_is_no_level_wherever_it_stands() {
        for bad in [5, 37, 38, 39] {
            let shift = found(&nights(40, 3, |index| if index == bad { 0.3 } else { 0.0 }));
            assert_eq!(shift, None, "{bad}");
        }
    }

    /// 40 nights at 0, those in `bad` 10 % off because a third of their rounds are.
    fn with_bad_rounds(bad: &[usize]) -> Vec<Night> {
        let mut nights = nights(40, 7, |_| 0.0);
        for index in bad {
            nights[*index] = Night { at: 0.1, error: 0.087 };
        }
        nights
    }

    #[test]
    fn nights_with_bad_rounds_close_together_are_no_level() {
        for bad in [&[38, 39][..], &[37, 39], &[36, 37, 39], &[10, 11, 30]] {
            assert_eq!(found(&with_bad_rounds(bad)), None, "{bad:?}");
        }
        // Where the rounds agree it is one.
        let sure = nights(40, 7, |index| if index >= 38 { 0.1 } else { 0.0 });
        assert_eq!(found(&sure).unwrap().since, 38);
    }

    #[test]
    fn a_night_with_bad_rounds_does_not_make_the_others_look_sure() {
        // Nights scatter by 1 %, and their rounds say 0.2 %.
        let mut tight: Vec<Night> = nights(40, 9, |_| 0.0).iter().map(|n| Night { error: 0.002, ..*n }).collect();
        let usual = inflation(&tight).unwrap();
        tight[20] = Night { at: 0.1, error: 0.087 };
        assert!(usual > 15.0 && inflation(&tight).unwrap() > 0.8 * usual);
    }

    #[test]
    fn equal_errors_make_the_plain_median() {
        let around = |values: &[f64]| {
            let nights: Vec<Night> = values.iter().map(|at| Night { at: *at, error: 0.01 }).collect();
            (middle(&nights, 0.01), median(values).unwrap())
        };
        for values in [&[3.0, 1.0, 2.0][..], &[4.0, 1.0, 2.0, 3.0], &[5.0, 1.0, 2.0, 4.0, 3.0]] {
            let (weighted, plain) = around(values);
            assert_eq!(weighted, plain);
        }
    }

    #[test]
    fn a_drift_is_told_from_a_step_with_its_slope() {
        let drift = found(&nights(40, 1, |index| if index < 28 { 0.0 } else { 0.01 * (index - 27) as f64 })).unwrap();
        let Shape::Drift { each } = drift.shape else { panic!("{drift:?}") };
        assert!((1.007..1.013).contains(&each) && (25..=31).contains(&drift.since), "{drift:?}");
        let step = found(&nights(40, 1, |index| if index < 28 { 0.0 } else { 0.08 })).unwrap();
        assert_eq!((step.shape, step.since), (Shape::Step, 28));
    }

    #[test]
    fn what_was_mended_is_no_longer_told() {
        let mended = |index: usize| if (30..40).contains(&index) { 0.06 } else { 0.0 };
        assert!(found(&nights(40, 5, mended)).is_some());
        assert_eq!(found(&nights(45, 5, mended)), None);
    }

    #[test]
    fn few_nights_say_nothing() {
        assert_eq!(found(&nights(5, 1, |index| index as f64)), None);
        assert_eq!(scatter(&nights(5, 1, |_| 0.0), 1.0), None);
        let (deviation, _) = scatter(&nights(400, 1, |_| 0.0), 1.0).unwrap();
        assert!((0.009..0.011).contains(&deviation), "{deviation}");
    }

    #[test]
    fn nights_that_are_all_the_same_are_no_division_by_nothing() {
        assert_eq!(found(&[Night { at: 0.5, error: 0.0 }; 30]), None);
    }
}
