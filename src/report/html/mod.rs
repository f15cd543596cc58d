//! The run as one page that needs nothing else: no network, no scripts. What
//! it says is here and in `parts`, how it looks in `templates/report`.

use anyhow::Result;
use serde::Serialize;

use super::plots::{self, Panel};
use super::view::{Metric, View, is_open};
use super::{markdown, numbers, sections, words};
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

/// Characters of a verdict that is set smaller.
const LONG: usize = 160;

/// The page as HTML. Its link to the raw data is `<id>.json` beside it.
///
/// # Errors
/// A histogram of the run that cannot be read.
pub fn html(run: &Run) -> Result<String> {
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

/// The gates in one line.
fn checks(run: &Run) -> String {
    let open = run.gates.iter().filter(|gate| !gate.passed).count();
    if open == 0 {
        format!("all {} checks hold", run.gates.len())
    } else {
        format!("{open} of {} checks {} not hold", run.gates.len(), if open == 1 { "does" } else { "do" })
    }
}
