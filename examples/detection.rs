//! How soon a change is told, and how often there is a false alarm: whole
//! histories made up from recorded rounds go through `bench::judge`, and beside
//! it through the rule "alarm at 130 % of the night before".
//!
//!     cargo run --release --example detection -- record RESULT.json... > docs/detection/noise.json
//!     cargo run --release --example detection -- table docs/detection/noise.json [HISTORIES] [SEED]
//!
//! A made-up night draws one recorded run and rounds of it, so that what runs
//! differ by stays in; the Wasm side is then moved as the scenario says.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use provision::bench::design::Size;
use provision::bench::history::{Entry, FORMAT, Figure, Series};
use provision::bench::judge::{Word, judge};
use provision::bench::store;
use provision::bench::summary::{COMPARED, paired};
use provision::stats;
use serde::{Deserialize, Serialize};

/// By measure and figure: native and compiled Wasm, round by round.
type Rounds = BTreeMap<String, Vec<(f64, f64)>>;

const NATIVE: &str = "native";
const WASM: &str = "wasm-aot";

#[derive(Serialize, Deserialize)]
struct Record {
    machine: String,
    runs: Vec<Rounds>,
}

/// What happens to Wasm in the nights from [`BEFORE`] on.
#[derive(Clone, Copy)]
enum Scenario {
    Nothing,
    /// At once, this share slower.
    Step(f64),
    /// Each night, this share slower.
    Drift(f64),
    /// One night in twenty, a neighbour takes a third off a third of Wasm's rounds.
    BadRounds,
    /// One night in twenty is 15 % off as a whole, and nobody knows why.
    BadNights,
}

impl Scenario {
    fn lasts(self) -> bool {
        matches!(self, Self::Step(_) | Self::Drift(_))
    }
}

const SCENARIOS: [(&str, Scenario); 6] = [
    ("nothing", Scenario::Nothing),
    ("bad rounds in 5 % of nights", Scenario::BadRounds),
    ("5 % of nights 15 % off", Scenario::BadNights),
    ("5 % slower at once", Scenario::Step(0.05)),
    ("10 % slower at once", Scenario::Step(0.10)),
    ("1 % slower each night", Scenario::Drift(0.01)),
];
/// Few runs are recorded, and all of one day: how much more nights may scatter.
const SCATTER: [f64; 3] = [0.0, 0.01, 0.02];
/// Nights before anything happens, the baseline the first of them.
const BEFORE: usize = 30;
/// Nights that are looked at where nothing happens for good.
const QUIET: usize = 100;
/// Nights after a change within which a step has to be told.
const SOON: usize = 3;
/// Nights after a change that are looked at.
const LONG: usize = 10;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("record") => record(arguments.collect()),
        Some("table") => {
            let path = arguments.next().context("which record?")?;
            let histories = arguments.next().map_or(Ok(400), |text| text.parse()).context("HISTORIES is a number")?;
            let seed = arguments.next().map_or(Ok(1), |text| text.parse()).context("SEED is a number")?;
            table(&path, histories, seed)
        }
        _ => bail!("usage: detection record RESULT.json... | detection table RECORD [HISTORIES] [SEED]"),
    }
}

fn record(paths: Vec<String>) -> Result<()> {
    let mut record = Record { machine: String::new(), runs: Vec::new() };
    for path in paths {
        let run = store::load(path.as_ref())?;
        let entry = Entry::of(&run);
        let mut rounds = Rounds::new();
        for series in entry.series.iter().filter(|series| series.lane == WASM) {
            let name = if series.figure == Figure::Rate { "rate" } else { "cpu" };
            let (_, pick) = COMPARED.into_iter().find(|(known, _)| *known == name).context("what is compared")?;
            let (native, wasm) = paired(&series.measure, NATIVE, WASM, &run.blocks, pick);
            rounds.insert(format!("{} {name}", series.measure), native.into_iter().zip(wasm).collect());
        }
        record.machine = entry.machine;
        record.runs.push(rounds);
    }
    // What is watched in all of them.
    let all = record.runs.clone();
    record.runs.iter_mut().for_each(|run| run.retain(|name, _| all.iter().all(|other| other.contains_key(name))));
    ensure!(record.runs.first().is_some_and(|run| !run.is_empty()), "no figure that all runs have");
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&record)?)?;
    Ok(())
}

/// A night's rounds, and the absolute figures for the other rule.
struct MadeUp {
    entry: Entry,
    /// CPU time, or time per request: smaller is better.
    times: Vec<f64>,
}

struct Maker<'a> {
    record: &'a Record,
    /// Over all runs, by figure: the log-ratio that is "nothing happened".
    middles: BTreeMap<&'a str, f64>,
    rounds: usize,
    /// What nights differ by as a whole, beyond what was recorded: a standard deviation.
    scatter: f64,
}

impl<'a> Maker<'a> {
    fn new(record: &'a Record, rounds: usize, scatter: f64) -> Self {
        let middle = |figure: &str| {
            let runs = record.runs.iter().filter_map(|run| location(&run[figure]));
            stats::mean(&runs.map(|location| location.at).collect::<Vec<f64>>())
        };
        let middles = record.runs[0].keys().map(|figure| (figure.as_str(), middle(figure))).collect();
        Self { record, middles, rounds, scatter }
    }

    /// `slow`: log of Wasm's time over what it was; `bad`: rounds that a neighbour disturbs.
    fn night(&self, index: usize, slow: f64, bad: usize, rng: &mut Rng) -> Result<MadeUp> {
        let run = &self.record.runs[rng.usize(..self.record.runs.len())];
        let recorded = run.values().map(Vec::len).min().unwrap_or_default();
        let drawn: Vec<usize> = (0..self.rounds).map(|_| rng.usize(..recorded)).collect();
        let (mut series, mut control, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for (name, middle) in &self.middles {
            let by_chance = self.scatter * normal(rng);
            let (measure, figure) = name.split_once(' ').context("measure and figure")?;
            let (figure, sign) = if figure == "rate" { (Figure::Rate, -1.0) } else { (Figure::Cpu, 1.0) };
            let (mut ratios, mut own, mut all) = (Vec::new(), Vec::new(), Vec::new());
            for (place, round) in drawn.iter().enumerate() {
                let (native, wasm) = run[*name][*round];
                let disturbed = if place < bad { 1.5_f64.ln() } else { 0.0 };
                let wasm = wasm.ln() + by_chance + sign * (slow + disturbed);
                ratios.push(wasm - native.ln() - middle);
                own.push(native.ln());
                all.push(sign * wasm);
            }
            let one = |lane: &str, logs: &[f64]| -> Result<Series> {
                Ok(Series {
                    measure: measure.into(),
                    lane: lane.into(),
                    figure,
                    rounds: logs.len(),
                    log: stats::location(logs)?,
                })
            };
            series.push(one(WASM, &ratios)?);
            control.push(one(NATIVE, &own)?);
            times.push(stats::median(&all).unwrap_or_default().exp());
        }
        let entry = Entry {
            format: FORMAT.into(),
            run: format!("{index:05}"),
            size: Size::Nightly,
            shortened: false,
            place: "local".into(),
            machine: String::new(),
            valid: true,
            failed: Vec::new(),
            sentence: String::new(),
            tiny: None,
            compute: None,
            titles: BTreeMap::new(),
            loads: BTreeMap::new(),
            series,
            control,
            versions: BTreeMap::new(),
        };
        Ok(MadeUp { entry, times })
    }

    fn history(&self, scenario: Scenario, rng: &mut Rng) -> Result<Vec<MadeUp>> {
        let after = if scenario.lasts() { LONG } else { QUIET };
        let mut nights = Vec::new();
        for index in 0..BEFORE + after {
            let since = (index + 1).saturating_sub(BEFORE);
            let unlucky = rng.f64() < 0.05 && index > 0;
            let (slow, bad) = match scenario {
                Scenario::Step(share) if since > 0 => (-(1.0 - share).ln(), 0),
                Scenario::Drift(share) => (-(1.0 - share).ln() * since as f64, 0),
                Scenario::BadRounds if unlucky => (0.0, self.rounds / 3),
                Scenario::BadNights if unlucky => (if rng.bool() { 0.15 } else { -0.15 }, 0),
                _ => (0.0, 0),
            };
            nights.push(self.night(index, slow, bad, rng)?);
        }
        Ok(nights)
    }
}

fn location(rounds: &[(f64, f64)]) -> Option<stats::Location> {
    let logs: Vec<f64> = rounds.iter().map(|(native, wasm)| (wasm / native).ln()).collect();
    stats::location(&logs).ok()
}

/// Normal, of standard deviation 1 (Box and Muller).
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Whether each rule alarms on night `now`.
fn alarms(entries: &[Entry], times: &[Vec<f64>], now: usize) -> Result<[bool; 2]> {
    let word = judge(&entries[..=now], Some(&entries[0].run), &entries[now].run)?.word;
    let ours = matches!(word, Word::Slower | Word::Drift | Word::Faster);
    let theirs = times[now - 1].iter().zip(&times[now]).any(|(before, now)| now / before > 1.3);
    Ok([ours, theirs])
}

/// What came out of one rule.
#[derive(Default)]
struct Score {
    lasts: bool,
    histories: usize,
    nights: usize,
    alarms: usize,
    /// By history in which it was told: on which night.
    told: Vec<f64>,
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |part: usize, of: usize| part as f64 / of as f64 * 100.0;
        if !self.lasts {
            return write!(f, "{:.2} alarms in 100 nights", percent(self.alarms, self.nights));
        }
        let within =
            |nights: usize| percent(self.told.iter().filter(|night| **night <= nights as f64).count(), self.histories);
        write!(f, "{:.1} % within {SOON} nights, {:.1} % within {LONG}", within(SOON), within(LONG))
    }
}

/// Ours, and the other rule's.
fn score(maker: &Maker, scenario: Scenario, histories: usize, seed: u64) -> Result<[Score; 2]> {
    let mut rng = Rng::with_seed(seed);
    let mut scores = [0, 1].map(|_| Score { lasts: scenario.lasts(), histories, ..Score::default() });
    for _ in 0..histories {
        let (entries, times): (Vec<Entry>, Vec<Vec<f64>>) =
            maker.history(scenario, &mut rng)?.into_iter().map(|night| (night.entry, night.times)).unzip();
        let mut told = [false; 2];
        for now in BEFORE..entries.len() {
            for ((score, told), alarm) in scores.iter_mut().zip(&mut told).zip(alarms(&entries, &times, now)?) {
                score.nights += 1;
                score.alarms += usize::from(alarm);
                if alarm && !*told {
                    *told = true;
                    score.told.push((now - BEFORE + 1) as f64);
                }
            }
            if scenario.lasts() && told == [true; 2] {
                break;
            }
        }
    }
    Ok(scores)
}

fn table(path: &str, histories: usize, seed: u64) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let record: Record = serde_json::from_str(&text).with_context(|| format!("read {path}"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "recorded runs: {}, {}\n", record.runs.len(), record.machine)?;
    writeln!(out, "| figure | rounds of a run scatter by |\n|---|---|")?;
    for figure in record.runs[0].keys() {
        let variances = record.runs.iter().filter_map(|run| {
            let rounds = &run[figure];
            Some(location(rounds)?.error.powi(2) * rounds.len() as f64)
        });
        let deviation = stats::mean(&variances.collect::<Vec<f64>>()).sqrt();
        writeln!(out, "| {figure} | {:.1} % |", deviation * 100.0)?;
    }
    writeln!(
        out,
        "\n| rounds | nights scatter | what happens | judge | 130 % of the night before |\n|---|---|---|---|---|"
    )?;
    for (rounds, scatter) in [12, 24].into_iter().flat_map(|rounds| SCATTER.map(|scatter| (rounds, scatter))) {
        let maker = Maker::new(&record, rounds, scatter);
        for (what, scenario) in SCENARIOS {
            let count = if scenario.lasts() { histories } else { histories.div_ceil(4) };
            let [ours, theirs] = score(&maker, scenario, count, seed)?;
            writeln!(out, "| {rounds} | {:.0} % | {what} | {ours} | {theirs} |", scatter * 100.0)?;
        }
    }
    Ok(())
}
