//! Night by night against the baseline: a panel a figure, a line a Wasm lane.

use super::canvas::{Canvas, Point};
use super::forest::Panel;
use super::look::{Look, looks};
use super::scale::LogScale;
use crate::bench::history::{Entry, Figure, Series};
use crate::bench::judge::{Finding, MARGIN};
use crate::bench::run::Run;
use crate::report::Nights;
use crate::report::words;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 172.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 388.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 148.0;
/// Nights that are drawn.
const MOST: usize = 60;
/// The scale's ends where all is near 1, and the furthest it goes.
const NARROWEST: (f64, f64) = (0.92, 1.087);
const WIDEST: (f64, f64) = (0.4, 2.5);

struct Line<'a> {
    look: Look,
    title: &'a str,
    /// Index of the night, ratio to the baseline's, half of its 95 % interval as a factor.
    points: Vec<(usize, f64, f64)>,
    finding: Option<&'a Finding>,
}

/// All panels; none where there is no baseline or but one night.
pub(in crate::report) fn trend(run: &Run, nights: &Nights) -> Vec<Panel> {
    let Some(base) = nights.base() else { return Vec::new() };
    let entries = drawn(nights, base);
    let Some(now) = entries.last() else { return Vec::new() };
    if entries.len() < 2 {
        return Vec::new();
    }
    let mut kinds: Vec<(&str, Figure)> = Vec::new();
    for series in &now.series {
        let kind = (series.measure.as_str(), series.figure);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.sort_by_key(|(_, figure)| *figure);
    kinds.into_iter().filter_map(|(measure, figure)| panel(run, nights, base, &entries, measure, figure)).collect()
}

/// The newest nights since the baseline that may be held against it.
fn drawn<'a>(nights: &Nights<'a>, base: &Entry) -> Vec<&'a Entry> {
    // `up`'s first look at a new lab lies among them.
    let alike = |entry: &&Entry| entry.valid && entry.size == base.size && entry.machine == base.machine;
    let all: Vec<&Entry> = nights.entries.iter().filter(alike).collect();
    all[all.len().saturating_sub(MOST)..].to_vec()
}

fn panel(run: &Run, nights: &Nights, base: &Entry, entries: &[&Entry], measure: &str, figure: Figure) -> Option<Panel> {
    let find = |entry: &Entry, lane: &str| -> Option<Series> {
        let same = |series: &&Series| {
            (series.measure.as_str(), series.lane.as_str(), series.figure) == (measure, lane, figure)
        };
        entry.series.iter().find(same).cloned()
    };
    let mut lines = Vec::new();
    for (lane, look) in run.lanes.iter().zip(looks(&run.lanes)) {
        let Some(first) = find(base, &lane.name) else { continue };
        let points: Vec<(usize, f64, f64)> = entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| {
                let series = find(entry, &lane.name)?;
                Some((index, (series.log.at - first.log.at).exp(), (2.0 * series.log.error).exp()))
            })
            .collect();
        let finding = nights.judgement.and_then(|judgement| {
            let here = |finding: &&Finding| {
                (finding.measure.as_str(), finding.lane.as_str(), finding.figure)
                    == (measure, lane.name.as_str(), figure)
            };
            judgement.findings.iter().find(here)
        });
        if points.len() > 1 {
            lines.push(Line { look, title: &lane.title, points, finding });
        }
    }
    if lines.is_empty() {
        return None;
    }
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|(_, ratio, _)| *ratio));
    let low = values().fold(NARROWEST.0, f64::min).max(WIDEST.0) / 1.01;
    let high = values().fold(NARROWEST.1, f64::max).min(WIDEST.1) * 1.01;
    let y = LogScale { values: (low, high), pixels: (BOTTOM, TOP) };
    let step = (RIGHT - LEFT - 16.0) / (entries.len() - 1) as f64;
    let x = |index: usize| LEFT + 8.0 + step * index as f64;
    let mut canvas = Canvas::group("");
    canvas.rectangle("noise", (LEFT, y.at(1.0 + MARGIN)), (RIGHT, y.at(1.0 / (1.0 + MARGIN))));
    for tick in y.ratio_ticks(22.0) {
        canvas.line(if tick == 1.0 { "one" } else { "grid" }, (LEFT, y.at(tick)), (RIGHT, y.at(tick)));
        canvas.text("small end", (LEFT - 6.0, y.at(tick) + 3.5), &format!("{tick}"));
    }
    for line in &lines {
        draw(&mut canvas, line, entries, &x, &y);
    }
    canvas.text("small", (LEFT, BOTTOM + 16.0), &entries[0].run);
    canvas.text("small end", (RIGHT, BOTTOM + 16.0), &entries[entries.len() - 1].run);
    let heading =
        run.measures.iter().find(|known| known.name == measure).map_or_else(|| measure.into(), words::heading);
    let found = lines.iter().filter(|line| line.finding.is_some()).count();
    let spoken = format!("{heading}, {} by night against the baseline; {found} lanes have changed.", figure.title());
    Some(Panel {
        title: heading,
        note: match figure {
            Figure::Rate => "Requests per second: up is faster.".into(),
            Figure::Cpu => "CPU time per request: up costs more.".into(),
        },
        svg: canvas.picture("plot", WIDTH, HEIGHT, &spoken),
    })
}

fn draw(canvas: &mut Canvas, line: &Line, entries: &[&Entry], x: &impl Fn(usize) -> f64, y: &LogScale) {
    let mut group = Canvas::group(line.look.class);
    group.tip(line.title);
    if let Some(finding) = line.finding {
        let since = entries.iter().position(|entry| entry.run == finding.since);
        if let Some(since) = since {
            group.line("stroke dashed", (x(since), TOP), (x(since), BOTTOM));
        }
    }
    for (index, ratio, reach) in &line.points {
        group.line("leader", (x(*index), y.at(ratio / reach)), (x(*index), y.at(ratio * reach)));
    }
    let points: Vec<Point> = line.points.iter().map(|(index, ratio, _)| (x(*index), y.at(*ratio))).collect();
    group.curve("stroke", &points);
    let radius = if points.len() > 30 { 2.0 } else { 3.0 };
    for point in &points {
        group.mark(line.look.mark, *point, radius);
    }
    canvas.add(group);
}
