//! The figures of made-up runs: blocks, and what they come to.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use super::{Arm, interval};
use crate::bench::design::{Load, Measure};
use crate::bench::run::{Block, Figures, Percentiles, PhaseTimes, Ratios, Start, Summary};
use crate::stats::{self, Interval, Method};

/// Noise of a fixed seed (xorshift64*), so that snapshots stay.
pub struct Noise(pub u64);

impl Noise {
    /// From 0 to 1, never 0.
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Log-normal around 1 with a spread of `sigma`.
    pub fn around_one(&mut self, sigma: f64) -> f64 {
        let normal = (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos();
        (sigma * normal).exp()
    }
}

/// Requests per second and the median in ms.
fn expected(arm: &Arm, measure: &Measure) -> (f64, f64) {
    let socket = if measure.keep_alive { 47.0 } else { 78.0 };
    let work = match measure.route.as_str() {
        "compute" => 42.0 * arm.5,
        "json" => 31.0 * (1.0 + (arm.5 - 1.0) * 0.6),
        "alloc" => 24.0 * (1.0 + (arm.5 - 1.0) * 0.8),
        "body" => 18.0 * (1.0 + (arm.5 - 1.0) * 0.05),
        _ => 0.0,
    };
    let service_us = socket / arm.4 + work;
    match measure.load {
        Load::Closed { users } => (1e6 / service_us, f64::from(users) * service_us / 1e3),
        Load::Open { .. } => (if measure.route == "compute" { 290.0 } else { 5_100.0 }, service_us * 1.3 / 1e3),
    }
}

pub fn block(round: u32, position: u32, arm: &Arm, measures: &[Measure], drift: f64, noise: &mut Noise) -> Block {
    let figures = measures.iter().map(|measure| figures(arm, measure, drift, noise)).collect();
    let part = |share: f64, noise: &mut Noise| arm.8 * share * noise.around_one(0.08);
    let mut start = Start {
        scheduling_ms: Some(9.0 * noise.around_one(0.1)),
        sandbox_ms: Some(182.0 * noise.around_one(0.06)),
        container_ms: part(0.9, noise),
        first_byte_ms: part(0.1, noise),
        total_ms: 0.0,
    };
    start.total_ms =
        start.scheduling_ms.unwrap_or(0.0) + start.sandbox_ms.unwrap_or(0.0) + start.container_ms + start.first_byte_ms;
    Block {
        round,
        position,
        lane: arm.0.into(),
        at_seconds: f64::from(round * 6 + position) * 12.0,
        evidence: crate::proof::Evidence::default(),
        canary_us: (520.0 * arm.5 * noise.around_one(0.01)) as u64,
        start,
        figures,
        idle_kib: (arm.6 as f64 * noise.around_one(0.01)) as u64,
        peak_kib: (arm.6 as f64 * 1.35 * noise.around_one(0.02)) as u64,
    }
}

fn figures(arm: &Arm, measure: &Measure, drift: f64, noise: &mut Noise) -> Figures {
    let (rate, p50) = expected(arm, measure);
    let open = matches!(measure.load, Load::Open { .. });
    let level = drift * noise.around_one(0.012);
    let rate = if open { rate } else { rate * level };
    let p50 = p50 / level;
    let cpu = 1e6 / expected(arm, &Measure { load: Load::Closed { users: 1 }, ..measure.clone() }).0;
    let requests = (rate * measure.seconds) as u64;
    let phase = |share: f64, noise: &mut Noise| p50 * share * noise.around_one(0.05);
    let mut phases = PhaseTimes {
        blocked: phase(0.21, noise),
        connecting: phase(0.2, noise),
        sending: phase(0.06, noise),
        waiting: phase(0.9, noise),
        receiving: phase(0.02, noise),
    };
    if measure.keep_alive {
        (phases.blocked, phases.connecting) = (0.0, 0.0);
    }
    Figures {
        measure: measure.name.clone(),
        requests,
        succeeded: requests,
        errors: BTreeMap::new(),
        error_examples: Vec::new(),
        rate,
        p50_ms: p50,
        p90_ms: p50 * 1.4,
        p99_ms: p50 * 2.9 * noise.around_one(0.1),
        uncorrected: open.then_some(Percentiles { p50_ms: p50, p90_ms: p50 * 1.3, p99_ms: p50 * 2.1 }),
        phases_p95: phases,
        phases_mean: phases,
        cpu_us_per_request: cpu * 0.97 / level,
        server_busy: if open { 0.41 } else { 0.99 },
        generator_busy: 0.62,
        late_share: open.then_some(0.0004),
        steal: 0.002,
        throttled: 0,
        parts: Vec::new(),
    }
}

pub fn summaries(measures: &[Measure], arms: &[Arm], blocks: &[Block], noise: &mut Noise) -> Vec<Summary> {
    let mut found = Vec::new();
    for (index, measure) in measures.iter().enumerate() {
        let of = |arm: &str, figure: fn(&Figures) -> f64| -> Vec<f64> {
            blocks.iter().filter(|block| block.lane == arm).map(|block| figure(&block.figures[index])).collect()
        };
        for arm in arms {
            let ratio = |figure: fn(&Figures) -> f64| {
                if arm.0 == "native" { None } else { paired(&of("native", figure), &of(arm.0, figure)) }
            };
            let median = |figure: fn(&Figures) -> f64| stats::median(&of(arm.0, figure)).unwrap();
            let open = matches!(measure.load, Load::Open { .. });
            let wanted: u64 = of(arm.0, |figures| figures.succeeded as f64).iter().sum::<f64>() as u64;
            let p50 = median(|figures| figures.p50_ms);
            let histogram = times(p50, wanted, if open { 0.004 } else { 0.001 }, noise);
            let at = |percentile: f64, needed: u64| {
                (wanted >= needed).then(|| histogram.value_at_quantile(percentile / 100.0) as f64 / 1e3)
            };
            found.push(Summary {
                generator_limited: false,
                measure: measure.name.clone(),
                lane: arm.0.into(),
                succeeded: wanted,
                rate: median(|figures| figures.rate),
                cpu_us_per_request: median(|figures| figures.cpu_us_per_request),
                p50_ms: at(50.0, 100),
                p90_ms: at(90.0, 500),
                p95_ms: at(95.0, 1_000),
                p99_ms: at(99.0, 1_000),
                p999_ms: at(99.9, 10_000),
                ratios: Ratios {
                    rate: ratio(|figures| figures.rate),
                    p50: ratio(|figures| figures.p50_ms),
                    p99: ratio(|figures| figures.p99_ms),
                    cpu: ratio(|figures| figures.cpu_us_per_request),
                },
                uncorrected_us_v2_base64: open.then(|| encoded(&times(p50 * 0.99, wanted, 0.0008, noise))),
                histogram_us_v2_base64: encoded(&histogram),
                phases_p95: PhaseTimes {
                    blocked: median(|figures| figures.phases_p95.blocked),
                    connecting: median(|figures| figures.phases_p95.connecting),
                    sending: median(|figures| figures.phases_p95.sending),
                    waiting: median(|figures| figures.phases_p95.waiting),
                    receiving: median(|figures| figures.phases_p95.receiving),
                },
                phases_mean: blocks[0].figures[index].phases_mean,
            });
        }
    }
    found
}

/// Times in microseconds around a median; a share of them waited for a stall.
fn times(p50_ms: f64, count: u64, stalled: f64, noise: &mut Noise) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
    // Enough to draw the shape; each stands for several requests.
    let drawn = count.clamp(1, 20_000);
    for _ in 0..drawn {
        let stall = if noise.uniform() < stalled { 2_500.0 * -noise.uniform().ln() } else { 0.0 };
        let us = p50_ms * 1e3 * noise.around_one(0.22) + stall;
        histogram.record_n((us as u64).max(1), count.div_ceil(drawn)).unwrap();
    }
    histogram
}

fn encoded(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).unwrap();
    BASE64_STANDARD.encode(bytes)
}

/// Good enough for a made-up run: the mean of the log-ratios and about two
/// standard errors.
fn paired(control: &[f64], other: &[f64]) -> Option<Interval> {
    if control.len() < 3 {
        return None;
    }
    let logs: Vec<f64> = control.iter().zip(other).map(|(control, other)| (other / control).ln()).collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let error = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0) / count).sqrt();
    let reach = error * if logs.len() < 6 { 4.3 } else { 2.2 };
    let method = if logs.len() < 6 { Method::StudentT } else { Method::SignedRank };
    let interval = interval(mean.exp(), (mean - reach).exp(), (mean + reach).exp());
    Some(Interval { method, ..interval })
}
