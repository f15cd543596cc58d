//! Verdicts on made-up nights.

use std::collections::BTreeMap;

use super::*;
use crate::bench::design::Size;
use crate::stats::Location;

/// A night: logs of the compiled lane's ratio and of native's rate.
fn night(index: usize, ratio: f64, native: f64) -> Entry {
    let location = |at: f64, error: f64| Location { at, error, freedom: 10.0 };
    let series = |lane: &str, log: Location| Series {
        measure: "compute-keep-alive".into(),
        lane: lane.into(),
        figure: Figure::Rate,
        rounds: 12,
        log,
    };
    Entry {
        format: super::super::history::FORMAT.into(),
        run: format!("2026-01-{index:03}"),
        size: Size::Standard,
        shortened: false,
        place: "local".into(),
        machine: "2 x cpu".into(),
        valid: true,
        failed: Vec::new(),
        sentence: String::new(),
        tiny: None,
        compute: None,
        titles: BTreeMap::from([("wasm-aot".into(), "Wasm (AOT)".into())]),
        loads: BTreeMap::from([("compute-keep-alive".into(), "/compute?n=200".into())]),
        series: vec![series("wasm-aot", location(ratio, 0.006))],
        control: vec![series("native", location(native, 0.006))],
        versions: BTreeMap::from([("crun".into(), "1.21".into())]),
    }
}

/// Noise that is always the same: no luck in these tests.
fn noise(index: usize) -> f64 {
    [0.004, -0.006, 0.002, -0.003, 0.007, -0.001, -0.004, 0.005][index % 8]
}

fn nights(count: usize, ratio: impl Fn(usize) -> f64, native: impl Fn(usize) -> f64) -> Vec<Entry> {
    (0..count).map(|i| night(i, -0.1 + noise(i) + ratio(i), 9.0 + 3.0 * noise(i + 3) + native(i))).collect()
}

fn verdict(entries: &[Entry]) -> Judgement {
    judge(entries, Some("2026-01-000"), &entries[entries.len() - 1].run).unwrap()
}

#[test]
fn a_quiet_history_is_the_same() {
    for count in [2, 5, 20, 200] {
        let judged = verdict(&nights(count, |_| 0.0, |_| 0.0));
        assert_eq!(judged.word, Word::Same, "{judged:?}");
        assert!(judged.line.starts_with("same: 1 figures as on 2026-01-000"), "{}", judged.line);
    }
}

#[test]
fn a_tenth_slower_is_told_the_same_night_even_on_the_third() {
    let judged = verdict(&nights(3, |i| if i == 2 { -0.105 } else { 0.0 }, |_| 0.0));
    assert_eq!((judged.word, judged.word.exit_code()), (Word::Slower, 11), "{judged:?}");
    let found = &judged.findings[0];
    assert_eq!((found.nights, found.since.as_str()), (1, "2026-01-002"));
    assert!(judged.line.starts_with("slower: Wasm (AOT), compute-keep-alive: 0.89"), "{}", judged.line);
}

#[test]
fn five_percent_are_told_on_the_third_night_with_the_first() {
    let step = |i: usize| if i >= 20 { -0.05 } else { 0.0 };
    let judged = verdict(&nights(23, step, |_| 0.0));
    assert_eq!(judged.word, Word::Slower, "{judged:?}");
    assert_eq!(judged.findings[0].since, "2026-01-020");
    assert_eq!(judged.notes, ["if it is to stay: provision accept 2026-01-020"]);
    let judged = verdict(&nights(23, |i| -step(i), |_| 0.0));
    assert_eq!(judged.word, Word::Faster, "{judged:?}");
}

#[test]
fn a_slow_slide_is_a_drift() {
    let judged = verdict(&nights(30, |i| -0.01 * i.saturating_sub(20) as f64, |_| 0.0));
    assert_eq!(judged.word, Word::Drift, "{judged:?}");
    assert!(judged.line.contains("% requests per second a night"), "{}", judged.line);
}

#[test]
fn where_native_moved_too_it_is_the_environment() {
    let step = |i: usize| if i >= 20 { -0.08 } else { 0.0 };
    let judged = verdict(&nights(23, step, |i| 5.0 * step(i)));
    assert_eq!((judged.word, judged.word.exit_code()), (Word::Environment, 13), "{judged:?}");
    assert!(judged.line.contains("native itself moved to 0.6"), "{}", judged.line);
}

#[test]
fn a_run_that_does_not_hold_is_broken_or_noise_and_never_the_same() {
    let mut entries = nights(3, |_| 0.0, |_| 0.0);
    entries[2].valid = false;
    entries[2].sentence = "invalid, because wasm-aot is interpreted".into();
    entries[2].failed = vec!["mode".into()];
    assert_eq!(verdict(&entries).line, "broken, here: gate mode: wasm-aot is interpreted");
    entries[2].failed = vec!["steal".into()];
    assert_eq!(verdict(&entries).word, Word::Environment);
}

#[test]
fn another_machine_or_load_or_no_baseline_is_said_and_what_changed_too() {
    let mut entries = nights(3, |i| if i == 2 { -0.2 } else { 0.0 }, |_| 0.0);
    entries[2].versions.insert("crun".into(), "1.22".into());
    let judged = verdict(&entries);
    assert!(judged.line.ends_with("since the baseline changed: crun 1.21 -> 1.22"), "{}", judged.line);
    entries[2].machine = "4 x cpu".into();
    let judged = verdict(&entries);
    assert_eq!(judged.word, Word::Environment);
    assert!(judged.line.contains("machine 2 x cpu against 4 x cpu"), "{}", judged.line);
    assert_eq!(judge(&entries, None, "2026-01-001").unwrap().word, Word::New);
    assert!(judge(&entries, Some("1999"), "2026-01-001").is_err());
}

#[test]
fn no_two_words_share_an_exit_code() {
    let all = [Word::Same, Word::Faster, Word::Slower, Word::Drift, Word::Environment, Word::Broken, Word::New];
    let mut codes: Vec<i32> = all.iter().map(|word| word.exit_code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all.len());
    assert!(!codes.contains(&2) && !codes.contains(&3) && !codes.contains(&130));
}
