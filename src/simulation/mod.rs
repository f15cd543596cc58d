//! Seeded schedules of faults against the real engines: the steps' and the
//! artifacts', the real steps that go to nodes, a provider and nodes made of
//! nothing. Whatever happens, an `up` ends with a good lab or an honest error,
//! and once nothing happens any more the lab is good.
//!
//! `SIMULATION_SEEDS` sets how many schedules (300), `SIMULATION_SEED` runs one.

mod actors;
mod schedule;
mod up;
mod world;

use std::time::{Duration, Instant};

use schedule::Schedule;
use up::Host;

/// One `up` of a lab made of nothing takes milliseconds; this long is a hang, on a busy host too.
const LIMIT: Duration = Duration::from_secs(120);
/// How many `up`s in a row something goes wrong in.
const TROUBLED: usize = 4;
/// How many `up`s without trouble it may take to heal.
const HEALING: usize = 2;

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SIMULATION_SEEDS").unwrap_or(300)).collect(),
    }
}

/// What came of one schedule.
#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    /// `up`s that ended with an error, and a good lab in the end.
    errors: usize,
    /// Faults that came about.
    faults: usize,
}

fn run(seed: u64) -> Result<Outcome, String> {
    let schedule = Schedule::of(seed);
    let host = Host::new(&schedule);
    let mut outcome = Outcome::default();
    let up = |what: &str| -> Result<bool, String> {
        let started = Instant::now();
        let ended = host.up();
        if started.elapsed() > LIMIT {
            return Err(format!("{what} hung: it took {:?}", started.elapsed()));
        }
        match ended {
            Ok(()) => host.good().map(|()| true).map_err(|why| format!("{what} ended well, but {why}")),
            Err(error) => up::honest(&error).map(|()| false).map_err(|why| format!("{what}: {why}")),
        }
    };
    for number in 0..TROUBLED {
        host.world.plan(schedule.faults(number));
        outcome.errors += usize::from(!up(&format!("up {number} with {:?}", schedule.faults(number)))?);
        outcome.faults += host.world.settle();
    }
    host.world.plan(Vec::new());
    for number in 0..HEALING {
        if up(&format!("healing up {number}"))? {
            let again = host.ran();
            if !up("the up after all")? {
                return Err("the up after all failed".into());
            }
            if host.ran() != again {
                return Err("the up after all found something to do".into());
            }
            return Ok(outcome);
        }
    }
    Err(format!("it does not heal: {}", host.last_error()))
}

#[test]
fn every_schedule_of_faults_ends_with_a_good_lab_or_an_honest_error() {
    let seeds = seeds();
    let results: Vec<(u64, Result<Outcome, String>)> = std::thread::scope(|scope| {
        let parts: Vec<_> = seeds
            .chunks(seeds.len().div_ceil(4))
            .map(|part| scope.spawn(|| part.iter().map(|&seed| (seed, run(seed))).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(seed, result)| Some(format!("SIMULATION_SEED={seed}: {}", result.as_ref().err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {} schedules:\n{}", failed.len(), results.len(), failed.join("\n"));
    let total = |of: fn(&Outcome) -> usize| results.iter().flat_map(|(_, result)| result).map(of).sum::<usize>();
    let (errors, faults) = (total(|outcome| outcome.errors), total(|outcome| outcome.faults));
    // A simulation in which nothing goes wrong shows nothing.
    assert!(
        results.len() == 1 || (faults > results.len() && errors > results.len() / 2),
        "{faults} faults, {errors} errors"
    );
}
