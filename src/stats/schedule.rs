//! In which order the arms run, so that neither the place in a round nor the
//! arm before favours one of them.
//!
//! Each batch of rounds is a Williams square: a Latin square in which every arm
//! has every place once and follows every other arm once; an odd number of arms
//! needs the square and its mirror for that (Williams, "Experimental designs
//! balanced for the estimation of residual effects of treatments", Australian
//! Journal of Scientific Research A 2, 1949). Arms are dealt to the square at
//! random for each batch and its rows are shuffled, as Fisher randomises a
//! Latin square: each round by itself is a uniformly random order, and any two
//! arms are exchangeable. That is what the signed rank interval rests on.

use fastrand::Rng;

/// The arms' order of each round: indices from 0 to `arms - 1`. The same seed
/// gives the same orders, whole rounds balanced as far as the number allows:
/// how often an arm has a place differs by at most one between arms and places.
#[must_use]
pub fn schedule(seed: u64, rounds: usize, arms: usize) -> Vec<Vec<usize>> {
    let mut rng = Rng::with_seed(seed);
    let mut orders = Vec::with_capacity(rounds);
    while orders.len() < rounds {
        orders.extend(batch(&mut rng, arms));
    }
    orders.truncate(rounds);
    orders
}

/// Rounds after which everything is balanced: `arms` of them, twice as many if
/// that is odd. The square and its mirror stay apart: half a batch has every
/// place once, too.
fn batch(rng: &mut Rng, arms: usize) -> Vec<Vec<usize>> {
    let mut names: Vec<usize> = (0..arms).collect();
    rng.shuffle(&mut names);
    let mut square: Vec<Vec<usize>> =
        (0..arms.max(1)).map(|row| zigzag(arms).map(|step| names[(step + row) % arms]).collect()).collect();
    rng.shuffle(&mut square);
    if arms % 2 == 1 {
        let mut mirror: Vec<Vec<usize>> = square.iter().map(|row| row.iter().rev().copied().collect()).collect();
        rng.shuffle(&mut mirror);
        // Either half may come first: a run that ends within a batch must not favour one.
        if rng.bool() {
            std::mem::swap(&mut square, &mut mirror);
        }
        square.extend(mirror);
    }
    square
}

/// 0, n-1, 1, n-2, …: the differences of neighbours are all different, which
/// is what makes every pair of neighbours occur once.
fn zigzag(arms: usize) -> impl Iterator<Item = usize> {
    (0..arms).map(move |place| if place % 2 == 0 { place / 2 } else { arms - 1 - place / 2 })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn places(orders: &[Vec<usize>]) -> BTreeMap<(usize, usize), usize> {
        let mut counts = BTreeMap::new();
        for order in orders {
            for (place, arm) in order.iter().enumerate() {
                *counts.entry((*arm, place)).or_default() += 1;
            }
        }
        counts
    }

    #[test]
    fn every_round_holds_every_arm_once() {
        for arms in 1..8 {
            for order in schedule(3, 20, arms) {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..arms).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn places_differ_by_at_most_one_after_any_round() {
        for arms in 1..8 {
            let orders = schedule(11, 30, arms);
            for rounds in 1..=30 {
                let counts = places(&orders[..rounds]);
                let most = rounds.div_ceil(arms);
                assert!(counts.values().all(|count| *count <= most), "{arms} arms, {rounds} rounds");
                if rounds >= arms {
                    assert_eq!(counts.len(), arms * arms);
                    assert!(counts.values().all(|count| *count >= rounds / arms));
                }
            }
        }
    }

    #[test]
    fn every_arm_follows_every_other_equally_often_in_a_batch() {
        for (arms, rounds, times) in [(2, 2, 1), (4, 4, 1), (6, 6, 1), (3, 6, 2), (5, 10, 2)] {
            let mut neighbours: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            for order in schedule(5, rounds, arms) {
                for pair in order.windows(2) {
                    *neighbours.entry((pair[0], pair[1])).or_default() += 1;
                }
            }
            assert_eq!(neighbours.len(), arms * (arms - 1), "{arms} arms");
            assert!(neighbours.values().all(|count| *count == times), "{arms} arms: {neighbours:?}");
        }
    }

    #[test]
    fn a_round_by_itself_is_a_uniformly_random_order() {
        let mut counts: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
        for seed in 0..6_000 {
            *counts.entry(schedule(seed, 2, 3).remove(1)).or_default() += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_seed_fixes_the_orders_and_another_changes_them() {
        assert_eq!(schedule(1, 12, 5), schedule(1, 12, 5));
        assert_ne!(schedule(1, 12, 5), schedule(2, 12, 5));
        assert_eq!(schedule(1, 2, 0), vec![Vec::<usize>::new(); 2]);
    }
}
