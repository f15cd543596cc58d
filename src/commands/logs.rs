//! `provision logs`: which logs there are, and what is in them.

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::Session;

/// List the lab's logs, or print one.
#[derive(Debug, Args)]
pub struct Logs {
    /// A log's name, as the list shows it (`vagrant`, `console/node1`, a step's name…)
    name: Option<String>,
}

impl Logs {
    /// Lists or prints.
    pub fn run(&self, session: &Session) -> Result<()> {
        let lab = &session.lab;
        lab.must_exist()?;
        let mut out = std::io::stdout().lock();
        let mut names = Vec::new();
        for (prefix, dir) in [("", "logs"), ("console/", "console")] {
            let dir = lab.dir().join(dir);
            if !dir.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
                let path = entry.with_context(|| format!("list {}", dir.display()))?.path();
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                names.push((format!("{prefix}{stem}"), path.clone()));
            }
        }
        names.sort();
        let Some(wanted) = &self.name else {
            for (name, path) in names {
                writeln!(out, "{name:24} {}", path.display()).context("print")?;
            }
            return Ok(());
        };
        let Some((_, path)) = names.iter().find(|(name, _)| name == wanted) else {
            let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
            bail!("lab `{}` has no log `{wanted}`; it has: {}", lab.name(), names.join(", "));
        };
        let mut file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
        std::io::copy(&mut file, &mut out).map(drop).with_context(|| format!("print {}", path.display()))
    }
}
