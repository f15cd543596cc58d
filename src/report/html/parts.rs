//! What the page shows apart from plots: tables, bars, lists.

use serde::Serialize;

use super::super::numbers::{self, NONE};
use super::super::plots::looks;
use super::super::sections::{Section, Told};
use super::super::view::{self, Metric, View};
use super::super::words;
use crate::bench::run::{Lane, PlaceKind, Run, Start};

/// A lane in the legend.
#[derive(Serialize)]
pub(super) struct LaneView<'a> {
    sign: String,
    title: &'a str,
    about: String,
    twin: bool,
    control: bool,
}

/// All lanes, the twin too.
pub(super) fn lanes<'a>(view: &View<'a>) -> Vec<LaneView<'a>> {
    let control = view.control().map(|lane| &lane.name);
    let looks = looks(&view.run.lanes);
    let lane = |(lane, look): (&'a Lane, super::plots::Look)| LaneView {
        sign: look.sign(),
        title: &lane.title,
        about: if lane.twin_of.is_some() {
            format!("{} once more: what differs here is noise (A/A)", view.control_title())
        } else {
            view::about(lane)
        },
        twin: lane.twin_of.is_some(),
        control: Some(&lane.name) == control,
    };
    view.run.lanes.iter().zip(looks).map(lane).collect()
}

/// A lane's way to its first answer.
#[derive(Serialize)]
pub(super) struct StartRow<'a> {
    sign: String,
    title: &'a str,
    total: String,
    parts: Vec<Part>,
}

/// A piece of a bar.
#[derive(Serialize)]
struct Part {
    /// Which of [`START`] it is.
    index: usize,
    name: &'static str,
    text: String,
    /// Percent of the bar's room.
    width: f64,
    /// Whether its text has room in it.
    roomy: bool,
}

type StartPart = (&'static str, fn(&Start) -> Option<f64>);

const START: [StartPart; 4] = [
    ("scheduling", |start| start.scheduling_ms),
    ("sandbox", |start| start.sandbox_ms),
    ("container", |start| Some(start.container_ms)),
    ("first byte", |start| Some(start.first_byte_ms)),
];

/// Names of the parts in order; those that the place does not have are empty.
pub(super) fn start_parts(view: &View) -> Vec<&'static str> {
    let has = |part: fn(&Start) -> Option<f64>| view.run.blocks.iter().any(|block| part(&block.start).is_some());
    START.into_iter().map(|(name, part)| if has(part) { name } else { "" }).collect()
}

/// Medians over blocks, part by part.
pub(super) fn starts<'a>(view: &View<'a>) -> Vec<StartRow<'a>> {
    let looks = looks(&view.run.lanes);
    let medians = |lane: &Lane| {
        START.map(|(_, part)| view.median(&lane.name, |block| part(&block.start)).filter(|ms| *ms >= 0.0))
    };
    let longest = view.lanes.iter().map(|lane| medians(lane).iter().flatten().sum::<f64>()).fold(0.0, f64::max);
    let row = |lane: &'a Lane, sign: String| {
        let part = |(index, ms): (usize, Option<f64>)| {
            let ms = ms?;
            let width = if longest > 0.0 { round(ms / longest * 100.0) } else { 0.0 };
            let text = numbers::short_ms(ms);
            Some(Part { index, name: START[index].0, roomy: width > 2.6 * text.len() as f64, text, width })
        };
        StartRow {
            sign,
            title: &lane.title,
            total: view
                .median(&lane.name, |block| Some(block.start.total_ms))
                .map_or_else(|| NONE.into(), numbers::short_ms),
            parts: medians(lane).into_iter().enumerate().filter_map(part).collect(),
        }
    };
    let lanes = view.run.lanes.iter().zip(looks).filter(|(lane, _)| lane.twin_of.is_none());
    let rows = lanes.map(|(lane, look)| row(lane, look.sign()));
    if longest > 0.0 { rows.collect() } else { Vec::new() }
}

/// Figures with bars, a row per lane.
#[derive(Serialize)]
pub(super) struct CostTable<'a> {
    columns: Vec<String>,
    rows: Vec<CostRow<'a>>,
}

#[derive(Serialize)]
struct CostRow<'a> {
    sign: String,
    class: &'static str,
    title: &'a str,
    cells: Vec<Bar>,
}

#[derive(Serialize)]
struct Bar {
    text: String,
    width: f64,
}

type Column = (String, fn(f64) -> String, Vec<Option<f64>>);

/// Image, memory and CPU; none where the run has none of them.
pub(super) fn costs<'a>(view: &View<'a>) -> Option<CostTable<'a>> {
    let columns = cost_columns(view);
    let looks = looks(&view.run.lanes);
    let shown = view.run.lanes.iter().zip(looks).filter(|(lane, _)| lane.twin_of.is_none());
    let row = |(index, (lane, look)): (usize, (&'a Lane, super::plots::Look))| {
        let cell = |(_, text, values): &Column| {
            let largest = values.iter().flatten().copied().fold(0.0, f64::max);
            let value = values[index];
            let share = value.filter(|value| value.is_finite() && largest > 0.0).map_or(0.0, |value| value / largest);
            Bar { text: value.map_or_else(|| NONE.into(), text), width: round(share * 100.0) }
        };
        CostRow { sign: look.sign(), class: look.class, title: &lane.title, cells: columns.iter().map(cell).collect() }
    };
    let rows: Vec<CostRow> = shown.enumerate().map(row).collect();
    let columns: Vec<String> = columns.iter().map(|(name, _, _)| name.clone()).collect();
    (!columns.is_empty()).then_some(CostTable { columns, rows })
}

fn cost_columns(view: &View) -> Vec<Column> {
    let by_lane = |figure: &dyn Fn(&Lane) -> Option<f64>| view.lanes.iter().map(|lane| figure(lane)).collect();
    let some = |kib: u64| Some(kib as f64).filter(|kib| *kib > 0.0);
    let mut columns: Vec<Column> = vec![
        ("image".into(), numbers::size, by_lane(&|lane| some(lane.image_bytes))),
        (
            "memory, idle".into(),
            numbers::memory,
            by_lane(&|lane| view.median(&lane.name, |block| some(block.idle_kib))),
        ),
        (
            "memory, peak".into(),
            numbers::memory,
            by_lane(&|lane| view.median(&lane.name, |block| some(block.peak_kib))),
        ),
        (
            "one more replica".into(),
            numbers::memory,
            by_lane(&|lane| view.run.costs.get(&lane.name).and_then(|cost| cost.replica_kib)),
        ),
    ];
    // One measure of sockets and one of computing tell the CPU's story.
    let has = |name: &&str| view.run.measures.iter().any(|measure| measure.name == **name);
    let tiny = ["tiny-close", "tiny-keep-alive"].into_iter().find(|name| has(name));
    for measure in tiny.into_iter().chain(Some("compute-keep-alive").filter(has)) {
        let cpu = |lane: &Lane| Metric::Cpu.value(view.summary(measure, &lane.name)?).filter(|us| *us > 0.0);
        columns.push((format!("CPU per request, {measure}"), numbers::us, by_lane(&cpu)));
    }
    columns.retain(|(_, _, values)| values.iter().any(Option::is_some));
    columns
}

/// A table without bars.
#[derive(Serialize)]
pub(super) struct PlainTable {
    pub title: &'static str,
    columns: Vec<String>,
    rows: Vec<PlainRow>,
}

#[derive(Serialize)]
struct PlainRow {
    label: String,
    cells: Vec<PlainCell>,
}

#[derive(Serialize)]
struct PlainCell {
    value: String,
    ratio: Option<String>,
    invalid: bool,
}

/// A section of the other reports, for the page.
pub(super) fn table(view: &View, section: &Section) -> PlainTable {
    let cell = |cell: &super::sections::Cell| PlainCell {
        value: cell.value.clone(),
        ratio: cell.ratio.as_ref().map(Told::line).map(|line| line.replace(" x", " ×").replace('-', "–")),
        invalid: matches!(cell.ratio, Some(Told::Invalid)),
    };
    let row =
        |row: &super::sections::Row| PlainRow { label: row.label.clone(), cells: row.cells.iter().map(cell).collect() };
    PlainTable {
        title: section.kind.title(),
        columns: view.lanes.iter().map(|lane| lane.title.clone()).collect(),
        rows: section.rows.iter().map(row).collect(),
    }
}

/// A gate.
#[derive(Serialize)]
pub(super) struct GateView<'a> {
    name: &'a str,
    state: &'static str,
    detail: String,
    about: &'static str,
}

/// All gates; those that do not hold first.
pub(super) fn gates(run: &Run) -> Vec<GateView<'_>> {
    let mut gates: Vec<_> = run.gates.iter().collect();
    gates.sort_by_key(|gate| (gate.passed, !gate.decisive));
    let view = |gate: &&'_ crate::bench::run::Gate| match (gate.passed, gate.decisive) {
        (true, _) => "holds",
        (false, true) => "fails",
        (false, false) => "caution",
    };
    let about = |name: &str| match name {
        "mode" => "Was each server executed the way its lane claims?",
        "canary" => "Does the time of a computation confirm it?",
        "a/a" => "Is the control equal to itself?",
        "generator" => "Was the generator fast enough not to measure itself?",
        "pace" => "Did open loops send when they said?",
        "errors" => "Did all requests succeed?",
        "steal" => "Did the hypervisor leave the CPU to us?",
        "throttling" => "Did no server hit its CPU limit?",
        "samples" => "Were there enough requests for each percentile?",
        _ => "",
    };
    gates
        .iter()
        .map(|gate| GateView {
            name: &gate.name,
            state: view(gate),
            detail: words::typeset(&gate.detail),
            about: about(&gate.name),
        })
        .collect()
}

/// A line of the environment.
#[derive(Serialize)]
pub(super) struct Pair {
    key: String,
    value: String,
    code: bool,
}

/// What the run was made on.
pub(super) fn environment(run: &Run) -> Vec<Pair> {
    let environment = &run.environment;
    let pair = |key: &str, value: String| Pair { key: key.into(), value, code: false };
    let machine = match (environment.emulated, environment.virtualised) {
        (true, _) => "emulated, no KVM",
        (false, true) => "virtual",
        (false, false) => "physical",
    };
    let mut pairs = vec![
        pair("CPU", format!("{} × {}", environment.cpus, environment.cpu)),
        pair("machine", machine.into()),
        pair("memory", numbers::memory(environment.memory_mib as f64 * 1024.0)),
        pair("kernel", environment.kernel.clone()),
        pair("CPU time from", environment.accounting.clone()),
        pair("bound to CPUs", environment.pinning.clone()),
        pair("idle CPUs", environment.idle.clone()),
        pair(
            "place",
            match &run.place {
                PlaceKind::Local => "containers on this machine".into(),
                PlaceKind::Cluster { uid } => format!("cluster {uid}"),
            },
        ),
    ];
    pairs.extend(environment.versions.iter().map(|(name, version)| pair(name, version.clone())));
    let digest = |(name, digest): (&String, &String)| Pair { key: name.clone(), value: digest.clone(), code: true };
    pairs.extend(environment.digests.iter().map(digest));
    pairs.retain(|pair| !pair.value.is_empty());
    pairs
}

/// Tenths are enough for a width.
fn round(percent: f64) -> f64 {
    (percent.clamp(0.0, 100.0) * 10.0).round() / 10.0
}
