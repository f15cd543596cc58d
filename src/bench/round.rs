//! A round: a fresh server of every lane, proved, and every load on each.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::design::{Design, Load, Measure, Rate};
use super::engine::{Capacities, Entry};
use super::figures::{self, Pool};
use super::place::{Ask, Place, Server, Shape, Taken};
use super::run::Block;
use crate::arms::Arm;
use crate::canary;
use crate::proof::Evidence;
use crate::ui::Task;

/// How often a load goes round where servers run side by side. Even: with every
/// second pass in reverse each lane has the same place on average, so that a
/// machine that gets slower favours none. Ten parts of a second's load are a
/// tenth of a second each: what a shared machine does to one of them it rarely
/// does to the next.
const PASSES: usize = 10;
/// The same of an open loop, which has nothing to fill and whose few late
/// requests are what is asked for: the shorter a part, the fewer meet a stall.
const OPEN_PASSES: usize = 20;
/// Passes of a load whose parts would have too few requests: one there, one back.
const FEW_PASSES: usize = 2;
/// Requests that a part needs.
const ENOUGH: f64 = 100.0;

/// What every round is carried out with.
pub(super) struct Rounds<'a> {
    /// What is measured.
    pub design: &'a Design,
    /// Where.
    pub place: &'a dyn Place,
    /// Decides the open loops' rates.
    pub capacities: &'a Capacities,
    /// When the run began.
    pub began: Instant,
    /// Where progress is told.
    pub task: &'a Task,
}

/// A server that was proved and not yet loaded.
struct Ready<'a> {
    entry: &'a Entry,
    round: u32,
    position: u32,
    at_seconds: f64,
    server: Box<dyn Server + 'a>,
    evidence: Evidence,
    idle_kib: u64,
}

impl<'a> Rounds<'a> {
    /// A block of each entry, in their order.
    pub fn round(&self, round: u32, entries: &[&'a Entry], pool: &mut Pool) -> Result<Vec<Block>> {
        let places = (0..).zip(entries.iter().copied());
        if self.place.side_by_side() {
            return self.side_by_side(round, places, pool);
        }
        places.map(|(position, entry)| self.one(round, position, entry, pool).with_context(|| of(entry))).collect()
    }

    fn start(&self, round: u32, position: u32, entry: &'a Entry) -> Result<Ready<'a>> {
        self.task.say(&format!("round {} of {}: {}", round + 1, self.design.rounds, entry.lane.title));
        let at_seconds = self.began.elapsed().as_secs_f64();
        let server = self.place.start(&entry.lane, entry.arm)?;
        let evidence = server.evidence()?;
        let (idle_kib, _) = server.memory()?;
        Ok(Ready { entry, round, position, at_seconds, server, evidence, idle_kib })
    }

    /// All loads on one server, in one go.
    fn one(&self, round: u32, position: u32, entry: &'a Entry, pool: &mut Pool) -> Result<Block> {
        let mut ready = self.start(round, position, entry)?;
        let mut asks = vec![canary_ask(self.design)];
        for (index, measure) in self.design.measures.iter().enumerate() {
            asks.push(self.ask(measure, entry.arm, index)?);
        }
        let mut taken = ready.server.measure(&asks)?;
        ensure!(taken.len() == asks.len(), "{} of {} measures were taken", taken.len(), asks.len());
        let canary_us = canary_us(self.design, &taken.remove(0))?;
        self.close(&ready, canary_us, &taken, pool)
    }

    /// Each load goes round all servers, there and back.
    fn side_by_side(
        &self,
        round: u32,
        entries: impl Iterator<Item = (u32, &'a Entry)>,
        pool: &mut Pool,
    ) -> Result<Vec<Block>> {
        let mut open = Vec::new();
        for (position, entry) in entries {
            let mut ready = self.start(round, position, entry).with_context(|| of(entry))?;
            let taken = measure(&mut ready, canary_ask(self.design))?;
            open.push((ready, canary_us(self.design, &taken).with_context(|| of(entry))?, Vec::new()));
        }
        for (index, wanted) in self.design.measures.iter().enumerate() {
            let mut parts: Vec<Vec<Taken>> = open.iter().map(|_| Vec::new()).collect();
            let passes = passes(&wanted.load);
            for pass in 0..passes {
                let there = 0..open.len();
                let order: Vec<usize> = if pass % 2 == 0 { there.collect() } else { there.rev().collect() };
                for lane in order {
                    let (ready, _, _) = &mut open[lane];
                    let ask = self.ask(wanted, ready.entry.arm, index)?;
                    let count = self.parts(wanted, ready.entry.arm, &ask);
                    if takes(pass, passes, count) {
                        parts[lane].push(measure(ready, part(ask, pass, count))?);
                    }
                }
            }
            for ((_, _, taken), parts) in open.iter_mut().zip(parts) {
                taken.push(Taken::in_turn(parts)?);
            }
        }
        open.iter().map(|(ready, canary_us, taken)| self.close(ready, *canary_us, taken, pool)).collect()
    }

    /// In how many parts a load is taken; they are equal in length.
    fn parts(&self, measure: &Measure, arm: &dyn Arm, ask: &Ask) -> usize {
        let requests = match ask.shape {
            Shape::Count(count) => f64::from(count),
            Shape::Open { rate, seconds, .. } => rate * seconds,
            Shape::Closed { seconds, .. } => {
                self.capacities.get(&(measure.route.clone(), arm.name())).map_or(0.0, |capacity| capacity * seconds)
            }
        };
        let passes = passes(&measure.load);
        if requests >= ENOUGH * passes as f64 { passes } else { FEW_PASSES }
    }

    fn close(&self, ready: &Ready, canary_us: u64, taken: &[Taken], pool: &mut Pool) -> Result<Block> {
        let mut all = Vec::new();
        for (measure, taken) in self.design.measures.iter().zip(taken) {
            pool.add(&measure.name, &ready.entry.lane.name, &taken.report)?;
            all.push(figures::of(measure, taken));
        }
        let (_, peak_kib) = ready.server.memory()?;
        Ok(Block {
            round: ready.round,
            position: ready.position,
            lane: ready.entry.lane.name.clone(),
            at_seconds: ready.at_seconds,
            evidence: ready.evidence.clone(),
            canary_us,
            start: ready.server.start(),
            figures: all,
            idle_kib: ready.idle_kib,
            peak_kib,
        })
    }

    fn ask(&self, measure: &Measure, arm: &dyn Arm, index: usize) -> Result<Ask> {
        let shape = match measure.load {
            Load::Closed { users } => Shape::Closed { users, seconds: measure.seconds },
            Load::Open { rate, connections } => {
                let of_route = |name: Option<&'static str>| {
                    let found = self
                        .capacities
                        .iter()
                        .filter(|((route, arm), _)| *route == measure.route && name.is_none_or(|name| name == *arm));
                    found.map(|(_, capacity)| *capacity).fold(f64::INFINITY, f64::min)
                };
                let rate = match rate {
                    Rate::Slowest(share) => share * of_route(None),
                    Rate::Own(share) => share * of_route(Some(arm.name())),
                    Rate::Fixed(rate) => rate,
                };
                ensure!(rate.is_finite() && rate > 0.0, "route {} has no capacity to take a rate from", measure.route);
                // Every arm meets the same schedule, every measure another one.
                let seed = self.design.seed.wrapping_add(1000 * (index as u64 + 1));
                Shape::Open { rate: rate.max(1.0).round(), connections, seconds: measure.seconds, seed }
            }
        };
        Ok(Ask {
            path: measure.path.clone(),
            expect: measure.expect.clone(),
            keep_alive: measure.keep_alive,
            shape,
            warmup_seconds: measure.warmup_seconds,
        })
    }
}

/// For errors: whose block it was.
fn of(entry: &Entry) -> String {
    format!("measure arm {}", entry.lane.name)
}

fn measure(ready: &mut Ready, ask: Ask) -> Result<Taken> {
    let mut taken = ready.server.measure(&[ask]).with_context(|| of(ready.entry))?;
    ensure!(taken.len() == 1, "{} measures were taken instead of one", taken.len());
    Ok(taken.remove(0))
}

fn passes(load: &Load) -> usize {
    if matches!(load, Load::Open { .. }) { OPEN_PASSES } else { PASSES }
}

/// Whether a load of `count` parts has one in that pass: in each, or in one
/// there (even) and one back.
fn takes(pass: usize, passes: usize, count: usize) -> bool {
    count == passes || pass == 0 || pass == (passes / 2) | 1
}

/// One of `count` parts of a load; a server that was just loaded is warm soon.
fn part(ask: Ask, pass: usize, count: usize) -> Ask {
    let share = |seconds: f64| seconds / count as f64;
    let shape = match ask.shape {
        Shape::Count(_) => ask.shape,
        Shape::Closed { users, seconds } => Shape::Closed { users, seconds: share(seconds) },
        Shape::Open { rate, connections, seconds, seed } => {
            Shape::Open { rate, connections, seconds: share(seconds), seed: seed.wrapping_add(10 * pass as u64) }
        }
    };
    Ask { shape, warmup_seconds: share(ask.warmup_seconds), ..ask }
}

/// A computation whose answer this program knows.
fn canary_ask(design: &Design) -> Ask {
    let rounds = canary::rounds(design.shortened);
    Ask {
        path: format!("/compute?n={rounds}"),
        expect: canary::answer(rounds),
        keep_alive: true,
        shape: Shape::Count(canary::REQUESTS),
        warmup_seconds: 0.0,
    }
}

/// Its best time; a server that computes something else is not measured.
fn canary_us(design: &Design, taken: &Taken) -> Result<u64> {
    let report = &taken.report;
    ensure!(
        report.succeeded == report.requests && report.succeeded > 0,
        "canary: {} of {} answers to /compute?n={} are right: {}",
        report.succeeded,
        report.requests,
        canary::rounds(design.shortened),
        report.error_examples.first().map(|example| example.message.as_str()).unwrap_or_default()
    );
    Ok((report.phases.duration.min_ms * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_goes_there_as_often_as_back() {
        for passes in [PASSES, OPEN_PASSES] {
            for count in [passes, FEW_PASSES] {
                let taken: Vec<usize> = (0..passes).filter(|pass| takes(*pass, passes, count)).collect();
                assert_eq!(taken.len(), count);
                assert_eq!(taken.iter().filter(|pass| *pass % 2 == 0).count(), count / 2);
            }
        }
    }
}
