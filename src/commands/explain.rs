//! `provision explain`: the last failure's story, told from the events.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;

use super::Session;
use crate::failure::story::{self, Story};

/// Tell the story of the last failure: which steps, how long, why, what next.
#[derive(Debug, Args)]
pub struct Explain {}

impl Explain {
    /// Reads events, prints the story; with `--json` as a document.
    pub fn run(&self, session: &Session) -> Result<()> {
        let story = Story::of(&session.lab)?;
        let text = match &story {
            _ if session.ui.is_json() => {
                format!("{}\n", serde_json::to_string_pretty(&story).context("write JSON")?)
            }
            None => {
                format!("lab `{}` has no failure on record ({})\n", session.lab.name(), session.lab.events().display())
            }
            Some(story) => story::to_text(story),
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the story")
    }
}
