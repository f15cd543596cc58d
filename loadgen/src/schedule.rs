//! When the requests of an open loop are due: decided by rate, kind and seed
//! alone, never by answers.
//!
//! What is due and not yet begun waits in this schedule itself: the schedule is
//! drawn only as far as it has been begun, so a queue of any length takes no
//! memory. Its bound is time: what is older than the time-out is dropped.

use std::time::Duration;

use serde::Deserialize;

/// How requests follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// As from many users who know nothing of each other: exponential gaps.
    Poisson,
    /// At equal gaps.
    Constant,
}

impl Arrivals {
    /// Its name on the command line and in the result.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Constant => "constant",
        }
    }
}

/// The times from the begin of a run at which requests are due, in order.
#[derive(Debug)]
pub struct Schedule {
    arrivals: Arrivals,
    /// Nanoseconds between two requests, on average.
    gap: f64,
    /// Nanoseconds from the begin to the last request drawn.
    at: f64,
    drawn: u64,
    random: u64,
    end: Duration,
    most: u64,
    next: Option<Duration>,
}

impl Schedule {
    /// `rate` requests per second until `end`, and no more than `most`.
    pub fn new(arrivals: Arrivals, rate: f64, seed: u64, end: Duration, most: u64) -> Self {
        let mut schedule =
            Self { arrivals, gap: 1e9 / rate, at: 0.0, drawn: 0, random: seed, end, most, next: None };
        schedule.next = schedule.draw();
        schedule
    }

    /// When the next request is due; none after the last.
    pub fn due(&self) -> Option<Duration> {
        self.next
    }

    /// Goes on to the request after the next.
    pub fn advance(&mut self) {
        self.next = self.draw();
    }

    fn draw(&mut self) -> Option<Duration> {
        if self.drawn >= self.most {
            return None;
        }
        self.at = match self.arrivals {
            Arrivals::Poisson => self.at - self.gap * self.uniform().ln(),
            // Not by adding up: rounding would shift the last ones.
            Arrivals::Constant => self.gap * self.drawn as f64,
        };
        self.drawn += 1;
        Some(Duration::from_nanos(self.at as u64)).filter(|at| *at < self.end)
    }

    /// A number above 0 and up to 1 (`SplitMix64`, Steele and others 2014).
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(arrivals: Arrivals, rate: f64, seed: u64, seconds: u64, most: u64) -> Vec<f64> {
        let mut schedule = Schedule::new(arrivals, rate, seed, Duration::from_secs(seconds), most);
        let mut times = Vec::new();
        while let Some(at) = schedule.due() {
            times.push(at.as_secs_f64());
            schedule.advance();
        }
        assert_eq!(schedule.due(), None, "it has ended for good");
        times
    }

    #[test]
    fn a_constant_schedule_is_even_and_ends_before_its_end() {
        let times = times(Arrivals::Constant, 1000.0, 1, 3, u64::MAX);
        assert_eq!((times.len(), times[0], times[1]), (3000, 0.0, 0.001));
        assert!((times[2999] - 2.999).abs() < 1e-8);
    }

    #[test]
    fn a_poisson_schedule_has_exponential_gaps() {
        let times = times(Arrivals::Poisson, 1000.0, 1, 100, u64::MAX);
        // 100,000 wanted; the standard deviation is 316.
        assert!((98_500..101_500).contains(&times.len()), "{}", times.len());
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap >= 0.0));
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((deviation / mean - 1.0).abs() < 0.03, "{mean} {deviation}");
        let longer = gaps.iter().filter(|gap| **gap > 0.001).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1.0_f64).exp()).abs() < 0.01, "{longer}");
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let of = |seed| times(Arrivals::Poisson, 500.0, seed, 1, u64::MAX);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        assert_eq!(times(Arrivals::Poisson, 500.0, 7, 1, 10), of(7)[..10]);
    }
}
