//! `provision verdict`: the newest run against the last good one.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;

use super::Session;
use super::report::store_of;
use crate::bench::history::{self, Entry};
use crate::bench::judge::{Judgement, judge};
use crate::bench::store::{self, Store};

/// Judge a run by the last good one: same, faster, slower, drift, environment, broken.
#[derive(Debug, Args)]
pub struct Verdict {
    /// A run's id or its beginning
    #[arg(default_value = "newest")]
    run: String,
    /// Look among the runs made on this host, without a lab
    #[arg(long)]
    local: bool,
}

impl Verdict {
    /// Judges, prints, and returns the verdict's exit code.
    pub fn run(&self, session: &Session) -> Result<i32> {
        let store = store_of(session, self.local);
        let judged = Judged::of(session, &store, store::id(&store.find(&self.run)?))?;
        let text = if session.ui.is_json() {
            format!("{}\n", serde_json::to_string_pretty(&judged.judgement).context("write the verdict as JSON")?)
        } else {
            plain(&judged.judgement)
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the verdict")?;
        Ok(judged.judgement.word.exit_code())
    }
}

/// A verdict with the nights that it comes from.
pub(super) struct Judged {
    /// The verdict.
    pub judgement: Judgement,
    /// From the baseline to the run.
    pub entries: Vec<Entry>,
}

impl Judged {
    /// Judges the run `run` by the baseline of `store`.
    pub fn of(session: &Session, store: &Store, run: &str) -> Result<Self> {
        let history = history::read(store)?;
        for reason in &history.unreadable {
            session.ui.warn(reason);
        }
        let baseline = store.baseline()?;
        let judgement = judge(&history.entries, baseline.as_deref(), run)?;
        let from = baseline.unwrap_or_else(|| run.to_owned());
        let mut entries = history.entries;
        entries.retain(|entry| (from.as_str()..=run).contains(&entry.run.as_str()));
        Ok(Self { judgement, entries })
    }
}

/// What else was found, and the line last, where a morning's eye falls.
pub(super) fn plain_last(judgement: &Judgement) -> String {
    let text = plain(judgement);
    let (line, more) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{more}{line}\n")
}

/// The line, and what else was found.
pub(super) fn plain(judgement: &Judgement) -> String {
    let mut text = format!("{}\n", judgement.line);
    for finding in judgement.findings.iter().skip(1) {
        text.push_str(&format!("  {finding}\n"));
    }
    for note in &judgement.notes {
        text.push_str(&format!("  {note}\n"));
    }
    text
}
