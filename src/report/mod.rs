//! Telling a run: on the terminal, as Markdown and as a page. All three take
//! their figures from `view` and their rows from `sections`, so that they
//! cannot disagree.

use anyhow::Result;

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

pub use html::html;
pub use markdown::markdown;
pub use terminal::terminal;

/// What lies beside a run's document: extension and text.
pub fn beside(run: &Run) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![("html", html(run)?), ("md", markdown(run))])
}
