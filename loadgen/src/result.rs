//! The JSON document that a run prints, and nothing else: this file needs only
//! `serde`, so that whoever reads the document can include it.
//!
//! Times are floats in milliseconds that were measured in whole microseconds.

use serde::{Deserialize, Serialize};

/// The `format` of this document; it changes with any change that a reader could stumble over.
pub const FORMAT: &str = "provision.loadgen/1";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// The generator's version.
    pub generator: String,
    /// The address that was asked for.
    pub url: String,
    /// The address that the connections went to.
    pub address: String,
    /// Users at once; each sends its next request when its last one is answered.
    pub users: u32,
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
    /// Seconds from the end of the warm-up to the end of what is counted: the
    /// asked time, plus what the last requests in flight then still took.
    pub seconds_measured: f64,
    /// Requests that ended after the warm-up, with whatever end.
    pub requests: u64,
    /// Requests with the right status and the expected body.
    pub succeeded: u64,
    /// `succeeded` per measured second.
    pub requests_per_second: f64,
    /// The share of the time, 0 to 1, in which the generator itself had work to
    /// do. Near 1, it and not the server may be what is measured.
    pub generator_busy: f64,
    /// The others, by what went wrong.
    pub errors: Errors,
    /// The first message of each kind of error.
    pub error_examples: Vec<ErrorExample>,
    /// Bytes of bodies received in requests that succeeded.
    pub body_bytes: u64,
    /// Times of the requests that succeeded, and only of these.
    pub phases: Phases,
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

/// The distribution of one phase's times; all zero where nothing succeeded.
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
    /// The greatest, in milliseconds.
    pub max_ms: f64,
    /// All values in microseconds: an HDR histogram, V2 deflate encoding, base64.
    pub histogram_us_v2_base64: String,
}
