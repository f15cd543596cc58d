//! Telling a run: on the terminal, as Markdown and as a page. All three take
//! their figures from `view` and their rows from `sections`, so that they
//! cannot disagree.

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
