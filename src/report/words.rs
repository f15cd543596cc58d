//! Sentences that every report has: what was run, the A/A twin, the gates that
//! do not hold, and how it was measured.

use super::numbers;
use super::view::{Metric, View, is_open};
use crate::bench::design::{Load, Measure, ROUTES, Rate};
use crate::bench::run::{Gate, PlaceKind, Run};
use crate::stats::Method;

/// Percentiles from fewer requests are left out, and a dash says so.
pub(super) const DASH: &str = "a dash: too few requests for this percentile";

/// One line of context above the tables.
pub(super) fn context(view: &View) -> String {
    let run = view.run;
    let servers = run.lanes.len();
    format!(
        "{} run of lab {}{}: {} of {}, seed {}, {}{}",
        run.size.name(),
        run.lab,
        match run.place {
            PlaceKind::Local => ", servers on this machine",
            PlaceKind::Cluster { .. } => ", pods of its cluster",
        },
        plural(view.rounds, "round"),
        plural(servers, "server"),
        run.seed,
        numbers::duration(run.seconds),
        if run.shortened { " (shortened: emulated machine)" } else { "" }
    )
}

/// `3 rounds`, `1 round`.
pub(super) fn plural(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What the A/A twin says, in the same figures as the others: its distance
/// from 1 is noise.
pub(super) fn twin(view: &View) -> Option<String> {
    let twin = view.twin?;
    let of = |metric: Metric, measure: &Measure| {
        let interval = metric.interval(view.summary(&measure.name, &twin.name)?)?;
        let parts = numbers::parts(interval);
        let name = match metric {
            Metric::Rate => measure.name.clone(),
            _ => format!("{} p99", measure.name),
        };
        // Figures stay together where lines are broken.
        Some(format!("{name} {} x ({}-{})", parts.estimate, parts.low, parts.high).replace(' ', "\u{a0}"))
    };
    let rates = view.closed().filter_map(|measure| of(Metric::Rate, measure));
    let figures: Vec<String> = rates.chain(view.open().filter_map(|measure| of(Metric::P99, measure))).collect();
    if figures.is_empty() {
        return None;
    }
    Some(format!("A/A: {} against itself: {}", view.control_title(), figures.join(", ")))
}

/// The gates that do not hold, decisive ones first.
pub(super) fn open_gates<'a>(view: &View<'a>) -> Vec<&'a Gate> {
    let mut gates: Vec<&Gate> = view.run.gates.iter().filter(|gate| !gate.passed).collect();
    gates.sort_by_key(|gate| !gate.decisive);
    gates
}

/// What a gate that does not hold means; short where the verdict says it already.
pub(super) fn gate(run: &Run, gate: &Gate) -> String {
    let kind = if gate.decisive { "does not hold" } else { "caution" };
    if !gate.detail.is_empty() && run.verdict.sentence.contains(&gate.detail) {
        return format!("{kind}: {}", gate.name);
    }
    format!("{kind}: {}: {}", gate.name, cut(&gate.detail))
}

/// The verdict; which is as long as what went wrong.
pub(super) fn sentence(run: &Run) -> String {
    cut(&run.verdict.sentence)
}

/// No more of `text` than anybody reads; faults may be told block by block.
fn cut(text: &str) -> String {
    const MOST: usize = 480;
    let Some((end, _)) = text.char_indices().nth(MOST) else { return text.to_owned() };
    let end = text[..end].rfind("; ").or_else(|| text[..end].rfind(' ')).unwrap_or(end);
    format!("{} … (the rest is in the run's document)", &text[..end])
}

/// What stands above all else where the machine is emulated.
pub(super) fn emulated(run: &Run) -> Option<String> {
    run.environment.emulated.then(|| "emulated machine (no KVM): absolute times mean nothing, ratios little".into())
}

/// What everybody should know who reads the figures of this run.
pub(super) fn notes(view: &View) -> Vec<String> {
    let run = view.run;
    let mut notes = Vec::new();
    if run.verdict.valid && run.lanes.len() > 1 && !view.has_intervals() {
        notes.push(format!(
            "{}: ratios have no intervals, so they are a first look; for more: provision bench --size standard",
            plural(view.rounds, "round")
        ));
    }
    if view.demo().is_some() {
        notes.push("waiting holds the queue in front of a single-threaded server: compare rates, not waits".into());
    }
    let measured: Vec<&Measure> = view.open().collect();
    let lacking = |measure: &&Measure| {
        view.lanes.iter().any(|lane| view.summary(&measure.name, &lane.name).is_none_or(|s| s.p99_ms.is_none()))
    };
    if measured.iter().any(lacking) {
        notes.push(DASH.into());
    }
    notes
}

/// How it was measured, a paragraph each.
pub(super) fn method(view: &View) -> Vec<String> {
    let run = view.run;
    let mut text = vec![format!(
        "{} took part in {}, each time on a fresh server that had answered nothing before. Within a round all of them \
         ran one after the other, in an order drawn with seed {}, so that no place in a round and no drift of the \
         machine favours one of them. {}",
        plural(run.lanes.len(), "lane"),
        plural(view.rounds, "round"),
        run.seed,
        match run.place {
            PlaceKind::Local => "Servers were containers on the machine itself, the load came over 127.0.0.1.",
            PlaceKind::Cluster { .. } => "Servers were pods, the load came from a pod on the same node.",
        }
    )];
    if let Some(twin) = view.twin {
        text.push(format!(
            "{} took part twice; {} is the same arm again (A/A). Its ratio should be 1: what it strays is the noise of \
             this machine, and no difference smaller than that means anything.",
            view.control_title(),
            twin.name
        ));
    }
    text.push(
        "Closed loops (users that wait for their answers) tell capacity. Open loops send on a schedule that waits for \
         nobody; their latency counts from when a request was due, not from when it was sent, so that a stalled server \
         cannot hide the requests it held up (coordinated omission)."
            .into(),
    );
    if let Some(interval) = view.any_interval() {
        text.push(format!(
            "A ratio compares a lane with {} within each round and takes the rounds together; 1 is \"the same\". The \
             range beside it is the {} confidence interval {}: were the run made again and again, that share of such \
             ranges would hold the true ratio. A range that holds 1 means no difference was shown.",
            view.control_title(),
            numbers::percent(interval.level),
            match interval.method {
                Method::SignedRank =>
                    "of Wilcoxon's signed rank test on the log-ratios, which assumes no particular shape of the noise",
                Method::StudentT => "of Student's t on the log-ratios, as rounds are too few for a rank test",
                Method::Welch => "of Welch's t on the log-ratios",
            }
        ));
    }
    text.push("A percentile is shown where enough requests carry it: p99 from 1,000 on, p99.9 from 10,000 on.".into());
    if let Some(calibration) = &run.calibration {
        text.push(format!(
            "Against a server that does nothing, {} reached {} requests/s with a connection per \
             request and {} over kept connections: rates near these are the generator's.",
            match calibration.generators {
                1 => "the generator itself".into(),
                several => format!("the {several} generators themselves"),
            },
            numbers::rate(calibration.null_close_rate),
            numbers::rate(calibration.null_keep_alive_rate)
        ));
    }
    text
}

/// How requests come: `20 users in a closed loop`.
pub(super) fn pace(measure: &Measure) -> String {
    match measure.load {
        Load::Closed { users } => format!("{} in a closed loop", plural(users as usize, "user")),
        Load::Open { rate: Rate::Slowest(share), .. } => {
            format!("open loop at {} of the slowest lane's capacity", numbers::percent(share))
        }
        Load::Open { rate: Rate::Own(share), .. } => {
            format!("open loop at {} of each lane's own capacity", numbers::percent(share))
        }
        Load::Open { rate: Rate::Fixed(rate), .. } => format!("open loop at {} requests/s", numbers::rate(rate)),
    }
}

/// The whole load: pace, connections, time.
pub(super) fn load(measure: &Measure) -> String {
    let most = match measure.load {
        Load::Closed { .. } => String::new(),
        Load::Open { connections, .. } => format!(", at most {connections} at once"),
    };
    format!(
        "{}{most}, {}, {} after {} of warm-up",
        pace(measure),
        if measure.keep_alive { "kept connections" } else { "a connection per request" },
        seconds(measure.seconds),
        seconds(measure.warmup_seconds)
    )
}

/// What its route stands for.
pub(super) fn route(measure: &Measure) -> String {
    let about = ROUTES.iter().find(|route| route.name == measure.route).map_or("", |route| route.about);
    if about.is_empty() { measure.path.clone() } else { format!("{about} ({})", measure.path) }
}

/// A measure's name as a heading: `tiny, open loop`.
pub(super) fn heading(measure: &Measure) -> String {
    let load = measure.name.strip_prefix(&format!("{}-", measure.route)).unwrap_or(&measure.name);
    let load = match (load, is_open(measure)) {
        ("close", false) => "a connection per request",
        ("keep-alive", false) => "kept connections",
        ("open", true) => "same rate for all",
        ("half-load", true) => "half of own capacity",
        (other, _) => other,
    };
    format!("{}, {load}", measure.route)
}

fn seconds(value: f64) -> String {
    if value < 60.0 { format!("{} s", (value * 100.0).round() / 100.0) } else { numbers::duration(value) }
}

/// Sentences that were made for terminals, as a page sets them: `0.93 x
/// (0.91-0.95)` with a sign, a dash and no line break in it.
pub(super) fn typeset(text: &str) -> String {
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let range = |word: &str| {
        let (low, rest) = word.strip_prefix('(')?.split_once('-')?;
        let (high, after) = rest.split_once(')')?;
        (is_number(low) && is_number(high)).then(|| format!("({low}\u{2060}–\u{2060}{high}){after}"))
    };
    let mut set = String::new();
    let mut last = "";
    for word in text.split(' ') {
        let times = word.trim_end_matches([',', ';', ')', '.']) == "x" && is_number(last.trim_start_matches('('));
        let range = range(word).filter(|_| last == "x" || is_number(last));
        if !set.is_empty() {
            set.push(if times || range.is_some() { '\u{a0}' } else { ' ' });
        }
        match range {
            Some(range) => set.push_str(&range),
            None if times => set.push_str(&word.replacen('x', "×", 1)),
            None => set.push_str(word),
        }
        last = word;
    }
    set
}

/// `text` in lines of at most `width` characters, all but the first indented;
/// no-break spaces do not break.
pub(super) fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        let line = lines.len() - 1;
        if lines[line].trim().is_empty() {
            lines[line].push_str(word);
        } else if lines[line].chars().count() + 1 + word.chars().count() <= width {
            lines[line].push(' ');
            lines[line].push_str(word);
        } else {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines.join("\n").replace('\u{a0}', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_faults_are_cut_between_two() {
        let faults = vec!["wasm-aot, round 1: link `mode`"; 72].join("; ");
        let text = cut(&faults);
        assert!(text.chars().count() < 520 && text.contains("`mode` … ("), "{text}");
        assert_eq!(cut("µ"), "µ");
        assert!(cut(&"µ".repeat(1_000)).starts_with("µµ"));
    }

    #[test]
    fn ratios_are_set_in_one_piece() {
        assert_eq!(
            typeset("as 0.93 x (0.91-0.95) of 2026-11-25"),
            "as 0.93\u{a0}×\u{a0}(0.91\u{2060}–\u{2060}0.95) of 2026-11-25"
        );
        assert_eq!(typeset("memory (12 x idle), 1.5 x, x (a-b)"), "memory (12\u{a0}× idle), 1.5\u{a0}×, x (a-b)");
        assert_eq!(typeset(""), "");
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(wrap("one two three four", 9, "  "), "one two\n  three\n  four");
        assert_eq!(wrap("unbreakable-word", 4, ""), "unbreakable-word");
        assert_eq!(wrap("a 1.00\u{a0}x", 6, " "), "a\n 1.00 x");
        assert_eq!(wrap("", 4, ""), "");
    }
}
