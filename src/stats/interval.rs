//! The answer of every comparison: a ratio with the interval it is known to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fewest rounds an interval is made from: two have one degree of freedom, and
/// their 95 % interval spans orders of magnitude.
pub const MIN_ROUNDS: usize = 3;

/// A ratio and its confidence interval. No unit: 1 is "the same", 0.5 half.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The ratio.
    pub estimate: f64,
    /// Lower end, above 0, at most `estimate`.
    pub low: f64,
    /// Upper end, at least `estimate`.
    pub high: f64,
    /// Share of such intervals that hold the true ratio, such as 0.95.
    pub level: f64,
    /// Rounds it was made from; for two runs those of the shorter one.
    pub rounds: usize,
    /// How it was made.
    pub method: Method,
}

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Student's t on the log-ratios: too few rounds for anything else.
    StudentT,
    /// Wilcoxon's signed rank test on the log-ratios, turned into an interval.
    SignedRank,
    /// Welch's t on the log-ratios of two runs, of trimmed means from 8 rounds.
    Welch,
}

/// Why there is no interval.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Fewer than [`MIN_ROUNDS`].
    #[error("{rounds} rounds; an interval needs {MIN_ROUNDS}")]
    TooFewRounds {
        /// How many there are.
        rounds: usize,
    },
    /// The sides were not measured in the same rounds.
    #[error("{control} values of one side and {treatment} of the other; rounds hold one of each")]
    Unpaired {
        /// Values of the control.
        control: usize,
        /// Values of the treatment.
        treatment: usize,
    },
    /// A measured value of which there is no logarithm.
    #[error("round {round} holds {value}; a ratio needs finite values above 0")]
    BadValue {
        /// The round, from 1.
        round: usize,
        /// The value.
        value: f64,
    },
    /// Not a share between 0 and 1.
    #[error("level {0} is not between 0 and 1")]
    Level(f64),
}

/// A location on the log scale, with its ends.
pub(super) struct LogInterval {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// Leaves the log scale; what overflows is cut to what JSON can hold.
    pub(super) fn from_logs(log: &LogInterval, level: f64, rounds: usize, method: Method) -> Self {
        let ratio = |value: f64| value.exp().clamp(f64::MIN_POSITIVE, f64::MAX);
        Self { estimate: ratio(log.estimate), low: ratio(log.low), high: ratio(log.high), level, rounds, method }
    }

    /// Whether `ratio` is one the data agree with; of an A/A pair, 1 should be.
    #[must_use]
    pub fn contains(&self, ratio: f64) -> bool {
        self.low <= ratio && ratio <= self.high
    }

    /// Half the width on the log scale as a percentage: 5 is "times or divided by 1.05".
    #[must_use]
    pub fn half_width_percent(&self) -> f64 {
        ((self.high / self.low).sqrt() - 1.0) * 100.0
    }

    /// Whether every ratio within the margin (0.05: from 1/1.05 to 1.05) is
    /// excluded: the change is surely larger, not just surely there. The margin
    /// is symmetric on the log scale, so that swapped sides get the same answer.
    #[must_use]
    pub fn excludes_within(&self, margin: f64) -> bool {
        self.low > 1.0 + margin || self.high < 1.0 / (1.0 + margin)
    }
}

pub(super) fn check_level(level: f64) -> Result<(), Refusal> {
    if level > 0.0 && level < 1.0 { Ok(()) } else { Err(Refusal::Level(level)) }
}

pub(super) fn check_rounds(rounds: usize) -> Result<(), Refusal> {
    if rounds < MIN_ROUNDS { Err(Refusal::TooFewRounds { rounds }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: f64, high: f64) -> Interval {
        Interval { estimate: (low * high).sqrt(), low, high, level: 0.95, rounds: 8, method: Method::SignedRank }
    }

    #[test]
    fn half_width_is_the_same_for_swapped_sides() {
        assert!((interval(1.0 / 1.1, 1.1).half_width_percent() - 10.0).abs() < 1e-9);
        assert!((interval(0.5, 0.8).half_width_percent() - interval(1.25, 2.0).half_width_percent()).abs() < 1e-9);
    }

    #[test]
    fn only_an_interval_wholly_outside_the_margin_excludes_it() {
        assert!(interval(1.06, 1.2).excludes_within(0.05));
        assert!(!interval(1.01, 1.2).excludes_within(0.05));
        assert!(interval(0.8, 0.95).excludes_within(0.05));
        assert!(!interval(0.8, 0.96).excludes_within(0.05));
        assert!(interval(0.9, 1.0).contains(1.0));
    }

    #[test]
    fn json_comes_back_whole() {
        let json = serde_json::to_string(&interval(0.5, 2.0)).unwrap();
        insta::assert_snapshot!(json, @r#"{"estimate":1.0,"low":0.5,"high":2.0,"level":0.95,"rounds":8,"method":"signed-rank"}"#);
        assert_eq!(serde_json::from_str::<Interval>(&json).unwrap(), interval(0.5, 2.0));
    }

    #[test]
    fn huge_ratios_stay_numbers() {
        let log = LogInterval { estimate: 0.0, low: -1e4, high: 1e4 };
        let cut = Interval::from_logs(&log, 0.95, 3, Method::StudentT);
        assert!(cut.low > 0.0 && cut.high.is_finite());
    }
}
