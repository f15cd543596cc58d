//! In which order the arms run within each round.
//!
//! A machine drifts, and a block may feel the one before it. Each round has
//! every arm once, in the rows of a Williams square: over as many rounds as
//! there are arms (twice as many where their number is odd) each arm stands in
//! each place equally often and follows each other arm equally often
//! (E. J. Williams, "Experimental designs balanced for the estimation of
//! residual effects of treatments", Aust. J. Sci. Res. A 2, 1949). Which arm is
//! which letter and which row comes when is drawn anew for every square.

use fastrand::Rng;

/// For each round the arms' numbers (0 to `arms` - 1) in their order.
#[must_use]
pub fn schedule(seed: u64, rounds: usize, arms: usize) -> Vec<Vec<usize>> {
    let mut rng = Rng::with_seed(seed);
    let mut order = Vec::with_capacity(rounds);
    while order.len() < rounds && arms > 0 {
        let mut names: Vec<usize> = (0..arms).collect();
        rng.shuffle(&mut names);
        let mut rows = square(arms);
        rng.shuffle(&mut rows);
        order.extend(rows.into_iter().map(|row| row.into_iter().map(|letter| names[letter]).collect()));
    }
    order.truncate(rounds);
    order
}

fn square(arms: usize) -> Vec<Vec<usize>> {
    // 0, 1, n-1, 2, n-2, … : neighbours differ by a different amount each time.
    let first: Vec<usize> =
        (0..arms).map(|place| if place % 2 == 1 { place.div_ceil(2) } else { (arms - place / 2) % arms }).collect();
    let rows = (0..arms).map(|shift| first.iter().map(|letter| (letter + shift) % arms).collect::<Vec<usize>>());
    let mut rows: Vec<Vec<usize>> = rows.collect();
    if arms % 2 == 1 {
        let backwards: Vec<Vec<usize>> = rows.iter().map(|row| row.iter().rev().copied().collect()).collect();
        rows.extend(backwards);
    }
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_round_has_every_arm_once_and_a_seed_decides_all() {
        for arms in 1..=7 {
            for row in schedule(9, 20, arms) {
                let mut sorted = row.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..arms).collect::<Vec<_>>());
            }
        }
        assert_eq!(schedule(1, 12, 6), schedule(1, 12, 6));
        assert_ne!(schedule(1, 12, 6), schedule(2, 12, 6));
        assert!(schedule(1, 3, 0).is_empty());
    }

    #[test]
    fn places_and_neighbours_are_balanced() {
        for (arms, rounds) in [(6, 12), (5, 10), (4, 8)] {
            let mut places = BTreeMap::new();
            let mut pairs = BTreeMap::new();
            for row in schedule(3, rounds, arms) {
                for (place, arm) in row.iter().enumerate() {
                    *places.entry((place, *arm)).or_insert(0) += 1;
                }
                for pair in row.windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert!(places.values().all(|count| *count == rounds / arms), "{places:?}");
            assert_eq!(pairs.len(), arms * (arms - 1));
            assert!(pairs.values().all(|count| *count == rounds / arms), "{pairs:?}");
        }
    }
}
