//! The run as one page that needs nothing else: no network, no scripts. What
//! it says is here and in `parts`, how it looks in `templates/report`.

use anyhow::Result;
use serde::Serialize;

use super::plots::{self, Panel};
use super::view::{Metric, View, is_open};
use super::{Nights, markdown, numbers, sections, words};
use crate::bench::judge::{Judgement, Word};
use crate::bench::run::Run;
use crate::templates;

mod parts;

use parts::{CostTable, GateView, LaneView, Pair, PlainTable, StartRow};

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    lab: &'a str,
    id: &'a str,
    started: &'a str,
    context: String,
    valid: bool,
    emulated: bool,
    long: bool,
    sentence: String,
    because: Vec<String>,
    night: Option<NightView>,
    trend: Vec<PanelView>,
    checks: String,
    open_gates: Vec<String>,
    notes: Vec<String>,
    control: &'a str,
    level: Option<String>,
    lanes: Vec<LaneView<'a>>,
    rate: Vec<PanelView>,
    latency: Vec<PanelView>,
    cpu: Vec<PanelView>,
    twin: Option<String>,
    spectra: Vec<PanelView>,
    more_spectra: Vec<PanelView>,
    dashed: bool,
    start_parts: Vec<&'static str>,
    starts: Vec<StartRow<'a>>,
    costs: Option<CostTable<'a>>,
    phases: Option<PlainTable>,
    demo: Option<String>,
    gates: Vec<GateView<'a>>,
    environment: Vec<Pair>,
    method: Vec<String>,
    measures: Vec<MeasureView<'a>>,
    tables: Vec<PlainTable>,
    markdown: String,
}

#[derive(Serialize)]
struct PanelView {
    title: String,
    note: String,
    svg: String,
}

#[derive(Serialize)]
struct MeasureView<'a> {
    name: &'a str,
    route: String,
    load: String,
}

impl From<Panel> for PanelView {
    fn from(panel: Panel) -> Self {
        Self { title: panel.title, note: panel.note, svg: panel.svg }
    }
}

/// What was said of the run beside those before it.
#[derive(Serialize)]
struct NightView {
    word: &'static str,
    state: &'static str,
    line: String,
    findings: Vec<String>,
    notes: Vec<String>,
}

impl NightView {
    fn of(judgement: &Judgement) -> Self {
        let name = judgement.word.name();
        Self {
            word: name,
            state: match judgement.word {
                Word::Same | Word::Faster => "good",
                Word::Slower | Word::Drift | Word::Broken => "bad",
                Word::Environment | Word::New => "warn",
            },
            line: words::typeset(
                judgement.line.strip_prefix(name).unwrap_or(&judgement.line).trim_start_matches([':', ',', ' ']),
            ),
            findings: judgement.findings.iter().skip(1).map(|finding| words::typeset(&finding.to_string())).collect(),
            notes: judgement
                .notes
                .iter()
                .cloned()
                // A name stays as it is written, and does not begin a sentence.
                .chain(judgement.changed.iter().map(|change| format!("changed: {change}")))
                .map(|note| words::typeset(&note))
                .collect(),
        }
    }
}

/// Characters of a verdict that is set smaller.
const LONG: usize = 160;

/// The page as HTML, with the nights before it where they are known. Its link
/// to the raw data is `<id>.json` beside it.
///
/// # Errors
/// A histogram of the run that cannot be read.
pub fn html(run: &Run, nights: Option<&Nights>) -> Result<String> {
    let view = View::of(run);
    let spectra = |open: bool| -> Result<Vec<PanelView>> {
        let measures = run.measures.iter().filter(|measure| is_open(measure) == open);
        let panels = measures.map(|measure| plots::spectrum(&view, measure)).collect::<Result<Vec<_>>>()?;
        Ok(panels.into_iter().flatten().map(PanelView::from).collect())
    };
    let (mut spectra, mut more_spectra) = (spectra(true)?, spectra(false)?);
    let dashed = !spectra.is_empty();
    if spectra.is_empty() {
        std::mem::swap(&mut spectra, &mut more_spectra);
    }
    let panels = |metrics: &[Metric]| -> Vec<PanelView> {
        metrics.iter().filter_map(|metric| plots::panel(&view, *metric)).map(PanelView::from).collect()
    };
    let all = sections::all(&view);
    let (phases, others): (Vec<_>, Vec<_>) =
        all.iter().map(|section| parts::table(&view, section)).partition(|table| table.title.is_empty());
    let page = Page {
        style: include_str!("../../../templates/report/style.css"),
        lab: &run.lab,
        id: &run.id,
        started: &run.started,
        context: words::context(&view),
        valid: run.verdict.valid,
        emulated: run.environment.emulated,
        long: run.verdict.sentence.chars().count() > LONG,
        sentence: words::typeset(&words::sentence(run)),
        because: run.verdict.because.iter().map(|because| words::typeset(because)).collect(),
        night: nights.and_then(|nights| nights.judgement).map(NightView::of),
        trend: nights
            .map(|nights| plots::trend(run, nights))
            .unwrap_or_default()
            .into_iter()
            .map(PanelView::from)
            .collect(),
        checks: checks(run),
        open_gates: words::open_gates(&view).into_iter().map(|gate| words::typeset(&words::gate(run, gate))).collect(),
        notes: words::notes(&view),
        control: view.control_title(),
        level: view.any_interval().map(|interval| numbers::percent(interval.level)),
        lanes: parts::lanes(&view),
        rate: panels(&[Metric::Rate]),
        latency: panels(&[Metric::P50, Metric::P99]),
        cpu: panels(&[Metric::Cpu]),
        twin: words::twin(&view).map(|twin| words::typeset(&twin.replace('\u{a0}', " "))),
        spectra,
        more_spectra,
        dashed,
        start_parts: parts::start_parts(&view),
        starts: parts::starts(&view),
        costs: parts::costs(&view),
        phases: phases.into_iter().next(),
        demo: view.demo().map(words::load),
        gates: parts::gates(run),
        environment: parts::environment(run),
        method: words::method(&view),
        measures: run
            .measures
            .iter()
            .map(|measure| MeasureView {
                name: &measure.name,
                route: words::route(measure),
                load: words::load(measure),
            })
            .collect(),
        tables: others,
        markdown: markdown(run),
    };
    templates::render("report.html", include_str!("../../../templates/report/page.html.tera"), &page)
}

/// The trend by itself, as an SVG document; none without a baseline and a night
/// after it.
#[must_use]
pub fn trend(run: &Run, nights: &Nights) -> Option<String> {
    const ROOM: (f64, f64) = (440.0, 250.0);
    let panels = plots::trend(run, nights);
    let columns = panels.len().clamp(1, 3);
    let rows = panels.len().div_ceil(columns);
    let style = include_str!("../../../templates/report/style.css");
    let (width, height) = (ROOM.0 * columns as f64, ROOM.1 * rows as f64);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" style=\"background: var(--paper); font-family: sans-serif\" \
         viewBox=\"0 0 {width} {height}\">\n<style>{style}</style>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = ((index % columns) as f64 * ROOM.0 + 20.0, (index / columns) as f64 * ROOM.1 + 20.0);
        let (x, y) = (x.round(), y.round());
        let svg =
            panel.svg.replacen("<svg ", &format!("<svg x=\"{x}\" y=\"{}\" width=\"400\" height=\"172\" ", y + 44.0), 1);
        text.push_str(&format!(
            "<text class=\"heading\" x=\"{x}\" y=\"{}\">{}</text>\n<text class=\"small\" x=\"{x}\" y=\"{}\">{}</text>\n{svg}\n",
            y + 12.0,
            escape(&panel.title),
            y + 30.0,
            escape(&panel.note)
        ));
    }
    (!panels.is_empty()).then(|| text + "</svg>\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The gates in one line.
fn checks(run: &Run) -> String {
    let open = run.gates.iter().filter(|gate| !gate.passed).count();
    if open == 0 {
        format!("all {} checks hold", run.gates.len())
    } else {
        format!("{open} of {} checks {} not hold", run.gates.len(), if open == 1 { "does" } else { "do" })
    }
}
