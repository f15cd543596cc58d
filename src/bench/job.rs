//! One arm under load: the generator as a Job in the cluster.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{Settings, loadgen};
use crate::arms::{Arm, NAMESPACE, PORT};
use crate::kubectl::Kubectl;
use crate::{pods, templates};

/// The generator's image, as preloaded into the box.
pub const IMAGE: &str = "provision.local/loadgen:v1";
/// What the tiny route's body contains, so that no other server's answer counts.
const EXPECT: &str = "hello from provision";
/// What a Job may take besides its load: to be scheduled and started.
const AROUND: Duration = Duration::from_secs(420);

/// Runs the Job, waits for its end and reads what it printed.
pub fn run(kubectl: &Kubectl, arm: &dyn Arm, settings: &Settings) -> Result<loadgen::Report> {
    let name = format!("loadgen-{}", arm.name());
    pods::delete(kubectl, "job", &name)?;
    let service = kubectl.json(&["get", "service", "--namespace", NAMESPACE, arm.name()])?;
    // By address: the generator is a static binary, and a name's look-up would
    // be measured with the first request.
    let address =
        service["spec"]["clusterIP"].as_str().with_context(|| format!("service {} has no address", arm.name()))?;
    kubectl.apply(&manifest(&name, address, settings)?)?;
    let limit = AROUND + Duration::from_secs((settings.seconds + settings.warmup_seconds).into());
    let ended = kubectl.wait_for(&format!("job {NAMESPACE}/{name} does not end"), limit, |kubectl| {
        let job = kubectl.json(&["get", "job", "--namespace", NAMESPACE, &name])?;
        let status = &job["status"];
        if status["succeeded"].as_u64() == Some(1) {
            return Ok(Ok(true));
        }
        if status["failed"].as_u64().unwrap_or(0) > 0 {
            return Ok(Ok(false));
        }
        let pods =
            kubectl.json(&["get", "pods", "--namespace", NAMESPACE, "--selector", &format!("job-name={name}")])?;
        if let Some(trouble) = pods["items"][0].as_object().and_then(|_| pods::trouble(&pods["items"][0])) {
            bail!("job {NAMESPACE}/{name}: {trouble}");
        }
        Ok(Err(format!("{} of its pods are active", status["active"].as_u64().unwrap_or(0))))
    })?;
    let printed = kubectl.read(&["logs", "--namespace", NAMESPACE, &format!("job/{name}")])?;
    if !ended {
        bail!("the load generator failed: {}", printed.trim());
    }
    let report: loadgen::Report = serde_json::from_str(&printed).with_context(|| {
        format!("read what the load generator printed: {}", printed.chars().take(300).collect::<String>())
    })?;
    if report.format != loadgen::FORMAT {
        bail!("the load generator speaks {}, this program {}", report.format, loadgen::FORMAT);
    }
    pods::delete(kubectl, "job", &name)?;
    Ok(report)
}

fn manifest(name: &str, address: &str, settings: &Settings) -> Result<String> {
    #[derive(Serialize)]
    struct Values<'a> {
        name: &'a str,
        namespace: &'a str,
        image: &'a str,
        url: String,
        users: u32,
        seconds: u32,
        warmup_seconds: u32,
        expect: &'a str,
        deadline: u32,
    }
    let values = Values {
        name,
        namespace: NAMESPACE,
        image: IMAGE,
        url: format!("http://{address}:{PORT}{}", settings.path),
        users: settings.users,
        seconds: settings.seconds,
        warmup_seconds: settings.warmup_seconds,
        expect: EXPECT,
        deadline: settings.seconds + settings.warmup_seconds + 300,
    };
    templates::render("loadgen-job.yaml", include_str!("../../templates/kubernetes/loadgen-job.yaml.tera"), &values)
}
