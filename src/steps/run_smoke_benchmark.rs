//! The first figures: Rust against Wasm under load, on the proved lab.

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use super::{Check, Context, Proof, Step};
use crate::bench::design::{Choice, Design, MOST_GENERATORS};
use crate::bench::engine;
use crate::bench::place::cluster::Cluster;
use crate::bench::run::{Environment, PlaceKind, Run};
use crate::bench::store::{self, Store};
use crate::host;
use crate::profile::{Role, Size};
use crate::ui::Task;
use crate::{paths, report};

/// Where start_pod.sh finds the right to make pods on a worker.
const LENT: &str = "/run/provision-admin.conf";

/// See the module.
pub struct RunSmokeBenchmark;

impl Step for RunSmokeBenchmark {
    fn name(&self) -> &'static str {
        "run_smoke_benchmark"
    }

    fn title(&self) -> &'static str {
        "Run the smoke benchmark"
    }

    fn seen_whole(&self) -> bool {
        true
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let Some(path) = cx.lab.newest_result()? else { return Ok(Check::pending("no result of this lab yet")) };
        let run = match store::load(&path) {
            Ok(run) => run,
            Err(error) => return Ok(Check::Pending(vec![format!("{error:#}")])),
        };
        if run.place != (PlaceKind::Cluster { uid: cx.cluster()?.uid.clone() }) {
            return Ok(Check::pending("the newest result is of another cluster"));
        }
        if run.lanes.iter().any(|lane| cx.images.get(&lane.image) != Some(&lane.digest)) {
            return Ok(Check::pending("the newest result is of other images"));
        }
        Ok(Check::Done)
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        let load = cx.profile.benchmark.load(cx.emulated);
        let choice = Choice { users: load.users, seconds: load.seconds, seed: seed(), ..Choice::default() };
        let run = measure(cx, &Design::of(Size::Smoke, cx.emulated, &choice)?, task)?;
        if let Some(bad) = run.summary.iter().find(|summary| summary.succeeded == 0) {
            bail!("arm {}: not one request succeeded: {}", bad.lane, run.verdict.sentence);
        }
        Ok(())
    }
}

/// Another order of blocks each time; the result says which.
#[must_use]
pub fn seed() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(1)
}

/// Carries a design out in the lab's cluster and keeps the run with its reports.
pub fn measure(cx: &Context, design: &Design, task: &Task) -> Result<Run> {
    let uid = cx.cluster()?.uid.clone();
    if Proof::load(cx.lab).is_none_or(|proof| proof.cluster != uid) {
        bail!(
            "the runtime of this lab is not proved, so figures would mean nothing\n  prove it: provision up --step prove_runtime"
        );
    }
    let environment = environment(cx)?;
    // One CPU is the server's.
    let room = environment.cpus.saturating_sub(1).clamp(1, MOST_GENERATORS);
    let (node, spec) = cx.bench_node()?;
    // A worker has no right to make pods of its own: it is lent one for as long as this takes.
    let lent = spec.role == Role::Worker;
    if lent {
        let kubeconfig = paths::read(&cx.lab.kubeconfig())?;
        node.read(&format!("umask 077; cat >{LENT}"), kubeconfig.as_bytes())?;
    }
    let place = Cluster {
        kubectl: cx.kubectl,
        node,
        uid,
        images: cx.images,
        sizes: cx.sizes,
        environment,
        generators: Cell::new(design.generators.unwrap_or(1)),
        most_generators: design.generators.unwrap_or(room),
    };
    let run = engine::run(design, &place, cx.lab.name(), task);
    if lent {
        // In memory, so a node that cannot be asked any more loses it at its next start.
        node.read(&format!("rm -f {LENT} /run/provision-admin.*"), b"").map(drop).unwrap_or_default();
    }
    let run = run?;
    Store::at(cx.lab.results()).save(&run, &report::beside(&run)?)?;
    Ok(run)
}

fn environment(cx: &Context) -> Result<Environment> {
    let cluster = cx.cluster()?;
    let (node, spec) = cx.bench_node()?;
    let info =
        &cluster.object("Node", None, node.name()).context("the cluster does not know its node")?["status"]["nodeInfo"];
    let text = |key: &str| info[key].as_str().unwrap_or("unknown").to_owned();
    let (packages, sent) =
        if spec.plain { ("runc", "cat /usr/local/lib/provision/packages && ") } else { ("runc crun libwasmedge0", "") };
    let query = format!(r"{sent}dpkg-query --show --showformat='${{Package}} ${{Version}}\n' {packages}");
    let packages = node.read(&query, b"")?;
    let mut versions: BTreeMap<String, String> = packages
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect();
    for (name, version) in [
        ("provision", env!("CARGO_PKG_VERSION").to_owned()),
        ("kubernetes", text("kubeletVersion")),
        ("containerd", text("containerRuntimeVersion")),
    ] {
        versions.insert(name.into(), version);
    }
    Ok(Environment {
        emulated: cx.emulated,
        virtualised: true,
        cpu: host::cpu_model()?,
        cpus: spec.cpus,
        memory_mib: spec.memory_mib,
        kernel: text("kernelVersion"),
        accounting: "cgroup v2".into(),
        pinning: String::new(),
        idle: String::new(),
        versions,
        lock: cx.lock.to_owned(),
        digests: cx.images.clone(),
    })
}
