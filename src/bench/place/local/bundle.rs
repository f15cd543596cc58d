//! An arm as an OCI bundle: a root file system and a `config.json`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::arms::Arm;
use crate::paths;
use crate::process::Cmd;

/// What bundles are made of.
pub struct Sources {
    /// The folder with the builds of the workload.
    pub programs: PathBuf,
    /// The archive of Debian's base.
    pub base: PathBuf,
}

impl Sources {
    /// The arm's build of the workload.
    #[must_use]
    pub fn program(&self, arm: &dyn Arm) -> PathBuf {
        self.programs.join(arm.content().file)
    }

    /// Bytes of all layers of the arm's image.
    pub fn bytes(&self, arm: &dyn Arm) -> Result<u64> {
        let base = arm.content().base.map(|_| self.base.clone());
        let mut sum = 0;
        for file in base.into_iter().chain([self.program(arm)]) {
            sum += file.metadata().with_context(|| format!("look at {}", file.display()))?.len();
        }
        Ok(sum)
    }

    /// Writes the arm's bundle to the new folder `to`.
    pub fn write(&self, arm: &dyn Arm, to: &Path) -> Result<()> {
        let rootfs = to.join("rootfs");
        paths::create_dir(&rootfs)?;
        if arm.content().base.is_some() {
            let tar = Cmd::new("tar").args(["-x", "-p", "--numeric-owner", "--exclude=./dev/*", "-f"]);
            tar.arg(&self.base).arg("-C").arg(&rootfs).read().context("unpack Debian's base")?;
        }
        // The runtime makes no mount points in a root that is read-only.
        for folder in ["dev", "proc", "sys"] {
            paths::create_dir(&rootfs.join(folder))?;
        }
        let program = rootfs.join(arm.content().path.trim_start_matches('/'));
        paths::create_dir(program.parent().unwrap_or(&rootfs))?;
        let from = self.program(arm);
        fs::copy(&from, &program).with_context(|| format!("copy {} to {}", from.display(), program.display()))?;
        let config = serde_json::to_vec_pretty(&config(arm)).context("write an OCI config")?;
        paths::write_atomic(&to.join("config.json"), &config, 0o644)
    }
}

/// The OCI runtime's config (version 1.0.2 of its specification): the host's
/// network, so that load goes over 127.0.0.1, to a port that the kernel chooses.
fn config(arm: &dyn Arm) -> Value {
    let annotations: Map<String, Value> =
        arm.annotations().iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": [arm.content().path, "127.0.0.1:0"],
            "env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {},
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "bench",
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "annotations": annotations,
        "linux": {
            "cgroupsPath": "/provision-bench",
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
        },
    })
}
