//! All runs as far as judging and listing need them, a line each in
//! `results/history.jsonl`.
//!
//! A night's document has hundreds of KB, its line a few: a thousand documents
//! take seconds to read, their lines hundredths of one. The file is made
//! from the documents and mended from them where it lacks one or has an old
//! one; lines of documents that a rebuild has dropped stay, so that the trend
//! goes on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::store::{self, Store};
use crate::paths;

mod entry;

pub use entry::{Entry, Figure, Series};

/// The `format` of a line.
pub const FORMAT: &str = "provision.history/1";

/// A line of the file: what document it is of, and what it says.
#[derive(Serialize, Deserialize)]
struct Line {
    bytes: u64,
    modified_ns: u64,
    // Not flattened: that takes serde three times as long.
    entry: Entry,
}

/// All lines, oldest first, and what could not be read.
pub struct History {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Documents that could not be read, each with the reason.
    pub unreadable: Vec<String>,
}

/// Where the lines of the runs in `dir` are.
#[must_use]
pub fn file(dir: &Path) -> PathBuf {
    dir.join("history.jsonl")
}

/// Reads all runs of `store`; documents that have no line yet are read and get one.
pub fn read(store: &Store) -> Result<History> {
    let path = file(store.dir());
    let mut known = lines(&path)?;
    let (mut news, mut unreadable) = (String::new(), Vec::new());
    for document in store.list()? {
        let about = fs::metadata(&document).with_context(|| format!("look at {}", document.display()))?;
        let since = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let (bytes, modified_ns) = (about.len(), u64::try_from(since.as_nanos()).unwrap_or_default());
        let id = store::id(&document);
        if known.get(id).is_some_and(|line| (line.bytes, line.modified_ns) == (bytes, modified_ns)) {
            continue;
        }
        match store::load(&document) {
            Ok(run) => {
                let mut entry = Entry::of(&run);
                entry.run = id.into();
                let line = Line { bytes, modified_ns, entry };
                news.push_str(&serde_json::to_string(&line).context("write a line of the history")?);
                news.push('\n');
                known.insert(id.into(), line);
            }
            // One document that cannot be read does not hide the others.
            Err(error) => unreadable.push(format!("{error:#}")),
        }
    }
    if !news.is_empty() {
        append(&path, &news)?;
    }
    Ok(History { entries: known.into_values().map(|line| line.entry).collect(), unreadable })
}

/// The lines by run; a later one of the same run counts. What is cut off or of
/// another format is made anew from its document.
fn lines(path: &Path) -> Result<BTreeMap<String, Line>> {
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = paths::read(path)?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    Ok(lines.filter(|line| line.entry.format == FORMAT).map(|line| (line.entry.run.clone(), line)).collect())
}

fn append(path: &Path, text: &str) -> Result<()> {
    let mut file = paths::open_lines(path, 0o666)?;
    file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::Run;
    use crate::report::synthetic;

    fn saved(count: usize) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().into());
        for day in 0..count {
            let run = Run { id: format!("2026-01-{:02}T00-00-00Z", day + 1), ..synthetic::quick() };
            store.save(&run, &[]).unwrap();
        }
        (dir, store)
    }

    #[test]
    fn a_line_says_of_a_run_what_its_document_does() {
        let run = synthetic::quick();
        let entry = Entry::of(&run);
        let aot =
            entry.series.iter().find(|series| series.lane == "wasm-aot" && series.figure == Figure::Rate).unwrap();
        let summary =
            run.summary.iter().find(|summary| summary.lane == "wasm-aot" && summary.measure == aot.measure).unwrap();
        let ratio = summary.ratios.rate.unwrap().estimate;
        assert!((aot.log.at.exp() / ratio - 1.0).abs() < 0.02, "{aot:?} {ratio}");
        assert!(entry.series.iter().all(|series| series.lane.starts_with("wasm")), "{:?}", entry.series);
        assert!(!entry.control.is_empty() && entry.control.iter().all(|series| series.lane == "native"));
        let json = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
    }

    #[test]
    fn lines_are_made_once_mended_and_outlive_their_documents() {
        let (_dir, store) = saved(3);
        assert_eq!(read(&store).unwrap().entries.len(), 3);
        let path = file(store.dir());
        let first = fs::read(&path).unwrap();
        read(&store).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first, "nothing is new");
        // Cut off in the middle of the last line: made again.
        fs::write(&path, &first[..first.len() - 40]).unwrap();
        assert_eq!(read(&store).unwrap().entries.len(), 3);
        fs::remove_file(&store.list().unwrap()[0]).unwrap();
        assert_eq!(read(&store).unwrap().entries.len(), 3);
        fs::write(store.dir().join("2026-02-01T00-00-00Z.json"), "{").unwrap();
        let history = read(&store).unwrap();
        assert_eq!((history.entries.len(), history.unreadable.len()), (3, 1));
    }
}
