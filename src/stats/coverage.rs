//! How often an interval is wrong: A/A runs simulated from recorded rounds,
//! where the truth is 1 by construction.

use fastrand::Rng;
use serde::Serialize;

use super::interval::ratio;

/// What simulated A/A runs showed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coverage {
    /// Runs simulated.
    pub runs: u32,
    /// Rounds of each.
    pub rounds: u32,
    /// Runs whose interval excludes 1.
    pub excluded: u32,
}

impl Coverage {
    /// The share that excludes 1; 0.05 is wanted of a 95 % interval.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.excluded) / f64::from(self.runs.max(1))
    }
}

/// Simulates `runs` A/A runs of `rounds` rounds: each draws rounds from those
/// recorded (the same arm's two values) and swaps the two at random, so that
/// neither side is favoured and all noise stays as it was recorded.
#[must_use]
pub fn coverage(recorded: &[(f64, f64)], runs: u32, rounds: u32, seed: u64) -> Coverage {
    let mut rng = Rng::with_seed(seed);
    let mut excluded = 0;
    for _ in 0..runs {
        let (mut control, mut treatment) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let Some(&(a, b)) = rng.choice(recorded) else { return Coverage { runs, rounds, excluded } };
            let (a, b) = if rng.bool() { (a, b) } else { (b, a) };
            control.push(a);
            treatment.push(b);
        }
        excluded += u32::from(ratio(&control, &treatment).is_ok_and(|found| !found.contains(1.0)));
    }
    Coverage { runs, rounds, excluded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(rng: &mut Rng) -> f64 {
        // Box and Muller.
        (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
    }

    fn noise(kind: &str, rng: &mut Rng) -> f64 {
        let normal_now = normal(rng);
        0.02 * match kind {
            "log-normal" => normal_now,
            "heavy tails" => {
                let squares: f64 = (0..3).map(|_| normal(rng).powi(2)).sum();
                normal_now / (squares / 3.0).sqrt()
            }
            _ if rng.f64() < 0.1 => normal_now + 13.0,
            _ => normal_now,
        }
    }

    #[test]
    fn intervals_are_wrong_about_as_often_as_they_say() {
        for kind in ["log-normal", "heavy tails", "outliers"] {
            let mut rng = Rng::with_seed(11);
            let recorded: Vec<(f64, f64)> =
                (0..4000).map(|_| (noise(kind, &mut rng).exp(), noise(kind, &mut rng).exp())).collect();
            for rounds in [3, 6, 8, 12] {
                let found = coverage(&recorded, 4000, rounds, u64::from(rounds)).share();
                // Student's t is cautious where tails are heavy; never too bold.
                let least = if rounds < 6 { 0.015 } else { 0.035 };
                assert!((least..=0.065).contains(&found), "{kind}, {rounds} rounds: {found}");
            }
        }
    }
}
