//! One pod that serves.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::sampler::Samples;
use super::{Cluster, POD_LIMIT, job};
use crate::arms::PORT;
use crate::bench::place::{Ask, Server, Taken};
use crate::bench::run::Start;
use crate::pods;
use crate::proof::Evidence;

/// A pod and what is known of it.
pub struct ClusterServer<'a> {
    cluster: &'a Cluster<'a>,
    name: String,
    start: Start,
    address: String,
    container: String,
    /// The pod's cgroup.
    group: String,
    /// Its container's.
    container_group: String,
}

impl<'a> ClusterServer<'a> {
    /// Makes the pod and waits for its first answer.
    pub fn start(cluster: &'a Cluster<'a>, name: &str, manifest: &str) -> Result<Self> {
        let command =
            format!("bash /opt/provision/start_pod.sh {} {PORT} {}", shell_words::quote(name), POD_LIMIT.as_secs());
        let printed = match cluster.node.read(&command, manifest.as_bytes()) {
            Ok(printed) => printed,
            Err(error) => {
                // The API may know why.
                let pod = cluster.kubectl.json(&["get", "pod", "--namespace", crate::arms::NAMESPACE, name]);
                let trouble = pod.ok().as_ref().and_then(pods::trouble);
                return Err(match trouble {
                    Some(trouble) => error.context(format!("pod {name}: {trouble}")),
                    None => error.context(format!("pod {name} does not come up")),
                });
            }
        };
        let told: BTreeMap<&str, &str> = printed.lines().filter_map(|line| line.split_once('=')).collect();
        let text = |key: &str| told.get(key).copied().with_context(|| format!("start_pod.sh did not tell {key}"));
        let time = |key: &str| -> Result<f64> {
            text(key)?.parse().with_context(|| format!("start_pod.sh told {key}={}", text(key).unwrap_or_default()))
        };
        let ms = |from: &str, to: &str| -> Result<f64> { Ok((time(to)? - time(from)?).max(0.0) / 1000.0) };
        Ok(Self {
            cluster,
            name: name.into(),
            start: Start {
                scheduling_ms: Some(ms("asked", "scheduled")?),
                sandbox_ms: Some(ms("scheduled", "created")?),
                container_ms: ms("created", "listening")?,
                first_byte_ms: ms("listening", "answered")?,
                total_ms: ms("asked", "answered")?,
            },
            address: format!("{}:{PORT}", text("ip")?),
            container: text("container")?.to_owned(),
            group: text("cgroup")?.to_owned(),
            container_group: text("containergroup")?.to_owned(),
        })
    }

    /// Memory of the whole pod, KiB.
    pub fn pod_kib(&self) -> Result<u64> {
        Ok(self.bytes(&format!("{}/memory.current", self.group))? / 1024)
    }

    fn bytes(&self, file: &str) -> Result<u64> {
        let text = self.cluster.node.read(&format!("cat {}", shell_words::quote(file)), b"")?;
        text.trim().parse().with_context(|| format!("{file} holds `{}`", text.trim()))
    }
}

impl Server for ClusterServer<'_> {
    fn start(&self) -> Start {
        self.start
    }

    fn evidence(&self) -> Result<Evidence> {
        let command = format!("bash /opt/provision/evidence.sh {}", shell_words::quote(&self.container));
        let evidence = Evidence::parse(&self.cluster.node.read(&command, b"")?);
        ensure!(evidence.running, "pod {}: container {} has no process", self.name, self.container);
        Ok(evidence)
    }

    fn memory(&self) -> Result<(u64, u64)> {
        let group = &self.container_group;
        Ok((
            self.bytes(&format!("{group}/memory.current"))? / 1024,
            self.bytes(&format!("{group}/memory.peak"))? / 1024,
        ))
    }

    fn measure(&mut self, asks: &[Ask]) -> Result<Vec<Taken>> {
        let (reports, samples) = job::run(self.cluster, &self.name, &self.address, &self.container_group, asks)?;
        ensure!(
            reports.len() == asks.len(),
            "the generator measured {} of {} loads on pod {}",
            reports.len(),
            asks.len(),
            self.name
        );
        reports.into_iter().map(|report| taken(report, &samples)).collect()
    }
}

fn taken(report: crate::bench::loadgen::Report, samples: &Samples) -> Result<Taken> {
    let used = samples.between(report.started_unix_us, report.ended_unix_us)?;
    Ok(Taken {
        seconds: report.ended_unix_us.saturating_sub(report.started_unix_us) as f64 / 1e6,
        cpu_us: used.cpu_us,
        steal: used.steal,
        throttled: used.throttled,
        parts: Vec::new(),
        report,
    })
}

impl Drop for ClusterServer<'_> {
    fn drop(&mut self) {
        // Whoever starts a pod of this name deletes the one that is there.
        let asked =
            ["delete", "pod", "--namespace", crate::arms::NAMESPACE, &self.name, "--ignore-not-found", "--wait=false"];
        self.cluster.kubectl.read(&asked).map(drop).unwrap_or_default();
    }
}
