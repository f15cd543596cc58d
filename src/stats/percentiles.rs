//! When a percentile means anything.

/// How many samples the percentile `p` (0 to 100) takes: ten beyond it, at
/// least a hundred in all; 10,000 for p99.9 as the method of this project has it.
#[must_use]
pub fn needed(p: f64) -> u64 {
    let beyond = (100.0 - p).max(0.001) / 100.0;
    ((10.0 / beyond).round() as u64).max(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_percentiles_take_more() {
        assert_eq!([50.0, 90.0, 95.0, 99.0, 99.9].map(needed), [100, 100, 200, 1_000, 10_000]);
    }
}
