//! Kubernetes' API, spoken by the lab's own `kubectl` on this host; the only
//! file that knows it. (On an emulated node the same command takes a second
//! only to start; here it takes a tenth.)

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::interrupt;
use crate::process::{Cmd, CommandFailed};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(120);

/// How long the API may fail to answer in the middle of a wait: a busy
/// emulated node misses a handshake now and then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a way to the API server, or says where the one that is open begins.
type Way = Arc<dyn Fn() -> Result<SocketAddr> + Send + Sync>;

/// A `kubectl` bound to one cluster.
#[derive(Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    /// The API server's address, by which its certificate is known, and another
    /// way to it.
    through: Option<(IpAddr, Way)>,
}

impl Kubectl {
    /// `program` is a kubectl that runs on this host.
    #[must_use]
    pub fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig, through: None }
    }

    /// The same for an API server at `address` that is not reached there but by
    /// `way`, which is asked before each command.
    #[must_use]
    pub fn through(self, address: IpAddr, way: impl Fn() -> Result<SocketAddr> + Send + Sync + 'static) -> Self {
        Self { through: Some((address, Arc::new(way))), ..self }
    }

    fn base(&self) -> Result<Cmd> {
        let cmd = Cmd::new(&self.program).arg(format!("--kubeconfig={}", self.kubeconfig.display()));
        let Some((address, way)) = &self.through else { return Ok(cmd) };
        Ok(cmd.arg(format!("--server=https://{}", way()?)).arg(format!("--tls-server-name={address}")))
    }

    fn cmd(&self) -> Result<Cmd> {
        Ok(self.base()?.arg("--request-timeout=60s").timeout(REQUEST))
    }

    /// Runs `kubectl ARGS` on this terminal, for as long as it takes; returns its
    /// exit code.
    pub fn interactive(&self, args: &[String]) -> Result<i32> {
        self.base()?.args(args).interactive()
    }

    /// Standard output of `kubectl ARGS`.
    pub fn read(&self, args: &[&str]) -> Result<String> {
        self.cmd()?.args(args).read()
    }

    /// `kubectl ARGS -o json`, parsed.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.cmd()?.args(args).args(["-o", "json"]).read()?;
        serde_json::from_str(&text).with_context(|| format!("parse the answer of kubectl {}", args.join(" ")))
    }

    /// Applies a manifest (YAML, several documents).
    pub fn apply(&self, manifest: &str) -> Result<()> {
        self.cmd()?.args(["apply", "-f", "-"]).stdin(manifest).read().map(drop).context("apply a manifest")
    }

    /// Makes new objects of a manifest, which is not kept in their annotations.
    pub fn create(&self, manifest: &str) -> Result<()> {
        self.cmd()?.args(["create", "-f", "-"]).stdin(manifest).read().map(drop).context("create from a manifest")
    }

    /// Whether the cluster differs from a manifest; empty if it does not.
    pub fn diff(&self, manifest: &str) -> Result<String> {
        let output = self.cmd()?.args(["diff", "-f", "-"]).stdin(manifest).output()?;
        match output.status.code() {
            Some(0) => Ok(String::new()),
            Some(1) => Ok(output.stdout),
            _ => bail!("kubectl diff failed: {}", output.stderr.trim()),
        }
    }

    /// Asks `probe` again and again until it gives a value. An error of the
    /// probe is final, unless it is kubectl's own and it goes away within
    /// half a minute; at the end of `limit` the error names `what` and the
    /// probe's last reason for saying no.
    pub fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut probe: impl FnMut(&Self) -> Result<Result<T, String>>,
    ) -> Result<T> {
        let started = Instant::now();
        let mut answered = started;
        loop {
            match probe(self) {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(why)) if started.elapsed() > limit => bail!("{what} after {} s: {why}", limit.as_secs()),
                Ok(Err(_)) => answered = Instant::now(),
                Err(error) if error.is::<CommandFailed>() && answered.elapsed() < PATIENCE.min(limit) => {}
                Err(error) => return Err(error),
            }
            for _ in 0..10 {
                interrupt::check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kubectl that runs `script`.
    fn fake(dir: &std::path::Path, script: &str) -> Kubectl {
        use std::os::unix::fs::PermissionsExt;
        let program = dir.join("kubectl");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Kubectl::new(program, dir.join("kubeconfig"))
    }

    #[test]
    fn an_api_server_behind_a_jump_host_is_spoken_to_at_this_end_and_known_by_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let kubectl = fake(dir.path(), "echo \"$@\"");
        let server = |kubectl: &Kubectl| {
            let line = kubectl.read(&["get", "pods"]).unwrap();
            let words: Vec<&str> = line.split(' ').filter(|word| word.contains("server")).collect();
            words.join(" ")
        };
        assert_eq!(server(&kubectl), "");
        let asked = Arc::new(std::sync::atomic::AtomicU16::new(4000));
        let ports = Arc::clone(&asked);
        let kubectl = kubectl.through("192.0.2.7".parse().unwrap(), move || {
            Ok(SocketAddr::from(([127, 0, 0, 1], ports.fetch_add(1, std::sync::atomic::Ordering::Relaxed))))
        });
        assert_eq!(server(&kubectl), "--server=https://127.0.0.1:4000 --tls-server-name=192.0.2.7");
        assert_eq!(server(&kubectl), "--server=https://127.0.0.1:4001 --tls-server-name=192.0.2.7");
        let lost = kubectl.through("192.0.2.7".parse().unwrap(), || bail!("the way broke"));
        assert_eq!(lost.read(&["get", "pods"]).unwrap_err().to_string(), "the way broke");
    }

    #[test]
    fn a_wait_outlives_an_answer_that_fails_once_and_not_a_probes_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let script = format!(
            "test -e {0} || {{ touch {0}; echo 'TLS handshake timeout' >&2; exit 1; }}; echo 1",
            seen.display()
        );
        let kubectl = fake(dir.path(), &script);
        let limit = Duration::from_secs(20);
        let value = kubectl.wait_for("it fails", limit, |kubectl| Ok(Ok(kubectl.json(&["get", "pods"])?))).unwrap();
        assert_eq!(value, 1);
        let refused = kubectl.wait_for("it fails", limit, |_| -> Result<Result<(), String>> { bail!("no") });
        assert_eq!(refused.unwrap_err().to_string(), "no");
    }
}
