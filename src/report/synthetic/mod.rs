//! Runs made up for tests: six lanes with the costs seen on a real machine,
//! with drift, noise and long tails, the same for the same seed.

use crate::arms::{Mode, Runtime};
use crate::bench::design::{Choice, Design, Size};
use crate::bench::run::{Calibration, Cost, Environment, FORMAT, Gate, Lane, PlaceKind, Run, Verdict};
use crate::stats::{Interval, Method};

mod figures;

use figures::{Noise, block, summaries};

/// Name, title, mode, runtime, rate factor of sockets, slowness of computing,
/// idle KiB, image bytes, start in ms.
type Arm = (&'static str, &'static str, Mode, Runtime, f64, f64, u64, u64, f64);

const ARMS: [Arm; 6] = [
    ("native", "Rust", Mode::Native, Runtime::Crun, 1.0, 1.0, 1_140, 1_310_000, 41.0),
    ("native-again", "Rust (again)", Mode::Native, Runtime::Crun, 1.0, 1.0, 1_140, 1_310_000, 41.0),
    ("native-debian", "Rust (Debian)", Mode::Native, Runtime::Crun, 0.985, 1.01, 2_260, 78_400_000, 44.0),
    ("native-runc", "Rust (runc)", Mode::Native, Runtime::Runc, 0.998, 1.0, 1_150, 1_310_000, 78.0),
    ("wasm-aot", "Wasm (AOT)", Mode::Aot, Runtime::Crun, 0.925, 1.17, 13_900, 1_020_000, 63.0),
    ("wasm-interpreter", "Wasm (interpreter)", Mode::Interpreter, Runtime::Crun, 0.61, 31.0, 11_600, 214_000, 59.0),
];

/// A small valid run: three rounds.
pub fn quick() -> Run {
    of(Size::Quick)
}

/// The quick run of a machine on which the A/A twin is not equal.
pub fn invalid() -> Run {
    let mut run = quick();
    let fault = "tiny-close rate 1.090 x (1.050-1.130): the same arm differs from itself by more than 5 %";
    run.gates[2].passed = false;
    run.gates[2].detail = fault.into();
    run.verdict = Verdict { valid: false, sentence: format!("invalid, because {fault}"), because: Vec::new() };
    run.gates[5].passed = false;
    run.gates[5].detail = "the hypervisor took 7.1 % of the CPU in round 2".into();
    run
}

/// A run of that size as `Design` makes it.
pub fn of(size: Size) -> Run {
    let choice = Choice { users: 100, seed: 20_261_125, ..Choice::default() };
    let design = Design::of(size, false, &choice).unwrap();
    let mut noise = Noise(0x5EED_0000_0000_0001 ^ design.seed);
    let smoke = size == Size::Smoke;
    let arms: Vec<Arm> =
        ARMS.into_iter().filter(|arm| !smoke || ["native", "wasm-aot", "wasm-interpreter"].contains(&arm.0)).collect();
    let mut blocks = Vec::new();
    for round in 0..design.rounds {
        let drift = noise.around_one(0.02);
        for (position, arm) in arms.iter().enumerate() {
            blocks.push(block(round, position as u32, arm, &design.measures, drift, &mut noise));
        }
    }
    let summary = summaries(&design.measures, &arms, &blocks, &mut noise);
    let costs = arms.iter().filter(|_| !smoke).map(|arm| {
        (arm.0.to_owned(), Cost { replica_kib: Some(arm.6 as f64 * 0.55 + 310.0), replicas: design.replicas })
    });
    Run {
        format: FORMAT.into(),
        id: "2026-11-25T07-07-27Z".into(),
        lab: "demo".into(),
        place: PlaceKind::Cluster { uid: "0b7c4f0e-6a4e-4f0c-9d6e-2f4d0c8f1a11".into() },
        size,
        shortened: false,
        seed: design.seed,
        started: "2026-11-25T07:07:27Z".into(),
        seconds: blocks.len() as f64 * (design.measures.len() as f64 * design.measures[0].seconds * 1.25 + 2.0),
        environment: environment(),
        lanes: arms.iter().map(lane).collect(),
        calibration: Some(Calibration { null_close_rate: 31_420.0, null_keep_alive_rate: 88_310.0, generators: 1 }),
        costs: costs.collect(),
        measures: design.measures,
        blocks,
        summary,
        gates: gates(),
        verdict: Verdict {
            valid: true,
            sentence: "requests per second, of Rust's: Wasm (AOT): tiny route 0.93 x (0.91-0.95), computing 0.89 x \
                       (0.88-0.90); Wasm (interpreter): tiny route 0.61 x (0.60-0.63), computing 0.06 x (0.06-0.07)"
                .into(),
            because: vec![
                "image: 996 KiB against 1279 KiB, 78 % of native's".into(),
                "start to the first answer: 249 ms against 227 ms; the container itself 58 ms against 37 ms".into(),
                "memory at its peak: 18.2 MiB against 1.5 MiB; one more replica adds 7.8 MiB against 0.9 MiB".into(),
                "CPU time per request, of native's: tiny-close 1.08 x (1.07-1.10)".into(),
            ],
        },
    }
}

/// An interval for tests.
pub fn interval(estimate: f64, low: f64, high: f64) -> Interval {
    Interval { estimate, low, high, level: 0.95, rounds: 12, method: Method::SignedRank }
}

fn lane(arm: &Arm) -> Lane {
    let twin = arm.0 == "native-again";
    Lane {
        name: arm.0.into(),
        title: arm.1.into(),
        arm: arm.0.trim_end_matches("-again").into(),
        mode: arm.2,
        runtime: arm.3,
        twin_of: twin.then(|| "native".into()),
        image: format!("provision.local/workload:{}", arm.0.trim_end_matches("-again")),
        digest: format!("sha256:{}", "9f2c4e".repeat(10)),
        image_bytes: arm.7,
    }
}

fn environment() -> Environment {
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Environment {
        emulated: false,
        virtualised: true,
        cpu: "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz".into(),
        cpus: 4,
        memory_mib: 7_952,
        kernel: "6.12.48+deb13-amd64".into(),
        accounting: "cgroup v2".into(),
        pinning: "server 2, generator 3".into(),
        idle: "polling".into(),
        versions: pairs(&[
            ("provision", "0.1.0"),
            ("loadgen", "0.1.0"),
            ("crun", "1.21"),
            ("runc", "1.3.2"),
            ("wasmedge", "0.14.1"),
            ("kubernetes", "1.37.2"),
            ("containerd", "2.4.1"),
        ]),
        lock: String::new(),
        digests: pairs(&[
            ("lock", "sha256:7d1f0a9be0f6c04f4f5fd3b1d7f4a02c19a6b4a5ee4f8b3a7c1d2e3f4a5b6c7d"),
            ("workload", "sha256:0a9be0f6c04f4f5fd3b1d7f4a02c19a6b4a5ee4f8b3a7c1d2e3f4a5b6c7d8e9f"),
            ("workload-aot.wasm", "sha256:4f5fd3b1d7f4a02c19a6b4a5ee4f8b3a7c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f"),
        ]),
    }
}

fn gates() -> Vec<Gate> {
    let gate = |name: &str, decisive: bool, detail: &str| Gate {
        name: name.into(),
        passed: true,
        decisive,
        detail: detail.into(),
    };
    vec![
        gate("mode", true, "every process was what its lane claims, in every block"),
        gate("canary", true, "computing took Wasm (AOT) 1.17 x and Wasm (interpreter) 31.0 x native's time"),
        gate("a/a", true, "native-again is 1.00 x (0.99-1.01) of native on tiny-close"),
        gate("generator", true, "busy at most 64 % of the time; a null server gets 31,420 requests/s"),
        gate("errors", true, "no request failed"),
        gate("steal", false, "the hypervisor took at most 0.4 % of the CPU"),
        gate("throttling", false, "no server was throttled"),
        gate("samples", true, "each p99 is from at least 1,000 requests"),
    ]
}
