//! `provision pin`: asks the projects' hosts for the digests of a release and
//! writes them down, for `kubernetes.source = "release"`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use super::Session;
use crate::artifacts::go::go_arch;
use crate::artifacts::pins::{self, Pins};
use crate::http::{Client, Patience};
use crate::paths;
use crate::profile::compat;

/// Pin the official release of this profile's Kubernetes by its published digests.
#[derive(Debug, Args)]
pub struct Pin {
    /// Where to write [default: the profile's kubernetes.pins]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The architecture, in Go's words [default: this machine's]
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,
}

impl Pin {
    /// The list.
    pub fn run(&self, session: &Session) -> Result<()> {
        let profile = session.profile();
        let path = self.output.clone().unwrap_or_else(|| session.pins_file());
        let mut pins = Pins::read(&path)?;
        let version = &profile.kubernetes.version;
        let row =
            compat::table().kubernetes(version).context("this Kubernetes is not in the table of compatibility")?;
        let client = Client::new(&session.outside()?, Patience::default())?;
        let task = session.ui.task("pin", format!("Ask for the digests of Kubernetes {version}"));
        let arch = self.arch.as_deref().unwrap_or(go_arch());
        let asked = pins::ask(&client, &profile.mirrors, row, &profile.runtime.version, arch, &|text| task.say(text));
        let release = task.close(asked)?;
        let what = format!("{} files and {} images of Kubernetes {version}", release.files.len(), release.images.len());
        pins.put(release);
        paths::write_atomic(&path, pins.text()?.as_bytes(), 0o644)?;
        session.ui.note(&format!(
            "pinned {what} in {}: look through them, keep the file, and set kubernetes.source = \"release\"",
            path.display()
        ));
        Ok(())
    }
}
