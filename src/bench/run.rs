//! What a run of the benchmark leaves: versioned JSON, whose schema is
//! published in `config/result.schema.json`.
//!
//! Units are in the names: `_ms` milliseconds, `_us` microseconds, `_kib` KiB,
//! `_bytes` bytes, `rate` requests per second. Ratios are to the control arm
//! (native, static); 1.0 is "the same".

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arms::{Mode, Runtime};
use crate::bench::design::{Measure, Size};
use crate::proof::Evidence;
use crate::stats::Interval;

/// The `format` of a run; it changes with any change a reader could stumble over.
pub const FORMAT: &str = "provision.bench/2";

/// One run of the benchmark.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// [`FORMAT`].
    pub format: String,
    /// Unique among the runs of a lab and ordered by time, `2026-11-25T07-07-27Z`.
    pub id: String,
    /// The lab's name.
    pub lab: String,
    /// Where the servers ran.
    pub place: PlaceKind,
    /// How much was measured.
    pub size: Size,
    /// Whether the work was shrunk because the machine is emulated.
    pub shortened: bool,
    /// What decided the order of blocks and every random draw.
    pub seed: u64,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// What it ran on.
    pub environment: Environment,
    /// The arms in the order of the tables' columns; the first is the control.
    pub lanes: Vec<Lane>,
    /// What was measured in each block, in order.
    pub measures: Vec<Measure>,
    /// The generator against a server that does nothing.
    pub calibration: Option<Calibration>,
    /// Every block in the order in which it ran.
    pub blocks: Vec<Block>,
    /// By lane: figures that were taken once a run.
    pub costs: BTreeMap<String, Cost>,
    /// By measure and lane: the blocks taken together.
    pub summary: Vec<Summary>,
    /// Whether the figures may be believed, question by question.
    pub gates: Vec<Gate>,
    /// The answer in words.
    pub verdict: Verdict,
}

/// Where servers run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum PlaceKind {
    /// Containers on this host, load over 127.0.0.1.
    Local,
    /// Pods of a lab's cluster, the generator on their node.
    Cluster {
        /// uid of the cluster's namespace `kube-system`.
        uid: String,
    },
}

/// What a run was made on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// No KVM: absolute times mean nothing, ratios little.
    pub emulated: bool,
    /// Whether the machine that measures is itself virtual, as its CPU says.
    pub virtualised: bool,
    /// CPU, as /proc/cpuinfo of the measuring machine names it.
    pub cpu: String,
    /// Its CPUs.
    pub cpus: u32,
    /// Its memory, MiB.
    pub memory_mib: u64,
    /// Its kernel.
    pub kernel: String,
    /// Where CPU times come from: `cgroup v2`, `/proc`.
    pub accounting: String,
    /// CPUs that server and generator were bound to; empty where they were not.
    pub pinning: String,
    /// What CPUs do that have nothing to do, where the run decided that; empty
    /// where they sleep as the machine has them.
    #[serde(default)]
    pub idle: String,
    /// Names and versions: provision, crun, runc, wasmedge, kubernetes, containerd, loadgen…
    pub versions: BTreeMap<String, String>,
    /// Hash of the lock from which the lab was built; empty where there was none.
    #[serde(default)]
    pub lock: String,
    /// Digests of what was measured: images or files, by name.
    pub digests: BTreeMap<String, String>,
}

/// One arm in a run; the control takes part twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lane {
    /// Its name in this run: the arm's, or `<arm>-again` for the A/A twin.
    pub name: String,
    /// Its column in tables.
    pub title: String,
    /// The arm.
    pub arm: String,
    /// The mode it claims.
    pub mode: Mode,
    /// What makes its containers.
    pub runtime: Runtime,
    /// Of which lane it is the twin.
    pub twin_of: Option<String>,
    /// Its image.
    pub image: String,
    /// Digest of the image (cluster) or of the server's file (local).
    pub digest: String,
    /// All layers, uncompressed.
    pub image_bytes: u64,
}

/// The generator's own limits, measured in the same run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Its rate against the null server, a connection per request.
    pub null_close_rate: f64,
    /// Its rate against the null server over kept connections.
    pub null_keep_alive_rate: f64,
    /// Generators side by side, then and in all blocks.
    #[serde(default = "one")]
    pub generators: u32,
}

impl Run {
    /// Whether the generator was the limit of a measure on this lane or on the
    /// control: then neither rates nor times of the two may be compared.
    #[must_use]
    pub fn generator_limited(&self, measure: &str, lane: &str) -> bool {
        let control = self.lanes.first().map(|control| control.name.as_str());
        self.summary.iter().any(|summary| {
            summary.generator_limited
                && summary.measure == measure
                && (summary.lane == lane || Some(summary.lane.as_str()) == control)
        })
    }
}

impl Calibration {
    /// Takes what another look found to be faster.
    pub fn raise(&mut self, other: &Self) {
        self.null_close_rate = self.null_close_rate.max(other.null_close_rate);
        self.null_keep_alive_rate = self.null_keep_alive_rate.max(other.null_keep_alive_rate);
    }
}

fn one() -> u32 {
    1
}

/// One fresh server and all that was measured on it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Block {
    /// From 0; every lane has one block in each round.
    pub round: u32,
    /// From 0: its place in the round's random order.
    pub position: u32,
    /// The lane's name.
    pub lane: String,
    /// When it began, seconds since the run began.
    pub at_seconds: f64,
    /// What the kernel and the runtime said of its process.
    pub evidence: Evidence,
    /// Best time of the canary's computation, microseconds.
    pub canary_us: u64,
    /// From nothing to the first answer.
    pub start: Start,
    /// In the order of [`Run::measures`].
    pub figures: Vec<Figures>,
    /// Memory that the server held before any load, KiB.
    pub idle_kib: u64,
    /// The most it ever held, KiB.
    pub peak_kib: u64,
}

/// The way to a server's first answer, milliseconds. The parts add up to the
/// total; a part that the place does not have is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// From asking for it (`kubectl apply`) to its node being chosen.
    pub scheduling_ms: Option<f64>,
    /// From then to the pod's sandbox and network being there.
    pub sandbox_ms: Option<f64>,
    /// From then (cluster) or from calling the runtime (local) to the server listening.
    pub container_ms: f64,
    /// From then to the first answer with status 200.
    pub first_byte_ms: f64,
    /// All of it.
    pub total_ms: f64,
}

/// One measure of one block. Percentiles are of the time from the intended
/// send to the last byte (open loop), or from wanting to send to the last
/// byte (closed loop).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// The measure's name.
    pub measure: String,
    /// Requests that ended, with whatever end.
    pub requests: u64,
    /// Of these, with the right status and body.
    pub succeeded: u64,
    /// The others, by kind.
    pub errors: BTreeMap<String, u64>,
    /// The first message of each kind of error.
    pub error_examples: Vec<String>,
    /// Successes per second.
    pub rate: f64,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 90th percentile, milliseconds.
    pub p90_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// Open loop only: the same percentiles counted from when a request was really sent.
    pub uncorrected: Option<Percentiles>,
    /// 95th percentiles of k6's phases, milliseconds, as in the demo's table.
    pub phases_p95: PhaseTimes,
    /// Means of k6's phases, milliseconds.
    pub phases_mean: PhaseTimes,
    /// CPU time that the server used per success, microseconds.
    pub cpu_us_per_request: f64,
    /// Share of one CPU that the server used, 0 to 1.
    pub server_busy: f64,
    /// Share of the time in which the generator had work, 0 to 1.
    pub generator_busy: f64,
    /// Open loop only: share of requests begun over 1 ms after their time.
    pub late_share: Option<f64>,
    /// Share of CPU time that the hypervisor gave to others, 0 to 1.
    pub steal: f64,
    /// How often the server was throttled by its CPU limit.
    pub throttled: u64,
    /// The parts that it was measured in, in turn with other lanes' (local);
    /// empty where it was measured in one go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Compared>,
}

impl Figures {
    /// The block's own figures of those that are compared.
    #[must_use]
    pub fn compared(&self) -> Compared {
        let Self { rate, p50_ms, p99_ms, cpu_us_per_request, .. } = *self;
        Compared { rate, p50_ms, p99_ms, cpu_us_per_request }
    }
}

/// The figures that are compared with the control's, of a block or a part of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// Successes per second.
    pub rate: f64,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// CPU time that the server used per success, microseconds.
    pub cpu_us_per_request: f64,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
}

/// k6's phases of a request, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseTimes {
    /// Waiting for a connection; contains `connecting`.
    pub blocked: f64,
    /// The TCP handshake.
    pub connecting: f64,
    /// Writing the request.
    pub sending: f64,
    /// From the request written to the first byte.
    pub waiting: f64,
    /// From the first byte to the last.
    pub receiving: f64,
}

/// What an arm costs apart from its speed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// What one more replica adds to the machine's memory, KiB: shared pages
    /// are counted once.
    pub replica_kib: Option<f64>,
    /// How many replicas ran side by side to find out.
    pub replicas: u32,
}

/// A measure of a lane over all blocks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The measure's name.
    pub measure: String,
    /// The lane's name.
    pub lane: String,
    /// Requests that succeeded in all blocks.
    pub succeeded: u64,
    /// Median over blocks.
    pub rate: f64,
    /// Closed loop: the generator was what ran out, not the server, which can do
    /// at least this; no ratio of rates or times is told then.
    #[serde(default)]
    pub generator_limited: bool,
    /// Median over blocks, microseconds.
    pub cpu_us_per_request: f64,
    /// Of all requests together, milliseconds; absent where there are too few for it.
    pub p50_ms: Option<f64>,
    /// See `p50_ms`.
    pub p90_ms: Option<f64>,
    /// See `p50_ms`.
    pub p95_ms: Option<f64>,
    /// See `p50_ms`.
    pub p99_ms: Option<f64>,
    /// See `p50_ms`.
    pub p999_ms: Option<f64>,
    /// Ratios to the control, paired by rounds, and within them by parts; absent for the control itself
    /// and where rounds are too few.
    pub ratios: Ratios,
    /// All requests' times in microseconds: an HDR histogram, V2 deflate, base64.
    pub histogram_us_v2_base64: String,
    /// Open loop only: the same from when requests were really sent.
    pub uncorrected_us_v2_base64: Option<String>,
    /// Medians over blocks of the phases' 95th percentiles.
    pub phases_p95: PhaseTimes,
    /// Medians over blocks of the phases' means.
    pub phases_mean: PhaseTimes,
}

/// Ratios to the control with their intervals.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ratios {
    /// Of requests per second: above 1 is faster.
    pub rate: Option<Interval>,
    /// Of the median: above 1 is slower.
    pub p50: Option<Interval>,
    /// Of the 99th percentile: above 1 is slower.
    pub p99: Option<Interval>,
    /// Of CPU time per request: above 1 costs more.
    pub cpu: Option<Interval>,
}

/// One question on which the verdict depends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Stable name: `mode`, `canary`, `a/a`, `generator`, `errors`, `steal`, `throttling`, `samples`.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// Whether figures are invalid where it does not hold; otherwise it is a caution.
    pub decisive: bool,
    /// What was seen, with figures.
    pub detail: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Whether every decisive gate holds.
    pub valid: bool,
    /// One sentence: what Wasm costs or saves, or "invalid, because …".
    pub sentence: String,
    /// Where Wasm wins, where it loses and which phase explains it, a sentence each.
    pub because: Vec<String>,
}
