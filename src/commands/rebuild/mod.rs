//! `provision rebuild`: the lab anew, proved, measured and judged, unattended.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;

use super::Session;
use super::bench::Bench;
use super::down::Down;
use super::report::store_of;
use super::up::Up;
use super::verdict::{self, Judged};
use crate::announce::{self, Address};
use crate::bench::judge::{Judgement, Word};
use crate::bench::store::{self, Store};
use crate::bench::verdict::Invalid;
use crate::failure::Annotated;
use crate::http::{Client, Patience};
use crate::interrupt::{self, Interrupted};
use crate::lab::Busy;
use crate::report::{self, Nights};

mod night;

use night::Night;

/// Take the lab down, make it anew, measure it and judge the run: the nightly command
///
/// Exit codes: 0 same, 10 faster, 11 slower, 12 drift, 13 environment, 14 nothing to judge by yet,
/// 1 broken. The variable PROVISION_POST names a URL to which the night is posted as JSON.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Rebuild {
    #[command(flatten)]
    bench: Bench,
    /// Keep the documents of the newest so many runs, `up`'s first look counted, besides the
    /// baseline's [default: the profile's]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Run this afterwards, a JSON document on its standard input [default: the profile's]
    #[arg(long, value_name = "COMMAND")]
    hook: Option<String>,
}

impl Rebuild {
    /// The list, and the verdict's exit code; a broken night's is its error.
    pub fn run(&self, session: &Session) -> Result<i32> {
        let address = Address::of_environment()?;
        let store = store_of(session, self.bench.is_local());
        let mut night = Night::begin(session, self.bench.is_local())?;
        let mut failed = None;
        let judgement = match self.nightly(session, &store, &mut night) {
            Ok(judgement) => judgement,
            Err(error) if error.is::<Interrupted>() || interrupt::requested() => return Err(error),
            // Somebody is at work on the lab, and nothing was touched.
            Err(error) if error.is::<Busy>() && night.is_young() => {
                night.forget()?;
                return Err(error);
            }
            Err(error) => {
                // `down` has nothing to record to, or has taken it away.
                let events = session.lab.events();
                if !(session.ui.records() && events.is_file()) {
                    session.ui.record_to(&events).unwrap_or_else(|error| session.ui.warn(&format!("{error:#}")));
                }
                let judgement = night.broken(session, &error);
                // Not `Busy` and the like any more: the exit code is the verdict's.
                failed = Some(Annotated { text: format!("{error:#}"), about: error });
                judgement
            }
        };
        let run = judgement.run.as_ref().map(|id| store.dir().join(format!("{id}.json")));
        let document = night.document(session.lab.name(), &judgement, run.as_deref());
        let json = serde_json::to_string(&document).context("write the night as JSON")?;
        // What cannot be kept or told takes nothing away from the verdict.
        for told in [
            self.tidy(session, &store, &night),
            night.write(&json, store.dir()),
            self.hook(session, &night, judgement.word, &json),
            address.map_or(Ok(()), |address| post(session, &address, &json)),
        ] {
            told.unwrap_or_else(|error| session.ui.warn(&format!("{error:#}")));
        }
        let text = if session.ui.is_json() { format!("{json}\n") } else { verdict::plain_last(&judgement) };
        std::io::stdout().write_all(text.as_bytes()).context("print the verdict")?;
        failed.map_or(Ok(judgement.word.exit_code()), |failed| Err(failed.into()))
    }

    /// Drops what is too old.
    fn tidy(&self, session: &Session, store: &Store, night: &Night) -> Result<()> {
        let keep = self.keep.unwrap_or(session.profile().rebuild.keep) as usize;
        for id in store.prune(keep)? {
            session.ui.note(&format!("dropped run {id}: {keep} are kept"));
        }
        night.prune(keep)
    }

    fn hook(&self, session: &Session, night: &Night, word: Word, json: &str) -> Result<()> {
        match self.hook.as_deref().unwrap_or(&session.profile().rebuild.hook) {
            "" => Ok(()),
            hook => announce::hook(hook, word.name(), json, &night.dir().join("hook.log")),
        }
    }

    /// Everything that may fail.
    fn nightly(&self, session: &Session, store: &Store, night: &mut Night) -> Result<Judgement> {
        if !self.bench.is_local() {
            night.stage("down", || Down::default().run(session))?;
            night.stage("up", || Up::unattended(self.bench.yes()).run(session))?;
        }
        let before = store.list()?.last().cloned();
        night.stage("bench", || match self.bench.run(session) {
            // It is kept, and the verdict says what it is.
            Err(error) if error.is::<Invalid>() => Ok(()),
            other => other,
        })?;
        let run = store.list()?.last().cloned().filter(|newest| Some(newest) != before.as_ref());
        let run = run.context("the benchmark left no run")?;
        night.stage("verdict", || {
            let judged = Judged::of(session, store, store::id(&run))?;
            write_page(store, &run, &judged)?;
            Ok(judged.judgement)
        })
    }
}

/// By the way outside that the profile names.
fn post(session: &Session, address: &Address, json: &str) -> Result<()> {
    announce::post(&Client::new(&session.outside()?, Patience::default())?, address, json)
}

/// The run's page once more, with the nights before it.
fn write_page(store: &Store, run: &std::path::Path, judged: &Judged) -> Result<()> {
    let document = store::load(run)?;
    let baseline = store.baseline()?;
    let nights = Nights { entries: &judged.entries, baseline: baseline.as_deref(), judgement: Some(&judged.judgement) };
    crate::paths::write_atomic(&run.with_extension("html"), report::html(&document, Some(&nights))?.as_bytes(), 0o644)
}
