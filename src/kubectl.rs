//! Kubernetes' API, spoken by the lab's own `kubectl` on this host; the only
//! file that knows it. (On an emulated node the same command takes a second
//! only to start; here it takes a tenth.)

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::interrupt;
use crate::process::Cmd;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(120);

/// A `kubectl` bound to one cluster.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// `program` is a kubectl that runs on this host.
    #[must_use]
    pub fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig }
    }

    fn cmd(&self) -> Cmd {
        Cmd::new(&self.program)
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .arg("--request-timeout=60s")
            .timeout(REQUEST)
    }

    /// Standard output of `kubectl ARGS`.
    pub fn read(&self, args: &[&str]) -> Result<String> {
        self.cmd().args(args).read()
    }

    /// `kubectl ARGS -o json`, parsed.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.cmd().args(args).args(["-o", "json"]).read()?;
        serde_json::from_str(&text).with_context(|| format!("parse the answer of kubectl {}", args.join(" ")))
    }

    /// Applies a manifest (YAML, several documents).
    pub fn apply(&self, manifest: &str) -> Result<()> {
        self.cmd().args(["apply", "-f", "-"]).stdin(manifest).read().map(drop).context("apply a manifest")
    }

    /// Whether the cluster differs from a manifest; empty if it does not.
    pub fn diff(&self, manifest: &str) -> Result<String> {
        let output = self.cmd().args(["diff", "-f", "-"]).stdin(manifest).output()?;
        match output.status.code() {
            Some(0) => Ok(String::new()),
            Some(1) => Ok(output.stdout),
            _ => bail!("kubectl diff failed: {}", output.stderr.trim()),
        }
    }

    /// Asks `probe` again and again until it gives a value. An error of the
    /// probe is final; at the end of `limit` the error names `what` and the
    /// probe's last reason for saying no.
    pub fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut probe: impl FnMut(&Self) -> Result<Result<T, String>>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            match probe(self)? {
                Ok(value) => return Ok(value),
                Err(why) if started.elapsed() > limit => bail!("{what} after {} s: {why}", limit.as_secs()),
                Err(_) => {}
            }
            for _ in 0..10 {
                interrupt::check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}
