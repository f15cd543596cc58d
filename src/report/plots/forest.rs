//! Ratios with their intervals, one panel per metric, 1 as a line, the A/A twin
//! as a grey band: the noise.

use super::super::numbers;
use super::super::view::{Metric, View, is_open, short_title};
use super::super::words;
use super::canvas::Canvas;
use super::look::{Look, looks};
use super::scale::LogScale;
use crate::bench::design::Measure;
use crate::bench::run::Lane;
use crate::stats::Interval;

/// A plot with what stands above it.
pub(in crate::report) struct Panel {
    /// What is compared.
    pub title: String,
    /// What to know for reading it.
    pub note: String,
    /// The plot.
    pub svg: String,
}

/// Ratios outside are told by an arrow and their figures: a scale from 0.01 to
/// 1 would hide a difference of some percent.
const SCALE: (f64, f64) = (0.5, 2.0);
/// The scale's ends where all ratios are near 1.
const NARROWEST: (f64, f64) = (0.9, 1.11);

const WIDTH: f64 = 400.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 276.0;
const HEADING: f64 = 21.0;
const LINE: f64 = 17.0;
const GAP: f64 = 9.0;

struct Row<'a> {
    label: &'a str,
    twin: bool,
    look: Look,
    interval: &'a Interval,
}

struct Block<'a> {
    heading: String,
    rows: Vec<Row<'a>>,
}

/// The panel of one metric; none where no ratio has an interval.
pub(in crate::report) fn panel(view: &View, metric: Metric) -> Option<Panel> {
    let blocks = blocks(view, metric);
    if blocks.is_empty() {
        return None;
    }
    let (title, less, more) = match metric {
        Metric::Rate => ("Requests per second", "← fewer", "more →"),
        Metric::P50 => ("Median latency", "← faster", "slower →"),
        Metric::P99 => ("99th percentile", "← faster", "slower →"),
        Metric::Cpu => ("CPU time per request", "← less", "more →"),
    };
    let lines: usize = blocks.iter().map(|block| block.rows.len()).sum();
    let top = 18.0;
    let bottom = top + blocks.len() as f64 * (HEADING + GAP) + lines as f64 * LINE;
    let scale = LogScale { values: limits(&blocks), pixels: (LEFT + 8.0, RIGHT - 8.0) };
    let mut canvas = axis(&scale, top, bottom);
    let mut y = top;
    for block in &blocks {
        draw_block(&mut canvas, &scale, block, y);
        y += HEADING + GAP + LINE * block.rows.len() as f64;
    }
    canvas.text("small", (LEFT, bottom + 28.0), less);
    canvas.text("small end", (RIGHT, bottom + 28.0), more);
    Some(Panel {
        title: title.into(),
        note: match metric {
            Metric::Rate => "Closed loops: how much each lane can do.".into(),
            Metric::P50 | Metric::P99 if view.open().next().is_some() => {
                "Open loops: time from when a request was due.".into()
            }
            Metric::P50 | Metric::P99 => "Closed loops: time a user waits, queue included.".into(),
            Metric::Cpu => "What the server used, by the kernel's account.".into(),
        },
        svg: canvas.picture("plot", WIDTH, bottom + 34.0, &spoken(title, &blocks)),
    })
}

/// Rate is of closed loops, latency of open ones where there are any.
fn blocks<'a>(view: &View<'a>, metric: Metric) -> Vec<Block<'a>> {
    let any_open = view.open().next().is_some();
    let wanted = |measure: &&Measure| match metric {
        Metric::Rate => !is_open(measure),
        Metric::P50 | Metric::P99 => is_open(measure) == any_open,
        Metric::Cpu => true,
    };
    let all: Vec<&Lane> = view.run.lanes.iter().collect();
    let looks = looks(&view.run.lanes);
    let block = |measure: &Measure| {
        let row = |(lane, look): (&'a Lane, &Look)| {
            let interval = metric.interval(view.summary(&measure.name, &lane.name)?)?;
            let twin = lane.twin_of.is_some();
            let label = if twin { "A/A" } else { short_title(lane, &all) };
            Some(Row { label, twin, look: *look, interval })
        };
        let mut rows: Vec<Row> = view.run.lanes.iter().zip(&looks).filter_map(row).collect();
        rows.sort_by_key(|row| row.twin);
        (!rows.is_empty()).then(|| Block { heading: words::heading(measure), rows })
    };
    view.run.measures.iter().filter(wanted).filter_map(block).collect()
}

fn limits(blocks: &[Block]) -> (f64, f64) {
    let intervals = || blocks.iter().flat_map(|block| block.rows.iter().map(|row| row.interval));
    let low = intervals().map(|interval| interval.low).fold(NARROWEST.0, f64::min).max(SCALE.0);
    let high = intervals().map(|interval| interval.high).fold(NARROWEST.1, f64::max).min(SCALE.1);
    (low, high)
}

fn axis(scale: &LogScale, top: f64, bottom: f64) -> Canvas {
    let mut canvas = Canvas::group("");
    for tick in scale.ratio_ticks(27.0) {
        let x = scale.at(tick);
        canvas.line(if tick == 1.0 { "one" } else { "grid" }, (x, top - 3.0), (x, bottom));
        for y in [top - 8.0, bottom + 13.0] {
            canvas.text("small mid", (x, y), &format!("{tick}"));
        }
    }
    canvas
}

fn draw_block(canvas: &mut Canvas, scale: &LogScale, block: &Block, top: f64) {
    let first = top + HEADING;
    let height = LINE * block.rows.len() as f64;
    if let Some(twin) = block.rows.iter().find(|row| row.twin) {
        let (low, high) = (scale.at(twin.interval.low), scale.at(twin.interval.high));
        canvas.rectangle("noise", (low, first), (high.max(low + 1.0), first + height));
    }
    canvas.text("heading", (0.0, top + 14.0), &block.heading);
    for (index, row) in block.rows.iter().enumerate() {
        draw_row(canvas, scale, row, first + LINE * (index as f64 + 0.5));
    }
}

fn draw_row(canvas: &mut Canvas, scale: &LogScale, row: &Row, y: f64) {
    let interval = row.interval;
    let parts = numbers::parts(interval);
    let text = format!("{} ({}–{})", parts.estimate, parts.low, parts.high);
    let mut group = Canvas::group(row.look.class);
    group.tip(&format!("{}: {text}, {} rounds", row.label, interval.rounds));
    let (low, high) = scale.values;
    let middle = scale.at(interval.estimate);
    let inside = (low..=high).contains(&interval.estimate);
    // What is wholly outside is an arrow with a short tail.
    let tail = |out: f64| if inside { 0.0 } else { out * 12.0 };
    let from = if interval.low > high { middle - tail(1.0) } else { scale.at(interval.low) };
    let to = if interval.high < low { middle - tail(-1.0) } else { scale.at(interval.high) };
    group.line("stroke", (from, y), (to, y));
    for (beyond, end, out) in [(interval.low < low, scale.at(low), -1.0), (interval.high > high, scale.at(high), 1.0)] {
        if beyond {
            group.curve("stroke", &[(end - out, y - 4.0), (end + out * 5.0, y), (end - out, y + 4.0)]);
        }
    }
    if inside {
        group.mark(row.look.mark, (middle, y), 3.1);
    }
    let faint = if row.twin { " faint" } else { "" };
    group.mark(row.look.mark, (5.0, y), 3.6);
    group.text(&format!("label{faint}"), (14.0, y + 3.8), row.label);
    group.text(&format!("number end{faint}"), (WIDTH, y + 3.8), &text);
    canvas.add(group);
}

/// The plot for those who do not see it.
fn spoken(title: &str, blocks: &[Block]) -> String {
    let mut text = format!("{title}, ratios with intervals.");
    for block in blocks {
        let rows = block.rows.iter().map(|row| {
            let parts = numbers::parts(row.interval);
            format!("{} {} ({} to {})", row.label, parts.estimate, parts.low, parts.high)
        });
        text.push_str(&format!(" {}: {}.", block.heading, rows.collect::<Vec<_>>().join(", ")));
    }
    text
}
