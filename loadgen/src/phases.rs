//! Histograms of the phases.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::result::{Phase, Phases};

/// The largest value that is kept apart, in microseconds: an hour.
const LARGEST_US: u64 = 3_600_000_000;
/// Values are kept to three significant figures.
const FIGURES: u8 = 3;

/// The times of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// See [`Phases::blocked`].
    pub blocked: Duration,
    /// See [`Phases::connecting`].
    pub connecting: Duration,
    /// See [`Phases::sending`].
    pub sending: Duration,
    /// See [`Phases::waiting`].
    pub waiting: Duration,
    /// See [`Phases::receiving`].
    pub receiving: Duration,
}

/// One histogram per phase.
pub struct Recorder {
    blocked: Histogram<u64>,
    connecting: Histogram<u64>,
    sending: Histogram<u64>,
    waiting: Histogram<u64>,
    receiving: Histogram<u64>,
    duration: Histogram<u64>,
}

impl Recorder {
    /// Empty histograms.
    pub fn new() -> Result<Self, String> {
        let new = || Histogram::new_with_bounds(1, LARGEST_US, FIGURES).map_err(|fault| format!("histogram: {fault}"));
        Ok(Self {
            blocked: new()?,
            connecting: new()?,
            sending: new()?,
            waiting: new()?,
            receiving: new()?,
            duration: new()?,
        })
    }

    /// Adds one request.
    pub fn record(&mut self, sample: &Sample) {
        let duration = sample.sending + sample.waiting + sample.receiving;
        for (histogram, time) in [
            (&mut self.blocked, sample.blocked),
            (&mut self.connecting, sample.connecting),
            (&mut self.sending, sample.sending),
            (&mut self.waiting, sample.waiting),
            (&mut self.receiving, sample.receiving),
            (&mut self.duration, duration),
        ] {
            // To the nearest microsecond: cutting off would make short phases vanish.
            histogram.saturating_record(((time.as_nanos() + 500) / 1000).try_into().unwrap_or(LARGEST_US));
        }
    }

    /// The phases as they are reported.
    pub fn report(&self) -> Result<Phases, String> {
        Ok(Phases {
            blocked: phase(&self.blocked)?,
            connecting: phase(&self.connecting)?,
            sending: phase(&self.sending)?,
            waiting: phase(&self.waiting)?,
            receiving: phase(&self.receiving)?,
            duration: phase(&self.duration)?,
        })
    }
}

fn phase(histogram: &Histogram<u64>) -> Result<Phase, String> {
    let ms = |us: u64| us as f64 / 1000.0;
    // A histogram gives a bucket's upper edge, which may lie above the greatest value.
    let at = |quantile| ms(histogram.value_at_quantile(quantile).min(histogram.max()));
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).map_err(|fault| format!("histogram: {fault}"))?;
    Ok(Phase {
        count: histogram.len(),
        min_ms: ms(histogram.min()),
        mean_ms: histogram.mean() / 1000.0,
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        max_ms: ms(histogram.max()),
        histogram_us_v2_base64: STANDARD.encode(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;

    #[test]
    fn figures_and_histogram_say_the_same() {
        let mut recorder = Recorder::new().unwrap();
        for ms in 1..=100 {
            let waiting = Duration::from_millis(ms);
            recorder.record(&Sample { waiting, sending: Duration::from_micros(400), ..Sample::default() });
        }
        let phases = recorder.report().unwrap();
        let close = |got: f64, wanted: f64| assert!((got / wanted - 1.0).abs() < 0.002, "{got} for {wanted}");
        close(phases.waiting.p50_ms, 50.0);
        close(phases.waiting.p95_ms, 95.0);
        close(phases.waiting.mean_ms, 50.5);
        close(phases.duration.max_ms, 100.4);
        assert_eq!((phases.connecting.count, phases.connecting.max_ms), (100, 0.0));

        let bytes = STANDARD.decode(&phases.waiting.histogram_us_v2_base64).unwrap();
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(histogram.len(), 100);
        close(histogram.value_at_quantile(0.95) as f64, 95_000.0);
    }

    #[test]
    fn nothing_recorded_is_zero_and_an_hour_is_the_most() {
        let mut recorder = Recorder::new().unwrap();
        let empty = recorder.report().unwrap().waiting;
        assert_eq!((empty.count, empty.min_ms, empty.mean_ms, empty.max_ms), (0, 0.0, 0.0, 0.0));
        recorder.record(&Sample { waiting: Duration::from_secs(100_000), ..Sample::default() });
        assert!((recorder.report().unwrap().waiting.max_ms / 3_600_000.0 - 1.0).abs() < 0.01);
    }
}
