//! Nodes join the cluster that has begun on the first: workers side by side,
//! control planes one after the other. What gives a node the right to join goes to it on standard input.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::join_token::{JoinToken, as_line};
use super::on_node::run_script;
use super::{Check, Context, Step};
use crate::cluster::Cluster;
use crate::paths;
use crate::profile::{NodeSpec, Role};
use crate::ui::Task;

/// The script on the node.
pub(super) const SCRIPT: &str = "join_cluster";

/// How long a node that has joined may take to be Ready.
const READY: Duration = Duration::from_secs(600);

/// Nodes of one role join.
pub struct Join {
    name: &'static str,
    title: &'static str,
    role: Role,
}

/// The control planes behind the first.
pub const CONTROL_PLANES: Join =
    Join { name: "join_control_planes", title: "Join control planes", role: Role::ControlPlane };
/// The workers.
pub const WORKERS: Join = Join { name: "join_workers", title: "Join workers", role: Role::Worker };

/// The certificates that control planes share, below `/etc/kubernetes/pki`.
const SHARED: &str = "ca.crt ca.key sa.key sa.pub front-proxy-ca.crt front-proxy-ca.key etcd/ca.crt etcd/ca.key";

impl Join {
    fn joins(&self, cx: &Context, spec: &NodeSpec) -> bool {
        spec.role == self.role && !cx.is_first(spec)
    }

    /// Nodes that are not of this cluster (or not yet), by what they and the
    /// cluster say.
    fn strangers(&self, cx: &Context, cluster: &Cluster) -> Result<BTreeSet<String>> {
        let told = cx.checks_of(SCRIPT, |spec| self.joins(cx, spec))?;
        let strange = told.into_iter().filter(|(spec, check)| {
            let unjoined =
                matches!(check, Check::Pending(changes) if changes.iter().any(|change| change.starts_with("join ")));
            unjoined || cluster.object("Node", None, &spec.name).is_none()
        });
        Ok(strange.map(|(spec, _)| spec.name.clone()).collect())
    }
}

impl Step for Join {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn concerns(&self, nodes: &[NodeSpec]) -> bool {
        nodes.iter().skip(1).any(|spec| spec.role == self.role)
    }

    fn inputs(&self, cx: &Context) -> Result<BTreeMap<String, String>> {
        Ok(cx.hashes_of(SCRIPT, |spec| self.joins(cx, spec)))
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let pending = cx.node_check(SCRIPT, |spec| self.joins(cx, spec))?;
        if pending != Check::Done {
            return Ok(pending);
        }
        let cluster = cx.cluster()?;
        let mut changes = Vec::new();
        for spec in cx.specs.iter().filter(|spec| self.joins(cx, spec)) {
            if cluster.object("Node", None, &spec.name).is_none() {
                changes.push(format!("{}: join again: the cluster does not know it", spec.name));
            } else if !cluster.node_ready(&spec.name) {
                changes.push(format!("{}: wait until it is ready", spec.name));
            }
        }
        Ok(if changes.is_empty() { Check::Done } else { Check::Pending(changes) })
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        let cluster = cx.cluster()?;
        let strangers = self.strangers(cx, &cluster)?;
        for name in strangers.iter().filter(|name| cluster.object("Node", None, name).is_some()) {
            if self.role == Role::ControlPlane {
                bail!(
                    "{name}: the cluster still knows a control plane of this name, and its etcd too; one that was lost \
                     cannot be replaced yet\n  make the lab again: provision down && provision up"
                );
            }
            // The machine is another one: kubeadm refuses a name that is Ready.
            cx.kubectl
                .read(&["delete", "node", name])
                .with_context(|| format!("{name}: forget the machine of before"))?;
        }
        let joining: Vec<&NodeSpec> = cx.specs.iter().filter(|spec| self.joins(cx, spec)).collect();
        let join = |nodes: &[&NodeSpec]| join_together(cx, task, self.role, nodes, &strangers);
        match self.role {
            Role::Worker => join(&joining),
            // etcd takes in one member at a time (`--max-learners`, 1 unless told
            // otherwise): side by side, kubeadm only repeats its question.
            Role::ControlPlane => joining.chunks(1).try_for_each(join),
        }
    }
}

/// `nodes` join side by side, those of `strangers` anew, until all are ready.
fn join_together(
    cx: &Context,
    task: &Task,
    role: Role,
    nodes: &[&NodeSpec],
    strangers: &BTreeSet<String>,
) -> Result<()> {
    let invited = |spec: &NodeSpec| strangers.contains(&spec.name);
    let anew = nodes.iter().any(|spec| invited(spec));
    let invitation = if anew { Some(Invitation::write(cx, role)?) } else { None };
    let joined = cx.on_nodes(
        |spec| nodes.iter().any(|node| node.name == spec.name),
        |node, spec, _| {
            task.say(node.name());
            match invitation.as_ref().filter(|_| invited(spec)) {
                Some(invitation) => run_script(cx, node, SCRIPT, invitation.text.as_bytes()),
                None => run_script(cx, node, SCRIPT, b""),
            }
        },
    );
    drop(invitation);
    joined?;
    for spec in nodes {
        task.say(&format!("wait until {} is ready", spec.name));
        wait_ready(cx, &spec.name)?;
    }
    Ok(())
}

/// What a node is told on standard input, two lines in base64: the kubeconfig
/// with the token, and, for a control plane, the shared certificates' archive.
struct Invitation<'a> {
    text: String,
    _token: JoinToken<'a>,
}

impl<'a> Invitation<'a> {
    fn write(cx: &Context<'a>, role: Role) -> Result<Self> {
        let token = JoinToken::make(cx.kubectl)?;
        let kubeconfig = token.kubeconfig(&paths::read(&cx.lab.kubeconfig())?)?;
        let certificates = match role {
            Role::Worker => String::new(),
            Role::ControlPlane => cx
                .control_plane()?
                .read(&format!("tar -C /etc/kubernetes/pki -cz {SHARED} | base64 -w0"), b"")
                .context("read the certificates that control planes share")?,
        };
        Ok(Self { text: format!("{}\n{}\n", as_line(kubeconfig.as_bytes()), certificates.trim()), _token: token })
    }
}

fn wait_ready(cx: &Context, name: &str) -> Result<()> {
    let ready = cx.kubectl.wait_for("it does not become ready", READY, |kubectl| {
        let node = kubectl.json(&["get", "node", name])?;
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let Some(condition) = conditions.into_iter().find(|condition| condition["type"] == "Ready") else {
            return Ok(Err("it has not told how it is".to_owned()));
        };
        if condition["status"] == "True" {
            return Ok(Ok(()));
        }
        Ok(Err(condition["message"].as_str().unwrap_or("without a reason").to_owned()))
    });
    ready.with_context(|| format!("{name}\n  look closer: provision ssh {name} -- journalctl -u kubelet -n 50"))
}
