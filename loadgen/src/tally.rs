//! What a run counts, and the document that it makes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::config::{Config, Length};
use crate::exchange::{Failure, Kind};
use crate::phases::{Recorder, Sample};
use crate::process;
use crate::response::Response;
use crate::result::{ErrorExample, Errors, FORMAT, OpenLoop, Report};

/// The counts of a run, without its warm-up.
pub struct Tally {
    recorder: Recorder,
    requests: u64,
    succeeded: u64,
    body_bytes: u64,
    errors: Errors,
    examples: BTreeMap<Kind, String>,
    last_end: Instant,
    last_success: Instant,
    /// Open loop: requests due.
    pub scheduled: u64,
    /// Open loop: begun late.
    pub late_starts: u64,
    /// Open loop: never begun.
    pub unsent: u64,
    /// Time spent waiting for sockets.
    pub waited: Duration,
    counted_from: Instant,
    /// CPU seconds that the process had used when counting began.
    cpu_before: Option<f64>,
}

/// When things happened in a run.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The end of the warm-up.
    pub counted_from: Instant,
    /// The same by the wall clock.
    pub counted_from_wall: SystemTime,
    /// When the asked time is over.
    pub stop_at: Instant,
    /// How much later than asked for the run began.
    pub started_late: Duration,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(recorder: Recorder, times: &Times) -> Self {
        Self {
            recorder,
            requests: 0,
            succeeded: 0,
            body_bytes: 0,
            errors: Errors::default(),
            examples: BTreeMap::new(),
            last_end: times.counted_from,
            last_success: times.counted_from,
            scheduled: 0,
            late_starts: 0,
            unsent: 0,
            waited: Duration::ZERO,
            counted_from: times.counted_from,
            cpu_before: None,
        }
    }

    /// To be told the time at every wake-up: once the warm-up is over, CPU time counts.
    pub fn begin_if_due(&mut self, now: Instant) {
        if self.cpu_before.is_none() && now >= self.counted_from {
            self.cpu_before = Some(process::cpu_seconds());
        }
    }

    /// Counts an answer that came whole at `at`, begun `late` after it was due.
    pub fn answer(&mut self, config: &Config, response: &Response, sample: &Sample, late: Duration, at: Instant) {
        match verdict(response, config) {
            Ok(()) => {
                self.requests += 1;
                self.succeeded += 1;
                self.body_bytes += response.body_bytes();
                self.last_end = at;
                self.last_success = at;
                self.recorder.record(sample, late);
            }
            Err(failure) => self.failure(failure, at),
        }
    }

    /// Counts a request that failed at `at`.
    pub fn failure(&mut self, failure: Failure, at: Instant) {
        self.requests += 1;
        self.last_end = at;
        *match failure.kind {
            Kind::Connect => &mut self.errors.connect,
            Kind::Timeout => &mut self.errors.timeout,
            Kind::Reset => &mut self.errors.reset,
            Kind::Protocol => &mut self.errors.protocol,
            Kind::Status => &mut self.errors.status,
            Kind::Body => &mut self.errors.body,
        } += 1;
        self.examples.entry(failure.kind).or_insert(failure.message);
    }

    /// The document; to be called as soon as the run has ended.
    pub fn report(&self, config: &Config, address: SocketAddr, times: &Times) -> Result<Report, String> {
        let cpu_now = process::cpu_seconds();
        let whole = times.counted_from.elapsed().as_secs_f64();
        let (end, seconds, requests_wanted) = match config.length {
            // Time-outs after the end say nothing about what was achieved in it.
            Length::Time(time) => (times.stop_at.max(self.last_success), Some(time.as_secs_f64()), None),
            Length::Requests(requests) => (self.last_end, None, Some(requests)),
        };
        let measured = end.saturating_duration_since(times.counted_from);
        let seconds_measured = measured.as_secs_f64();
        let unix_us = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        let (latency_corrected, latency_uncorrected) = self.recorder.latencies()?;
        Ok(Report {
            format: FORMAT.into(),
            generator: env!("CARGO_PKG_VERSION").into(),
            name: config.name.clone(),
            url: config.target.url(),
            address: address.to_string(),
            users: config.users,
            open_loop: config.open.map(|open| OpenLoop {
                rate_wanted: open.rate,
                arrivals: open.arrivals.name().into(),
                seed: open.seed,
                scheduled: self.scheduled,
                late_starts: self.late_starts,
                unsent: self.unsent,
            }),
            seconds,
            requests_wanted,
            warmup_seconds: config.warmup.as_secs_f64(),
            timeout_seconds: config.timeout.as_secs_f64(),
            keep_alive: config.keep_alive,
            started_unix_us: unix_us(times.counted_from_wall),
            ended_unix_us: unix_us(times.counted_from_wall + measured),
            started_late_ms: times.started_late.as_secs_f64() * 1000.0,
            seconds_measured,
            requests: self.requests,
            succeeded: self.succeeded,
            requests_per_second: if seconds_measured > 0.0 { self.succeeded as f64 / seconds_measured } else { 0.0 },
            generator_busy: (1.0 - self.waited.as_secs_f64() / whole).clamp(0.0, 1.0),
            generator_cpu_seconds: (cpu_now - self.cpu_before.unwrap_or(cpu_now)).max(0.0),
            generator_peak_rss_kib: process::peak_rss_kib(),
            errors: self.errors,
            error_examples: self.examples.iter().map(example).collect(),
            body_bytes: self.body_bytes,
            phases: self.recorder.report()?,
            latency_corrected,
            latency_uncorrected,
        })
    }
}

fn verdict(response: &Response, config: &Config) -> Result<(), Failure> {
    let status = response.status().unwrap_or_default();
    if status != config.status {
        return Err(Failure::new(Kind::Status, format!("status {status} instead of {}", config.status)));
    }
    if !response.found() {
        return Err(Failure::new(Kind::Body, format!("no {:?} in the body", config.expect)));
    }
    Ok(())
}

fn example((kind, message): (&Kind, &String)) -> ErrorExample {
    ErrorExample { kind: format!("{kind:?}").to_lowercase(), message: message.clone() }
}
