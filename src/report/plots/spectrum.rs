//! Latency by percentile, a line per lane, as far as the samples allow. The
//! axis is HdrHistogram's: equal steps for 50 %, 90 %, 99 %, 99.9 %.

use super::super::numbers;
use super::super::view::{View, short_title};
use super::super::words;
use super::canvas::{Canvas, Point};
use super::forest::Panel;
use super::look::{Look, looks};
use super::scale::{LogScale, spread};
use crate::bench;
use crate::bench::design::Measure;
use crate::bench::run::{Lane, Summary};
use anyhow::{Context, Result};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 272.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 304.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 246.0;
/// Points of a line.
const POINTS: u32 = 54;
/// Percentiles that the axis names.
const NAMED: [f64; 6] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9];

/// Percentile and milliseconds.
type Line = Vec<(f64, f64)>;

struct Curve<'a> {
    label: &'a str,
    twin: bool,
    look: Look,
    corrected: Line,
    uncorrected: Line,
}

/// The panel of one measure; none where no lane has enough samples.
pub(in crate::report) fn spectrum(view: &View, measure: &Measure) -> Result<Option<Panel>> {
    let curves = curves(view, measure)?;
    let lines = || curves.iter().flat_map(|curve| [&curve.corrected, &curve.uncorrected]).flatten();
    let furthest = lines().map(|(percentile, _)| *percentile).fold(0.0, f64::max);
    if furthest <= 50.0 {
        return Ok(None);
    }
    let fastest = lines().map(|(_, ms)| *ms).fold(f64::INFINITY, f64::min);
    let slowest = lines().map(|(_, ms)| *ms).fold(0.0, f64::max);
    let x = LogScale { values: (2.0, beyond(furthest)), pixels: (LEFT, RIGHT) };
    let y = LogScale { values: (fastest / 1.15, (slowest * 1.15).max(fastest * 2.0)), pixels: (BOTTOM, TOP) };
    let mut canvas = axes(&x, &y, furthest);
    let place = |line: &Line| -> Vec<Point> { line.iter().map(|(p, ms)| (x.at(beyond(*p)), y.at(*ms))).collect() };
    // The twin first, so that it lies below the others.
    for curve in curves.iter().filter(|curve| curve.twin).chain(curves.iter().filter(|curve| !curve.twin)) {
        let mut group = Canvas::group(curve.look.class);
        group.tip(curve.label);
        group.curve("stroke dashed", &place(&curve.uncorrected));
        group.curve("stroke", &place(&curve.corrected));
        canvas.add(group);
    }
    let ends: Vec<(&Curve, Point)> =
        curves.iter().filter_map(|curve| Some((curve, *place(&curve.corrected).last()?))).collect();
    let wanted: Vec<f64> = ends.iter().map(|(_, end)| end.1).collect();
    for ((curve, end), at) in ends.iter().zip(spread(&wanted, 14.0, TOP + 4.0, BOTTOM - 2.0)) {
        draw_label(&mut canvas, curve, *end, at);
    }
    Ok(Some(Panel {
        title: words::heading(measure),
        note: words::pace(measure),
        svg: canvas.picture("plot", WIDTH, HEIGHT, &spoken(measure, &curves)),
    }))
}

/// One of how many requests lies beyond the percentile: 99 % is 100.
fn beyond(percentile: f64) -> f64 {
    100.0 / (100.0 - percentile)
}

fn curves<'a>(view: &View<'a>, measure: &Measure) -> Result<Vec<Curve<'a>>> {
    let all: Vec<&Lane> = view.run.lanes.iter().collect();
    let mut found = Vec::new();
    for (lane, look) in view.run.lanes.iter().zip(looks(&view.run.lanes)) {
        let Some(summary) = view.summary(&measure.name, &lane.name) else { continue };
        let line = |text: &str| {
            line(text, reach(summary)).with_context(|| format!("draw measure {} of {}", measure.name, lane.name))
        };
        let twin = lane.twin_of.is_some();
        found.push(Curve {
            label: if twin { "A/A" } else { short_title(lane, &all) },
            twin,
            look,
            corrected: line(&summary.histogram_us_v2_base64)?,
            uncorrected: summary.uncorrected_us_v2_base64.as_deref().map(line).transpose()?.unwrap_or_default(),
        });
    }
    Ok(found)
}

/// The highest percentile for which the summary found enough samples.
fn reach(summary: &Summary) -> f64 {
    let known = [(summary.p999_ms, 99.9), (summary.p99_ms, 99.0), (summary.p90_ms, 90.0)];
    known.into_iter().find(|(value, _)| value.is_some()).map_or(0.0, |(_, percentile)| percentile)
}

fn line(base64: &str, reach: f64) -> Result<Line> {
    if base64.is_empty() || reach <= 50.0 {
        return Ok(Vec::new());
    }
    let histogram = bench::decode(base64)?;
    if histogram.is_empty() {
        return Ok(Vec::new());
    }
    let (first, last) = (2.0_f64.ln(), beyond(reach).ln());
    let point = |step: u32| {
        let share = f64::from(step) / f64::from(POINTS - 1);
        let percentile = 100.0 - 100.0 / (first + share * (last - first)).exp();
        (percentile, (histogram.value_at_quantile(percentile / 100.0) as f64).max(1.0) / 1e3)
    };
    Ok((0..POINTS).map(point).collect())
}

fn axes(x: &LogScale, y: &LogScale, furthest: f64) -> Canvas {
    let mut canvas = Canvas::group("");
    for ms in y.ticks(24.0) {
        canvas.line("grid", (LEFT, y.at(ms)), (RIGHT, y.at(ms)));
        canvas.text("small end", (LEFT - 6.0, y.at(ms) + 3.5), &numbers::tick_ms(ms));
    }
    for percentile in NAMED.into_iter().filter(|percentile| *percentile <= furthest + 1e-9) {
        let at = x.at(beyond(percentile));
        canvas.line("grid", (at, TOP), (at, BOTTOM));
        canvas.text("small mid", (at, BOTTOM + 15.0), &format!("p{percentile}"));
    }
    canvas
}

fn draw_label(canvas: &mut Canvas, curve: &Curve, end: Point, y: f64) {
    let mut group = Canvas::group(curve.look.class);
    let from = RIGHT + 14.0;
    group.line("leader", end, (from - 2.0, y));
    group.mark(curve.look.mark, (from + 4.0, y), 3.6);
    group.text(if curve.twin { "label faint" } else { "label" }, (from + 12.0, y + 3.8), curve.label);
    canvas.add(group);
}

/// The plot for those who do not see it.
fn spoken(measure: &Measure, curves: &[Curve]) -> String {
    let lane = |curve: &Curve| {
        let (first, last) = (curve.corrected.first()?, curve.corrected.last()?);
        let (p50, slow) = (numbers::short_ms(first.1), numbers::short_ms(last.1));
        Some(format!("{} {p50} at the median, {slow} at p{:.1}", curve.label, last.0))
    };
    let lanes: Vec<String> = curves.iter().filter_map(lane).collect();
    format!("Latency by percentile, {}: {}.", words::heading(measure), lanes.join("; "))
}
