//! A benchmark's result: versioned JSON in the lab's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::loadgen;
use crate::arms::Mode;
use crate::lab::Lab;
use crate::paths;

/// The `format` of a result; it changes with any change a reader could stumble over.
pub const FORMAT: &str = "provision.bench/1";

/// One run of the benchmark.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BenchResult {
    /// [`FORMAT`].
    pub format: String,
    /// The lab's name.
    pub lab: String,
    /// uid of the cluster that was measured.
    pub cluster: String,
    /// When the run ended, RFC 3339, UTC.
    pub time: String,
    /// The load.
    pub settings: Settings,
    /// What it ran on.
    pub environment: Environment,
    /// In the order of the table's columns.
    pub arms: Vec<ArmResult>,
}

/// The load of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Users at once, each waiting for its answer (closed loop), a connection
    /// per request, as in the demo.
    pub users: u32,
    /// Length of the load per arm.
    pub seconds: u32,
    /// Seconds before it that do not count.
    pub warmup_seconds: u32,
    /// The route.
    pub path: String,
    /// Whether users and seconds are the smaller ones for emulated machines.
    pub shortened: bool,
}

/// What a run was made on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    /// No KVM: absolute times mean nothing, ratios little.
    pub emulated: bool,
    /// The host's CPU, as /proc/cpuinfo names it.
    pub host_cpu: String,
    /// CPUs of the node.
    pub node_cpus: u32,
    /// Memory of the node, MiB.
    pub node_memory_mib: u64,
    /// Kubernetes' version.
    pub kubernetes: String,
    /// The node's kernel.
    pub kernel: String,
    /// The node's container runtime and its version.
    pub container_runtime: String,
    /// This program's version.
    pub provision: String,
    /// Image name to manifest digest.
    pub images: BTreeMap<String, String>,
}

/// One arm's measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArmResult {
    /// The arm's name.
    pub arm: String,
    /// The mode it was proved in right before.
    pub mode: Mode,
    /// What the load generator measured.
    pub load: loadgen::Report,
}

impl BenchResult {
    /// Reads a result; one of another format is refused by name.
    pub fn load(path: &Path) -> Result<Self> {
        let text = paths::read(path)?;
        let value: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("parse result {}", path.display()))?;
        let format = value["format"].as_str().unwrap_or("none");
        if format != FORMAT {
            bail!("result {} has format {format}; this program reads {FORMAT}", path.display());
        }
        serde_json::from_value(value).with_context(|| format!("read result {}", path.display()))
    }

    /// Writes it into the lab's folder, named by its time.
    pub fn save(&self, lab: &Lab) -> Result<PathBuf> {
        let stamp: String = self.time.chars().take(19).map(|c| if c == ':' { '-' } else { c }).collect();
        let path = lab.results().join(format!("{stamp}Z.json"));
        let json = serde_json::to_vec_pretty(self).context("write the result as JSON")?;
        paths::write_atomic(&path, &json, 0o644)?;
        Ok(path)
    }
}
