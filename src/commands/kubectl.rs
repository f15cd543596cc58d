//! `provision kubectl`: the lab's own kubectl, by the way that leads to its API.

use anyhow::{Result, bail};
use clap::Args;

use super::Session;

/// Run the lab's own kubectl, through its jump host if one is between.
#[derive(Debug, Args)]
pub struct Kubectl {
    /// What kubectl is given, such as: get pods -A
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

impl Kubectl {
    /// Runs it on this terminal and returns its exit code.
    pub fn run(&self, session: &Session) -> Result<i32> {
        session.lab.must_have_cluster()?;
        let Some(made) = session.artifacts()?.made()? else {
            bail!("kubectl is not in the cache any more\n  make it again: provision up");
        };
        session.kubectl(&made).interactive(&self.arguments)
    }
}
