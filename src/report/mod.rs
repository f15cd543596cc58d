//! Telling a run: on the terminal, as Markdown and as a page. All three take
//! their figures from `view` and their rows from `sections`, so that they
//! cannot disagree.

use anyhow::Result;

use crate::bench::history::Entry;
use crate::bench::judge::Judgement;
use crate::bench::run::Run;

mod html;
mod markdown;
mod numbers;
mod plots;
mod sections;
#[cfg(test)]
pub(crate) mod synthetic;
mod terminal;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use html::{html, trend};
pub use markdown::markdown;
pub use terminal::terminal;

/// The nights around a run, for its page.
#[derive(Debug, Clone, Copy)]
pub struct Nights<'a> {
    /// From the baseline to the run, oldest first.
    pub entries: &'a [Entry],
    /// The baseline's run.
    pub baseline: Option<&'a str>,
    /// What was said of the run.
    pub judgement: Option<&'a Judgement>,
}

impl<'a> Nights<'a> {
    /// The baseline's line.
    fn base(&self) -> Option<&'a Entry> {
        let id = self.baseline?;
        self.entries.iter().find(|entry| entry.run == id)
    }
}

/// What lies beside a run's document: extension and text.
pub fn beside(run: &Run) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![("html", html(run, None)?), ("md", markdown(run))])
}
