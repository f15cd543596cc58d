//! `provision doctor`: what this host is fit for, and mending it.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::{Session, plan, up};
use crate::doctor::{self, Asked, Chapter, Host, Level};
use crate::host::packages::Consent;
use crate::host::preflight::Misfits;
use crate::profile::{self, Faults, Loaded, Sources};
use crate::provider::MachineState;
use crate::ui::Ui;

/// Say what this host lacks for a lab, and mend it.
///
/// Each finding is ok, a note or a problem, with the next command to type. The exit code is 1 where
/// something is a problem for the profile.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Show the commands that mend it, ask, and run them
    #[arg(long)]
    fix: bool,
    /// Run them without asking
    #[arg(long, short, requires = "fix")]
    yes: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    /// `provision.doctor/1`.
    format: &'static str,
    system: &'a str,
    provider: &'static str,
    lab: &'a str,
    problems: usize,
    notes: usize,
    topics: &'a [Chapter],
}

impl Doctor {
    /// Looks, mends if asked to, and tells; the exit code.
    pub fn run(&self, sources: &Sources, ui: &Ui) -> Result<i32> {
        let (loaded, faults) = profile_or_built_in(sources)?;
        let session = Session::of(loaded, sources.file.as_deref(), ui)?;
        let asked = Asked {
            profile: session.profile(),
            faults: faults.as_ref(),
            artifacts: &session.artifacts()?,
            fit: &|| fit(&session),
        };
        let host = Host::of_this()?;
        let system = host.installer.os().name.clone();
        let chapters = if self.fix {
            let consent = Consent::detect(self.yes, ui.is_json());
            doctor::fix(ui, &asked, host, consent, &session.lab.log("doctor"))?
        } else {
            doctor::look(&asked, &host)
        };
        let problems = doctor::count(&chapters, Level::Problem);
        let report = Report {
            format: "provision.doctor/1",
            system: &system,
            provider: asked.profile.provider.name(),
            lab: &asked.profile.name,
            problems,
            notes: doctor::count(&chapters, Level::Note),
            topics: &chapters,
        };
        let text = if ui.is_json() {
            format!("{}\n", serde_json::to_string_pretty(&report).context("write the findings as JSON")?)
        } else {
            plain(&report)
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the findings")?;
        Ok(i32::from(problems > 0))
    }
}

/// A profile with faults is itself a finding; the rest is looked at for the
/// built-in one, with the provider that was asked for.
fn profile_or_built_in(sources: &Sources) -> Result<(Loaded, Option<Faults>)> {
    let environment = |name: &str| std::env::var(name).ok();
    let faults = match profile::load(sources, &environment) {
        Ok(loaded) => return Ok((loaded, None)),
        Err(faults) => faults,
    };
    let provider = sources.provider.clone().or_else(|| environment("PROVIDER"));
    let built_in = profile::load(&Sources { provider, ..Sources::default() }, &|_| None)
        .or_else(|_| profile::load(&Sources::default(), &|_| None))?;
    Ok((built_in, Some(faults)))
}

/// As `up` asks; where the provider does not answer, no machine runs.
fn fit(session: &Session) -> Result<Result<Vec<String>, Misfits>> {
    if !session.owns_machines() {
        // They are where they are, and `up` asks them itself.
        return Ok(Ok(Vec::new()));
    }
    let provider = session.provider()?;
    if !provider.answers()? {
        return up::fit(session, &vec![MachineState::Absent; session.nodes.len()], &[]);
    }
    let (states, ..) = plan::machines(session)?;
    up::fit(session, &states, &provider.networks()?)
}

fn plain(report: &Report<'_>) -> String {
    let mut text = String::new();
    for chapter in report.topics {
        text.push_str(&format!("{}\n", chapter.title));
        for finding in &chapter.findings {
            let lines = finding.text.replace('\n', "\n           ");
            text.push_str(&format!("  {:8} {lines}\n", finding.level.name()));
            if let Some(next) = &finding.next {
                text.push_str(&format!("           > {next}\n"));
            }
            if let Some(source) = &finding.source {
                text.push_str(&format!("           ({source})\n"));
            }
        }
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let mendable = report.topics.iter().flat_map(|chapter| &chapter.findings).any(|it| it.remedy.is_some());
    text.push_str(&format!("{}, {}", count(report.problems, "problem"), count(report.notes, "note")));
    text.push_str(if mendable { "; mend what commands can mend: provision doctor --fix\n" } else { "\n" });
    text
}
