//! What a run measures: sizes, routes and loads. The order of blocks is
//! `stats::schedule`'s.

use anyhow::{Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arms::{self, Arm};

pub use crate::profile::Size;

/// A route of the workload and how its answer is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Its name on the command line and in results.
    pub name: &'static str,
    /// The path with its query.
    pub path: &'static str,
    /// What the body must contain, so that no other server's answer counts.
    pub expect: &'static str,
    /// What it stands for.
    pub about: &'static str,
}

/// All routes.
pub const ROUTES: [Route; 5] = [
    Route { name: "tiny", path: "/", expect: "hello from provision", about: "sockets and nothing else" },
    Route { name: "compute", path: "/compute?n=200", expect: " 200\n", about: "200 rounds of SHA-256" },
    Route {
        name: "json",
        path: "/json?n=10",
        expect: "\"order\":\"2024-000731\"",
        about: "parse 4 KiB of JSON ten times, answer in JSON",
    },
    Route {
        name: "alloc",
        path: "/alloc",
        expect: "9fe4e4b7dfa946fb 1000",
        about: "build and drop 1,000 small objects",
    },
    Route { name: "body", path: "/body", expect: "hello from provision", about: "64 KiB in the answer" },
];

/// The route of that name; an error lists those that there are.
pub fn route(name: &str) -> Result<Route> {
    let Some(route) = ROUTES.into_iter().find(|route| route.name == name) else {
        bail!("there is no route `{name}`; the routes are: {}", ROUTES.map(|route| route.name).join(", "));
    };
    Ok(route)
}

/// One load on one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measure {
    /// Stable name: route, then load (`tiny-close`, `compute-keep-alive`, `tiny-open`).
    pub name: String,
    /// The route's name.
    pub route: String,
    /// The path with its query.
    pub path: String,
    /// What the body must contain.
    pub expect: String,
    /// Whether connections are used again; otherwise one per request.
    pub keep_alive: bool,
    /// How requests come.
    pub load: Load,
    /// Seconds that count.
    pub seconds: f64,
    /// Seconds before them that do not.
    pub warmup_seconds: f64,
}

/// How requests come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "loop")]
pub enum Load {
    /// Users that each wait for their answer: capacity.
    Closed {
        /// How many.
        users: u32,
    },
    /// A schedule that waits for nobody: latency.
    Open {
        /// Requests per second.
        rate: Rate,
        /// Most requests under way at once.
        connections: u32,
    },
}

/// The rate of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "of", content = "share")]
pub enum Rate {
    /// This share of the slowest arm's capacity: equal for all.
    Slowest(f64),
    /// This share of the arm's own capacity.
    Own(f64),
    /// So many per second.
    Fixed(f64),
}

/// A run to be made.
pub struct Design {
    /// How much.
    pub size: Size,
    /// Rounds; each lane has a fresh server in each.
    pub rounds: u32,
    /// The arms; the first is the control.
    pub arms: Vec<&'static dyn Arm>,
    /// Whether the control takes part twice.
    pub twin: bool,
    /// What is measured on each server.
    pub measures: Vec<Measure>,
    /// Servers side by side to find a replica's memory; 0 leaves that out.
    pub replicas: u32,
    /// Generators side by side; none is as many as it takes.
    pub generators: Option<u32>,
    /// Decides the order of blocks and every random draw.
    pub seed: u64,
    /// Whether the work was shrunk because machines are emulated.
    pub shortened: bool,
}

/// What a user may choose.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Names of arms besides the control; empty is all.
    pub arms: Vec<String>,
    /// Names of routes; empty is those of the size.
    pub routes: Vec<String>,
    /// Rounds instead of the size's.
    pub rounds: Option<u32>,
    /// Rate of the open loop instead of a share of the slowest arm's capacity.
    pub rate: Option<f64>,
    /// Generators side by side instead of as many as it takes.
    pub generators: Option<u32>,
    /// Users of the demo's load.
    pub users: u32,
    /// Seconds of the demo's load.
    pub seconds: u32,
    /// Seed instead of the clock's.
    pub seed: u64,
}

/// Rates that an open loop may have.
const RATES: std::ops::RangeInclusive<f64> = 1.0..=1_000_000.0;

/// Most generators side by side.
pub const MOST_GENERATORS: u32 = 16;

impl Design {
    /// The design of `size` with `choice`; `shortened` for emulated machines.
    pub fn of(size: Size, shortened: bool, choice: &Choice) -> Result<Self> {
        let control = arms::all()[0];
        let mut arms: Vec<&'static dyn Arm> = vec![control];
        for name in &choice.arms {
            let arm = arms::find(name)?;
            if arms.iter().all(|known| known.name() != arm.name()) {
                arms.push(arm);
            }
        }
        if choice.arms.is_empty() {
            arms = if size == Size::Smoke { arms::smoke() } else { arms::all().to_vec() };
        }
        if let Some(rate) = choice.rate {
            ensure!(RATES.contains(&rate), "the rate is {rate}; allowed: 1 to 1000000 requests per second");
        }
        if let Some(rounds) = choice.rounds {
            ensure!((1..=100).contains(&rounds), "the rounds are {rounds}; allowed: 1 to 100");
        }
        if let Some(generators) = choice.generators {
            ensure!(
                (1..=MOST_GENERATORS).contains(&generators),
                "the generators are {generators}; allowed: 1 to {MOST_GENERATORS}"
            );
        }
        let names: Vec<&str> = match (size, choice.routes.is_empty()) {
            (_, false) => choice.routes.iter().map(String::as_str).collect(),
            (Size::Smoke, true) => vec!["tiny"],
            (Size::Quick, true) => vec!["tiny", "compute"],
            (Size::Standard | Size::Nightly, true) => ROUTES.iter().map(|route| route.name).collect(),
        };
        let routes = names.into_iter().map(route).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            size,
            rounds: choice.rounds.unwrap_or(match (size, shortened) {
                (Size::Smoke, _) => 1,
                (Size::Quick, _) => 3,
                (Size::Standard, true) => 6,
                (Size::Standard, false) => 20,
                (Size::Nightly, true) => 10,
                (Size::Nightly, false) => 40,
            }),
            arms,
            twin: size != Size::Smoke,
            measures: measures(size, shortened, &routes, choice),
            replicas: match (size, shortened) {
                (Size::Smoke, _) => 0,
                (Size::Quick, _) | (_, true) => 3,
                _ => 5,
            },
            generators: choice.generators,
            seed: choice.seed,
            shortened,
        })
    }
}

fn measures(size: Size, shortened: bool, routes: &[Route], choice: &Choice) -> Vec<Measure> {
    // Seconds of one measure on a real CPU and on an emulated one.
    let seconds = match (size, shortened) {
        (Size::Smoke, _) => f64::from(choice.seconds.max(1)),
        (Size::Quick, false) => 0.9,
        (Size::Standard | Size::Nightly, false) => 1.0,
        (_, true) => 2.0,
    };
    let warmup_seconds = if size == Size::Smoke { (seconds / 10.0_f64).clamp(1.0, 10.0) } else { seconds / 4.0 };
    // Interpreting on an emulated machine takes a thousand times as long as computing.
    let path = |route: &Route| match (route.name, shortened) {
        ("compute", true) => ("/compute?n=20".to_owned(), " 20\n"),
        _ => (route.path.to_owned(), route.expect),
    };
    let measure = |route: &Route, name: &str, keep_alive: bool, load: Load| Measure {
        name: format!("{}-{name}", route.name),
        route: route.name.into(),
        path: path(route).0,
        expect: path(route).1.into(),
        keep_alive,
        load,
        seconds,
        warmup_seconds,
    };
    let few = if shortened { 4 } else { 20 };
    let rate = choice.rate.map_or(Rate::Slowest(0.4), Rate::Fixed);
    let mut found = Vec::new();
    for route in routes {
        if route.name == "tiny" {
            // The demo's load: a connection per request.
            found.push(measure(route, "close", false, Load::Closed { users: choice.users.max(1) }));
        }
        if size == Size::Smoke {
            continue;
        }
        found.push(measure(route, "keep-alive", true, Load::Closed { users: few }));
        if matches!(route.name, "tiny" | "compute") {
            found.push(measure(route, "open", true, Load::Open { rate, connections: 64 }));
        }
        if route.name == "tiny" && matches!(size, Size::Standard | Size::Nightly) {
            found.push(measure(route, "half-load", true, Load::Open { rate: Rate::Own(0.5), connections: 64 }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(size: Size) -> Vec<String> {
        Design::of(size, false, &Choice::default()).unwrap().measures.into_iter().map(|m| m.name).collect()
    }

    #[test]
    fn larger_sizes_measure_what_smaller_ones_do() {
        assert_eq!(names(Size::Smoke), ["tiny-close"]);
        assert_eq!(
            names(Size::Quick),
            ["tiny-close", "tiny-keep-alive", "tiny-open", "compute-keep-alive", "compute-open"]
        );
        let standard = names(Size::Standard);
        assert!(names(Size::Quick).iter().all(|name| standard.contains(name)), "{standard:?}");
        assert_eq!(standard, names(Size::Nightly));
    }

    #[test]
    fn what_there_is_not_is_refused_by_name() {
        let of = |choice: Choice| Design::of(Size::Quick, false, &choice).err().unwrap().to_string();
        assert!(of(Choice { arms: vec!["wasmtime".into()], ..Choice::default() }).contains("`wasmtime`"));
        assert!(of(Choice { routes: vec!["slow".into()], ..Choice::default() }).contains("`slow`"));
        assert!(of(Choice { rate: Some(0.0), ..Choice::default() }).contains("1 to 1000000"));
        assert!(of(Choice { rate: Some(f64::NAN), ..Choice::default() }).contains("NaN"));
        assert!(of(Choice { generators: Some(17), ..Choice::default() }).contains("1 to 16"));
        assert!(of(Choice { rounds: Some(0), ..Choice::default() }).contains("1 to 100"));
    }

    #[test]
    fn the_control_is_always_first() {
        let choice = Choice { arms: vec!["wasm-aot".into(), "native".into()], ..Choice::default() };
        let arms = Design::of(Size::Quick, false, &choice).unwrap().arms;
        assert_eq!(arms.iter().map(|arm| arm.name()).collect::<Vec<_>>(), ["native", "wasm-aot"]);
    }
}
