//! From the generator's document to a block's figures, and all blocks'
//! requests in one histogram per measure and lane.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use super::design::{Load, Measure};
use super::loadgen::{Errors, Phase, Report};
use super::place::Taken;
use super::run::{Compared, Figures, Percentiles, PhaseTimes};

/// A block's figures of one measure.
#[must_use]
pub fn of(measure: &Measure, taken: &Taken) -> Figures {
    let report = &taken.report;
    let open = matches!(measure.load, Load::Open { .. });
    let times = report.latency_corrected.as_ref().unwrap_or(&report.latency_uncorrected);
    let Compared { rate, p50_ms, p99_ms, cpu_us_per_request } = compared(report, taken.cpu_us);
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    Figures {
        measure: measure.name.clone(),
        requests: report.requests,
        succeeded: report.succeeded,
        errors: errors(&report.errors),
        error_examples: report.error_examples.iter().map(|example| example.message.clone()).collect(),
        rate,
        p50_ms,
        p90_ms: times.p90_ms,
        p99_ms,
        uncorrected: open.then(|| percentiles(&report.latency_uncorrected)),
        phases_p95: phases(report, |phase| phase.p95_ms),
        phases_mean: phases(report, |phase| phase.mean_ms),
        cpu_us_per_request,
        server_busy: if taken.seconds > 0.0 { taken.cpu_us / 1e6 / taken.seconds } else { 0.0 },
        generator_busy: report.generator_busy,
        late_share: report.open_loop.as_ref().map(|open| share(open.late_starts, open.scheduled)),
        steal: taken.steal,
        throttled: taken.throttled,
        parts: taken.parts.clone(),
    }
}

/// What of a load is compared with the control's.
#[must_use]
pub fn compared(report: &Report, cpu_us: f64) -> Compared {
    let times = report.latency_corrected.as_ref().unwrap_or(&report.latency_uncorrected);
    Compared {
        rate: report.requests_per_second,
        p50_ms: times.p50_ms,
        p99_ms: times.p99_ms,
        cpu_us_per_request: if report.succeeded == 0 { 0.0 } else { cpu_us / report.succeeded as f64 },
    }
}

fn percentiles(phase: &Phase) -> Percentiles {
    Percentiles { p50_ms: phase.p50_ms, p90_ms: phase.p90_ms, p99_ms: phase.p99_ms }
}

fn phases(report: &Report, of: impl Fn(&Phase) -> f64) -> PhaseTimes {
    let phases = &report.phases;
    PhaseTimes {
        blocked: of(&phases.blocked),
        connecting: of(&phases.connecting),
        sending: of(&phases.sending),
        waiting: of(&phases.waiting),
        receiving: of(&phases.receiving),
    }
}

/// The kinds that occurred.
fn errors(errors: &Errors) -> BTreeMap<String, u64> {
    [
        ("connect", errors.connect),
        ("timeout", errors.timeout),
        ("reset", errors.reset),
        ("protocol", errors.protocol),
        ("status", errors.status),
        ("body", errors.body),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(kind, count)| (kind.to_owned(), count))
    .collect()
}

/// All requests' times by measure and lane.
#[derive(Default)]
pub struct Pool {
    corrected: BTreeMap<(String, String), Histogram<u64>>,
    uncorrected: BTreeMap<(String, String), Histogram<u64>>,
}

impl Pool {
    /// Adds what the generator measured in one block.
    pub fn add(&mut self, measure: &str, lane: &str, report: &Report) -> Result<()> {
        let key = (measure.to_owned(), lane.to_owned());
        let times = report.latency_corrected.as_ref().unwrap_or(&report.latency_uncorrected);
        merge(&mut self.corrected, key.clone(), times)?;
        if report.latency_corrected.is_some() {
            merge(&mut self.uncorrected, key, &report.latency_uncorrected)?;
        }
        Ok(())
    }

    /// From the intended send to the last byte, microseconds.
    #[must_use]
    pub fn corrected(&self, measure: &str, lane: &str) -> Option<&Histogram<u64>> {
        self.corrected.get(&(measure.to_owned(), lane.to_owned()))
    }

    /// From the real send, where that is another time.
    #[must_use]
    pub fn uncorrected(&self, measure: &str, lane: &str) -> Option<&Histogram<u64>> {
        self.uncorrected.get(&(measure.to_owned(), lane.to_owned()))
    }
}

fn merge(into: &mut BTreeMap<(String, String), Histogram<u64>>, key: (String, String), phase: &Phase) -> Result<()> {
    let histogram = decode(&phase.histogram_us_v2_base64)?;
    match into.get_mut(&key) {
        Some(known) => known.add(&histogram).context("add a histogram")?,
        None => drop(into.insert(key, histogram)),
    }
    Ok(())
}

/// Reads a histogram as results hold it.
pub fn decode(text: &str) -> Result<Histogram<u64>> {
    let bytes = STANDARD.decode(text).context("read a histogram's base64")?;
    let mut histogram: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes.as_slice()).context("read an HDR histogram")?;
    // Blocks differ in their greatest value.
    histogram.auto(true);
    Ok(histogram)
}

/// A histogram as results hold it: V2, deflate, base64.
pub fn encode(histogram: &Histogram<u64>) -> Result<String> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).context("write an HDR histogram")?;
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_survive_the_way_there_and_back_and_add_up() {
        let mut one = Histogram::<u64>::new_with_bounds(1, 1_000, 3).unwrap();
        one.record(5).unwrap();
        let mut two = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        two.record(2_000_000).unwrap();
        let mut sum = decode(&encode(&one).unwrap()).unwrap();
        sum.add(decode(&encode(&two).unwrap()).unwrap()).unwrap();
        assert_eq!((sum.len(), sum.min()), (2, 5));
        assert!(decode("AAAA").is_err() && decode("!").is_err());
    }
}
