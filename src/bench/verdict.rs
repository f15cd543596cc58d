//! The answer in words: what Wasm costs or saves, and why.

use super::run::{Lane, PhaseTimes, Run, Start, Summary, Verdict};
use crate::arms::Mode;
use crate::stats;
use crate::stats::Interval;

/// A run was made and kept, and its figures may not be believed.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}\n  the run is kept: {}", .kept.display())]
pub struct Invalid {
    /// "invalid, because …".
    pub sentence: String,
    /// The run's document.
    pub kept: std::path::PathBuf,
}

/// The verdict of a run whose gates are known.
#[must_use]
pub fn of(run: &Run) -> Verdict {
    let failed: Vec<&str> =
        run.gates.iter().filter(|gate| gate.decisive && !gate.passed).map(|gate| gate.detail.as_str()).collect();
    if !failed.is_empty() {
        let sentence = format!("invalid, because {}", failed.join("; and "));
        return Verdict { valid: false, sentence, because: Vec::new() };
    }
    Verdict { valid: true, sentence: sentence(run), because: because(run) }
}

fn lane(run: &Run, mode: Mode) -> Option<&Lane> {
    run.lanes.iter().find(|lane| lane.mode == mode && lane.twin_of.is_none())
}

fn summary<'a>(run: &'a Run, lane: &Lane, measure: &str) -> Option<&'a Summary> {
    run.summary.iter().find(|summary| summary.lane == lane.name && summary.measure == measure)
}

/// "0.93 x (0.91-0.95)", or the plain ratio where there is no interval.
fn ratio(interval: Option<Interval>, plain: f64) -> String {
    match interval {
        Some(found) => {
            let digits = decimals(found.estimate);
            format!("{:.digits$} x ({:.digits$}-{:.digits$})", found.estimate, found.low, found.high)
        }
        None => format!("{plain:.*} x", decimals(plain)),
    }
}

/// Digits behind the point that a ratio is told with: three digits in all, two below 0.1.
#[must_use]
pub fn decimals(ratio: f64) -> usize {
    match ratio.abs() {
        v if v >= 99.5 => 0,
        v if v >= 9.95 => 1,
        v if v >= 0.0995 => 2,
        v if v >= 0.00995 => 3,
        _ => 4,
    }
}

fn sentence(run: &Run) -> String {
    let mut parts = Vec::new();
    for mode in [Mode::Aot, Mode::Interpreter] {
        let Some(wasm) = lane(run, mode) else { continue };
        let mut figures = Vec::new();
        for (measures, what) in
            [(&["tiny-close", "tiny-keep-alive"][..], "tiny route"), (&["compute-keep-alive"][..], "computing")]
        {
            let both = |measure: &&str| Some((summary(run, wasm, measure)?, summary(run, &run.lanes[0], measure)?));
            let fit = |measure: &&&str| !run.generator_limited(measure, &wasm.name);
            let told = measures.iter().filter(fit).filter_map(both).find(|(_, control)| control.rate > 0.0);
            if let Some((own, control)) = told {
                figures.push(format!("{what} {}", ratio(own.ratios.rate, own.rate / control.rate)));
            }
        }
        if !figures.is_empty() {
            parts.push(format!("{}: {}", wasm.title, figures.join(", ")));
        }
    }
    if parts.is_empty() {
        return match lane(run, Mode::Aot).or_else(|| lane(run, Mode::Interpreter)) {
            Some(_) => "valid; the generator is the limit of every load: compare CPU time per request".into(),
            None => format!("valid; no Wasm arm was measured beside {}", run.lanes[0].title),
        };
    }
    format!("requests per second, of {}'s: {}", run.lanes[0].title, parts.join("; "))
}

fn because(run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    let control = &run.lanes[0];
    if let Some(wasm) = lane(run, Mode::Aot) {
        found.extend(size(control, wasm));
        found.extend(start(run, control, wasm));
        found.extend(memory(run, control, wasm));
        found.extend(cpu(run, control, wasm));
        found.extend(phase(run, control, wasm));
    }
    if let (Some(aot), Some(interpreter)) = (lane(run, Mode::Aot), lane(run, Mode::Interpreter)) {
        found.extend(surprise(run, aot, interpreter));
    }
    found
}

fn more_or_less(ratio: f64) -> String {
    if ratio >= 1.0 { format!("{ratio:.1} times") } else { format!("{:.0} % of", ratio * 100.0) }
}

fn size(control: &Lane, wasm: &Lane) -> Option<String> {
    if control.image_bytes == 0 || wasm.image_bytes == 0 {
        return None;
    }
    let kib = |lane: &Lane| lane.image_bytes as f64 / 1024.0;
    Some(format!(
        "image: {:.0} KiB against {:.0} KiB, {} native's",
        kib(wasm),
        kib(control),
        more_or_less(kib(wasm) / kib(control))
    ))
}

/// Medians over blocks of the way to the first answer.
#[must_use]
pub fn median_start(run: &Run, lane: &str) -> Option<Start> {
    let starts: Vec<Start> = run.blocks.iter().filter(|block| block.lane == lane).map(|block| block.start).collect();
    let of = |pick: fn(&Start) -> Option<f64>| {
        let values: Vec<f64> = starts.iter().filter_map(pick).collect();
        stats::median(&values)
    };
    Some(Start {
        scheduling_ms: of(|start| start.scheduling_ms),
        sandbox_ms: of(|start| start.sandbox_ms),
        container_ms: of(|start| Some(start.container_ms))?,
        first_byte_ms: of(|start| Some(start.first_byte_ms))?,
        total_ms: of(|start| Some(start.total_ms))?,
    })
}

fn start(run: &Run, control: &Lane, wasm: &Lane) -> Option<String> {
    let (native, wasm) = (median_start(run, &control.name)?, median_start(run, &wasm.name)?);
    Some(format!(
        "start to the first answer: {:.0} ms against {:.0} ms; the container itself {:.0} ms against {:.0} ms",
        wasm.total_ms, native.total_ms, wasm.container_ms, native.container_ms
    ))
}

fn memory(run: &Run, control: &Lane, wasm: &Lane) -> Option<String> {
    let peak = |lane: &Lane| {
        let values: Vec<f64> =
            run.blocks.iter().filter(|block| block.lane == lane.name).map(|block| block.peak_kib as f64).collect();
        stats::median(&values).map(|kib| kib / 1024.0)
    };
    let (native, own) = (peak(control)?, peak(wasm)?);
    let replica = |lane: &Lane| run.costs.get(&lane.name)?.replica_kib.map(|kib| kib / 1024.0);
    let more = match (replica(control), replica(wasm)) {
        (Some(native), Some(own)) => format!("; one more replica adds {own:.1} MiB against {native:.1} MiB"),
        _ => String::new(),
    };
    Some(format!("memory at its peak: {own:.1} MiB against {native:.1} MiB{more}"))
}

fn cpu(run: &Run, control: &Lane, wasm: &Lane) -> Option<String> {
    let mut parts = Vec::new();
    for measure in &run.measures {
        let (own, native) = (summary(run, wasm, &measure.name)?, summary(run, control, &measure.name)?);
        if matches!(measure.load, super::design::Load::Closed { .. }) && native.cpu_us_per_request > 0.0 {
            let plain = own.cpu_us_per_request / native.cpu_us_per_request;
            parts.push(format!("{} {}", measure.name, ratio(own.ratios.cpu, plain)));
        }
    }
    (!parts.is_empty()).then(|| format!("CPU time per request, of native's: {}", parts.join(", ")))
}

/// Which phase holds the difference between Wasm and native in the demo's load.
fn phase(run: &Run, control: &Lane, wasm: &Lane) -> Option<String> {
    let (own, native) = (summary(run, wasm, "tiny-close")?, summary(run, control, "tiny-close")?);
    let parts = |times: &PhaseTimes| {
        [
            ("blocked", times.blocked),
            ("sending", times.sending),
            ("waiting", times.waiting),
            ("receiving", times.receiving),
        ]
    };
    let (name, ms) = parts(&own.phases_mean)
        .into_iter()
        .zip(parts(&native.phases_mean))
        .map(|((name, own), (_, native))| (name, own - native))
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    Some(format!(
        "of k6's phases, {name} differs most: {ms:+.3} ms a request; it holds the queue in front of the one thread, so \
         with N users it is about N times the service time"
    ))
}

/// Why the demo's table said that Wasm answers slower.
fn surprise(run: &Run, aot: &Lane, interpreter: &Lane) -> Option<String> {
    let waiting = |lane: &Lane| Some(summary(run, lane, "tiny-close")?.phases_p95.waiting);
    let rate = |lane: &Lane| Some(summary(run, lane, "tiny-close")?.rate);
    let native = &run.lanes[0];
    Some(format!(
        "the demo's surprise: under its load waiting's p95 is {:.1} ms native, {:.1} ms compiled, {:.1} ms interpreted, \
         and users divided by rate says {:.1}, {:.1} and {:.1} ms: a queue's length, times an interpreter where Wasm was \
         not compiled",
        waiting(native)?,
        waiting(aot)?,
        waiting(interpreter)?,
        queue(run, rate(native)?)?,
        queue(run, rate(aot)?)?,
        queue(run, rate(interpreter)?)?
    ))
}

/// Users divided by rate, milliseconds: what a request takes in a closed loop.
fn queue(run: &Run, rate: f64) -> Option<f64> {
    let measure = run.measures.iter().find(|measure| measure.name == "tiny-close")?;
    let super::design::Load::Closed { users } = measure.load else { return None };
    (rate > 0.0).then(|| f64::from(users) / rate * 1000.0)
}
