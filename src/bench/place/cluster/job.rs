//! The generator as a Job, and the sampler beside it.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::sampler::Samples;
use super::{Cluster, GENERATOR};
use crate::arms::NAMESPACE;
use crate::bench::loadgen;
use crate::bench::merge::merge;
use crate::bench::place::{Ask, Shape};
use crate::{pods, templates};

/// What a Job may take besides its load: to be scheduled and started.
const AROUND: Duration = Duration::from_secs(420);
/// Seconds between two loads: long enough for a look at the server's CPU time in between.
const GAP: f64 = 0.5;
/// Seconds until several generators begin together: by then each has started,
/// on an emulated node too.
const TOGETHER: (u64, u64) = (15, 75);
/// How late one of several may begin, in milliseconds.
const LATE_MS: f64 = 50.0;
/// Where the sampler is told to stop.
const STOP: &str = "/run/provision-sample.stop";
/// Where it writes.
const SAMPLES: &str = "/run/provision-sample.out";

/// Loads the server at `address` by each ask; the reports of several
/// generators are one.
pub fn run(
    cluster: &Cluster,
    server: &str,
    address: &str,
    group: &str,
    asks: &[Ask],
) -> Result<(Vec<loadgen::Report>, Samples)> {
    let name = format!("load-{server}");
    pods::delete(cluster.kubectl, "job", &name)?;
    let seconds: f64 = asks.iter().map(seconds).sum();
    let limit = AROUND + Duration::from_secs_f64(seconds);
    // A node runs one command at a time: the sampler goes on by itself.
    let sample = format!(
        "rm -f {STOP}; setsid --fork bash /opt/provision/sample.sh {} {STOP} {} </dev/null >{SAMPLES} 2>&1",
        shell_words::quote(group),
        limit.as_secs()
    );
    cluster.node.read(&sample, b"").context("sample the server's CPU time")?;
    let reports = load(cluster, &name, address, asks, limit);
    // Whatever the load's end, the sampler is told to stop.
    let sampled = cluster.node.read(&format!("touch {STOP}; sleep 0.5; cat {SAMPLES}"), b"");
    Ok((reports?, Samples::parse(&sampled.context("read the server's CPU time")?)))
}

fn seconds(ask: &Ask) -> f64 {
    let own = match ask.shape {
        Shape::Count(_) => 60.0,
        Shape::Closed { seconds, .. } | Shape::Open { seconds, .. } => seconds,
    };
    own + ask.warmup_seconds + GAP
}

fn load(cluster: &Cluster, name: &str, address: &str, asks: &[Ask], limit: Duration) -> Result<Vec<loadgen::Report>> {
    cluster.kubectl.apply(&manifest(cluster, name, address, asks, limit)?)?;
    let ended = cluster.kubectl.wait_for(&format!("job {NAMESPACE}/{name} does not end"), limit, |kubectl| {
        let job = kubectl.json(&["get", "job", "--namespace", NAMESPACE, name])?;
        let status = &job["status"];
        if status["succeeded"].as_u64() == Some(cluster.generators.get().into()) {
            return Ok(Ok(true));
        }
        if status["failed"].as_u64().unwrap_or(0) > 0 {
            return Ok(Ok(false));
        }
        let pods =
            kubectl.json(&["get", "pods", "--namespace", NAMESPACE, "--selector", &format!("job-name={name}")])?;
        let pods: Vec<&Value> = pods["items"].as_array().into_iter().flatten().collect();
        // A moment before the Job counts it; what it printed says why.
        if pods.iter().any(|pod| pod["status"]["phase"] == "Failed") {
            return Ok(Ok(false));
        }
        let troubles = pods.into_iter().filter_map(pods::trouble);
        if let Some(trouble) = troubles.into_iter().next() {
            bail!("job {NAMESPACE}/{name}: {trouble}");
        }
        Ok(Err(format!("{} of its pods are active", status["active"].as_u64().unwrap_or(0))))
    })?;
    let printed = cluster.kubectl.read(&[
        "logs",
        "--namespace",
        NAMESPACE,
        "--selector",
        &format!("job-name={name}"),
        "--tail=-1",
        "--max-log-requests=64",
    ])?;
    let reports = read(&printed, asks.len(), cluster.generators.get()).map_err(|error| {
        // A generator of which not one request succeeded ends with 1, and its document says why.
        if ended { error } else { error.context(format!("the load generator failed: {}", beginning(&printed))) }
    })?;
    pods::delete(cluster.kubectl, "job", name)?;
    Ok(reports)
}

/// The reports of each load, those of all generators as one.
fn read(printed: &str, asks: usize, generators: u32) -> Result<Vec<loadgen::Report>> {
    let lines = printed.lines().filter(|line| line.starts_with('{'));
    let all = lines.map(loadgen::read).collect::<Result<Vec<_>>>()?;
    let of_ask = |index: usize| -> Result<loadgen::Report> {
        let name = index.to_string();
        let own: Vec<loadgen::Report> = all.iter().filter(|report| report.name == name).cloned().collect();
        ensure!(own.len() == generators as usize, "{} of {generators} generators reported load {index}", own.len());
        if let (0, Some(late)) = (index, own.iter().map(|report| report.started_late_ms).reduce(f64::max)) {
            ensure!(
                generators == 1 || late <= LATE_MS,
                "the {generators} generators did not begin together: one was {late:.0} ms late"
            );
        }
        merge(own)
    };
    (0..asks).map(of_ask).collect()
}

fn beginning(text: &str) -> String {
    text.trim().chars().take(600).collect()
}

fn manifest(cluster: &Cluster, name: &str, address: &str, asks: &[Ask], limit: Duration) -> Result<String> {
    #[derive(Serialize)]
    struct Values<'a> {
        name: &'a str,
        namespace: &'a str,
        image: &'a str,
        node: &'a str,
        generators: u32,
        deadline: u64,
        plan: String,
        gap: f64,
        start_at: u128,
    }
    let generators = cluster.generators.get();
    let together = if cluster.environment.emulated { TOGETHER.1 } else { TOGETHER.0 };
    let plan: Vec<Value> = asks.iter().enumerate().map(|(index, ask)| entry(index, address, ask, generators)).collect();
    // One generator begins when it can; several wait for one another.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("read the clock")?;
    let start = if generators > 1 { now + Duration::from_secs(together) } else { now };
    let plan = serde_json::to_string(&plan).context("write the generator's plan")?;
    let values = Values {
        name,
        namespace: NAMESPACE,
        image: GENERATOR,
        node: cluster.node.name(),
        generators,
        deadline: limit.as_secs(),
        // A JSON string is a YAML string too, once it is quoted as JSON again.
        plan: plan.replace('\\', "\\\\").replace('"', "\\\""),
        gap: GAP,
        start_at: start.as_millis(),
    };
    templates::render("bench-job.yaml", include_str!("../../../../templates/kubernetes/bench-job.yaml.tera"), &values)
}

fn entry(index: usize, address: &str, ask: &Ask, generators: u32) -> Value {
    let mut entry = json!({
        "name": index.to_string(),
        "url": format!("http://{address}{}", ask.path),
        "expect": ask.expect,
        "keep_alive": ask.keep_alive,
        "warmup": ask.warmup_seconds,
    });
    let share = |users: u32| users.div_ceil(generators).max(1);
    let more = match ask.shape {
        Shape::Count(requests) => json!({"requests": requests, "users": 1, "warmup": 0.0}),
        Shape::Closed { users, seconds } => json!({"users": share(users), "seconds": seconds}),
        Shape::Open { rate, connections, seconds, seed } => json!({
            "rate": rate / f64::from(generators), "users": share(connections), "seconds": seconds, "seed": seed,
        }),
    };
    if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
        entry.extend(more);
    }
    entry
}
