//! Statistics of the benchmark: the order of blocks, ratios with intervals,
//! and when a percentile means anything. Pure functions; the same seed gives
//! the same result.

mod coverage;
mod interval;
mod percentiles;
mod schedule;
mod signed_rank;

pub use coverage::{Coverage, coverage};
pub use interval::{Interval, Method, NoInterval, compare, log_ratios, ratio};
pub use percentiles::needed;
pub use schedule::schedule;

/// The middle value, or the mean of the middle two; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some(f64::midpoint(sorted[low], sorted[high]))
}

/// The arithmetic mean; 0 of nothing.
#[must_use]
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The unbiased variance; 0 of fewer than two.
#[must_use]
pub(crate) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
