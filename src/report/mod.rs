//! A run, told: on the terminal, as Markdown, as one HTML page.

use anyhow::Result;

use crate::bench::run::Run;

/// For the terminal.
#[must_use]
pub fn terminal(run: &Run) -> String {
    run.verdict.sentence.clone()
}

/// As Markdown.
#[must_use]
pub fn markdown(run: &Run) -> String {
    run.verdict.sentence.clone()
}

/// As one page that needs no network.
pub fn html(run: &Run) -> Result<String> {
    Ok(run.verdict.sentence.clone())
}

/// What lies beside a run's document: extension and text.
pub fn beside(run: &Run) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![("html", html(run)?), ("md", markdown(run))])
}
