//! The command line, with a bound on everything.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, ValueExt};

use crate::target::Target;

/// Most users at once.
pub const MAX_USERS: u32 = 10_000;
/// Longest measured time, in seconds.
pub const MAX_SECONDS: f64 = 3600.0;
/// Longest warm-up and longest time-out, in seconds.
const MAX_SHORT_SECONDS: f64 = 600.0;
/// Most requests of a counted run.
const MAX_REQUESTS: u64 = 1_000_000_000;

/// What `--help` prints.
pub const HELP: &str = "\
Loads an HTTP server inside the lab and prints one JSON document with the times.

usage: loadgen --url http://HOST[:PORT]/PATH [OPTIONS]

  --url URL        what to get; loopback, private or cluster addresses only
  --users N        users at once, each sends again when answered (100; 1 with --requests; at most 10000)
  --seconds S      how long to measure (30; at most 3600)
  --requests K     end after K requests instead
  --warmup S       seconds before the measured ones (0; at most 600)
  --timeout S      give a request up after S seconds (60; at most 600)
  --status CODE    the status that counts as success (200)
  --expect TEXT    text that the body must contain
  --keep-alive     use connections again (otherwise one connection per request)
  -h, --help       print this
  -V, --version    print the version

exit code: 0 measured, failed requests included; 1 not one request succeeded; 2 usage";

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// Load a server.
    Run(Config),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// After this time; what is in flight then may end.
    Time(Duration),
    /// After so many requests, or [`MAX_SECONDS`].
    Requests(u64),
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
    /// The status that counts as success.
    pub status: u16,
    /// What the body must contain.
    pub expect: Option<String>,
    /// Use connections again.
    pub keep_alive: bool,
}

/// Reads the command line, the program's name first.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let (mut url, mut users, mut seconds, mut requests, mut expect) = (None, None, None, None, None);
    let (mut warmup, mut timeout, mut status, mut keep_alive) = (Duration::ZERO, Duration::from_secs(60), 200, false);
    while let Some(argument) = parser.next().map_err(|fault| fault.to_string())? {
        let name = match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Asked::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Asked::Version),
            Arg::Long("keep-alive") => {
                keep_alive = true;
                continue;
            }
            Arg::Long(
                name @ ("url" | "users" | "seconds" | "requests" | "warmup" | "timeout" | "status" | "expect"),
            ) => name.to_owned(),
            other => return Err(other.unexpected().to_string()),
        };
        let value = parser.value().and_then(ValueExt::string).map_err(|fault| fault.to_string())?;
        match name.as_str() {
            "url" => url = Some(Target::parse(&value).map_err(|fault| format!("--url {value}: {fault}"))?),
            "users" => users = Some(number(&name, &value, 1, MAX_USERS)?),
            "seconds" => seconds = Some(duration(&name, &value, 0.001, MAX_SECONDS)?),
            "requests" => requests = Some(number(&name, &value, 1, MAX_REQUESTS)?),
            "warmup" => warmup = duration(&name, &value, 0.0, MAX_SHORT_SECONDS)?,
            "timeout" => timeout = duration(&name, &value, 0.001, MAX_SHORT_SECONDS)?,
            "status" => status = number(&name, &value, 100, 599)?,
            _ => expect = Some(value).filter(|value| !value.is_empty()),
        }
    }
    let length = match (seconds, requests) {
        (Some(_), Some(_)) => return Err("--seconds and --requests exclude each other".into()),
        (None, Some(_)) if !warmup.is_zero() => return Err("--warmup goes with --seconds only".into()),
        (None, Some(requests)) => Length::Requests(requests),
        (seconds, None) => Length::Time(seconds.unwrap_or(Duration::from_secs(30))),
    };
    let users = users.unwrap_or(if matches!(length, Length::Requests(_)) { 1 } else { 100 });
    let target = url.ok_or("--url is missing")?;
    Ok(Asked::Run(Config { target, users, length, warmup, timeout, status, expect, keep_alive }))
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    name: &str,
    value: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    match value.parse() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(format!("--{name} must be a number from {least} to {most}, not {value:?}")),
    }
}

fn duration(name: &str, value: &str, least: f64, most: f64) -> Result<Duration, String> {
    number(name, value, least, most).map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Config, String> {
        let words = std::iter::once("loadgen").chain(text.split_whitespace()).map(OsString::from);
        match parse(words)? {
            Asked::Run(config) => Ok(config),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_demos() {
        let config = of("--url http://127.0.0.1:1234/").unwrap();
        assert_eq!((config.users, config.length), (100, Length::Time(Duration::from_secs(30))));
        assert!(!config.keep_alive && config.status == 200);
        let config = of("--url http://127.0.0.1:1234/ --requests 5").unwrap();
        assert_eq!((config.users, config.length), (1, Length::Requests(5)));
    }

    #[test]
    fn everything_is_bounded_and_named() {
        for (text, word) in [
            ("", "--url is missing"),
            ("--url https://127.0.0.1/", "http://"),
            ("--url http://127.0.0.1/ --users 10001", "1 to 10000"),
            ("--url http://127.0.0.1/ --users 0", "1 to 10000"),
            ("--url http://127.0.0.1/ --seconds 3601", "0.001 to 3600"),
            ("--url http://127.0.0.1/ --seconds NaN", "\"NaN\""),
            ("--url http://127.0.0.1/ --warmup -1", "\"-1\""),
            ("--url http://127.0.0.1/ --seconds 1 --requests 1", "exclude"),
            ("--url http://127.0.0.1/ --warmup 1 --requests 1", "--warmup"),
            ("--url http://127.0.0.1/ --status 42", "100 to 599"),
            ("--url http://127.0.0.1/ --fast", "--fast"),
            ("--url", "--url"),
        ] {
            let fault = of(text).unwrap_err();
            assert!(fault.contains(word), "{text}: {fault}");
        }
    }
}
