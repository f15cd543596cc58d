//! Steps that are a script on the node: `/opt/provision/steps/NAME.sh`, called
//! with `check` (exit 0: done, 10: a line per change) or `run`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use super::{Check, Context, Step};
use crate::node::{Node, ScriptFailed};
use crate::secrets;
use crate::ui::Task;

/// A step that is the script of its name.
pub struct OnNode {
    name: &'static str,
    title: &'static str,
}

/// Kernel modules, sysctls, swap, names and DNS.
pub const PREPARE_SYSTEM: OnNode = OnNode { name: "prepare_system", title: "Prepare the system" };
/// containerd with runc and crun, crun with WasmEdge.
pub const INSTALL_RUNTIME: OnNode = OnNode { name: "install_runtime", title: "Set up and check the container runtime" };
/// The CNI configuration.
pub const CONFIGURE_NETWORK: OnNode = OnNode { name: "configure_network", title: "Configure the pod network" };
/// `kubeadm init`.
pub const INIT_CONTROL_PLANE: OnNode =
    OnNode { name: "init_control_plane", title: "Initialise the control plane with kubeadm" };
/// CoreDNS and kube-proxy, until they are ready.
pub const START_ADDONS: OnNode = OnNode { name: "start_addons", title: "Start CoreDNS and kube-proxy" };

const SCRIPTS: [&OnNode; 5] =
    [&PREPARE_SYSTEM, &INSTALL_RUNTIME, &CONFIGURE_NETWORK, &INIT_CONTROL_PLANE, &START_ADDONS];

impl Step for OnNode {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn inputs(&self, cx: &Context) -> Result<BTreeMap<String, String>> {
        let names = cx.nodes.iter().map(|node| node.name().to_owned());
        Ok(names.zip(cx.files.iter().map(|files| files.hash_of(self.name))).collect())
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        cx.node_check(self.name)
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        cx.on_each_node(|node, _| {
            task.say(node.name());
            let log = cx.lab.log(&format!("{}-{}", node.name(), self.name));
            let command = format!("bash /opt/provision/steps/{}.sh run 2>&1", self.name);
            let printed = node.exec(&command, b"")?;
            // kubeadm prints the token by which other machines may join.
            let text = secrets::redact(&printed.stdout);
            crate::paths::write_atomic(&log, text.as_bytes(), 0o600)?;
            if printed.status != 0 {
                let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
                let tail = lines[lines.len().saturating_sub(20)..].join("\n  ");
                return Err(ScriptFailed {
                    node: node.name().into(),
                    step: self.name.into(),
                    command,
                    status: printed.status,
                    tail,
                    log,
                }
                .into());
            }
            Ok(())
        })
        .map(drop)
    }
}

/// Asks all scripts of a node in one command.
pub(super) fn check_all(node: &dyn Node) -> Result<BTreeMap<String, Check>> {
    let names: Vec<&str> = SCRIPTS.iter().map(|step| step.name).collect();
    let command =
        format!("for s in {}; do bash /opt/provision/steps/$s.sh check 2>&1; echo \"@ $s $?\"; done", names.join(" "));
    parse_checks(&node.read(&command, b"")?).with_context(|| format!("check the steps of {}", node.name()))
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
