//! Whether figures may be believed: each question is a gate, and where a
//! decisive one does not hold the verdict is "invalid, because …", never a number.

use super::design::{ROUTES, Size};
use super::run::{Block, Gate, Lane, Run, Summary};
use super::summary::of_lane;
use crate::{arms, proof, stats};

/// Most of the requests that may fail.
const ERRORS: f64 = 0.001;
/// Most of the CPU time that the hypervisor may give to others.
const STEAL: f64 = 0.05;
/// How much faster than the fastest arm the generator must be.
pub(super) const HEADROOM: f64 = 3.0;
/// Most of an open loop's requests that may begin late.
const LATE: f64 = 0.05;

/// All gates, in the order in which they are told.
#[must_use]
pub fn of(run: &Run) -> Vec<Gate> {
    let mut gates = vec![mode(run), canary(run)];
    gates.extend(same_twice(run));
    gates.extend([generator(run), saturation(run), pace(run), errors(run), steal(run), throttling(run), samples(run)]);
    gates
}

fn gate(name: &str, decisive: bool, faults: &[String], fine: String) -> Gate {
    let detail = if faults.is_empty() { fine } else { faults.join("; ") };
    Gate { name: name.into(), passed: faults.is_empty(), decisive, detail }
}

fn lane<'a>(run: &'a Run, name: &str) -> Option<&'a Lane> {
    run.lanes.iter().find(|lane| lane.name == name)
}

/// Every block's process is what its arm claims.
fn mode(run: &Run) -> Gate {
    let fault = |block: &Block| {
        let arm = arms::find(&lane(run, &block.lane)?.arm).ok()?;
        let link = proof::judge(arm, &block.evidence).err()?;
        let first = link.to_string().lines().next().unwrap_or_default().to_owned();
        Some(format!("{}, round {}: {first}", block.lane, block.round + 1))
    };
    let faults: Vec<String> = run.blocks.iter().filter_map(fault).collect();
    gate("mode", true, &faults, format!("all {} processes are in the mode that they claim", run.blocks.len()))
}

/// Every block computes at the speed of its mode.
fn canary(run: &Run) -> Gate {
    let (mut faults, mut seen) = (Vec::new(), Vec::new());
    for known in &run.lanes {
        let Ok(arm) = arms::find(&known.arm) else { continue };
        let mut ratios = Vec::new();
        for block in run.blocks.iter().filter(|block| block.lane == known.name) {
            let control = run.blocks.iter().find(|other| other.round == block.round && other.lane == run.lanes[0].name);
            let Some(control) = control else { continue };
            match proof::judge_time(arm, block.canary_us, control.canary_us) {
                Ok(ratio) => ratios.push(ratio),
                Err(fault) => faults.push(format!("round {}: {fault}", block.round + 1)),
            }
        }
        if let (true, Some(ratio)) = (known.twin_of.is_none(), stats::median(&ratios)) {
            seen.push(format!("{} {ratio:.1} x", known.title));
        }
    }
    gate("canary", true, &faults, format!("computing takes, of native's time: {}", seen.join(", ")))
}

/// The same arm twice must look the same.
fn same_twice(run: &Run) -> Option<Gate> {
    let twin = run.lanes.iter().find(|lane| lane.twin_of.is_some())?;
    // How far apart the same thing may look: medians and rates, and the tail.
    let (near, tail) = match (run.size, run.shortened) {
        (_, true) => (0.15, 0.50),
        (Size::Smoke | Size::Quick, _) => (0.10, 0.40),
        (Size::Standard | Size::Nightly, _) => (0.05, 0.20),
    };
    let (mut faults, mut seen) = (Vec::new(), Vec::new());
    for summary in run.summary.iter().filter(|summary| summary.lane == twin.name) {
        let ratios = &summary.ratios;
        for (name, bound, interval) in
            [("rate", near, ratios.rate), ("p50", near, ratios.p50), ("p99", tail, ratios.p99)]
        {
            let Some(interval) = interval else { continue };
            let text = format!(
                "{} {name} {:.3} x ({:.3}-{:.3})",
                summary.measure, interval.estimate, interval.low, interval.high
            );
            // Beyond the bound for sure, or so far off that it matters whatever the interval says.
            if (interval.estimate - 1.0).abs() > bound && !interval.contains(1.0) {
                faults.push(format!("{text}: the same arm differs from itself by more than {:.0} %", bound * 100.0));
            }
            seen.push(((interval.estimate - 1.0).abs(), text));
        }
    }
    seen.sort_by(|a, b| b.0.total_cmp(&a.0));
    let worst = seen.first().map_or_else(|| "not measured".into(), |(_, text)| format!("furthest apart: {text}"));
    Some(gate("a/a", true, &faults, worst))
}

/// The generator must be faster than what it measures.
fn generator(run: &Run) -> Gate {
    let Some(calibration) = &run.calibration else {
        return gate("generator", false, &["not calibrated in this size".into()], String::new());
    };
    let mut faults = Vec::new();
    let mut fine = Vec::new();
    for (name, null) in
        [("tiny-close", calibration.null_close_rate), ("tiny-keep-alive", calibration.null_keep_alive_rate)]
    {
        let fastest = run.summary.iter().filter(|summary| summary.measure == name).map(|summary| summary.rate);
        let fastest = fastest.fold(0.0, f64::max);
        if fastest == 0.0 {
            continue;
        }
        let text = format!("{name}: {null:.0} requests/s against nothing, {:.1} x the fastest arm", null / fastest);
        if null < HEADROOM * fastest {
            faults.push(format!("{text}; the generator is the limit"))
        } else {
            fine.push(text)
        }
    }
    // The tiny route's rates are held down then; ratios on other routes and CPU times are not.
    gate("generator", false, &faults, fine.join("; "))
}

/// A closed loop finds a server's capacity only where the server is what runs
/// out. The tiny route may be too fast for a generator, which is then said;
/// where others are, something holds the generator up.
fn saturation(run: &Run) -> Gate {
    let limited = run.summary.iter().filter(|summary| summary.generator_limited);
    let route = |name: &str| run.measures.iter().find(|measure| measure.name == name).map(|measure| &measure.route);
    let (tiny, others): (Vec<&Summary>, Vec<&Summary>) =
        limited.partition(|summary| route(&summary.measure).is_some_and(|route| *route == ROUTES[0].name));
    let fault = |summary: &&Summary| {
        format!("{}, {}: the generator is what was measured, the server had time left", summary.lane, summary.measure)
    };
    let faults: Vec<String> = others.iter().map(fault).collect();
    let fine = if tiny.is_empty() {
        "under closed loops the servers were what ran out".into()
    } else {
        let cells: Vec<String> = tiny.iter().map(|summary| format!("{} {}", summary.measure, summary.lane)).collect();
        format!("the generator is the limit of {}: at least the rates told, and no ratio", cells.join(", "))
    };
    // Emulated machines have no CPU to spare for anybody.
    gate("saturation", !run.shortened, &faults, fine)
}

/// An open loop must send when it says.
fn pace(run: &Run) -> Gate {
    let mut late: Vec<(f64, String)> = Vec::new();
    let mut all = 0;
    for block in &run.blocks {
        for figures in &block.figures {
            let Some(share) = figures.late_share else { continue };
            all += 1;
            // A server that does not keep up makes its own requests wait.
            if share > LATE && figures.server_busy < 0.9 {
                let place = format!("{}, {}, round {}", block.lane, figures.measure, block.round + 1);
                late.push((share, format!("{:.0} % of requests began late ({place})", share * 100.0)));
            }
        }
    }
    late.sort_by(|a, b| b.0.total_cmp(&a.0));
    // One load that the machine disturbed is what rounds are for.
    let faults: Vec<String> = match late.first() {
        Some((_, worst)) if late.len() * 5 > all => {
            vec![format!(
                "{} of {all} open loops did not send on time, the machine being busy: up to {worst}",
                late.len()
            )]
        }
        _ => Vec::new(),
    };
    gate("pace", true, &faults, format!("{} of {all} open loops sent on time", all - late.len()))
}

fn errors(run: &Run) -> Gate {
    let mut faults = Vec::new();
    for known in &run.lanes {
        for measure in &run.measures {
            let (mut failed, mut all, mut example) = (0, 0, None);
            for (_, figures) in of_lane(&run.blocks, &measure.name, &known.name) {
                failed += figures.errors.values().sum::<u64>();
                all += figures.requests;
                example = example.or_else(|| figures.error_examples.first().cloned());
            }
            if failed as f64 > ERRORS * all as f64 {
                let example = example.unwrap_or_default();
                faults.push(format!("{}, {}: {failed} of {all} requests failed ({example})", known.name, measure.name));
            }
        }
    }
    gate("errors", true, &faults, "next to no request failed".into())
}

fn steal(run: &Run) -> Gate {
    let all: Vec<f64> = run.blocks.iter().flat_map(|block| &block.figures).map(|figures| figures.steal).collect();
    let mean = stats::mean(&all);
    let text = format!("{:.1} % of CPU time went to other machines of the hypervisor", mean * 100.0);
    let faults = if mean > STEAL { vec![text.clone()] } else { Vec::new() };
    gate("steal", true, &faults, text)
}

fn throttling(run: &Run) -> Gate {
    let times: u64 = run.blocks.iter().flat_map(|block| &block.figures).map(|figures| figures.throttled).sum();
    let faults =
        if times > 0 { vec![format!("servers were throttled by their CPU limit {times} times")] } else { Vec::new() };
    gate("throttling", true, &faults, "no server was throttled".into())
}

/// Medians must have enough requests behind them.
fn samples(run: &Run) -> Gate {
    let fault = |summary: &Summary| {
        let few = stats::enough_samples(50.0, summary.succeeded).err()?;
        Some(format!(
            "{}, {}: {} requests are too few for a median ({few})",
            summary.lane, summary.measure, summary.succeeded
        ))
    };
    let faults: Vec<String> = run.summary.iter().filter_map(fault).collect();
    gate("samples", true, &faults, "enough requests for every percentile that is shown".into())
}
