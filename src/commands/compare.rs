//! `provision compare`: one run of the benchmark against another.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use super::Session;
use super::report::store_of;
use crate::bench::compare::{Line, compare};
use crate::bench::store;

/// Compare two runs: how the arms' ratios to native have changed.
#[derive(Debug, Args)]
pub struct Compare {
    /// The older run: an id or its beginning, or a result's file
    older: String,
    /// The newer run
    #[arg(default_value = "newest")]
    newer: String,
    /// Look among the runs made on this host, without a lab
    #[arg(long)]
    local: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    /// `provision.compare/1`.
    format: &'static str,
    older: &'a str,
    newer: &'a str,
    lines: &'a [Line],
}

impl Compare {
    /// Reads both and prints what changed.
    pub fn run(&self, session: &Session) -> Result<()> {
        let store = store_of(session, self.local);
        let (older, newer) = (store::load(&store.find(&self.older)?)?, store::load(&store.find(&self.newer)?)?);
        let lines = compare(&older, &newer)?;
        let text = if session.ui.is_json() {
            let report = Report { format: "provision.compare/1", older: &older.id, newer: &newer.id, lines: &lines };
            format!("{}\n", serde_json::to_string_pretty(&report).context("write the comparison as JSON")?)
        } else {
            plain(&older.id, &newer.id, &lines)
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the comparison")
    }
}

fn plain(older: &str, newer: &str, lines: &[Line]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["measure", "arm", "figure", "newer / older", "95 % interval", ""]);
    for line in lines {
        let change = &line.change;
        let sure = if change.contains(1.0) { "" } else { "changed" };
        table.add_row([
            line.measure.clone(),
            line.lane.clone(),
            line.figure.to_owned(),
            format!("{:.3} x", change.estimate),
            format!("{:.3}-{:.3}", change.low, change.high),
            sure.to_owned(),
        ]);
    }
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let changed = lines.iter().filter(|line| !line.change.contains(1.0)).count();
    // One interval in twenty excludes 1 by chance.
    format!(
        "{older} -> {newer}: each arm's ratio to native, newer over older\n{table}\n{changed} of {} figures changed; of \
         so many, about {:.0} would seem to by chance\n",
        lines.len(),
        lines.len() as f64 * 0.05
    )
}
