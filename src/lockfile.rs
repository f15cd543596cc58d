//! The lock: exactly what a lab was built from, in a file beside its profile,
//! so that another day or another machine builds the same or says that it
//! does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::artifacts::contents::{Contents, Names};
use crate::artifacts::digest;
use crate::paths;

/// The version of the format.
const VERSION: u32 = 1;
const HEAD: &str = "# What this lab is built from: written by `provision lock`, compared by `provision up`.\n\
    # Keep it beside the profile, under version control. Change it by: provision lock --update\n\n";
/// How many lines of a difference an error shows.
const SHOWN: usize = 24;

/// The lock's file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    tools: Names,
    images: Names,
    programs: BTreeMap<String, Names>,
    packages: BTreeMap<String, Names>,
    modules: BTreeMap<String, Names>,
    crates: BTreeMap<String, Names>,
    /// Digests of what is never built twice alike: told, not compared.
    this_build: Names,
}

impl Lock {
    /// Of what was built.
    #[must_use]
    pub fn of(contents: Contents) -> Self {
        let Contents { tools, images, programs, packages, modules, crates, node_box } = contents;
        Self { version: VERSION, tools, images, programs, packages, modules, crates, this_build: node_box }
    }

    /// Reads a lock; `None` if there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        match path.try_exists() {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(error).with_context(|| format!("look for {}", path.display())),
        }
        Self::parse(&paths::read(path)?)
            .with_context(|| format!("read the lock {}\n  write it anew: provision lock --update", path.display()))
            .map(Some)
    }

    /// Parses a lock's text.
    pub fn parse(text: &str) -> Result<Self> {
        let lock: Self = toml::from_str(text)?;
        if lock.version != VERSION {
            bail!("it has version {}, this program knows {VERSION}", lock.version);
        }
        Ok(lock)
    }

    /// The text of its file; the same for the same content.
    pub fn text(&self) -> Result<String> {
        Ok(format!("{HEAD}{}", toml::to_string_pretty(self).context("write the lock as TOML")?))
    }

    /// What two builds of the same have in common.
    fn compared(&self) -> Self {
        Self { this_build: Names::new(), ..self.clone() }
    }

    /// Hex SHA-256 of all that is compared.
    pub fn hash(&self) -> Result<String> {
        Ok(digest::of_bytes(self.compared().text()?.as_bytes()))
    }

    /// What differs, as a unified diff from this lock to `built`; empty if
    /// nothing does.
    pub fn diff(&self, built: &Self) -> Result<String> {
        let (locked, built) = (self.compared().text()?, built.compared().text()?);
        let diff = TextDiff::from_lines(&locked, &built);
        Ok(diff.unified_diff().context_radius(1).header("locked", "built").to_string())
    }

    /// An error that shows how `built` differs from the lock at `path`.
    pub fn must_match(&self, built: &Self, path: &Path) -> Result<()> {
        let diff = self.diff(built)?;
        if diff.is_empty() {
            return Ok(());
        }
        let lines: Vec<&str> = diff.lines().collect();
        let more = lines.len().saturating_sub(SHOWN);
        let mut shown: String = lines.iter().take(SHOWN).map(|line| format!("\n  {line}")).collect();
        if more > 0 {
            shown.push_str(&format!("\n  … and {more} lines more"));
        }
        bail!(
            "what was built is not what {} says:{shown}\n  take it over: provision lock --update   go on in spite of it: provision up --unlocked",
            path.display()
        )
    }

    /// Writes it.
    pub fn write(&self, path: &Path) -> Result<()> {
        paths::write_atomic(path, self.text()?.as_bytes(), 0o644)
    }
}

/// Where the lock of a profile is: beside it, by its name, since both belong
/// under version control together and a folder may hold several profiles. The
/// built-in profile has no file: its lock is beside the lab's folder, which
/// `down` removes.
#[must_use]
pub fn path(profile: Option<&Path>, lab: &Path) -> PathBuf {
    profile.unwrap_or(lab).with_extension("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(version: &str) -> Lock {
        let names = |pairs: &[(&str, &str)]| -> Names {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Lock::of(Contents {
            tools: names(&[("rustc", "1.85")]),
            images: names(&[("a.b/c:v1", "sha256:1")]),
            packages: [("node-root".to_owned(), names(&[("crun", version), ("runc", "1")]))].into(),
            node_box: names(&[("disk.qcow2", version)]),
            ..Contents::default()
        })
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.lock");
        assert_eq!(Lock::read(&path).unwrap(), None);
        lock("1.0").write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), Some(lock("1.0")));
        insta::assert_snapshot!(paths::read(&path).unwrap());
    }

    #[test]
    fn a_difference_is_shown_and_the_box_is_none() {
        let path = Path::new("p.lock");
        lock("1.0").must_match(&lock("1.0"), path).unwrap();
        let error = lock("1.0").must_match(&lock("1.1"), path).unwrap_err().to_string();
        assert!(error.contains("\n  -crun = \"1.0\"\n  +crun = \"1.1\""), "{error}");
        assert!(!error.contains("disk.qcow2") && error.ends_with("provision up --unlocked"), "{error}");
        assert_ne!(lock("1.0").hash().unwrap(), lock("1.1").hash().unwrap());
        let same = Lock { this_build: Names::new(), ..lock("1.0") };
        assert_eq!(lock("1.0").hash().unwrap(), same.hash().unwrap());
    }

    #[test]
    fn what_is_no_lock_is_an_error() {
        for text in ["", "version = 2", "version = \"1\"", "\u{0}", "version = 1\nmore = 1"] {
            assert!(Lock::parse(text).is_err(), "{text}");
        }
        let newer = lock("1").text().unwrap().replace("version = 1\n", "version = 7\n");
        assert!(Lock::parse(&newer).unwrap_err().to_string().contains("version 7"));
    }

    #[test]
    fn each_profile_has_a_lock_of_its_own() {
        assert_eq!(path(Some(Path::new("a/mine.toml")), Path::new("/s/lab")), Path::new("a/mine.lock"));
        assert_eq!(path(None, Path::new("/s/lab")), Path::new("/s/lab.lock"));
    }
}
