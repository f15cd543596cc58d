//! The run on the terminal: the demo's five rows first, then what can be
//! trusted more, then the answer.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::sections::{self, Cell, Kind, Section, Told};
use super::view::View;
use super::words;
use crate::bench::run::Run;

/// Terminals have at least this many columns, we hope.
const WIDTH: usize = 100;

/// The run as text: a line of context, the table, the verdict and why. Every
/// line but the table's fits into 100 columns; the table does with up to six
/// lanes.
#[must_use]
pub fn terminal(run: &Run) -> String {
    let view = View::of(run);
    let mut text = vec![words::wrap(&words::context(&view), WIDTH, "  "), table(&view)];
    let verdict = &run.verdict;
    let mut say = |line: String, indent: &str| text.push(words::wrap(&line, WIDTH, indent));
    let invalid = if verdict.valid || verdict.sentence.starts_with("invalid") { "" } else { "invalid: " };
    say(format!("{invalid}{}", words::sentence(run)), "  ");
    for because in &verdict.because {
        say(format!("- {because}"), "  ");
    }
    if let Some(twin) = words::twin(&view) {
        say(twin, "     ");
    }
    for gate in words::open_gates(&view) {
        say(words::gate(run, gate), "  ");
    }
    for note in words::emulated(run).into_iter().chain(words::notes(&view)) {
        say(note, "  ");
    }
    // No escapes of the terminal's from a file.
    text.join("\n").replace(|c: char| c.is_control() && c != '\n', " ")
}

/// Ratios and titles are on one line where that fits.
fn table(view: &View) -> String {
    let sections = sections::all(view);
    let table = drawn(view, &sections, false);
    if widest(&table) > WIDTH { drawn(view, &sections, true) } else { table }
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn drawn(view: &View, sections: &[Section], narrow: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    let title = |title: &str| if narrow { plain(title).replacen(" (", "\n(", 1) } else { plain(title) };
    table.set_header(std::iter::once(String::new()).chain(view.lanes.iter().map(|lane| title(&lane.title))));
    for section in sections {
        let title = section.kind.title();
        let indent = if title.is_empty() { "" } else { "  " };
        if !title.is_empty() {
            table.add_row([title]);
        }
        for row in &section.rows {
            let ratios = section.kind == Kind::Rate && row.cells.iter().any(|cell| cell.ratio.is_some());
            let label = format!("{indent}{}{}", row.label, if ratios { beside(view, narrow) } else { String::new() });
            let cells = row.cells.iter().map(|cell| if ratios { with_ratio(cell, narrow) } else { cell.value.clone() });
            table.add_row(std::iter::once(label).chain(cells));
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// What stands beside a cell's ratio.
fn beside(view: &View, narrow: bool) -> String {
    let to = format!("\n    to {}", plain(view.control_title()));
    match view.any_interval().filter(|_| view.run.verdict.valid) {
        None => to,
        Some(interval) => {
            let level = super::numbers::percent(interval.level);
            if narrow { format!("{to}\n    {level}") } else { format!("{to}, {level}") }
        }
    }
}

fn with_ratio(cell: &Cell, narrow: bool) -> String {
    match &cell.ratio {
        Some(Told::Ratio(ratio, Some(range))) if narrow => format!("{}\n{ratio}\n({range})", cell.value),
        Some(told) => format!("{}\n{}", cell.value, told.line()),
        None => cell.value.clone(),
    }
}

/// On one line.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}
