//! The coverage of the intervals on made-up noise of the kinds a shared machine
//! makes. The share of false alarms has to stay within what the project asks
//! for, 3 to 8 %, wherever the signed rank interval is used.

use fastrand::Rng;

use super::coverage::{Simulation, false_alarm_share};
use super::*;

const ALPHA_BOUNDS: std::ops::RangeInclusive<f64> = 0.03..=0.08;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Noise {
    LogNormal,
    /// Student's t with three degrees of freedom.
    T3,
    /// 10 % of the rounds have one block 30 % off.
    Outliers,
    /// Six arms in scheduled order on an autocorrelated, trending level.
    Drift,
    /// The first block of a round is always 5 % off.
    Position,
}

const KINDS: [Noise; 5] = [Noise::LogNormal, Noise::T3, Noise::Outliers, Noise::Drift, Noise::Position];

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A/A rounds, requests per second around 10,000.
fn record(noise: Noise, rounds: usize, seed: u64) -> Vec<(f64, f64)> {
    let mut rng = Rng::with_seed(seed);
    let orders = schedule(seed, rounds, 6);
    let mut level = 0.0;
    let rounds = orders.iter().enumerate().map(|(round, order)| {
        let mut logs = [0.0; 6];
        for (place, &arm) in order.iter().enumerate() {
            let block = normal(&mut rng);
            logs[arm] = match noise {
                Noise::LogNormal | Noise::Outliers => 0.014 * block,
                Noise::T3 => {
                    let square = (0..3).map(|_| normal(&mut rng).powi(2)).sum::<f64>() / 3.0;
                    0.014 * block / square.sqrt()
                }
                Noise::Drift => {
                    level = 0.9 * level + 0.022 * normal(&mut rng);
                    level + 0.0005 * (round * 6 + place) as f64 + 0.01 * block
                }
                Noise::Position => 0.007 * block,
            };
        }
        match noise {
            Noise::Outliers if rng.f64() < 0.1 => logs[rng.usize(..2)] += 1.3_f64.ln(),
            Noise::Position => logs[rng.usize(..2)] += 1.05_f64.ln(),
            _ => {}
        }
        (10_000.0 * logs[0].exp(), 10_000.0 * logs[1].exp())
    });
    rounds.collect()
}

fn share(noise: Noise, recorded: usize, rounds: usize) -> f64 {
    let simulation = Simulation { runs: 3_000, rounds, level: 0.95, seed: 17 };
    false_alarm_share(&record(noise, recorded, 7), simulation, ratio_interval).unwrap()
}

#[test]
fn from_six_rounds_false_alarms_stay_within_bounds_whatever_the_noise() {
    for noise in KINDS {
        for rounds in [6, 8, 12] {
            // Six rounds are at the lower bound by counting: leave room for the simulation's own noise.
            let low = if rounds == 6 { 0.025 } else { *ALPHA_BOUNDS.start() };
            let share = share(noise, 400, rounds);
            assert!((low..=*ALPHA_BOUNDS.end()).contains(&share), "{noise:?}, {rounds} rounds: {share}");
        }
    }
}

#[test]
fn below_six_rounds_student_alarms_no_oftener_than_promised() {
    for noise in [Noise::LogNormal, Noise::T3, Noise::Outliers, Noise::Drift] {
        for rounds in [3, 5] {
            let share = share(noise, 400, rounds);
            assert!((0.02..0.065).contains(&share), "{noise:?}, {rounds} rounds: {share}");
        }
    }
}

/// Known limit, and a reason for at least six rounds: a fixed effect of the
/// place gives three equal differences once in four runs.
#[test]
fn three_rounds_are_fooled_by_an_effect_of_the_place() {
    assert!(share(Noise::Position, 400, 3) > 0.15);
}

#[test]
fn a_record_as_short_as_the_run_is_enough() {
    for noise in KINDS {
        for rounds in [8, 12] {
            let share = share(noise, rounds, rounds);
            assert!(ALPHA_BOUNDS.contains(&share), "{noise:?}, {rounds} rounds: {share}");
        }
    }
}

/// The runs as they are scheduled, not re-drawn: every block is 1 % slower than
/// the one before it in the round, on top of the noise. The schedule's balance
/// makes the places cancel, so false alarms may only become rarer.
#[test]
fn balanced_orders_cost_no_false_alarms() {
    for noise in [Noise::LogNormal, Noise::Drift] {
        for rounds in [6, 8, 12] {
            let runs = 1_000;
            let alarms = (0..runs).filter(|&seed| {
                let orders = schedule(seed, rounds, 6);
                let place = |round: usize, arm: usize| orders[round].iter().position(|other| *other == arm).unwrap();
                let slower = |round: usize, arm: usize| (-0.01 * place(round, arm) as f64).exp();
                let (a, b): (Vec<f64>, Vec<f64>) = record(noise, rounds, seed)
                    .into_iter()
                    .enumerate()
                    .map(|(round, (a, b))| (a * slower(round, 0), b * slower(round, 1)))
                    .unzip();
                !ratio_interval(&a, &b, 0.95).unwrap().contains(1.0)
            });
            let share = alarms.count() as f64 / runs as f64;
            assert!(share < 0.07, "{noise:?}, {rounds} rounds: {share}");
        }
    }
}

#[test]
fn a_method_that_promises_too_much_is_found_out() {
    let percentile = |control: &[f64], treatment: &[f64], level: f64| {
        let logs = log_ratios(control, treatment)?;
        let mut rng = Rng::with_seed(logs[0].to_bits());
        let mean = |rng: &mut Rng| logs.iter().map(|_| logs[rng.usize(..logs.len())]).sum::<f64>() / logs.len() as f64;
        let mut means: Vec<f64> = (0..199).map(|_| mean(&mut rng)).collect();
        means.sort_by(f64::total_cmp);
        let (low, high) = (means[4].exp(), means[194].exp());
        Ok(Interval { estimate: 1.0, low, high, level, rounds: logs.len(), method: Method::SignedRank })
    };
    let simulation = Simulation { runs: 1_000, rounds: 5, level: 0.95, seed: 17 };
    let share = false_alarm_share(&record(Noise::LogNormal, 400, 7), simulation, percentile).unwrap();
    assert!(share > 0.12, "{share}");
}

#[test]
fn two_runs_are_told_apart_no_oftener_than_promised() {
    for noise in [Noise::LogNormal, Noise::T3, Noise::Outliers, Noise::Drift] {
        for (rounds_a, rounds_b) in [(4, 4), (5, 12), (12, 5), (8, 8), (12, 12)] {
            let runs = 1_000;
            let differ = (0..runs).filter(|run| {
                let logs = |rounds: usize, seed: u64| {
                    let (a, b): (Vec<f64>, Vec<f64>) = record(noise, rounds, seed).into_iter().unzip();
                    log_ratios(&a, &b).unwrap()
                };
                let (a, b) = (logs(rounds_a, 2 * run + 1), logs(rounds_b, 2 * run + 2));
                !compare(&a, &b, 0.95).unwrap().contains(1.0)
            });
            let share = differ.count() as f64 / runs as f64;
            assert!((0.005..0.075).contains(&share), "{noise:?}, {rounds_a} and {rounds_b} rounds: {share}");
        }
    }
}

#[test]
fn a_simulation_repeats_and_refuses_an_empty_record() {
    let simulation = Simulation { runs: 100, rounds: 8, level: 0.95, seed: 1 };
    let rounds = record(Noise::T3, 10, 1);
    let again = || false_alarm_share(&rounds, simulation, ratio_interval);
    assert_eq!(again(), again());
    assert_eq!(false_alarm_share(&[], simulation, ratio_interval), Err(Refusal::TooFewRounds { rounds: 0 }));
}

/// Prints the shares that the tests above bound; run it with
/// `cargo test --release -- --ignored --nocapture coverage_table`.
#[test]
#[ignore = "prints a table for the documentation"]
#[expect(clippy::print_stdout, reason = "its purpose")]
fn coverage_table() {
    for noise in KINDS {
        for rounds in [3, 5, 6, 7, 8, 10, 11, 12] {
            let simulation = Simulation { runs: 20_000, rounds, level: 0.95, seed: 23 };
            let share = false_alarm_share(&record(noise, 400, 9), simulation, ratio_interval).unwrap();
            let short = false_alarm_share(&record(noise, rounds, 9), simulation, ratio_interval).unwrap();
            let mut widths: Vec<f64> = (0..400)
                .map(|seed| {
                    let (a, b): (Vec<f64>, Vec<f64>) = record(noise, rounds, seed).into_iter().unzip();
                    ratio_interval(&a, &b, 0.95).unwrap().half_width_percent()
                })
                .collect();
            widths.sort_by(f64::total_cmp);
            println!(
                "{noise:?} {rounds}: {:.1} % (short record {:.1} %), half width {:.1} %",
                share * 100.0,
                short * 100.0,
                widths[200]
            );
        }
    }
}
