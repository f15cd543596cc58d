//! `provision bundle`: everything that the lab is started from in one file, for
//! a host without a network.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::Session;
use crate::artifacts::bundle::{self, Inventory};
use crate::ui;

/// Pack everything that this profile's lab is started from into one file.
#[derive(Debug, Args)]
pub struct Bundle {
    /// The file to write; elsewhere: provision up --bundle FILE
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Bundle {
    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        let set = session.artifacts()?;
        set.ensure(&session.ui)?;
        let entries = set.entries()?;
        let contents = Inventory::of(&session.profile().kubernetes.version, &entries, set.contents().ok());
        let task = session.ui.task("bundle", format!("Write {}", self.file.display()));
        match bundle::write(&contents, &entries, &self.file, &|text| task.say(text)) {
            Ok(bytes) => task.done(&ui::size(bytes)),
            Err(error) => {
                task.fail(&error);
                return Err(error);
            }
        }
        session.ui.note(&format!(
            "the other host needs this program, Vagrant with its provider, and: provision up --bundle {}",
            self.file.display()
        ));
        Ok(())
    }
}
