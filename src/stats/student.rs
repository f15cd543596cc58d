//! Student's t: the quantile, and the mean with its standard error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A location, its standard error and the degrees of freedom of that error; all
/// that has to be kept of a run to compare it with others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// Where: the mean log-ratio, say.
    pub at: f64,
    /// Its standard error, in the same unit.
    pub error: f64,
    /// Degrees of freedom of the error.
    pub freedom: f64,
}

/// The two-sided quantile: a t-distributed value is within ± this with
/// probability `level`. `freedom` is above 0, `level` between 0 and 1.
pub(super) fn quantile(level: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(0.5 + level / 2.0))
}

/// Probability that a t-distributed value is further from 0 than `t`, on either side.
pub(super) fn two_sided(t: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |student| 2.0 * student.cdf(-t.abs()))
}

/// The mean without the `trim` smallest and the `trim` largest values, and its
/// standard error from the winsorized variance; `trim` 0 is the plain mean.
/// (Yuen, "The two-sample trimmed t for unequal population variances",
/// Biometrika 61, 1974.) At least `2 * trim + 2` values.
pub(super) fn trimmed_mean(values: &[f64], trim: usize) -> Location {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, kept) = (sorted.len() as f64, (sorted.len() - 2 * trim) as f64);
    let (lowest, highest) = (sorted[trim], sorted[sorted.len() - 1 - trim]);
    let at = sorted[trim..sorted.len() - trim].iter().sum::<f64>() / kept;
    let winsorized = || sorted.iter().map(|value| value.clamp(lowest, highest));
    let middle = winsorized().sum::<f64>() / n;
    let squares: f64 = winsorized().map(|value| (value - middle).powi(2)).sum();
    Location { at, error: (squares / (kept * (kept - 1.0))).sqrt(), freedom: kept - 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [(2.0, 4.3027), (4.0, 2.7764), (11.0, 2.2010), (1.0, 12.7062)] {
            assert!((quantile(0.95, freedom) - expected).abs() < 1e-3, "{freedom}: {}", quantile(0.95, freedom));
        }
    }

    #[test]
    fn a_trimmed_mean_ignores_one_wild_value() {
        let tame = trimmed_mean(&[1.0, 2.0, 3.0, 4.0, 5.0], 1);
        let wild = trimmed_mean(&[1.0, 2.0, 3.0, 4.0, 500.0], 1);
        assert_eq!((tame.at, tame.error, tame.freedom), (wild.at, wild.error, wild.freedom));
        let plain = trimmed_mean(&[1.0, 2.0, 3.0, 4.0, 5.0], 0);
        assert!((plain.at - 3.0).abs() < 1e-12 && (plain.error - 0.5_f64.sqrt()).abs() < 1e-12);
    }
}
