//! The JSON document that a run prints, and nothing else: this file needs only
//! `serde`, so that whoever reads the document can include it.
//!
//! Times are floats in milliseconds that were measured in whole microseconds.

use serde::{Deserialize, Serialize};

/// The `format` of this document; it changes with any change that a reader could stumble over.
pub const FORMAT: &str = "provision.loadgen/2";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// The generator's version.
    pub generator: String,
    /// What the one who asked for this run calls it; may be empty.
    pub name: String,
    /// The address that was asked for.
    pub url: String,
    /// The address that the connections went to.
    pub address: String,
    /// Closed loop: users at once; each sends its next request when its last
    /// one is answered. Open loop: the most requests under way at once.
    pub users: u32,
    /// The schedule and how it was kept; none in a closed loop.
    pub open_loop: Option<OpenLoop>,
    /// How long was asked for, in seconds; none where a number of requests was.
    pub seconds: Option<f64>,
    /// How many requests were asked for; none where a time was.
    pub requests_wanted: Option<u64>,
    /// Seconds before `seconds` whose requests are not counted.
    pub warmup_seconds: f64,
    /// After how many seconds a request counts as never answered.
    pub timeout_seconds: f64,
    /// Whether connections were used again; otherwise one connection per request.
    pub keep_alive: bool,
    /// When the counted part began, in microseconds since 1970 (UTC).
    pub started_unix_us: u64,
    /// When it ended: `seconds_measured` later.
    pub ended_unix_us: u64,
    /// How much later than asked for the run began, in milliseconds; 0 where
    /// no time was asked for.
    pub started_late_ms: f64,
    /// Seconds from the end of the warm-up to the end of what is counted: the
    /// asked time, plus what the last requests in flight then still took.
    pub seconds_measured: f64,
    /// Requests with whatever end that were answered or given up after the
    /// warm-up (closed loop) or due after it (open loop).
    pub requests: u64,
    /// Requests with the right status and the expected body.
    pub succeeded: u64,
    /// `succeeded` per measured second.
    pub requests_per_second: f64,
    /// The share of the time, 0 to 1, in which the generator itself had work to
    /// do. Near 1, it and not the server may be what is measured.
    pub generator_busy: f64,
    /// CPU time, user and system, that the generator used from the end of the
    /// warm-up to the last end of a request.
    pub generator_cpu_seconds: f64,
    /// The most memory the generator's process ever held, in KiB; 0 where
    /// /proc does not tell. It covers the earlier runs of a plan too.
    pub generator_peak_rss_kib: u64,
    /// The others, by what went wrong.
    pub errors: Errors,
    /// The first message of each kind of error.
    pub error_examples: Vec<ErrorExample>,
    /// Bytes of bodies received in requests that succeeded.
    pub body_bytes: u64,
    /// Times of the requests that succeeded, and only of these, as all below.
    pub phases: Phases,
    /// Open loop: from when a request was due to its last byte, whatever kept
    /// it from being sent. None in a closed loop, which has no such time.
    pub latency_corrected: Option<Phase>,
    /// From when a user began the request to its last byte: `blocked` plus `duration`.
    pub latency_uncorrected: Phase,
}

/// A schedule of requests that does not wait for answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenLoop {
    /// Requests per second that were asked for.
    pub rate_wanted: f64,
    /// `poisson` (gaps are exponential) or `constant`.
    pub arrivals: String,
    /// What the schedule was drawn from.
    pub seed: u64,
    /// Requests due after the warm-up: `requests` + `unsent`.
    pub scheduled: u64,
    /// Of these, begun more than a millisecond after they were due: no user
    /// was free, or the generator itself was late.
    pub late_starts: u64,
    /// Of these, never begun: no user came free within the time-out or until
    /// two seconds after the end. They are in no histogram.
    pub unsent: u64,
}

/// How many requests failed, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// No connection: refused, unreachable, no local port or descriptor left.
    pub connect: u64,
    /// Not answered in time.
    pub timeout: u64,
    /// The connection ended before the answer did.
    pub reset: u64,
    /// The answer was no HTTP, or too large.
    pub protocol: u64,
    /// Another status than expected.
    pub status: u64,
    /// The expected text was not in the body.
    pub body: u64,
}

impl Errors {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.connect + self.timeout + self.reset + self.protocol + self.status + self.body
    }
}

/// What an error of one kind said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorExample {
    /// The name of the field in [`Errors`].
    pub kind: String,
    /// The message.
    pub message: String,
}

/// The phases of a request as k6 defines them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// From wanting a connection to having one; contains `connecting`.
    pub blocked: Phase,
    /// The TCP handshake; zero on a connection used again.
    pub connecting: Phase,
    /// From the connection to the request written.
    pub sending: Phase,
    /// From the request written to the answer's first byte.
    pub waiting: Phase,
    /// From the answer's first byte to its last.
    pub receiving: Phase,
    /// `sending` + `waiting` + `receiving`.
    pub duration: Phase,
}

/// The distribution of one kind of times; all zero where nothing succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// How many values.
    pub count: u64,
    /// The least, in milliseconds.
    pub min_ms: f64,
    /// The mean, in milliseconds.
    pub mean_ms: f64,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// The 90th percentile, in milliseconds.
    pub p90_ms: f64,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: f64,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// The 99.9th percentile, in milliseconds; of few values it says little.
    pub p999_ms: f64,
    /// The greatest, in milliseconds.
    pub max_ms: f64,
    /// All values in microseconds: an HDR histogram, V2 deflate encoding, base64.
    pub histogram_us_v2_base64: String,
}
