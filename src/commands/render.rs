//! `provision render`: the Vagrantfile and the nodes' files, to read or to keep.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::Session;

/// Write the Vagrantfile and the nodes' files.
#[derive(Debug, Args)]
pub struct Render {
    /// Folder to write to [default: the lab's folder]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Render {
    /// Renders and says where.
    pub fn run(&self, session: &Session) -> Result<()> {
        let _lock = match &self.output {
            None => Some(session.lock()?),
            Some(_) => None,
        };
        let dir = self.output.clone().unwrap_or_else(|| session.lab.dir().to_owned());
        session.render_to(&dir, session.acceleration()?.emulated)?;
        let written = ["Vagrantfile", "node"].map(|name| dir.join(name)).into_iter().filter(|path| path.exists());
        let written: Vec<String> = written.map(|path| path.display().to_string()).collect();
        session.ui.note(&format!("wrote {}", written.join(" and ")));
        Ok(())
    }
}
