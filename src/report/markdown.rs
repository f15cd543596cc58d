//! The run as Markdown: the demo's table first, then one per kind of figure.

use super::sections::{self, Cell, Kind, Section};
use super::view::View;
use super::words;
use crate::bench::run::Run;

/// The run as Markdown that GitHub renders: the verdict, the tables, the gates
/// that do not hold.
#[must_use]
pub fn markdown(run: &Run) -> String {
    let view = View::of(run);
    let mut parts = vec![verdict(run)];
    parts.extend(sections::all(&view).iter().map(|section| table(&view, section)));
    let twin = words::twin(&view).into_iter();
    let gates = words::open_gates(&view).into_iter().map(|gate| words::gate(run, gate));
    let notes = words::emulated(run).into_iter().chain(words::notes(&view));
    let remarks: Vec<String> = twin.chain(gates).chain(notes).map(|line| format!("- {}", escaped(&line))).collect();
    if !remarks.is_empty() {
        parts.push(remarks.join("\n"));
    }
    parts.push(format!("{}; id {}", escaped(&words::context(&view)), escaped(&run.id)));
    parts.join("\n\n") + "\n"
}

fn verdict(run: &Run) -> String {
    let verdict = &run.verdict;
    let sentence = escaped(&words::sentence(run));
    let heading = if verdict.valid { format!("**{sentence}**") } else { format!("**INVALID, no answer:** {sentence}") };
    let because = verdict.because.iter().map(|because| format!("- {}", escaped(because)));
    let because: Vec<String> = because.collect();
    if because.is_empty() { heading } else { format!("{heading}\n\n{}", because.join("\n")) }
}

/// One table: a column per lane, figures to the right.
pub(super) fn table(view: &View, section: &Section) -> String {
    let line = |label: &str, cells: Vec<String>| format!("| {label} | {} |", cells.join(" | "));
    let mut lines = vec![
        line(section.kind.title(), view.lanes.iter().map(|lane| escaped(&lane.title)).collect()),
        format!("|---|{}", "---:|".repeat(view.lanes.len())),
    ];
    let ratios = !matches!(section.kind, Kind::Phases | Kind::Cost);
    let cell = |cell: &Cell| match &cell.ratio {
        Some(told) if ratios => format!("{}; {}", cell.value, told.line()),
        _ => cell.value.clone(),
    };
    lines.extend(section.rows.iter().map(|row| line(&escaped(&row.label), row.cells.iter().map(cell).collect())));
    lines.join("\n")
}

/// Names and messages as they are, whatever Markdown or HTML is in them.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '|' | '*' | '[' | '`' => safe.extend(['\\', character]),
            c if c.is_control() || c == '\u{a0}' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_becomes_markup() {
        assert_eq!(escaped("a|b <img>\n*c* [d](e) `f`"), r"a\|b &lt;img> \*c\* \[d](e) \`f\`");
    }
}
