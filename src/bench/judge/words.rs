//! The line for the morning.

use super::{FORMAT, Finding, Judgement, Word};
use crate::bench::history::{Entry, Series};
use crate::stats::Interval;

/// Gates that do not hold because something is broken, not because the machine is noisy.
const BROKEN: [&str; 3] = ["mode", "canary", "errors"];

fn judgement(word: Word, line: String, run: &Entry, baseline: Option<&str>) -> Judgement {
    Judgement {
        format: FORMAT.into(),
        word,
        line,
        run: Some(run.run.clone()),
        baseline: baseline.map(str::to_owned),
        nights: 1,
        watched: 0,
        findings: Vec::new(),
        changed: Vec::new(),
        notes: Vec::new(),
    }
}

/// A run whose gates do not hold.
pub(super) fn invalid(now: &Entry, baseline: Option<&str>) -> Judgement {
    let why = now.sentence.trim_start_matches("invalid, because ");
    match now.failed.iter().find(|gate| BROKEN.contains(&gate.as_str())) {
        Some(gate) => judgement(Word::Broken, format!("broken, here: gate {gate}: {}", short(why)), now, baseline),
        None => {
            let line = format!("environment: too noisy to be judged: {}", short(why));
            judgement(Word::Environment, line, now, baseline)
        }
    }
}

/// There is no run.
pub(super) fn broken(why: &str) -> Judgement {
    Judgement {
        format: FORMAT.into(),
        word: Word::Broken,
        line: format!("broken, here: {why}"),
        run: None,
        baseline: None,
        nights: 0,
        watched: 0,
        findings: Vec::new(),
        changed: Vec::new(),
        notes: Vec::new(),
    }
}

/// There is nothing to judge by.
pub(super) fn new(now: &Entry) -> Judgement {
    let line = format!("new: nothing to judge by yet; to hold this run as good: provision accept {}", now.run);
    judgement(Word::New, line, now, None)
}

/// Another machine, another load.
pub(super) fn incomparable(base: &Entry, now: &Entry, obstacles: &[String]) -> Judgement {
    let line = format!(
        "environment: tonight cannot be held against the baseline {}: {}; to begin anew: provision accept {}",
        base.run,
        obstacles.join(", "),
        now.run
    );
    Judgement { changed: changed(base, now), ..judgement(Word::Environment, line, now, Some(&base.run)) }
}

/// What the two rules found.
pub(super) fn judged(
    base: &Entry,
    now: &Entry,
    nights: usize,
    watched: usize,
    findings: Vec<Finding>,
    furthest: Option<String>,
) -> Judgement {
    let own: Vec<&Finding> = findings.iter().filter(|finding| finding.native.is_none()).collect();
    // The worst is told first: a loss, then a drift, then a gain.
    let lost = own.iter().copied().find(|finding| finding.worse() && finding.each_night.is_none());
    let drifts = own.iter().copied().find(|finding| finding.each_night.is_some());
    let (word, told) = match (lost, drifts, own.first(), findings.first()) {
        (Some(lost), ..) => (Word::Slower, Some(lost)),
        (_, Some(drifts), ..) => (Word::Drift, Some(drifts)),
        (_, _, Some(gained), _) => (Word::Faster, Some(*gained)),
        (.., Some(explained)) => (Word::Environment, Some(explained)),
        _ => (Word::Same, None),
    };
    let changed = changed(base, now);
    let mut line = match told {
        None => {
            let furthest = furthest.map(|figure| format!("; furthest: {figure}")).unwrap_or_default();
            format!("same: {watched} figures as on {}, {nights} nights{furthest}", base.run)
        }
        Some(told) => {
            let more = findings.len() - 1;
            let more = if more > 0 { format!(", and {more} more of {watched} figures") } else { String::new() };
            format!("{}: {}{more}", word.name(), sentence(told))
        }
    };
    let mut notes = Vec::new();
    if word != Word::Same && !changed.is_empty() {
        line.push_str(&format!("; since the baseline changed: {}", short(&changed.join(", "))));
    }
    if let Some(told) = told.filter(|_| word != Word::Environment) {
        notes.push(format!("if it is to stay: provision accept {}", told.since));
    }
    Judgement { nights, watched, findings, changed, notes, ..judgement(word, line, now, Some(&base.run)) }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&sentence(self))
    }
}

fn sentence(finding: &Finding) -> String {
    let Finding { measure, title, figure, change, since, nights, .. } = finding;
    let range = format!("{:.3} x ({:.3}-{:.3})", change.estimate, change.low, change.high);
    let when = if *nights == 1 { "tonight".to_owned() } else { format!("since {since}, {nights} nights") };
    let figure = figure.title();
    let mut text = match finding.each_night {
        None => format!("{title}, {measure}: {range} the {figure} of the baseline, against native's, {when}"),
        Some(each) => format!(
            "{title}, {measure}: {:+.1} % {figure} a night against native's, {when}, {range} the baseline's by now",
            (each - 1.0) * 100.0
        ),
    };
    if let Some(native) = finding.native {
        text.push_str(&format!("; but native itself moved to {native:.2} x: the machine has changed"));
    }
    text
}

/// A figure with its change.
pub(super) fn figure(series: &Series, now: &Entry, change: &Interval) -> String {
    format!(
        "{}, {} {} {:.3} x ({:.3}-{:.3})",
        now.title(&series.lane),
        series.measure,
        series.figure.title(),
        change.estimate,
        change.low,
        change.high
    )
}

/// Versions and digests that differ.
fn changed(base: &Entry, now: &Entry) -> Vec<String> {
    let mut names: Vec<&String> = base.versions.keys().chain(now.versions.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let brief = |version: Option<&String>| match version {
        None => "none".to_owned(),
        Some(text) => {
            text.strip_prefix("sha256:").map_or_else(|| text.clone(), |digest| digest.chars().take(8).collect())
        }
    };
    let differs = |name: &&String| base.versions.get(*name) != now.versions.get(*name);
    names
        .into_iter()
        .filter(differs)
        .map(|name| format!("{name} {} -> {}", brief(base.versions.get(name)), brief(now.versions.get(name))))
        .collect()
}

/// As much as goes into a line.
fn short(text: &str) -> String {
    const MOST: usize = 300;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= MOST { line.to_owned() } else { line.chars().take(MOST).chain(['…']).collect() }
}
