//! Ratios of two arms with their intervals.
//!
//! Blocks are paired within rounds, because the machine drifts between them:
//! what is looked at are the rounds' log-ratios. Six rounds and more give
//! Hodges' and Lehmann's centre with the interval of the signed-rank test
//! ([`super::signed_rank`]); fewer give the mean with Student's t, which is
//! honest and wide.
//!
//! The usual bootstrap was tried and is not used: with so few rounds its
//! percentile interval excludes the truth far too often. Simulated A/A runs,
//! share of intervals (95 %) that exclude 1, in per cent, wanted 5 (see
//! `super::coverage` for how; the table is what its test prints):
//!
//! | noise | rounds | percentile bootstrap | Student's t | here |
//! |---|---|---|---|---|
//! | log-normal | 3 | 23.0 | 5.1 | 5.1 |
//! | log-normal | 12 | 8.0 | 5.0 | 5.0 |

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::signed_rank;
use super::{mean, median, variance};

/// A ratio and where it lies with the probability `level`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The ratio.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often such an interval holds the truth, 0 to 1.
    pub level: f64,
    /// Rounds behind it (of both sides, where two runs are compared).
    pub rounds: u32,
    /// How it was found.
    pub method: Method,
}

/// How an interval was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Wilcoxon's signed ranks, interpolated; centre by Hodges and Lehmann.
    SignedRank,
    /// Student's t of the log-ratios.
    Student,
    /// Welch's t of two runs' log-ratios.
    Welch,
}

/// Why there is no interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoInterval {
    /// Two rounds at most.
    #[error("{0} rounds are too few for an interval (3 at least)")]
    TooFewRounds(usize),
    /// A value is zero, negative or no number.
    #[error("a value is not positive")]
    NotPositive,
    /// The two sides have not the same rounds.
    #[error("the two sides have different rounds")]
    Unpaired,
}

impl Interval {
    /// Whether `value` lies in it.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Half its width, as a share of the estimate.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.estimate
    }

    /// Whether all of it lies within 1 ± `margin`.
    #[must_use]
    pub fn within(&self, margin: f64) -> bool {
        self.low >= 1.0 - margin && self.high <= 1.0 + margin
    }
}

const LEVEL: f64 = 0.95;

/// The rounds' log-ratios `ln(treatment / control)`.
pub fn log_ratios(control: &[f64], treatment: &[f64]) -> Result<Vec<f64>, NoInterval> {
    if control.len() != treatment.len() {
        return Err(NoInterval::Unpaired);
    }
    if control.iter().chain(treatment).any(|value| !value.is_finite() || *value <= 0.0) {
        return Err(NoInterval::NotPositive);
    }
    Ok(control.iter().zip(treatment).map(|(control, treatment)| (treatment / control).ln()).collect())
}

/// The ratio treatment / control, paired by rounds.
pub fn ratio(control: &[f64], treatment: &[f64]) -> Result<Interval, NoInterval> {
    let logs = log_ratios(control, treatment)?;
    if logs.len() < 3 {
        return Err(NoInterval::TooFewRounds(logs.len()));
    }
    let rounds = logs.len();
    let (centre, low, high, method) = match signed_rank::interval(&logs, 1.0 - LEVEL) {
        Some((low, high)) => {
            let centre = median(&signed_rank::walsh(&logs)).unwrap_or_default();
            (centre, low, high, Method::SignedRank)
        }
        None => {
            let half = t((rounds - 1) as f64) * (variance(&logs) / rounds as f64).sqrt();
            let centre = mean(&logs);
            (centre, centre - half, centre + half, Method::Student)
        }
    };
    Ok(of_logs(centre, low, high, rounds, method))
}

/// The ratio of two runs' ratios, newer over older, from their rounds'
/// log-ratios, which are independent of one another.
pub fn compare(older: &[f64], newer: &[f64]) -> Result<Interval, NoInterval> {
    let fewest = older.len().min(newer.len());
    if fewest < 3 {
        return Err(NoInterval::TooFewRounds(fewest));
    }
    let (a, b) = (variance(older) / older.len() as f64, variance(newer) / newer.len() as f64);
    let centre = mean(newer) - mean(older);
    let parts = a * a / (older.len() - 1) as f64 + b * b / (newer.len() - 1) as f64;
    // Welch and Satterthwaite's degrees of freedom; without any spread the width is zero.
    let freedom = if parts > 0.0 { (a + b).powi(2) / parts } else { 1.0 };
    let half = t(freedom.max(1.0)) * (a + b).sqrt();
    Ok(of_logs(centre, centre - half, centre + half, older.len() + newer.len(), Method::Welch))
}

fn of_logs(centre: f64, low: f64, high: f64, rounds: usize, method: Method) -> Interval {
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    Interval { estimate: centre.exp(), low: low.exp(), high: high.exp(), level: LEVEL, rounds, method }
}

/// Student's two-sided quantile for `LEVEL`.
fn t(freedom: f64) -> f64 {
    // At one degree of freedom and above there is no error to be had.
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - (1.0 - LEVEL) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rounds_use_student() {
        // Differences of ln: 0, 0.1, -0.1; t(2) = 4.3027, s = 0.1.
        let control = [1.0, 1.0, 1.0];
        let treatment = [1.0, 0.1_f64.exp(), (-0.1_f64).exp()];
        let found = ratio(&control, &treatment).unwrap();
        assert_eq!(found.method, Method::Student);
        assert!((found.high.ln() - 4.302_653 * 0.1 / 3.0_f64.sqrt()).abs() < 1e-4, "{found:?}");
        assert!(found.contains(1.0) && (found.estimate - 1.0).abs() < 1e-9);
    }

    #[test]
    fn more_rounds_use_signed_ranks_and_find_a_shift() {
        let control: Vec<f64> = (0..12).map(|round| 100.0 + f64::from(round)).collect();
        let treatment: Vec<f64> = control.iter().enumerate().map(|(i, c)| c * (1.10 + 0.001 * i as f64)).collect();
        let found = ratio(&control, &treatment).unwrap();
        assert_eq!((found.method, found.rounds), (Method::SignedRank, 12));
        assert!(found.low > 1.09 && found.high < 1.12 && !found.contains(1.0), "{found:?}");
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        assert_eq!(ratio(&[1.0, 2.0], &[1.0, 2.0]), Err(NoInterval::TooFewRounds(2)));
        assert_eq!(ratio(&[1.0, 0.0, 1.0], &[1.0, 1.0, 1.0]), Err(NoInterval::NotPositive));
        assert_eq!(ratio(&[1.0; 3], &[1.0; 4]), Err(NoInterval::Unpaired));
        assert_eq!(compare(&[0.0; 2], &[0.0; 5]), Err(NoInterval::TooFewRounds(2)));
    }

    #[test]
    fn two_runs_are_compared_by_their_ratios() {
        let older = [0.0, 0.01, -0.01, 0.0, 0.005, -0.005];
        let newer = older.map(|log: f64| log + 0.10);
        let found = compare(&older, &newer).unwrap();
        assert!((found.estimate.ln() - 0.10).abs() < 1e-9 && !found.contains(1.0) && found.contains(1.105), "{found:?}");
        assert_eq!(compare(&[0.0; 4], &[0.0; 4]).unwrap().half_width(), 0.0);
    }
}
