//! Steps that are a script on the node: `/opt/provision/steps/NAME.sh`, called
//! with `check` (exit 0: done, 10: a line per change) or `run`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Check, Context, Step};
use crate::node::{Node, ScriptFailed};
use crate::profile::types::RuntimeManager;
use crate::profile::{NodeSpec, Role};
use crate::secrets;
use crate::ui::Task;

/// How long all checks of a node may take; an emulated one needs seconds.
const CHECKS: Duration = Duration::from_secs(90);

/// A step that is the script of its name.
pub struct OnNode {
    name: &'static str,
    title: &'static str,
    on: Where,
}

/// The nodes on which a script has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    All,
    /// Those whose system comes without a node's packages.
    Plain,
    /// Those whose containers this one runs.
    Managed(RuntimeManager),
    /// The one on which the cluster begins.
    First,
    /// Those that hold the control plane, where there are several.
    ControlPlanes,
}

impl Where {
    fn holds(self, spec: &NodeSpec, nodes: &[NodeSpec]) -> bool {
        let several = || nodes.iter().filter(|node| node.role == Role::ControlPlane).count() > 1;
        match self {
            Self::All => true,
            Self::Plain => spec.plain,
            Self::Managed(manager) => spec.manager == manager,
            Self::First => nodes.first().is_some_and(|first| first.name == spec.name),
            Self::ControlPlanes => spec.role == Role::ControlPlane && several(),
        }
    }
}

/// The distribution's packages, where the system is not ours.
pub const INSTALL_PACKAGES: OnNode =
    OnNode { name: "install_packages", title: "Install the node's packages", on: Where::Plain };
/// Kernel modules, sysctls, swap, names and DNS.
pub const PREPARE_SYSTEM: OnNode = OnNode { name: "prepare_system", title: "Prepare the system", on: Where::All };
/// Proxies, authorities, stand-ins for registries.
pub const REACH_OUTSIDE: OnNode =
    OnNode { name: "reach_outside", title: "Set proxies, authorities and registry mirrors", on: Where::All };
/// containerd with runc and crun, crun with WasmEdge.
pub const INSTALL_RUNTIME: OnNode = OnNode {
    name: "install_runtime",
    title: "Set up and check the container runtime",
    on: Where::Managed(RuntimeManager::Containerd),
};
/// CRI-O in its place.
pub const INSTALL_CRIO: OnNode =
    OnNode { name: "install_crio", title: "Install, set up and check CRI-O", on: Where::Managed(RuntimeManager::Crio) };
/// The CNI configuration.
pub const CONFIGURE_NETWORK: OnNode =
    OnNode { name: "configure_network", title: "Configure the pod network", on: Where::All };
/// keepalived, where there are several control planes.
pub const SHARE_API_ADDRESS: OnNode =
    OnNode { name: "share_api_address", title: "Share the API's address", on: Where::ControlPlanes };
/// `kubeadm init`.
pub const INIT_CONTROL_PLANE: OnNode =
    OnNode { name: "init_control_plane", title: "Initialise the control plane with kubeadm", on: Where::First };
/// CoreDNS and kube-proxy, until they are ready.
pub const START_ADDONS: OnNode = OnNode { name: "start_addons", title: "Start CoreDNS and kube-proxy", on: Where::All };

/// Every script that has a `check`.
const SCRIPTS: [&str; 10] = [
    INSTALL_PACKAGES.name,
    PREPARE_SYSTEM.name,
    REACH_OUTSIDE.name,
    INSTALL_RUNTIME.name,
    INSTALL_CRIO.name,
    CONFIGURE_NETWORK.name,
    SHARE_API_ADDRESS.name,
    INIT_CONTROL_PLANE.name,
    super::join_cluster::SCRIPT,
    START_ADDONS.name,
];

impl Step for OnNode {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn inputs(&self, cx: &Context) -> Result<BTreeMap<String, String>> {
        Ok(cx.hashes_of(self.name, |spec| self.on.holds(spec, cx.specs)))
    }

    fn concerns(&self, nodes: &[NodeSpec]) -> bool {
        nodes.iter().any(|spec| self.on.holds(spec, nodes))
    }

    fn script(&self, spec: &NodeSpec, nodes: &[NodeSpec]) -> Option<&'static str> {
        self.on.holds(spec, nodes).then_some(self.name)
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        cx.node_check(self.name, |spec| self.on.holds(spec, cx.specs))
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        cx.on_nodes(
            |spec| self.on.holds(spec, cx.specs),
            |node, _, _| {
                task.say(node.name());
                run_script(cx, node, self.name, b"")
            },
        )
        .map(drop)
    }
}

/// Runs the script `name` on a node with `stdin`; what it prints is kept in a
/// log, and its end is in the error.
pub(super) fn run_script(cx: &Context, node: &dyn Node, name: &str, stdin: &[u8]) -> Result<()> {
    let log = cx.lab.log(&format!("{}-{name}", node.name()));
    let command = format!("bash /opt/provision/steps/{name}.sh run 2>&1");
    let printed = node.exec(&command, stdin)?;
    let text = secrets::redact(&printed.stdout);
    crate::paths::write_atomic(&log, text.as_bytes(), 0o600)?;
    if printed.status == 0 {
        return Ok(());
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n  ");
    Err(ScriptFailed { node: node.name().into(), step: name.into(), command, status: printed.status, tail, log }.into())
}

/// Asks all scripts of a node in one command.
pub(super) fn check_all(node: &dyn Node) -> Result<BTreeMap<String, Check>> {
    let command = format!(
        "for s in {}; do bash /opt/provision/steps/$s.sh check 2>&1; echo \"@ $s $?\"; done",
        SCRIPTS.join(" ")
    );
    parse_checks(&node.read_within(&command, b"", CHECKS)?).context("check its steps")
}

/// Lines of a step, then `@ NAME STATUS`.
pub(crate) fn parse_checks(text: &str) -> Result<BTreeMap<String, Check>> {
    let mut checks = BTreeMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some((name, status)) = line.strip_prefix("@ ").and_then(|rest| rest.split_once(' ')) else {
            lines.push(line.to_owned());
            continue;
        };
        let check = match status.trim() {
            "0" => Check::Done,
            "10" => Check::Pending(std::mem::take(&mut lines)),
            other => bail!("{name}.sh check exited with status {other}: {}", lines.join("; ")),
        };
        lines.clear();
        checks.insert(name.to_owned(), check);
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_told_apart() {
        let checks = parse_checks("@ a 0\nwould load overlay\nwould turn swap off\n@ b 10\n").unwrap();
        assert_eq!(checks["a"], Check::Done);
        assert_eq!(checks["b"], Check::Pending(vec!["would load overlay".into(), "would turn swap off".into()]));
    }

    #[test]
    fn a_check_that_fails_is_an_error_and_not_a_change() {
        let error = parse_checks("b.sh: line 3: X: unbound variable\n@ b 1\n").unwrap_err().to_string();
        assert!(error.contains("b.sh check exited with status 1") && error.contains("unbound"), "{error}");
    }
}
