//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lexopt::{Arg, ValueExt};

use crate::config::{Config, MAX_SECONDS, MAX_SHORT_SECONDS, Options, seconds, within};
use crate::schedule::Arrivals;
use crate::target;

/// Most runs of a plan.
const MAX_RUNS: usize = 1000;
/// A common start may lie so far ahead.
const MAX_AHEAD: Duration = Duration::from_secs(600);
/// How long a null server serves, in seconds.
const NULL_SECONDS: f64 = 600.0;

/// What `--help` prints.
pub const HELP: &str = "\
Loads an HTTP server inside the lab and prints one JSON document with the times.

usage: loadgen --url http://HOST[:PORT]/PATH [OPTIONS]
       loadgen --plan JSON [--gap S] [--start-at UNIX_MS]
       loadgen --null-server ADDRESS:PORT [--seconds S]

A run:
  --url URL        what to get; loopback, private or cluster addresses only
  --users N        users at once (100; 1 with --requests and no --rate; at most 10000);
                   each sends again when answered
  --rate R         open loop: R requests per second in total, whether answered or not;
                   --users is then the most under way at once (0.001 to 1000000)
  --arrivals KIND  poisson, or constant for equal gaps (poisson)
  --seed N         decides the times of the requests (1)
  --seconds S      how long to measure (30; at most 3600)
  --requests K     end after K requests instead
  --warmup S       seconds before the measured ones (0; at most 600)
  --timeout S      give a request up after S seconds (60; at most 600)
  --status CODE    the status that counts as success (200)
  --expect TEXT    text that the body must contain
  --keep-alive     use connections again (otherwise one connection per request)
  --name TEXT      what the result calls this run
  --start-at MS    begin at this time, milliseconds since 1970 (UTC); at most 600 s ahead

Several runs, one after the other, one line of JSON each:
  --plan JSON      an array of objects with the options of a run each, named as above:
                   [{\"url\": \"http://127.0.0.1:80/\", \"rate\": 50, \"keep_alive\": true}]
  --gap S          idle seconds between two runs (0; at most 600)

A server to measure the generator itself:
  --null-server A  answer every GET on ADDRESS:PORT at once with `hello from provision`;
                   port 0 chooses one; the first line names it; ends after --seconds (600)

  -h, --help       print this
  -V, --version    print the version

exit code: 0 measured, failed requests included; 1 in some run not one request
succeeded, or one could not start; 2 usage";

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// Load servers.
    Load(Plan),
    /// Be the null server at this address for this time.
    NullServer(SocketAddr, Duration),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// Runs, one after the other.
#[derive(Debug)]
pub struct Plan {
    /// One at least.
    pub runs: Vec<Config>,
    /// Idle time between two.
    pub gap: Duration,
    /// When the first begins; none is at once.
    pub start_at: Option<SystemTime>,
}

/// What was given besides the options of one run.
#[derive(Default)]
struct Given {
    /// The options of a run that were given, except `seconds`.
    run: Vec<String>,
    plan: Option<String>,
    gap: Option<f64>,
    start_at: Option<u64>,
    null_server: Option<String>,
}

/// Reads the command line, the program's name first.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let (mut options, mut given) = (Options::default(), Given::default());
    while let Some(argument) = parser.next().map_err(|fault| fault.to_string())? {
        let name = match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Asked::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Asked::Version),
            Arg::Long("keep-alive") => {
                options.keep_alive = true;
                given.run.push("--keep-alive".into());
                continue;
            }
            Arg::Long(
                name @ ("url" | "users" | "seconds" | "requests" | "warmup" | "timeout" | "rate" | "arrivals" | "seed"
                | "status" | "expect" | "name" | "plan" | "gap" | "start-at" | "null-server"),
            ) => format!("--{name}"),
            other => return Err(other.unexpected().to_string()),
        };
        let value = parser.value().and_then(ValueExt::string).map_err(|fault| fault.to_string())?;
        match name.as_str() {
            "--plan" => given.plan = Some(value),
            "--gap" => given.gap = Some(number(&name, &value)?),
            "--start-at" => given.start_at = Some(number(&name, &value)?),
            "--null-server" => given.null_server = Some(value),
            "--seconds" => options.seconds = Some(number(&name, &value)?),
            _ => {
                set(&mut options, &name, value)?;
                given.run.push(name);
            }
        }
    }
    asked(options, given)
}

fn set(options: &mut Options, name: &str, value: String) -> Result<(), String> {
    match name {
        "--url" => options.url = Some(value),
        "--users" => options.users = Some(number(name, &value)?),
        "--requests" => options.requests = Some(number(name, &value)?),
        "--warmup" => options.warmup = Some(number(name, &value)?),
        "--timeout" => options.timeout = Some(number(name, &value)?),
        "--rate" => options.rate = Some(number(name, &value)?),
        "--seed" => options.seed = Some(number(name, &value)?),
        "--status" => options.status = Some(number(name, &value)?),
        "--expect" => options.expect = Some(value),
        "--name" => options.name = Some(value),
        _ => {
            let kinds = [Arrivals::Poisson, Arrivals::Constant];
            let kind = kinds.into_iter().find(|kind| kind.name() == value);
            options.arrivals = Some(kind.ok_or_else(|| format!("{name} must be poisson or constant, not {value:?}"))?);
        }
    }
    Ok(())
}

fn asked(options: Options, given: Given) -> Result<Asked, String> {
    let alone = |mode: &str, with: &str| match given.run.first() {
        Some(name) => Err(format!("{mode} and {name} exclude each other{with}")),
        None => Ok(()),
    };
    if given.gap.is_some() && given.plan.is_none() {
        return Err("--gap goes with --plan only".into());
    }
    if let Some(address) = &given.null_server {
        alone("--null-server", "")?;
        if given.plan.is_some() || given.start_at.is_some() {
            return Err("--null-server goes with --seconds only".into());
        }
        let time = seconds("--seconds", options.seconds.unwrap_or(NULL_SECONDS), 0.001, MAX_SECONDS)?;
        return Ok(Asked::NullServer(null_address(address)?, time));
    }
    let runs = match &given.plan {
        Some(text) => {
            alone("--plan", ": the plan's objects hold the options of its runs")?;
            if options.seconds.is_some() {
                return Err("--plan and --seconds exclude each other: the plan's objects hold the seconds".into());
            }
            plan(text)?
        }
        None => vec![options.check("--")?],
    };
    let gap = seconds("--gap", given.gap.unwrap_or(0.0), 0.0, MAX_SHORT_SECONDS)?;
    let start_at = given.start_at.map(|ms| start_at(ms, SystemTime::now())).transpose()?;
    Ok(Asked::Load(Plan { runs, gap, start_at }))
}

fn plan(text: &str) -> Result<Vec<Config>, String> {
    let runs: Vec<Options> = serde_json::from_str(text).map_err(|fault| format!("--plan: {fault}"))?;
    within("the number of runs in --plan", runs.len(), 1, MAX_RUNS)?;
    let numbered = runs.into_iter().enumerate();
    numbered
        .map(|(index, options)| options.check("").map_err(|fault| format!("--plan: run {}: {fault}", index + 1)))
        .collect()
}

fn null_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| format!("--null-server must be ADDRESS:PORT with an IP address, not {text:?}"))?;
    target::inside(address.ip()).map_err(|fault| format!("--null-server: {fault}"))?;
    Ok(address)
}

fn start_at(unix_ms: u64, now: SystemTime) -> Result<SystemTime, String> {
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms));
    // A time that is past already is a late start, which the result tells.
    at.filter(|at| at.duration_since(now).unwrap_or_default() <= MAX_AHEAD)
        .ok_or_else(|| format!("--start-at {unix_ms} is more than {} s ahead", MAX_AHEAD.as_secs()))
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} must be a number, not {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Length, Open};

    fn ask(words: &[&str]) -> Result<Asked, String> {
        parse(["loadgen"].iter().chain(words).map(OsString::from))
    }

    fn of(text: &str) -> Result<Config, String> {
        match ask(&text.split_whitespace().collect::<Vec<_>>())? {
            Asked::Load(mut plan) => Ok(plan.runs.remove(0)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_demos() {
        let config = of("--url http://127.0.0.1:1234/").unwrap();
        assert_eq!((config.users, config.length), (100, Length::Time(Duration::from_secs(30))));
        assert!(!config.keep_alive && config.status == 200 && config.open.is_none());
        let config = of("--url http://127.0.0.1:1234/ --requests 5").unwrap();
        assert_eq!((config.users, config.length), (1, Length::Requests(5)));
        let config = of("--url http://127.0.0.1:1234/ --rate 2.5 --requests 5").unwrap();
        assert_eq!(config.open, Some(Open { rate: 2.5, arrivals: Arrivals::Poisson, seed: 1 }));
        assert_eq!(config.users, 100);
    }

    #[test]
    fn everything_is_bounded_and_named() {
        for (text, word) in [
            ("", "--url is missing"),
            ("--url https://127.0.0.1/", "http://"),
            ("--url http://127.0.0.1/ --users 10001", "--users must be a number from 1 to 10000, not 10001"),
            ("--url http://127.0.0.1/ --users 0", "1 to 10000"),
            ("--url http://127.0.0.1/ --users few", "\"few\""),
            ("--url http://127.0.0.1/ --seconds 3601", "0.001 to 3600"),
            ("--url http://127.0.0.1/ --seconds NaN", "NaN"),
            ("--url http://127.0.0.1/ --warmup -1", "-1"),
            ("--url http://127.0.0.1/ --seconds 1 --requests 1", "exclude"),
            ("--url http://127.0.0.1/ --warmup 1 --requests 1", "--warmup"),
            ("--url http://127.0.0.1/ --status 42", "100 to 599"),
            ("--url http://127.0.0.1/ --rate 0", "0.001 to 1000000"),
            ("--url http://127.0.0.1/ --rate inf", "0.001 to 1000000"),
            ("--url http://127.0.0.1/ --rate 1 --arrivals late", "poisson or constant"),
            ("--url http://127.0.0.1/ --seed 1", "--rate only"),
            ("--url http://127.0.0.1/ --gap 1", "--plan only"),
            ("--url http://127.0.0.1/ --start-at 99999999999999", "600 s ahead"),
            ("--null-server 127.0.0.1:0 --users 1", "--users"),
            ("--null-server 127.0.0.1:0 --start-at 1", "--seconds only"),
            ("--null-server 127.0.0.1", "ADDRESS:PORT"),
            ("--null-server 0.0.0.0:80", "0.0.0.0"),
            ("--null-server 127.0.0.1:0 --seconds 3601", "3600"),
            ("--url http://127.0.0.1/ --fast", "--fast"),
            ("--url", "--url"),
        ] {
            let fault = of(text).unwrap_err();
            assert!(fault.contains(word), "{text}: {fault}");
        }
    }

    #[test]
    fn a_plan_is_checked_whole_before_anything_runs() {
        let good = r#"{"url": "http://127.0.0.1/", "rate": 5, "arrivals": "constant", "keep_alive": true, "name": "a"}"#;
        let Ok(Asked::Load(plan)) = ask(&["--gap", "0.5", "--plan", &format!("[{good}, {good}]")]) else { panic!() };
        assert_eq!((plan.runs.len(), plan.gap, plan.start_at), (2, Duration::from_millis(500), None));
        let run = &plan.runs[1];
        assert_eq!((run.open.unwrap().arrivals, run.keep_alive, run.name.as_str()), (Arrivals::Constant, true, "a"));
        for (text, word) in [
            ("[]".to_owned(), "1 to 1000"),
            ("{}".into(), "expected"),
            (format!("[{good}, {{}}]"), "run 2: url is missing"),
            (format!("[{good}, {{\"url\": \"http://1.1.1.1/\"}}]"), "run 2: url http://1.1.1.1/"),
            (r#"[{"url": "http://127.0.0.1/", "user": 1}]"#.into(), "unknown field `user`"),
            (r#"[{"url": "http://127.0.0.1/", "users": 0}]"#.into(), "run 1: users must be"),
        ] {
            let fault = ask(&["--plan", &text]).unwrap_err();
            assert!(fault.contains(word), "{text}: {fault}");
        }
        assert!(ask(&["--plan", "[]", "--url", "http://127.0.0.1/"]).unwrap_err().contains("--url"));
        assert!(ask(&["--plan", "[]", "--seconds", "1"]).unwrap_err().contains("--seconds"));
    }

    #[test]
    fn a_start_that_is_past_is_taken() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        assert_eq!(start_at(1, now), Ok(UNIX_EPOCH + Duration::from_millis(1)));
        assert!(start_at(10_600_000, now).is_ok());
        assert!(start_at(10_600_001, now).is_err());
        assert!(start_at(u64::MAX, now).is_err());
    }
}
