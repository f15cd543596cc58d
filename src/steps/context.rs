//! What a step works with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Check, NodeFiles};
use crate::artifacts::made::Archive;
use crate::cluster::Cluster;
use crate::interrupt::{self, Interrupted};
use crate::journal::Journal;
use crate::kubectl::Kubectl;
use crate::lab::Lab;
use crate::node::{self, Node, NodeCommandFailed, NotReached, ScriptFailed};
use crate::profile::{NodeSpec, Profile, Role};
use crate::ui::Ui;

/// How long the API may take to answer a question.
const API: Duration = Duration::from_secs(120);

/// Programs and images as one tar archive of files below `/`.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Where it is on this host.
    pub file: PathBuf,
    /// Its digest, hexadecimal.
    pub sha256: String,
}

/// The lab whose machines run, as steps see it.
pub struct Context<'a> {
    /// The checked profile.
    pub profile: &'a Profile,
    /// Its folder.
    pub lab: &'a Lab,
    /// What its nodes are, in the same order as the next two.
    pub specs: &'a [NodeSpec],
    /// Its nodes, the first is the first control plane.
    pub nodes: &'a [Box<dyn Node>],
    /// The files of each node, in the same order.
    pub files: &'a [NodeFiles],
    /// The cluster's API.
    pub kubectl: &'a Kubectl,
    /// Whether the machines are emulated (no KVM).
    pub emulated: bool,
    /// Hash of the lock that the lab is built from; empty without one.
    pub lock: &'a str,
    /// Image name to manifest digest, as preloaded.
    pub images: &'a BTreeMap<String, String>,
    /// The images, for nodes that they are sent to.
    pub archive: Option<&'a Archive>,
    /// Image name to bytes of all its layers.
    pub sizes: &'a BTreeMap<String, u64>,
    /// What is put on machines that do not come with it.
    pub payload: Option<&'a Payload>,
    /// Where progress goes.
    pub ui: &'a Ui,
    /// What was begun and what ended.
    pub journal: &'a Journal,
    /// What the scripts of each node said, until something changes.
    pub checks: Mutex<Option<Vec<BTreeMap<String, Check>>>>,
    /// What the cluster said, until something changes.
    pub cluster: Mutex<Option<Arc<Cluster>>>,
}

impl Context<'_> {
    /// The node that holds the control plane.
    pub fn control_plane(&self) -> Result<&dyn Node> {
        self.nodes.first().map(AsRef::as_ref).context("the lab has no node")
    }

    /// The node that proves and measures: servers and load share it, so that
    /// the load never leaves it. A worker, if there is one, since nothing of
    /// the control plane disturbs there.
    pub fn bench_node(&self) -> Result<(&dyn Node, &NodeSpec)> {
        let index = self.specs.iter().position(|spec| spec.role == Role::Worker).unwrap_or(0);
        let node = self.nodes.get(index).map(AsRef::as_ref);
        node.zip(self.specs.get(index)).context("the lab has no node")
    }

    /// What the node-side script `name` would change on each of the nodes that
    /// it concerns. All scripts of all nodes are asked at once, the first time.
    pub fn checks_of(&self, name: &str, concerns: impl Fn(&NodeSpec) -> bool) -> Result<Vec<(&NodeSpec, Check)>> {
        let mut cache = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.is_none() {
            *cache = Some(self.on_each_node(|node, _| super::on_node::check_all(node))?);
        }
        let told = self.specs.iter().zip(cache.iter().flatten()).filter(|(spec, _)| concerns(spec));
        told.map(|(spec, checks)| {
            let check = checks.get(name).with_context(|| format!("{} did not tell of step {name}", spec.name))?;
            Ok((spec, check.clone()))
        })
        .collect()
    }

    /// The same as one answer, each change with its node in front.
    pub fn node_check(&self, name: &str, concerns: impl Fn(&NodeSpec) -> bool) -> Result<Check> {
        let mut pending = Vec::new();
        for (spec, check) in self.checks_of(name, concerns)? {
            if let Check::Pending(changes) = check {
                pending.extend(changes.iter().map(|change| format!("{}: {change}", spec.name)));
            }
        }
        Ok(if pending.is_empty() { Check::Done } else { Check::Pending(pending) })
    }

    /// Hash of what the script `name` depends on, by node that it concerns.
    pub fn hashes_of(&self, name: &str, concerns: impl Fn(&NodeSpec) -> bool) -> BTreeMap<String, String> {
        let nodes = self.specs.iter().zip(self.files).filter(|(spec, _)| concerns(spec));
        nodes.map(|(spec, files)| (spec.name.clone(), files.hash_of(name))).collect()
    }

    /// Whether the cluster begins on this node.
    #[must_use]
    pub fn is_first(&self, spec: &NodeSpec) -> bool {
        self.specs.first().is_some_and(|first| first.name == spec.name)
    }

    /// Something has changed: what the nodes said counts no more.
    pub fn forget_checks(&self) {
        *self.checks.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until every node runs a command.
    pub fn wait_for_nodes(&self, limit: Duration) -> Result<()> {
        let started = Instant::now();
        self.on_each_node(|node, _| {
            loop {
                match node.read("true", b"") {
                    Ok(_) => return Ok(()),
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) if started.elapsed() > limit => {
                        let waited = limit.as_secs();
                        return Err(error.context(format!("does not answer SSH after {waited} s")));
                    }
                    Err(_) => {}
                }
                interrupt::check()?;
                std::thread::sleep(Duration::from_secs(1));
            }
        })
        .map(drop)
    }

    /// Does `work` on all nodes side by side; see [`Self::on_nodes`].
    pub fn on_each_node<T: Send>(&self, work: impl Fn(&dyn Node, &NodeFiles) -> Result<T> + Sync) -> Result<Vec<T>> {
        self.on_nodes(|_| true, |node, _, files| work(node, files))
    }

    /// Does `work` on the chosen nodes side by side, see [`node::fan_out`].
    pub fn on_nodes<T: Send>(
        &self,
        chosen: impl Fn(&NodeSpec) -> bool,
        work: impl Fn(&dyn Node, &NodeSpec, &NodeFiles) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let all = self.nodes.iter().zip(self.specs).zip(self.files);
        let (nodes, about): (Vec<&dyn Node>, Vec<_>) = all
            .filter(|((_, spec), _)| chosen(spec))
            .map(|((node, spec), files)| (node.as_ref(), (spec, files)))
            .unzip();
        node::fan_out(&nodes, |index, node| {
            let (spec, files) = about[index];
            work(node, spec, files).map_err(|error| {
                // Those say by themselves on which node it was.
                let told = error.is::<Interrupted>()
                    || error.is::<ScriptFailed>()
                    || error.is::<NodeCommandFailed>()
                    || error.is::<NotReached>();
                if told { error } else { error.context(node.name().to_owned()) }
            })
        })
    }

    /// The cluster's objects, asked once and until something changes.
    pub fn cluster(&self) -> Result<Arc<Cluster>> {
        let mut cache = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = cache.as_ref() {
            return Ok(Arc::clone(cluster));
        }
        // A busy emulated node misses a handshake now and then.
        let asked = self.kubectl.wait_for("the API does not answer", API, |kubectl| Ok(Ok(Cluster::ask(kubectl)?)));
        let cluster = Arc::new(asked?);
        *cache = Some(Arc::clone(&cluster));
        Ok(cluster)
    }
}
