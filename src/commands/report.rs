//! `provision report`: a run of the benchmark, shown again.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::Session;
use super::verdict::Judged;
use crate::bench::run::Run;
use crate::bench::store::{self, Store};
use crate::report::Nights;
use crate::{paths, report};

/// Show a run of the benchmark again.
#[derive(Debug, Args)]
pub struct Report {
    /// A run's id or its beginning, `newest`, or a result's file
    #[arg(default_value = "newest")]
    run: String,
    /// Look among the runs made on this host, without a lab
    #[arg(long)]
    local: bool,
    /// How to show it
    #[arg(long, value_enum, default_value = "terminal", value_name = "FORM")]
    form: Form,
    /// Write it to a file instead of printing it
    #[arg(long, short, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
}

/// The shapes of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table for this terminal
    Terminal,
    /// Markdown
    Markdown,
    /// One page that needs no network
    Html,
    /// The document itself
    Json,
}

impl Report {
    /// Reads the run and shows it.
    pub fn run(&self, session: &Session) -> Result<()> {
        let store = store_of(session, self.local);
        let path = store.find(&self.run)?;
        let run = store::load(&path)?;
        let form = if session.ui.is_json() { Form::Json } else { self.form };
        let text = match form {
            Form::Terminal => {
                format!("{}\nreport: {}\n", report::terminal(&run), path.with_extension("html").display())
            }
            Form::Markdown => report::markdown(&run),
            Form::Html => html(session, &store, &run, &path)?,
            Form::Json => paths::read(&path)?,
        };
        match &self.output {
            Some(file) => paths::write_atomic(file, text.as_bytes(), 0o644),
            None => std::io::stdout().write_all(text.as_bytes()).context("print the report"),
        }
    }
}

/// The page, with the nights before the run where it is one of the store's.
fn html(session: &Session, store: &Store, run: &Run, path: &Path) -> Result<String> {
    let (known, id) = (store.list()?.iter().any(|known| known == path), store::id(path));
    // Without a baseline before it there is nothing to say of a night.
    let Some(baseline) = store.baseline()?.filter(|baseline| known && baseline.as_str() <= id) else {
        return report::html(run, None);
    };
    let judged = Judged::of(session, store, id)?;
    let nights = Nights { entries: &judged.entries, baseline: Some(&baseline), judgement: Some(&judged.judgement) };
    report::html(run, Some(&nights))
}

/// The runs of the lab, or those made on this host.
pub(super) fn store_of(session: &Session, local: bool) -> Store {
    Store::at(if local { session.lab.local_results() } else { session.lab.results() })
}
