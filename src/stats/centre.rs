//! Centres of a few values.

/// The middle value, or the mean of the middle two; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some(f64::midpoint(sorted[low], sorted[high]))
}

/// Hodges and Lehmann's estimate of the centre, the median of the averages of
/// every two values and of each with itself (Ann. Math. Stat. 34, 1963): nearly
/// as exact as the mean where noise is normal, and up to 29 % of the values may
/// be anything; `None` of nothing.
#[must_use]
pub fn hodges_lehmann(values: &[f64]) -> Option<f64> {
    median(&walsh_averages(values))
}

/// Averages of every two values and of each with itself, ascending.
pub(super) fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let mut averages: Vec<f64> =
        (0..values.len()).flat_map(|i| values[i..].iter().map(move |other| f64::midpoint(values[i], *other))).collect();
    averages.sort_by(f64::total_cmp);
    averages
}

/// The arithmetic mean; 0 of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!((median(&[]), mean(&[])), (None, 0.0));
    }

    #[test]
    fn the_centre_is_the_mean_of_even_values_and_not_moved_far_by_wild_ones() {
        assert_eq!(hodges_lehmann(&[1.0, 2.0, 6.0]), Some(2.75));
        assert_eq!(hodges_lehmann(&[3.0, 1.0, 2.0, 4.0, 5.0]), Some(3.0));
        let calm = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.03];
        let centre = hodges_lehmann(&[&calm[..], &[90.0, 1e9]].concat()).unwrap();
        assert!((centre - 1.0).abs() < 0.05, "{centre}");
        assert_eq!(hodges_lehmann(&[]), None);
    }
}
