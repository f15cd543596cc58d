//! The first figures: Rust against Wasm under load, on the proved lab.

use anyhow::{Context as _, Result, bail};

use super::{Check, Context, Proof, Step};
use crate::bench::{self, BenchResult, Environment, Settings};
use crate::ui::Task;

/// See the module.
pub struct RunSmokeBenchmark;

impl Step for RunSmokeBenchmark {
    fn name(&self) -> &'static str {
        "run_smoke_benchmark"
    }

    fn title(&self) -> &'static str {
        "Run the smoke benchmark"
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let Some(path) = cx.lab.newest_result()? else { return Ok(Check::pending("no result of this lab yet")) };
        let result = match BenchResult::load(&path) {
            Ok(result) => result,
            Err(error) => return Ok(Check::Pending(vec![format!("{error:#}")])),
        };
        if result.cluster != cx.cluster()?.uid {
            return Ok(Check::pending("the newest result is of another cluster"));
        }
        if result.environment.images != *cx.images {
            return Ok(Check::pending("the newest result is of other images"));
        }
        Ok(Check::Done)
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        let cluster = cx.cluster()?;
        if Proof::load(cx.lab).is_none_or(|proof| proof.cluster != cluster.uid) {
            bail!(
                "the runtime of this lab is not proved, so figures would mean nothing\n  prove it: provision up --step prove_runtime"
            );
        }
        let settings = settings(cx);
        let arms = bench::run(cx.kubectl, &settings, task)?;
        if let Some(bad) = arms.iter().find(|arm| arm.load.succeeded == 0) {
            bail!("arm {}: not one of {} requests succeeded: {:?}", bad.arm, bad.load.requests, bad.load.errors);
        }
        let result = BenchResult {
            format: bench::FORMAT.into(),
            lab: cx.lab.name().into(),
            cluster: cluster.uid.clone(),
            time: jiff::Timestamp::now().to_string(),
            settings,
            environment: environment(cx)?,
            arms,
        };
        result.save(cx.lab).map(drop)
    }
}

fn settings(cx: &Context) -> Settings {
    let load = cx.profile.benchmark.load(cx.emulated);
    Settings {
        users: load.users,
        seconds: load.seconds,
        warmup_seconds: (load.seconds / 10).clamp(1, 10),
        path: "/".into(),
        shortened: cx.emulated,
    }
}

fn environment(cx: &Context) -> Result<Environment> {
    let cluster = cx.cluster()?;
    let node = cx.control_plane()?;
    let info =
        &cluster.object("Node", None, node.name()).context("the cluster does not know its node")?["status"]["nodeInfo"];
    let text = |key: &str| info[key].as_str().unwrap_or("unknown").to_owned();
    let first = cx.profile.nodes().into_iter().next().context("the profile has no node")?;
    Ok(Environment {
        emulated: cx.emulated,
        host_cpu: host_cpu()?,
        node_cpus: first.cpus,
        node_memory_mib: first.memory_mib,
        kubernetes: text("kubeletVersion"),
        kernel: text("kernelVersion"),
        container_runtime: text("containerRuntimeVersion"),
        provision: env!("CARGO_PKG_VERSION").into(),
        images: cx.images.clone(),
    })
}

/// The host's CPU as /proc/cpuinfo names it.
fn host_cpu() -> Result<String> {
    let text = crate::paths::read(std::path::Path::new("/proc/cpuinfo"))?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, model)| model));
    Ok(model.unwrap_or("unknown").to_owned())
}
