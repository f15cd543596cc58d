//! The arms in containers on this host: no machine, no Kubernetes. The node's
//! own root tree brings crun, runc and WasmEdge; load goes over 127.0.0.1.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use self::awake::Awake;
use self::bundle::Sources;
use self::server::{LocalServer, Told};
use super::{Place, Server, procfs};
use crate::arms::{Arm, Runtime};
use crate::artifacts::digest;
use crate::artifacts::set::LocalParts;
use crate::bench::run::{Cost, Environment, Lane, PlaceKind};
use crate::process::Cmd;
use crate::{host, paths};

mod awake;
mod bundle;
mod pinning;
mod server;

pub use pinning::Pinning;

const SERVE: &str = include_str!("../../scripts/serve.sh");
const TIDY: &str = include_str!("../../scripts/tidy.sh");
/// Seconds after which a null server ends by itself.
const NULL_SECONDS: u32 = 600;

/// This host.
pub struct Local {
    parts: LocalParts,
    sources: Sources,
    pinning: Pinning,
    /// Goes with this value.
    awake: Awake,
    /// Bundles; goes with this value.
    work: tempfile::TempDir,
    serve: PathBuf,
}

impl Local {
    /// Makes the bundles of `arms` in a new folder below `dir`.
    pub fn prepare(parts: LocalParts, arms: &[&'static dyn Arm], dir: &Path) -> Result<Self> {
        ensure!(
            host::is_root(),
            "containers on this host take root: mounts, and namespaces of process numbers\n  type: sudo provision bench --local"
        );
        paths::create_dir(dir)?;
        let work = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(dir)
            .with_context(|| format!("make a folder in {}", dir.display()))?;
        let sources = Sources { programs: parts.workload.clone(), base: parts.base.clone() };
        for arm in arms {
            let bundle = work.path().join(arm.name());
            sources.write(*arm, &bundle).with_context(|| format!("make the bundle of arm {}", arm.name()))?;
        }
        let serve = work.path().join("serve.sh");
        paths::write_atomic(&serve, SERVE.as_bytes(), 0o755)?;
        Ok(Self { parts, sources, pinning: Pinning::detect()?, awake: Awake::hold(), work, serve })
    }

    /// Which CPUs server and generator run on.
    #[must_use]
    pub fn pinning(&self) -> &Pinning {
        &self.pinning
    }

    fn serve(&self, arm: &dyn Arm, name: &str) -> Result<LocalServer<'_>> {
        let runtime = arm.runtime();
        // The host may manage its cgroups in either version: crun is told to
        // leave them alone, runc cannot be and gets a group of its own.
        let options: &[&str] = match runtime {
            Runtime::Crun => &["/usr/bin/crun", "--cgroup-manager=disabled"],
            Runtime::Runc => &["/usr/sbin/runc"],
        };
        let command = self
            .pinning
            .server("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "bash"])
            .arg(&self.serve)
            .arg(&self.parts.tree)
            .arg(self.work.path().join(arm.name()))
            .arg(name)
            .args(options);
        let variant = arm.annotations().iter().find(|(key, _)| key.ends_with("/variant"));
        let told = Told {
            variant: variant.map(|(_, value)| (*value).to_owned()).unwrap_or_default(),
            runtime: options[0].into(),
        };
        LocalServer::start(&command, told, &self.parts.loadgen, &self.pinning)
            .with_context(|| format!("start arm {}", arm.name()))
    }

    /// The packages in the node's root tree, by name.
    fn versions(&self) -> Result<Vec<(String, String)>> {
        let chroot = crate::process::find("chroot").context("find chroot")?;
        let query = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\n", "crun", "runc", "libwasmedge0"];
        let text = Cmd::new(chroot).arg(&self.parts.tree).args(query).read()?;
        let words = text.lines().filter_map(|line| line.split_once(' '));
        Ok(words.map(|(name, version)| (name.to_owned(), version.to_owned())).collect())
    }
}

impl Place for Local {
    fn kind(&self) -> PlaceKind {
        PlaceKind::Local
    }

    fn environment(&self) -> Result<Environment> {
        let mut found = super::machine()?;
        found.accounting = "/proc (schedstat)".into();
        found.pinning = self.pinning.to_string();
        found.idle = self.awake.idle().into();
        found.versions.insert("provision".into(), env!("CARGO_PKG_VERSION").into());
        found.versions.extend(self.versions()?);
        Ok(found)
    }

    fn side_by_side(&self) -> bool {
        true
    }

    fn image(&self, arm: &dyn Arm) -> Result<(String, u64)> {
        let digest = format!("sha256:{}", digest::of_file(&self.sources.program(arm))?);
        Ok((digest, self.sources.bytes(arm)?))
    }

    fn start(&self, lane: &Lane, arm: &dyn Arm) -> Result<Box<dyn Server + '_>> {
        Ok(Box::new(self.serve(arm, &lane.name)?))
    }

    fn start_null(&self) -> Result<Box<dyn Server + '_>> {
        let command = self
            .pinning
            .server(&self.parts.loadgen)
            .arg("--null-server=127.0.0.1:0")
            .arg(format!("--seconds={NULL_SECONDS}"));
        let told = Told { variant: String::new(), runtime: String::new() };
        let server = LocalServer::start(&command, told, &self.parts.loadgen, &self.pinning);
        Ok(Box::new(server.context("start the null server")?))
    }

    fn replicas(&self, arm: &dyn Arm, count: u32) -> Result<Cost> {
        if count < 2 {
            bail!("to find what one more replica costs takes at least two");
        }
        let mut servers = Vec::new();
        let mut first = 0;
        for index in 0..count {
            servers.push(self.serve(arm, &format!("{}-{index}", arm.name()))?);
            if index == 0 {
                first = together(&servers)?;
            }
        }
        let more = together(&servers)?.saturating_sub(first) as f64 / f64::from(count - 1);
        Ok(Cost { replica_kib: Some(more), replicas: count })
    }
}

/// Memory of all the servers, shared pages counted once, KiB.
fn together(servers: &[LocalServer]) -> Result<u64> {
    servers.iter().filter_map(Server::pid).map(procfs::proportional).sum()
}

impl Drop for Local {
    fn drop(&mut self) {
        // The group that runc made; it is empty and costs nothing if this fails.
        Cmd::new("unshare").args(["--mount", "bash", "-c", TIDY]).read().map(drop).unwrap_or_default();
    }
}
