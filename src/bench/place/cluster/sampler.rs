//! A cgroup's use over time, as `sample.sh` prints it on the node.

use anyhow::{Context, Result};

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    /// Microseconds since 1970.
    at: f64,
    /// CPU time, microseconds.
    usage: f64,
    /// Times throttled.
    throttled: f64,
    /// Ticks that the hypervisor gave to others.
    stolen: f64,
    /// All ticks.
    ticks: f64,
}

/// All looks, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

/// What was used between two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// CPU time, microseconds.
    pub cpu_us: f64,
    /// Share of the machine's CPU time that the hypervisor gave to others.
    pub steal: f64,
    /// Times throttled.
    pub throttled: u64,
}

impl Samples {
    /// Reads the lines; one that was cut off is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let sample = |line: &str| {
            let numbers: Vec<f64> = line.split(' ').map_while(|word| word.parse().ok()).collect();
            let [at, usage, throttled, stolen, ticks] = numbers[..] else { return None };
            Some(Sample { at, usage, throttled, stolen, ticks })
        };
        Self(text.lines().filter_map(sample).collect())
    }

    /// What was used between two moments (microseconds since 1970), straight
    /// lines drawn between looks.
    pub fn between(&self, from: u64, to: u64) -> Result<Used> {
        let (start, end) = (self.at(from as f64)?, self.at(to as f64)?);
        let ticks = (end.ticks - start.ticks).max(1.0);
        Ok(Used {
            cpu_us: (end.usage - start.usage).max(0.0),
            steal: ((end.stolen - start.stolen) / ticks).clamp(0.0, 1.0),
            throttled: (end.throttled - start.throttled).max(0.0).round() as u64,
        })
    }

    fn at(&self, time: f64) -> Result<Sample> {
        let first = self.0.first().context("the server's CPU time was not sampled")?;
        let after = self.0.iter().position(|sample| sample.at >= time);
        let (Some(after), true) = (after, first.at <= time) else {
            anyhow::bail!("the server's CPU time was not sampled for all of the load");
        };
        let (b, a) = (self.0[after], self.0[after.saturating_sub(1)]);
        let share = if b.at > a.at { (time - a.at) / (b.at - a.at) } else { 0.0 };
        let mix = |from: f64, to: f64| from + share * (to - from);
        Ok(Sample {
            at: time,
            usage: mix(a.usage, b.usage),
            throttled: mix(a.throttled, b.throttled),
            stolen: mix(a.stolen, b.stolen),
            ticks: mix(a.ticks, b.ticks),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_between_looks_is_on_the_line_between_them() {
        let samples = Samples::parse("1000 0 0 0 0\n2000 500 0 5 100\n3000 500 2 5 200\n3200 5");
        let used = samples.between(1500, 3000).unwrap();
        assert_eq!((used.cpu_us, used.throttled), (250.0, 2));
        assert!((used.steal - 2.5 / 150.0).abs() < 1e-9);
        assert!(samples.between(500, 3000).is_err() && samples.between(1500, 3100).is_err());
        assert!(Samples::default().between(0, 1).is_err());
    }
}
