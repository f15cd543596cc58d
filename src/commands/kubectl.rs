//! `provision kubectl`: the lab's own kubectl, by the way that leads to its API.

use anyhow::Result;
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
        session.kubectl(&session.made_with_kubectl()?).interactive(&self.arguments)
    }
}
