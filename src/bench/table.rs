//! The table on the terminal: the demo's five rows first.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::BenchResult;
use super::loadgen::{Phase, Phases};
use crate::arms::{self, Mode};

type Row = (&'static str, fn(&Phases) -> &Phase);

/// The demo's rows, in its order.
const ROWS: [Row; 5] = [
    ("blocked", |phases| &phases.blocked),
    ("connecting", |phases| &phases.connecting),
    ("receiving", |phases| &phases.receiving),
    ("sending", |phases| &phases.sending),
    ("waiting", |phases| &phases.waiting),
];

/// A generator that waits for its servers for less than a tenth of the time
/// measures itself too.
const GENERATOR_BUSY: f64 = 0.9;

/// The result as text: a line of context, then p95 per phase, rate and errors.
#[must_use]
pub fn table(result: &BenchResult) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    let titles = result
        .arms
        .iter()
        .map(|arm| arms::find(&arm.arm).map_or_else(|_| arm.arm.clone(), |known| known.title().to_owned()));
    table.set_header(std::iter::once(String::new()).chain(titles));
    for (name, phase) in ROWS {
        let cells = result.arms.iter().map(|arm| format!("{:.2} ms", phase(&arm.load.phases).p95_ms));
        table.add_row(std::iter::once(format!("{name} p95")).chain(cells));
    }
    table.add_row(row("requests/s", result, |arm| format!("{:.0}", arm.load.requests_per_second)));
    table.add_row(row("requests", result, |arm| arm.load.requests.to_string()));
    table.add_row(row("errors", result, |arm| arm.load.errors.total().to_string()));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n{table}{}", context(result), comment(result))
}

fn row(name: &str, result: &BenchResult, cell: impl Fn(&super::ArmResult) -> String) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(result.arms.iter().map(cell)).collect()
}

fn context(result: &BenchResult) -> String {
    let settings = &result.settings;
    format!(
        "{} users in a closed loop for {} s per server, a connection per request, route {}{}",
        settings.users,
        settings.seconds,
        settings.path,
        if settings.shortened { " (shortened: emulated machine)" } else { "" }
    )
}

/// What the figures can and cannot say.
fn comment(result: &BenchResult) -> String {
    let rate = |mode: Mode| result.arms.iter().find(|arm| arm.mode == mode).map(|arm| arm.load.requests_per_second);
    let mut text = String::new();
    if let (Some(native), Some(aot), Some(interpreter)) = (rate(Mode::Native), rate(Mode::Aot), rate(Mode::Interpreter))
        && native > 0.0
    {
        text.push_str(&format!(
            "\ncompared with Rust: Wasm (AOT) {:.2} x, Wasm (interpreter) {:.2} x the requests per second",
            aot / native,
            interpreter / native
        ));
    }
    let busiest = result.arms.iter().map(|arm| arm.load.generator_busy).fold(0.0, f64::max);
    if busiest > GENERATOR_BUSY {
        text.push_str(&format!(
            "\nthe generator was busy {:.0} % of the time: it holds these rates down, those of the fastest arm most",
            busiest * 100.0
        ));
    }
    text.push_str("\nwaiting holds the queue in front of a single-threaded server: compare rates, not waits");
    if result.environment.emulated {
        text.push_str("\nemulated machine (no KVM): absolute times mean nothing, ratios little");
    }
    text
}
