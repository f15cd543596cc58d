//! The ratio of two arms of one run, paired within rounds.
//!
//! From 6 rounds (at 95 %) the interval is the set of ratios that Wilcoxon's
//! signed rank test does not reject, and the estimate Hodges and Lehmann's: the
//! median of all averages of two log-ratios (Hollander & Wolfe, "Nonparametric
//! Statistical Methods", ch. 3; Hodges & Lehmann, Ann. Math. Stat. 34, 1963).
//! The test can only reach some levels, so the ends are interpolated between
//! the two next to the wanted one; the true level stays between those two.
//! Nothing is drawn at random: the null distribution is counted. `stats` has
//! the comparison with bootstraps.

use super::centre::walsh_averages;
use super::interval::{Interval, LogInterval, Method, Refusal, check_level, check_rounds};
use super::student;

/// Treatment over control, paired within rounds, with its confidence interval.
///
/// `control[i]` and `treatment[i]` are of round `i`, in any unit, both the same.
///
/// # Errors
/// [`Refusal`]: fewer than three rounds, sides of different length, a value
/// that is not finite or not above 0, a level that is not between 0 and 1.
pub fn ratio_interval(control: &[f64], treatment: &[f64], level: f64) -> Result<Interval, Refusal> {
    check_level(level)?;
    let logs = log_ratios(control, treatment)?;
    check_rounds(logs.len())?;
    let (log, method) = signed_rank(&logs, level)
        .map_or_else(|| (student_t(&logs, level), Method::StudentT), |log| (log, Method::SignedRank));
    Ok(Interval::from_logs(&log, level, logs.len(), method))
}

/// Natural logarithm of treatment over control, per round.
///
/// # Errors
/// [`Refusal::Unpaired`] and [`Refusal::BadValue`].
pub fn log_ratios(control: &[f64], treatment: &[f64]) -> Result<Vec<f64>, Refusal> {
    if control.len() != treatment.len() {
        return Err(Refusal::Unpaired { control: control.len(), treatment: treatment.len() });
    }
    let log = |round: usize, value: f64| {
        if value.is_finite() && value > 0.0 {
            Ok(value.ln())
        } else {
            Err(Refusal::BadValue { round: round + 1, value })
        }
    };
    control.iter().zip(treatment).enumerate().map(|(round, (&c, &t))| Ok(log(round, t)? - log(round, c)?)).collect()
}

fn student_t(logs: &[f64], level: f64) -> LogInterval {
    let mean = student::trimmed_mean(logs, 0);
    let reach = student::quantile(level, mean.freedom) * mean.error;
    LogInterval { estimate: mean.at, low: mean.at - reach, high: mean.at + reach }
}

/// None where even the widest interval, from the smallest to the largest
/// log-ratio, misses the level: below 6 rounds at 95 %.
fn signed_rank(logs: &[f64], level: f64) -> Option<LogInterval> {
    let averages = walsh_averages(logs);
    let (cut, share) = cut(logs.len(), 1.0 - level)?;
    let last = averages.len() - 1;
    let between = |outer: f64, inner: f64| outer + share * (inner - outer);
    let middle = f64::midpoint(averages[last / 2], averages[averages.len() / 2]);
    Some(LogInterval {
        estimate: middle,
        low: between(averages[cut], averages[cut + 1]),
        high: between(averages[last - cut], averages[last - cut - 1]),
    })
}

/// How many averages to leave out at each end so that at most `alpha` of the
/// intervals miss, and how far to go towards leaving out one more.
fn cut(rounds: usize, alpha: f64) -> Option<(usize, f64)> {
    let mut outside = 0.0;
    for (left_out, probability) in rank_sum_probabilities(rounds).iter().enumerate() {
        let next = outside + 2.0 * probability;
        // A hair of tolerance: 1 - 0.95 is not quite 0.05.
        if next > alpha + 1e-12 {
            return Some((left_out.checked_sub(1)?, ((alpha - outside) / (next - outside)).clamp(0.0, 1.0)));
        }
        outside = next;
    }
    None
}

/// Probability of each sum of the ranks with a positive sign, where every sign
/// is a coin's: index is the sum.
fn rank_sum_probabilities(rounds: usize) -> Vec<f64> {
    let mut sums = vec![1.0];
    for rank in 1..=rounds {
        let mut next = vec![0.0; sums.len() + rank];
        for (sum, probability) in sums.iter().enumerate() {
            next[sum] += probability / 2.0;
            next[sum + rank] += probability / 2.0;
        }
        sums = next;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: [f64; 8] = [100.0, 104.0, 97.0, 101.0, 99.0, 103.0, 98.0, 102.0];

    fn times(factors: [f64; 8]) -> Vec<f64> {
        CONTROL.iter().zip(factors).map(|(value, factor)| value * factor).collect()
    }

    #[test]
    fn the_cut_is_that_of_the_published_tables() {
        // Largest rank sum whose two-sided probability is at most 5 % (Wilcoxon's table).
        for (rounds, critical) in [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (20, 52)] {
            assert_eq!(cut(rounds, 0.05).map(|cut| cut.0), Some(critical), "{rounds} rounds");
        }
        assert_eq!(cut(5, 0.05), None);
    }

    #[test]
    fn the_true_level_is_bounded_for_every_number_of_rounds() {
        for rounds in 6..40 {
            let sums = rank_sum_probabilities(rounds);
            let (cut, share) = cut(rounds, 1.0 - 0.95).unwrap();
            let below = 2.0 * sums[..=cut].iter().sum::<f64>();
            let above = below + 2.0 * sums[cut + 1];
            assert!((0.031..=0.05 + 1e-9).contains(&below) && (0.05..0.08).contains(&above), "{rounds} rounds");
            assert!((0.0..=1.0).contains(&share));
        }
    }

    #[test]
    fn five_rounds_are_left_to_student() {
        let interval = ratio_interval(&CONTROL[..5], &times([1.1; 8])[..5], 0.95).unwrap();
        assert_eq!((interval.method, interval.rounds), (Method::StudentT, 5));
        assert!((interval.estimate - 1.1).abs() < 1e-12);
    }

    #[test]
    fn three_rounds_give_the_interval_of_the_textbook() {
        // Log-ratios -1, 0, 1: mean 0, standard error 1/sqrt(3), t(2) = 4.3027.
        let e = std::f64::consts::E;
        let interval = ratio_interval(&[1.0; 3], &[1.0 / e, 1.0, e], 0.95).unwrap();
        assert!((interval.high.ln() - 4.3027 / 3.0_f64.sqrt()).abs() < 1e-3);
        assert!((interval.low * interval.high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn swapped_sides_give_the_inverse() {
        let treatment = times([1.1, 1.2, 1.15, 1.05, 1.3, 1.12, 1.18, 1.02]);
        let there = ratio_interval(&CONTROL, &treatment, 0.95).unwrap();
        let back = ratio_interval(&treatment, &CONTROL, 0.95).unwrap();
        assert_eq!(there.method, Method::SignedRank);
        assert!((there.low * back.high - 1.0).abs() < 1e-12 && (there.estimate * back.estimate - 1.0).abs() < 1e-12);
        assert!(there.low > 1.0 && there.low <= there.estimate && there.estimate <= there.high);
    }

    #[test]
    fn one_bad_round_hardly_moves_the_estimate_and_widens_one_side() {
        let calm = ratio_interval(&CONTROL, &times([1.1, 1.12, 1.09, 1.11, 1.08, 1.1, 1.12, 1.1]), 0.95).unwrap();
        let noisy = ratio_interval(&CONTROL, &times([1.1, 1.12, 1.09, 1.11, 1.08, 1.1, 1.12, 0.6]), 0.95).unwrap();
        assert!((calm.estimate / noisy.estimate - 1.0).abs() < 0.01);
        assert!(noisy.high <= calm.high + 1e-12 && noisy.low < calm.low);
    }

    #[test]
    fn equal_sides_give_a_point_that_contains_one() {
        let interval = ratio_interval(&CONTROL, &CONTROL, 0.95).unwrap();
        assert!(interval.contains(1.0));
        assert_eq!(interval.half_width_percent(), 0.0);
    }

    #[test]
    fn a_wider_level_gives_a_wider_interval() {
        let treatment = times([1.1, 1.2, 1.15, 1.05, 1.3, 1.12, 1.18, 1.02]);
        let widths: Vec<f64> = [0.5, 0.8, 0.95, 0.99]
            .map(|level| ratio_interval(&CONTROL, &treatment, level).unwrap().half_width_percent())
            .to_vec();
        assert!(widths.is_sorted(), "{widths:?}");
    }

    #[test]
    fn what_has_no_interval_is_refused_with_its_reason() {
        let refuse = |control: &[f64], treatment: &[f64]| ratio_interval(control, treatment, 0.95).unwrap_err();
        assert_eq!(refuse(&[1.0; 2], &[1.0; 2]), Refusal::TooFewRounds { rounds: 2 });
        assert_eq!(refuse(&[1.0; 3], &[1.0; 4]), Refusal::Unpaired { control: 3, treatment: 4 });
        assert_eq!(refuse(&[1.0; 3], &[1.0, 0.0, 1.0]), Refusal::BadValue { round: 2, value: 0.0 });
        assert!(matches!(refuse(&[1.0, 1.0, f64::NAN], &[1.0; 3]), Refusal::BadValue { round: 3, .. }));
        assert!(matches!(refuse(&[f64::INFINITY, 1.0, 1.0], &[1.0; 3]), Refusal::BadValue { round: 1, .. }));
        assert_eq!(ratio_interval(&[1.0; 3], &[1.0; 3], 1.0), Err(Refusal::Level(1.0)));
        assert!(ratio_interval(&[1.0; 3], &[1.0; 3], f64::NAN).is_err());
    }
}
