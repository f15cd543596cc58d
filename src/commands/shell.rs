//! `provision completions` and `provision man`: what a shell and `man` know of
//! the command line, written from the command line's own definition.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use clap_complete::Shell;

use crate::paths;

/// Print completions for a shell.
///
/// For bash: provision completions bash > ~/.local/share/bash-completion/completions/provision
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub fn run(&self, mut command: clap::Command) {
        clap_complete::generate(self.shell, &mut command, "provision", &mut std::io::stdout());
    }
}

/// Write the man pages.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write them to, such as ~/.local/share/man/man1
    dir: PathBuf,
}

impl Man {
    /// Writes a page for the program and one for each subcommand.
    pub fn run(&self, command: clap::Command) -> Result<()> {
        paths::create_dir(&self.dir)?;
        clap_mangen::generate_to(command, &self.dir)
            .with_context(|| format!("write the man pages to {}", self.dir.display()))
    }
}
