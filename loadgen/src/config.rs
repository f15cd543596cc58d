//! What a run may be asked for, on the command line or in a plan, with a bound
//! on everything.

use std::fmt::Display;
use std::time::Duration;

use serde::Deserialize;

use crate::schedule::Arrivals;
use crate::target::Target;

/// Most users at once.
pub const MAX_USERS: u32 = 10_000;
/// Longest measured time, in seconds.
pub const MAX_SECONDS: f64 = 3600.0;
/// Longest warm-up, time-out and gap, in seconds.
pub const MAX_SHORT_SECONDS: f64 = 600.0;
/// Most requests of a counted run.
const MAX_REQUESTS: u64 = 1_000_000_000;
/// Least and greatest rate of an open loop, in requests per second.
const RATES: (f64, f64) = (0.001, 1_000_000.0);
/// Longest name, in bytes.
const MAX_NAME: usize = 200;

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// After this time; what is in flight then may end.
    Time(Duration),
    /// After so many requests, or [`MAX_SECONDS`].
    Requests(u64),
}

/// A schedule that waits for nobody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Open {
    /// Requests per second, of all users together.
    pub rate: f64,
    /// How they follow one another.
    pub arrivals: Arrivals,
    /// Decides the schedule.
    pub seed: u64,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to get.
    pub target: Target,
    /// Users at once.
    pub users: u32,
    /// When it ends.
    pub length: Length,
    /// Time before the measured one.
    pub warmup: Duration,
    /// Longest time for one request.
    pub timeout: Duration,
    /// The schedule of an open loop; none in a closed one.
    pub open: Option<Open>,
    /// The status that counts as success.
    pub status: u16,
    /// What the body must contain; may be empty.
    pub expect: String,
    /// Use connections again.
    pub keep_alive: bool,
    /// What the run is called; may be empty.
    pub name: String,
}

/// A run's options as they were given; the JSON objects of a plan are these.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// See [`Config::target`].
    pub url: Option<String>,
    /// See [`Config::users`].
    pub users: Option<u32>,
    /// Seconds to measure.
    pub seconds: Option<f64>,
    /// Requests to measure instead.
    pub requests: Option<u64>,
    /// Seconds of warm-up.
    pub warmup: Option<f64>,
    /// Seconds of the time-out.
    pub timeout: Option<f64>,
    /// See [`Open::rate`].
    pub rate: Option<f64>,
    /// See [`Open::arrivals`].
    pub arrivals: Option<Arrivals>,
    /// See [`Open::seed`].
    pub seed: Option<u64>,
    /// See [`Config::keep_alive`].
    pub keep_alive: bool,
    /// See [`Config::status`].
    pub status: Option<u16>,
    /// See [`Config::expect`].
    pub expect: Option<String>,
    /// See [`Config::name`].
    pub name: Option<String>,
}

impl Options {
    /// Checks them and fills in the defaults. `dash` is what an option's name
    /// begins with in a message.
    pub fn check(self, dash: &str) -> Result<Config, String> {
        let of = |name: &str| format!("{dash}{name}");
        let url = self.url.ok_or_else(|| format!("{dash}url is missing"))?;
        let target = Target::parse(&url).map_err(|fault| format!("{dash}url {url}: {fault}"))?;
        let warmup = seconds(&of("warmup"), self.warmup.unwrap_or(0.0), 0.0, MAX_SHORT_SECONDS)?;
        let length = match (self.seconds, self.requests) {
            (Some(_), Some(_)) => return Err(format!("{dash}seconds and {dash}requests exclude each other")),
            (None, Some(_)) if !warmup.is_zero() => return Err(format!("{dash}warmup goes with {dash}seconds only")),
            (None, Some(requests)) => Length::Requests(within(&of("requests"), requests, 1, MAX_REQUESTS)?),
            (time, None) => Length::Time(seconds(&of("seconds"), time.unwrap_or(30.0), 0.001, MAX_SECONDS)?),
        };
        let open = match self.rate {
            Some(rate) => Some(Open {
                rate: within(&of("rate"), rate, RATES.0, RATES.1)?,
                arrivals: self.arrivals.unwrap_or(Arrivals::Poisson),
                seed: self.seed.unwrap_or(1),
            }),
            None if self.arrivals.is_some() || self.seed.is_some() => {
                return Err(format!("{dash}arrivals and {dash}seed go with {dash}rate only"));
            }
            None => None,
        };
        let alone = open.is_none() && matches!(length, Length::Requests(_));
        let name = self.name.unwrap_or_default();
        if name.len() > MAX_NAME {
            return Err(format!("{dash}name must be at most {MAX_NAME} bytes"));
        }
        Ok(Config {
            target,
            users: within(&of("users"), self.users.unwrap_or(if alone { 1 } else { 100 }), 1, MAX_USERS)?,
            length,
            warmup,
            timeout: seconds(&of("timeout"), self.timeout.unwrap_or(60.0), 0.001, MAX_SHORT_SECONDS)?,
            open,
            status: within(&of("status"), self.status.unwrap_or(200), 100, 599)?,
            expect: self.expect.unwrap_or_default(),
            keep_alive: self.keep_alive,
            name,
        })
    }
}

/// The number, if it lies between the bounds.
pub fn within<T: PartialOrd + Display>(name: &str, number: T, least: T, most: T) -> Result<T, String> {
    if number >= least && number <= most {
        Ok(number)
    } else {
        Err(format!("{name} must be a number from {least} to {most}, not {number}"))
    }
}

/// A number of seconds, if it lies between the bounds.
pub fn seconds(name: &str, number: f64, least: f64, most: f64) -> Result<Duration, String> {
    within(name, number, least, most).map(Duration::from_secs_f64)
}
