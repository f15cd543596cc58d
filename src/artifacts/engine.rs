//! Makes artifacts: those that are missing and asked for, side by side where
//! they do not need each other, each once however many processes ask.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::artifacts::artifact::{Lane, Making};
use crate::artifacts::cache::{Cache, MADE, State, WORK, remove_tree};
use crate::artifacts::graph::{Graph, Planned};
use crate::artifacts::manifest::{Depth, Manifest};
use crate::interrupt;
use crate::outside::Outside;
use crate::paths;
use crate::ui::{Task, Ui};

/// How many artifacts are made at once.
const AT_ONCE: usize = 3;

/// What would happen to an artifact.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is there.
    Present {
        /// The size of its products.
        bytes: u64,
    },
    /// It would be made.
    Make,
    /// It is damaged, in the way said, and would be made again.
    MakeAgain(String),
    /// It is not there, and nothing that would be made is made from it.
    NotNeeded,
}

/// A finished artifact.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its folder.
    pub dir: PathBuf,
    /// What is known of it.
    pub manifest: Manifest,
}

/// What would happen to each artifact of `graph` if `goals` were ensured.
/// Changes nothing. `depth` is how closely to look at what others would be made
/// from: [`Depth::Full`] before making them, so that damage does not spread.
pub fn plan(cache: &Cache, graph: &Graph, goals: &[&str], depth: Depth) -> Result<Vec<Verdict>> {
    let mut verdicts = vec![None; graph.list.len()];
    for goal in goals {
        let at = graph.at(goal).with_context(|| format!("{goal} is no artifact"))?;
        require(cache, graph, at, [Depth::Cheap, depth], &mut verdicts)?;
    }
    let rest = |(verdict, planned): (Option<Verdict>, &Planned)| -> Result<Verdict> {
        if let Some(verdict) = verdict {
            return Ok(verdict);
        }
        Ok(match cache.state(planned.artifact.name(), &planned.key, Depth::Cheap)? {
            State::Present(manifest) => Verdict::Present { bytes: manifest.bytes },
            State::Absent | State::Damaged(_) => Verdict::NotNeeded,
        })
    };
    verdicts.into_iter().zip(&graph.list).map(rest).collect()
}

/// Finds out what `at` and all that must be made for it are: `at` itself looked
/// at as `depths` begins, what it would be made from as `depths` ends.
fn require(
    cache: &Cache,
    graph: &Graph,
    at: usize,
    [depth, below]: [Depth; 2],
    verdicts: &mut Vec<Option<Verdict>>,
) -> Result<()> {
    if verdicts[at].as_ref().is_some_and(|known| depth == Depth::Cheap || !matches!(known, Verdict::Present { .. })) {
        return Ok(());
    }
    let planned = &graph.list[at];
    let verdict = match cache.state(planned.artifact.name(), &planned.key, depth)? {
        State::Present(manifest) => Verdict::Present { bytes: manifest.bytes },
        State::Absent => Verdict::Make,
        State::Damaged(how) => Verdict::MakeAgain(how),
    };
    let make = !matches!(verdict, Verdict::Present { .. });
    verdicts[at] = Some(verdict);
    if make {
        for &need in &planned.needs {
            require(cache, graph, need, [below, below], verdicts)?;
        }
    }
    Ok(())
}

/// Makes what `verdicts` (of [`plan`]) say. After a failure nothing new is
/// started; what is under way ends and stays. Returns the entries of all that
/// is there now, by name.
pub fn ensure(
    cache: &Cache,
    graph: &Graph,
    verdicts: &[Verdict],
    outside: &Outside,
    ui: &Ui,
) -> Result<BTreeMap<String, Entry>> {
    let mut waiting: Vec<usize> = Vec::new();
    for (at, verdict) in verdicts.iter().enumerate() {
        let name = graph.list[at].artifact.name();
        match verdict {
            Verdict::Make => waiting.push(at),
            Verdict::MakeAgain(how) => {
                ui.warn(&format!("the cached {name} is damaged ({how}): making it again"));
                waiting.push(at);
            }
            Verdict::Present { .. } | Verdict::NotNeeded => {}
        }
    }
    if !waiting.is_empty() {
        cache.sweep()?;
        run(&Maker { cache, graph, outside, ui }, waiting)?;
    }
    let mut entries = BTreeMap::new();
    for (planned, verdict) in graph.list.iter().zip(verdicts) {
        let name = planned.artifact.name();
        let dir = cache.entry(name, &planned.key);
        if *verdict != Verdict::NotNeeded
            && let Some(manifest) = Manifest::read(&dir)?
        {
            entries.insert(name.to_owned(), Entry { dir, manifest });
        }
    }
    Ok(entries)
}

/// What every worker has at hand.
struct Maker<'a> {
    cache: &'a Cache,
    graph: &'a Graph<'a>,
    outside: &'a Outside,
    ui: &'a Ui,
}

fn run(maker: &Maker, mut waiting: Vec<usize>) -> Result<()> {
    let (graph, ui) = (maker.graph, maker.ui);
    std::thread::scope(|scope| {
        let (sender, ended) = mpsc::channel::<(usize, Result<()>)>();
        let mut running: Vec<usize> = Vec::new();
        let mut failure: Option<anyhow::Error> = None;
        loop {
            while failure.is_none()
                && running.len() < AT_ONCE
                && !interrupt::requested()
                && let Some(next) = next_ready(graph, &waiting, &running)
            {
                let at = waiting.remove(next);
                running.push(at);
                let sender = sender.clone();
                scope.spawn(move || {
                    let result = make(maker, at);
                    // The receiver outlives every sender in this scope.
                    sender.send((at, result)).ok();
                });
            }
            if running.is_empty() {
                break;
            }
            let (at, result) = ended.recv().context("a worker ended without a word")?;
            running.retain(|&other| other != at);
            if let Err(error) = result {
                if failure.is_none() && !running.is_empty() && !interrupt::requested() {
                    let names: Vec<&str> = running.iter().map(|&at| graph.list[at].artifact.name()).collect();
                    ui.note(&format!(
                        "waiting for {}, which will be of use later (Ctrl-C stops that)",
                        names.join(", ")
                    ));
                }
                failure.get_or_insert(error);
            }
        }
        interrupt::check()?;
        failure.map_or(Ok(()), Err)
    })
}

/// The first of `waiting` whose needs are neither waiting nor running and whose
/// queue has a place.
fn next_ready(graph: &Graph, waiting: &[usize], running: &[usize]) -> Option<usize> {
    let cores_busy = running.iter().any(|&at| graph.list[at].artifact.lane() == Lane::Cores);
    waiting.iter().position(|&at| {
        let planned = &graph.list[at];
        let free = planned.artifact.lane() != Lane::Cores || !cores_busy;
        free && !planned.needs.iter().any(|need| waiting.contains(need) || running.contains(need))
    })
}

fn make(maker: &Maker, at: usize) -> Result<()> {
    let artifact = maker.graph.list[at].artifact;
    let task = maker.ui.task(artifact.name(), artifact.title());
    let waiting = |who: &str| task.say(&format!("waiting for {who}, which holds the lock of {}", artifact.name()));
    match maker.cache.locked(artifact.name(), waiting, || make_locked(maker, at, &task)) {
        Ok(note) => {
            task.done(&note);
            Ok(())
        }
        Err(error) => {
            // A half-made folder is swept by the next run that makes anything.
            task.fail(&error);
            Err(error.context(format!("make {}", artifact.name())))
        }
    }
}

fn make_locked(maker: &Maker, at: usize, task: &Task) -> Result<String> {
    let (cache, graph, outside) = (maker.cache, maker.graph, maker.outside);
    let planned = &graph.list[at];
    let (name, key) = (planned.artifact.name(), planned.key.as_str());
    match cache.state(name, key, Depth::Full)? {
        State::Present(_) => return Ok("made by another process meanwhile".to_owned()),
        State::Damaged(_) => remove_tree(&cache.entry(name, key))?,
        State::Absent => {}
    }
    let workshop = cache.workshop(name, key);
    remove_tree(&workshop)?;
    let (made, work) = (workshop.join(MADE), workshop.join(WORK));
    paths::create_dir(&made)?;
    paths::create_dir(&work)?;
    paths::remove_file(&cache.log(name))?;
    let mut making =
        Making { task, log: cache.log(name), work, needs: BTreeMap::new(), outside, facts: Mutex::default() };
    let mut keys = BTreeMap::new();
    for &need in &planned.needs {
        let need = &graph.list[need];
        making.needs.insert(need.artifact.name().to_owned(), cache.entry(need.artifact.name(), &need.key));
        keys.insert(need.artifact.name().to_owned(), need.key.clone());
    }
    let started = Instant::now();
    if let Err(error) = planned.artifact.make(&made, &making) {
        remove_tree(&workshop)?;
        return Err(error);
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut manifest = Manifest::of(planned, keys, &made)?;
    manifest.seconds = seconds;
    manifest.facts = making.facts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    cache.keep(&manifest)?;
    Ok(crate::ui::size(manifest.bytes))
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
