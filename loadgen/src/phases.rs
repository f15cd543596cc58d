//! Histograms of the phases and of whole requests.

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

impl Sample {
    /// See [`Phases::duration`].
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }

    /// See [`crate::result::Report::latency_uncorrected`].
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.blocked + self.duration()
    }
}

/// One histogram per kind of time.
pub struct Recorder {
    blocked: Histogram<u64>,
    connecting: Histogram<u64>,
    sending: Histogram<u64>,
    waiting: Histogram<u64>,
    receiving: Histogram<u64>,
    duration: Histogram<u64>,
    uncorrected: Histogram<u64>,
    corrected: Option<Histogram<u64>>,
}

impl Recorder {
    /// Empty histograms; an open loop has one more.
    pub fn new(open_loop: bool) -> Result<Self, String> {
        let new = || Histogram::new_with_bounds(1, LARGEST_US, FIGURES).map_err(|fault| format!("histogram: {fault}"));
        Ok(Self {
            blocked: new()?,
            connecting: new()?,
            sending: new()?,
            waiting: new()?,
            receiving: new()?,
            duration: new()?,
            uncorrected: new()?,
            corrected: if open_loop { Some(new()?) } else { None },
        })
    }

    /// Adds one request that was begun `late` after it was due.
    pub fn record(&mut self, sample: &Sample, late: Duration) {
        for (histogram, time) in [
            (&mut self.blocked, sample.blocked),
            (&mut self.connecting, sample.connecting),
            (&mut self.sending, sample.sending),
            (&mut self.waiting, sample.waiting),
            (&mut self.receiving, sample.receiving),
            (&mut self.duration, sample.duration()),
            (&mut self.uncorrected, sample.whole()),
        ] {
            add(histogram, time);
        }
        if let Some(histogram) = &mut self.corrected {
            add(histogram, late + sample.whole());
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

    /// Whole requests as they are reported: corrected, uncorrected.
    pub fn latencies(&self) -> Result<(Option<Phase>, Phase), String> {
        Ok((self.corrected.as_ref().map(phase).transpose()?, phase(&self.uncorrected)?))
    }
}

fn add(histogram: &mut Histogram<u64>, time: Duration) {
    // To the nearest microsecond: cutting off would make short phases vanish.
    let us = time.as_secs().saturating_mul(1_000_000).saturating_add((u64::from(time.subsec_nanos()) + 500) / 1000);
    histogram.saturating_record(us);
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
        p999_ms: at(0.999),
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
        let mut recorder = Recorder::new(false).unwrap();
        for ms in 1..=100 {
            let waiting = Duration::from_millis(ms);
            recorder.record(&Sample { waiting, sending: Duration::from_micros(400), ..Sample::default() }, Duration::ZERO);
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
    fn a_late_start_is_in_the_corrected_time_alone() {
        let mut recorder = Recorder::new(true).unwrap();
        let sample = Sample {
            blocked: Duration::from_millis(1),
            sending: Duration::from_millis(2),
            waiting: Duration::from_millis(3),
            receiving: Duration::from_millis(4),
            ..Sample::default()
        };
        recorder.record(&sample, Duration::from_millis(90));
        let (corrected, uncorrected) = recorder.latencies().unwrap();
        assert!((corrected.unwrap().max_ms - 100.0).abs() < 0.1);
        assert!((uncorrected.max_ms - 10.0).abs() < 0.01);
        assert!((recorder.report().unwrap().duration.max_ms - 9.0).abs() < 0.01);
        assert_eq!(Recorder::new(false).unwrap().latencies().unwrap().0, None);
    }

    #[test]
    fn nothing_recorded_is_zero_and_an_hour_is_the_most() {
        let mut recorder = Recorder::new(false).unwrap();
        let empty = recorder.report().unwrap().waiting;
        assert_eq!((empty.count, empty.min_ms, empty.mean_ms, empty.max_ms), (0, 0.0, 0.0, 0.0));
        recorder.record(&Sample { waiting: Duration::from_secs(100_000), ..Sample::default() }, Duration::ZERO);
        assert!((recorder.report().unwrap().waiting.max_ms / 3_600_000.0 - 1.0).abs() < 0.01);
    }
}
