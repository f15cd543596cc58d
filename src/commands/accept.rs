//! `provision accept`: a run is good from now on. Nothing else moves the baseline.

use anyhow::{Result, bail};
use clap::Args;

use super::Session;
use super::report::store_of;
use crate::bench::history::Entry;
use crate::bench::store;

/// Hold a run as good: later ones are judged by it.
#[derive(Debug, Args)]
pub struct Accept {
    /// A run's id or its beginning, or `newest`
    run: String,
    /// Look among the runs made on this host, without a lab
    #[arg(long)]
    local: bool,
}

impl Accept {
    /// Checks the run and writes its name down.
    pub fn run(&self, session: &Session) -> Result<()> {
        let store = store_of(session, self.local);
        let path = store.find(&self.run)?;
        if !store.list()?.contains(&path) {
            bail!("{} is no run of this lab\n  list them: provision history", path.display());
        }
        let run = store::load(&path)?;
        if !run.verdict.valid {
            bail!("{} cannot be held as good: {}", run.id, run.verdict.sentence);
        }
        if Entry::of(&run).series.is_empty() {
            bail!(
                "{} has too few rounds to judge others by\n  make one that has not: provision bench --size standard",
                run.id
            );
        }
        let before = store.baseline()?;
        store.accept(store::id(&path))?;
        let instead = before.filter(|old| *old != run.id).map(|old| format!(", instead of {old}")).unwrap_or_default();
        session.ui.note(&format!("{} is held as good from now on{instead}", run.id));
        Ok(())
    }
}
