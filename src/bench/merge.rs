//! Several documents of the generator as one: of generators side by side, or
//! of one load's parts in turn. Counts added, histograms merged.

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::figures::{decode, encode};
use super::loadgen::{Phase, Report};

/// One report of loads that followed one another; an error if there is none.
pub fn in_turn(reports: Vec<Report>) -> Result<Report> {
    let weighted = |of: fn(&Report) -> f64| -> f64 {
        reports.iter().map(|report| of(report) * report.seconds_measured).sum::<f64>()
    };
    let seconds: f64 = reports.iter().map(|report| report.seconds_measured).sum();
    let (rates, busy) = (weighted(|report| report.requests_per_second), weighted(|report| report.generator_busy));
    let users = reports.first().map_or(0, |report| report.users);
    let wanted = reports.first().and_then(|report| report.open_loop.as_ref()).map(|open| open.rate_wanted);
    let mut sum = merge(reports)?;
    sum.users = users;
    sum.seconds_measured = seconds;
    if seconds > 0.0 {
        (sum.requests_per_second, sum.generator_busy) = (rates / seconds, busy / seconds);
    }
    if let (Some(open), Some(wanted)) = (sum.open_loop.as_mut(), wanted) {
        open.rate_wanted = wanted;
    }
    Ok(sum)
}

/// One report of generators that loaded together; an error if there is none.
pub fn merge(mut reports: Vec<Report>) -> Result<Report> {
    let mut sum = reports.first().context("no generator has reported")?.clone();
    if reports.len() == 1 {
        return Ok(sum);
    }
    for report in &reports[1..] {
        add(&mut sum, report);
    }
    for of in PHASES {
        if let Some(phase) = of(&mut sum) {
            *phase = join(reports.iter_mut().filter_map(of))?;
        }
    }
    Ok(sum)
}

/// Where a report has histograms; the last is an open loop's only.
const PHASES: [fn(&mut Report) -> Option<&mut Phase>; 8] = [
    |report| Some(&mut report.phases.blocked),
    |report| Some(&mut report.phases.connecting),
    |report| Some(&mut report.phases.sending),
    |report| Some(&mut report.phases.waiting),
    |report| Some(&mut report.phases.receiving),
    |report| Some(&mut report.phases.duration),
    |report| Some(&mut report.latency_uncorrected),
    |report| report.latency_corrected.as_mut(),
];

/// All but the histograms.
fn add(sum: &mut Report, other: &Report) {
    sum.users += other.users;
    sum.requests += other.requests;
    sum.succeeded += other.succeeded;
    sum.requests_per_second += other.requests_per_second;
    sum.body_bytes += other.body_bytes;
    // The busiest decides whether generators are the limit.
    sum.generator_busy = sum.generator_busy.max(other.generator_busy);
    sum.generator_cpu_seconds += other.generator_cpu_seconds;
    sum.generator_peak_rss_kib = sum.generator_peak_rss_kib.max(other.generator_peak_rss_kib);
    sum.started_unix_us = sum.started_unix_us.min(other.started_unix_us);
    sum.ended_unix_us = sum.ended_unix_us.max(other.ended_unix_us);
    sum.started_late_ms = sum.started_late_ms.max(other.started_late_ms);
    sum.errors.connect += other.errors.connect;
    sum.errors.timeout += other.errors.timeout;
    sum.errors.reset += other.errors.reset;
    sum.errors.protocol += other.errors.protocol;
    sum.errors.status += other.errors.status;
    sum.errors.body += other.errors.body;
    for example in &other.error_examples {
        // The first message of each kind.
        if sum.error_examples.iter().all(|known| known.kind != example.kind) {
            sum.error_examples.push(example.clone());
        }
    }
    if let (Some(open), Some(more)) = (sum.open_loop.as_mut(), other.open_loop.as_ref()) {
        open.rate_wanted += more.rate_wanted;
        open.scheduled += more.scheduled;
        open.late_starts += more.late_starts;
        open.unsent += more.unsent;
    }
}

/// One phase of all.
fn join<'a>(phases: impl Iterator<Item = &'a mut Phase>) -> Result<Phase> {
    let mut all = phases.map(|phase| decode(&phase.histogram_us_v2_base64));
    let mut histogram: Histogram<u64> = all.next().context("nothing to join")??;
    for more in all {
        histogram.add(more?).context("add a histogram")?;
    }
    let ms = |us: u64| us as f64 / 1000.0;
    let at = |quantile: f64| ms(histogram.value_at_quantile(quantile).min(histogram.max()));
    Ok(Phase {
        count: histogram.len(),
        min_ms: ms(histogram.min()),
        mean_ms: histogram.mean() / 1000.0,
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: ms(histogram.max()),
        histogram_us_v2_base64: encode(&histogram)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn histogram(times_us: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        times_us.iter().for_each(|time| histogram.record(*time).unwrap());
        histogram
    }

    /// A closed loop's report; only histograms, counts and messages matter.
    fn report(times_us: &[u64], errors: &[&str]) -> Report {
        let phase = json!({
            "count": times_us.len(), "min_ms": 0.0, "mean_ms": 0.0, "p50_ms": 0.0, "p90_ms": 0.0, "p95_ms": 0.0,
            "p99_ms": 0.0, "p999_ms": 0.0, "max_ms": 0.0,
            "histogram_us_v2_base64": encode(&histogram(times_us)).unwrap(),
        });
        let phases = ["blocked", "connecting", "sending", "waiting", "receiving", "duration"];
        let phases: serde_json::Map<String, Value> =
            phases.into_iter().map(|name| (name.to_owned(), phase.clone())).collect();
        let examples: Vec<Value> = errors.iter().map(|text| json!({"kind": "reset", "message": text})).collect();
        serde_json::from_value(json!({
            "format": "f", "generator": "g", "name": "n", "url": "u", "address": "a", "users": 2, "open_loop": null,
            "seconds": 1.0, "requests_wanted": null, "warmup_seconds": 0.0, "timeout_seconds": 1.0, "keep_alive": true,
            "started_unix_us": 1, "ended_unix_us": 2, "started_late_ms": 0.0, "seconds_measured": 0.5,
            "requests": times_us.len(), "succeeded": times_us.len(), "requests_per_second": times_us.len() * 2,
            "generator_busy": 0.5, "generator_cpu_seconds": 0.1, "generator_peak_rss_kib": 1,
            "errors": {"connect": 0, "timeout": 0, "reset": errors.len(), "protocol": 0, "status": 0, "body": 0},
            "error_examples": examples, "body_bytes": 0, "phases": phases, "latency_corrected": null,
            "latency_uncorrected": phase,
        }))
        .unwrap()
    }

    #[test]
    fn parts_in_turn_are_all_their_requests_at_their_mean_rate() {
        let parts = [&[100, 200, 300][..], &[5_000, 100_000], &[], &[400]];
        let sum = in_turn(parts.map(|times| report(times, &[])).to_vec()).unwrap();
        let all = histogram(&parts.concat());
        for phase in [&sum.phases.blocked, &sum.phases.duration, &sum.latency_uncorrected] {
            assert_eq!(decode(&phase.histogram_us_v2_base64).unwrap(), all);
            assert_eq!((phase.count, phase.p50_ms, phase.max_ms), (6, 0.3, all.max() as f64 / 1000.0));
        }
        assert_eq!(sum.latency_corrected, None);
        assert_eq!((sum.users, sum.requests, sum.seconds_measured, sum.requests_per_second), (2, 6, 2.0, 3.0));
    }

    #[test]
    fn of_each_kind_of_error_the_first_message_stays() {
        let sum = merge(vec![report(&[1], &["first"]), report(&[1], &["second"])]).unwrap();
        assert_eq!((sum.errors.reset, sum.error_examples.len()), (2, 1));
        assert_eq!(sum.error_examples[0].message, "first");
        assert!(merge(Vec::new()).is_err());
    }
}
