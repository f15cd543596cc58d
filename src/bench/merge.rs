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
pub fn merge(reports: Vec<Report>) -> Result<Report> {
    let mut reports = reports.into_iter();
    let mut sum = reports.next().context("no generator has reported")?;
    for report in reports {
        add(&mut sum, &report)?;
    }
    Ok(sum)
}

fn add(sum: &mut Report, other: &Report) -> Result<()> {
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
    sum.error_examples.extend(other.error_examples.iter().cloned());
    if let (Some(open), Some(more)) = (sum.open_loop.as_mut(), other.open_loop.as_ref()) {
        open.rate_wanted += more.rate_wanted;
        open.scheduled += more.scheduled;
        open.late_starts += more.late_starts;
        open.unsent += more.unsent;
    }
    for (phase, more) in [
        (&mut sum.phases.blocked, &other.phases.blocked),
        (&mut sum.phases.connecting, &other.phases.connecting),
        (&mut sum.phases.sending, &other.phases.sending),
        (&mut sum.phases.waiting, &other.phases.waiting),
        (&mut sum.phases.receiving, &other.phases.receiving),
        (&mut sum.phases.duration, &other.phases.duration),
        (&mut sum.latency_uncorrected, &other.latency_uncorrected),
    ] {
        join(phase, more)?;
    }
    if let (Some(phase), Some(more)) = (sum.latency_corrected.as_mut(), other.latency_corrected.as_ref()) {
        join(phase, more)?;
    }
    Ok(())
}

fn join(phase: &mut Phase, more: &Phase) -> Result<()> {
    let mut histogram: Histogram<u64> = decode(&phase.histogram_us_v2_base64)?;
    histogram.add(decode(&more.histogram_us_v2_base64)?).context("add a histogram")?;
    let ms = |us: u64| us as f64 / 1000.0;
    let at = |quantile: f64| ms(histogram.value_at_quantile(quantile).min(histogram.max()));
    *phase = Phase {
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
    };
    Ok(())
}
