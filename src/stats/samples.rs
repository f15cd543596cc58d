//! How many samples a percentile needs before it may be shown.

/// Percentile and the samples it needs. From p99 on this is ten samples beyond
/// the percentile; p99.9 with fewer than 10,000 is noise of a single pause.
const NEEDED: [(f64, u64); 4] = [(50.0, 100), (90.0, 500), (99.0, 1_000), (99.9, 10_000)];

/// There are too few samples for the percentile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the percentile needs {needed} samples")]
pub struct TooFew {
    /// How many it needs; `u64::MAX` where no number is enough.
    pub needed: u64,
}

/// Whether `count` samples carry the percentile (0 to 100, 99.9 for p99.9). One
/// between two known ones needs as many as the next higher; above p99.9 ten
/// samples have to lie beyond it.
///
/// # Errors
/// [`TooFew`] with the number that is needed.
pub fn enough_samples(percentile: f64, count: u64) -> Result<(), TooFew> {
    let needed = needed(percentile);
    if count >= needed && needed != u64::MAX { Ok(()) } else { Err(TooFew { needed }) }
}

fn needed(percentile: f64) -> u64 {
    if !(0.0..100.0).contains(&percentile) {
        return u64::MAX;
    }
    // Rounded before it is cut up: 100 - 99.99 is not quite 0.01.
    let ten_beyond = || (1_000.0 / (100.0 - percentile) - 1e-6).ceil() as u64;
    NEEDED.iter().find(|(known, _)| percentile <= *known).map_or_else(ten_beyond, |(_, needed)| *needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_percentile_has_its_own_number() {
        for (percentile, needed) in [(50.0, 100), (90.0, 500), (95.0, 1_000), (99.0, 1_000), (99.9, 10_000)] {
            assert_eq!(enough_samples(percentile, needed), Ok(()));
            assert_eq!(enough_samples(percentile, needed - 1), Err(TooFew { needed }));
        }
        assert_eq!(enough_samples(99.99, 99_999), Err(TooFew { needed: 100_000 }));
        assert_eq!(enough_samples(99.99, 100_000), Ok(()));
    }

    #[test]
    fn what_is_no_percentile_never_has_enough() {
        for percentile in [100.0, -1.0, f64::NAN] {
            assert_eq!(enough_samples(percentile, u64::MAX), Err(TooFew { needed: u64::MAX }));
        }
    }
}
