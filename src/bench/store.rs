//! Runs on disk: one JSON document a run, with its report beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::run::{FORMAT, Run};
use crate::paths;

/// A folder of runs.
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The runs in `dir`, which need not exist.
    #[must_use]
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The run that is held as good: what later ones are judged against.
    pub fn baseline(&self) -> Result<Option<String>> {
        let path = self.baseline_file();
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(paths::read(&path)?.trim().to_owned()).filter(|id| !id.is_empty()))
    }

    /// Holds a run as good from now on.
    pub fn accept(&self, id: &str) -> Result<()> {
        paths::write_atomic(&self.baseline_file(), format!("{id}\n").as_bytes(), 0o644)
    }

    fn baseline_file(&self) -> PathBuf {
        self.dir.join("baseline")
    }

    /// Removes the oldest documents with what lies beside them until `keep` are
    /// left; the baseline stays and does not count. Returns the removed ids.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>> {
        let baseline = self.baseline()?;
        let mut all = self.list()?;
        all.retain(|path| Some(id(path)) != baseline.as_deref());
        let mut removed = Vec::new();
        for path in all.iter().take(all.len().saturating_sub(keep)) {
            // The document last: what is listed is complete.
            for extension in ["html", "md", "json"] {
                paths::remove_file(&path.with_extension(extension))?;
            }
            removed.push(id(path).to_owned());
        }
        Ok(removed)
    }

    /// Writes the document and what else is to lie beside it (extension and
    /// text), each whole or not at all; the document last, so that what is
    /// listed is complete.
    pub fn save(&self, run: &Run, beside: &[(&str, String)]) -> Result<PathBuf> {
        let path = self.path(run);
        for (extension, text) in beside {
            paths::write_atomic(&path.with_extension(extension), text.as_bytes(), 0o644)?;
        }
        let json = serde_json::to_vec(run).context("write the run as JSON")?;
        paths::write_atomic(&path, &json, 0o644)?;
        Ok(path)
    }

    /// Where a run's document is, or will be.
    #[must_use]
    pub fn path(&self, run: &Run) -> PathBuf {
        self.dir.join(format!("{}.json", run.id))
    }

    /// The documents, oldest first.
    pub fn list(&self) -> Result<Vec<PathBuf>> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).with_context(|| format!("list {}", self.dir.display()))? {
            let path = entry.with_context(|| format!("list {}", self.dir.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
        // Names begin with the UTC time.
        found.sort();
        Ok(found)
    }

    /// The document that `name` names: a file, a run's id or the beginning of
    /// one, or `newest`.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        if name.ends_with(".json") || name.contains('/') {
            return Ok(PathBuf::from(name));
        }
        let all = self.list()?;
        let none = || format!("there is no run in {}\n  make one: provision bench", self.dir.display());
        if name == "newest" {
            return all.last().cloned().with_context(none);
        }
        let matching: Vec<&PathBuf> = all.iter().filter(|path| id(path).starts_with(name)).collect();
        match matching.as_slice() {
            [one] => Ok((*one).clone()),
            [] if all.is_empty() => bail!(none()),
            [] => bail!("there is no run `{name}` in {}\n  list them: provision history", self.dir.display()),
            several => {
                let ids: Vec<&str> = several.iter().map(|path| id(path)).collect();
                bail!("`{name}` may be any of {}", ids.join(", "))
            }
        }
    }
}

/// The run's id, from its document's name.
#[must_use]
pub fn id(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// Reads a document; one that is damaged or of another format is refused by name.
pub fn load(path: &Path) -> Result<Run> {
    let text = paths::read(path)?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is no whole JSON document: it is damaged or cut off", path.display()))?;
    let format = value["format"].as_str().unwrap_or("none");
    if format != FORMAT {
        bail!("{} has format {format}; this program reads {FORMAT}: use the version that made it", path.display());
    }
    serde_json::from_value(value).with_context(|| format!("{} does not follow {FORMAT}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_and_foreign_documents_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let said = |text: &str| {
            fs::write(&path, text).unwrap();
            format!("{:#}", load(&path).unwrap_err())
        };
        assert!(said("{\"format\": \"provision.be").contains("cut off"));
        assert!(said("{\"format\": \"provision.bench/99\"}").contains("provision.bench/99"));
        assert!(said("{\"format\": \"provision.bench/2\"}").contains("does not follow"));
        assert!(said("[]").contains("format none"));
    }

    #[test]
    fn the_oldest_are_dropped_and_never_the_baseline() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3", "4"] {
            fs::write(dir.path().join(format!("{name}.json")), "{}").unwrap();
            fs::write(dir.path().join(format!("{name}.html")), "").unwrap();
        }
        let store = Store::at(dir.path().into());
        assert_eq!(store.baseline().unwrap(), None);
        store.accept("1").unwrap();
        assert_eq!(store.baseline().unwrap().as_deref(), Some("1"));
        assert_eq!(store.prune(2).unwrap(), ["2"]);
        let left: Vec<String> = store.list().unwrap().iter().map(|path| id(path).to_owned()).collect();
        assert_eq!(left, ["1", "3", "4"]);
        assert!(!dir.path().join("2.html").exists() && dir.path().join("1.html").exists());
        assert!(store.prune(9).unwrap().is_empty());
    }

    #[test]
    fn runs_are_found_by_the_beginning_of_their_id() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["2026-01-01T00-00-00Z", "2026-01-02T00-00-00Z"] {
            fs::write(dir.path().join(format!("{name}.json")), "{}").unwrap();
        }
        let store = Store::at(dir.path().into());
        assert_eq!(id(&store.find("newest").unwrap()), "2026-01-02T00-00-00Z");
        assert_eq!(id(&store.find("2026-01-01").unwrap()), "2026-01-01T00-00-00Z");
        assert!(store.find("2026").unwrap_err().to_string().contains("may be any of"));
        assert!(store.find("1999").unwrap_err().to_string().contains("no run `1999`"));
        let none = Store::at(dir.path().join("none")).find("newest").unwrap_err().to_string();
        assert!(none.contains("make one"), "{none}");
    }
}
