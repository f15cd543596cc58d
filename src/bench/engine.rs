//! Carries a design out at a place: calibration, rounds of blocks in random
//! order, each with a fresh server, and what the arms cost beside.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::design::{self, Design, Load, Measure, Rate};
use super::figures::Pool;
use super::place::{Ask, Place, Shape};
use super::round::Rounds;
use super::run::{Calibration, FORMAT, Lane, Run, Verdict};
use super::{gates, summary, verdict};
use crate::arms::Arm;
use crate::stats;
use crate::ui::Task;

/// Users and seconds of a look at a capacity that decides rates.
const PILOT: (u32, f64) = (16, 0.4);
/// Seconds of a calibration against the null server.
const CALIBRATION_SECONDS: f64 = 1.0;

/// How much faster twice the generators must be to be worth their CPUs.
const WORTH: f64 = 1.2;

/// A lane and its arm.
pub(super) struct Entry {
    pub lane: Lane,
    pub arm: &'static dyn Arm,
}

/// Capacities by route and arm, requests per second.
pub(super) type Capacities = BTreeMap<(String, &'static str), f64>;

/// Runs the design.
pub fn run(design: &Design, place: &dyn Place, lab: &str, task: &Task) -> Result<Run> {
    let (began, started) = (Instant::now(), jiff::Timestamp::now());
    let entries = lanes(design, place)?;
    let mut environment = place.environment()?;
    task.say("measure the generator against a server that does nothing");
    let mut calibration = if design.twin { Some(calibrate(place, design)?) } else { None };
    let capacities = pilot(design, place, task)?;
    if let Some(calibration) = &mut calibration {
        scale_out(place, design, calibration, &capacities, task)?;
    }

    let mut blocks = Vec::new();
    let mut pool = Pool::default();
    let order = stats::schedule(design.seed, design.rounds as usize, entries.len());
    let rounds = Rounds { design, place, capacities: &capacities, began, task };
    for (round, row) in (0..).zip(&order) {
        let row: Vec<&Entry> = row.iter().map(|index| &entries[*index]).collect();
        blocks.extend(rounds.round(round, &row, &mut pool).with_context(|| format!("round {}", round + 1))?);
    }
    if let Some(calibration) = &mut calibration {
        // A machine that was busy for a moment is not the generator's limit.
        calibration.raise(&calibrate(place, design)?);
    }
    let mut costs = BTreeMap::new();
    for entry in entries.iter().filter(|entry| design.replicas > 1 && entry.lane.twin_of.is_none()) {
        task.say(&format!("{} servers of {} side by side", design.replicas, entry.lane.title));
        let cost = place.replicas(entry.arm, design.replicas).context("find what a replica costs")?;
        costs.insert(entry.lane.name.clone(), cost);
    }

    let lanes: Vec<Lane> = entries.into_iter().map(|entry| entry.lane).collect();
    environment.digests.extend(lanes.iter().map(|lane| (lane.image.clone(), lane.digest.clone())));
    let summary = summary::of(&design.measures, &lanes, &blocks, &pool)?;
    let mut run = Run {
        format: FORMAT.into(),
        id: started.strftime("%Y-%m-%dT%H-%M-%SZ").to_string(),
        lab: lab.into(),
        place: place.kind(),
        size: design.size,
        shortened: design.shortened,
        seed: design.seed,
        started: started.to_string(),
        seconds: began.elapsed().as_secs_f64(),
        environment,
        lanes,
        measures: design.measures.clone(),
        calibration,
        blocks,
        costs,
        summary,
        gates: Vec::new(),
        verdict: Verdict { valid: false, sentence: String::new(), because: Vec::new() },
    };
    run.gates = gates::of(&run);
    run.verdict = verdict::of(&run);
    Ok(run)
}

fn lanes(design: &Design, place: &dyn Place) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (index, arm) in design.arms.iter().enumerate() {
        let (digest, image_bytes) = place.image(*arm).with_context(|| format!("look at arm {}", arm.name()))?;
        let lane = Lane {
            name: arm.name().into(),
            title: arm.title().into(),
            arm: arm.name().into(),
            mode: arm.mode(),
            runtime: arm.runtime(),
            twin_of: None,
            image: arm.image(),
            digest,
            image_bytes,
        };
        let twin = (index == 0 && design.twin).then(|| Lane {
            name: format!("{}-again", lane.name),
            title: format!("{} again", lane.title),
            twin_of: Some(lane.name.clone()),
            ..lane.clone()
        });
        entries.push(Entry { lane, arm: *arm });
        entries.extend(twin.map(|lane| Entry { lane, arm: *arm }));
    }
    Ok(entries)
}

fn calibrate(place: &dyn Place, design: &Design) -> Result<Calibration> {
    let mut server = place.start_null()?;
    let seconds = if design.shortened { CALIBRATION_SECONDS * 3.0 } else { CALIBRATION_SECONDS };
    let ask = |keep_alive| Ask {
        path: "/".into(),
        expect: design::ROUTES[0].expect.into(),
        keep_alive,
        shape: Shape::Closed { users: PILOT.0, seconds },
        warmup_seconds: 0.2,
    };
    let taken = server.measure(&[ask(false), ask(true)]).context("measure the generator against the null server")?;
    ensure!(taken.len() == 2, "the null server was measured {} times instead of twice", taken.len());
    Ok(Calibration {
        null_close_rate: taken[0].report.requests_per_second,
        null_keep_alive_rate: taken[1].report.requests_per_second,
        generators: place.generators(),
    })
}

/// Doubles the generators until they are far above the fastest arm, the place
/// is full, or more of them bring no more.
fn scale_out(
    place: &dyn Place,
    design: &Design,
    calibration: &mut Calibration,
    capacities: &Capacities,
    task: &Task,
) -> Result<()> {
    let fastest = capacities.iter().filter(|((route, _), _)| route == design::ROUTES[0].name);
    let fastest = fastest.map(|(_, capacity)| *capacity).fold(0.0, f64::max);
    while calibration.null_keep_alive_rate < gates::HEADROOM * fastest {
        let generators = place.generators();
        if !place.scale_to(generators * 2) {
            break;
        }
        task.say(&format!("{} generators against a server that does nothing", generators * 2));
        let more = calibrate(place, design)?;
        if more.null_keep_alive_rate < calibration.null_keep_alive_rate * WORTH {
            place.scale_to(generators);
            break;
        }
        *calibration = more;
    }
    Ok(())
}

/// A short look at each arm's capacity, over kept connections, on each route
/// where something depends on it: an open loop's rate, or in how many parts
/// loads are taken in turn.
fn pilot(design: &Design, place: &dyn Place, task: &Task) -> Result<Capacities> {
    let mut routes: Vec<&Measure> = Vec::new();
    for measure in &design.measures {
        let depends = matches!(&measure.load, Load::Open { rate: Rate::Slowest(_) | Rate::Own(_), .. });
        let wanted = measure.keep_alive && (depends || place.side_by_side());
        if wanted && routes.iter().all(|known| known.route != measure.route) {
            routes.push(measure);
        }
    }
    let mut capacities = Capacities::new();
    if routes.is_empty() {
        return Ok(capacities);
    }
    for arm in &design.arms {
        task.say(&format!("a first look at {}", arm.title()));
        let lane = Lane { name: format!("{}-pilot", arm.name()), ..lanes_name(*arm) };
        let mut server = place.start(&lane, *arm)?;
        let seconds = if design.shortened { PILOT.1 * 5.0 } else { PILOT.1 };
        let asks: Vec<Ask> = routes
            .iter()
            .map(|measure| Ask {
                path: measure.path.clone(),
                expect: measure.expect.clone(),
                keep_alive: measure.keep_alive,
                shape: Shape::Closed { users: PILOT.0, seconds },
                warmup_seconds: seconds / 4.0,
            })
            .collect();
        let taken = server.measure(&asks).with_context(|| format!("take a first look at arm {}", arm.name()))?;
        for (measure, taken) in routes.iter().zip(taken) {
            capacities.insert((measure.route.clone(), arm.name()), taken.report.requests_per_second);
        }
    }
    Ok(capacities)
}

/// A lane that is not part of the run.
fn lanes_name(arm: &dyn Arm) -> Lane {
    Lane {
        name: arm.name().into(),
        title: arm.title().into(),
        arm: arm.name().into(),
        mode: arm.mode(),
        runtime: arm.runtime(),
        twin_of: None,
        image: arm.image(),
        digest: String::new(),
        image_bytes: 0,
    }
}
