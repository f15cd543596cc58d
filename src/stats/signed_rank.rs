//! Wilcoxon's signed ranks: the exact distribution for few rounds, and the
//! interval that comes from turning the test round.
//!
//! In an A/A comparison the two arms of a round could change names, so
//! differences are symmetric about zero whatever the noise looks like, and the
//! test's level is exact; an outlying round costs one rank, however far out.

/// The means of all pairs, each value with itself too, sorted (Walsh averages).
#[must_use]
pub(super) fn walsh(values: &[f64]) -> Vec<f64> {
    let mut means = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (index, a) in values.iter().enumerate() {
        means.extend(values[index..].iter().map(|b| f64::midpoint(*a, *b)));
    }
    means.sort_by(f64::total_cmp);
    means
}

/// The interval of the centre with the error `alpha` on both sides together;
/// `None` where so few values cannot have one (below six for 5 %).
///
/// Ranks are whole, so the exact errors jump (4.7 % or 7.8 % at eight values):
/// between the two nearest the ends are interpolated, by T. P. Hettmansperger
/// and S. J. Sheather, "Confidence intervals based on interpolated order
/// statistics", Stat. Probab. Lett. 4, 1986.
#[must_use]
pub(super) fn interval(values: &[f64], alpha: f64) -> Option<(f64, f64)> {
    let n = values.len();
    let ways = ways(n);
    let all = 2.0_f64.powi(i32::try_from(n).ok()?);
    let (mut below, mut within, mut rank) = (0.0, 0.0, 0);
    // The largest rank whose error, both sides together, is at most alpha.
    let beyond = loop {
        below += 2.0 * ways.get(rank)? / all;
        if below > alpha {
            break below;
        }
        within = below;
        rank += 1;
    };
    if rank == 0 {
        return None;
    }
    let means = walsh(values);
    let share = (alpha - within) / (beyond - within);
    let last = means.len();
    let low = means[rank - 1] + share * (means[rank] - means[rank - 1]);
    let high = means[last - rank] - share * (means[last - rank] - means[last - rank - 1]);
    Some((low, high))
}

/// In how many ways signs can be given to the ranks 1 to `n` so that the
/// positive ones add up to 0, 1, 2, …
fn ways(n: usize) -> Vec<f64> {
    let most = n * (n + 1) / 2;
    let mut ways = vec![0.0; most + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=most).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_that_of_the_tables() {
        // 2 · P(W <= 3) at n = 8 is 0.0391, 2 · P(W <= 4) is 0.0547.
        let ways = ways(8);
        let at_most = |sum: usize| 2.0 * ways[..=sum].iter().sum::<f64>() / 256.0;
        assert!((at_most(3) - 0.0391).abs() < 1e-4 && (at_most(4) - 0.0547).abs() < 1e-4);
    }

    #[test]
    fn five_values_are_too_few_and_an_outlier_moves_little() {
        assert_eq!(interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.05), None);
        let calm = interval(&[-0.02, -0.01, 0.0, 0.01, 0.02, 0.0, 0.01, -0.01], 0.05).unwrap();
        let wild = interval(&[-0.02, -0.01, 0.0, 0.01, 9.0, 0.0, 0.01, -0.01], 0.05).unwrap();
        assert!(calm.0 < 0.0 && calm.1 > 0.0);
        assert!(wild.0 < 0.0 && wild.0 > -0.03, "{wild:?}");
    }
}
