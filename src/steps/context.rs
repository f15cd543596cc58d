//! What a step works with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Check, NodeFiles};
use crate::cluster::Cluster;
use crate::interrupt::{self, Interrupted};
use crate::journal::Journal;
use crate::kubectl::Kubectl;
use crate::lab::Lab;
use crate::node::Node;
use crate::profile::Profile;
use crate::ui::Ui;

/// The lab whose machines run, as steps see it.
pub struct Context<'a> {
    /// The checked profile.
    pub profile: &'a Profile,
    /// Its folder.
    pub lab: &'a Lab,
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
    /// Image name to bytes of all its layers.
    pub sizes: &'a BTreeMap<String, u64>,
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

    /// What the node-side step `name` would change, over all nodes. All steps
    /// of all nodes are asked at once, the first time.
    pub fn node_check(&self, name: &str) -> Result<Check> {
        let mut cache = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.is_none() {
            *cache = Some(self.on_each_node(|node, _| super::on_node::check_all(node))?);
        }
        let mut pending = Vec::new();
        for (node, checks) in self.nodes.iter().zip(cache.iter().flatten()) {
            let check = checks.get(name).with_context(|| format!("{} did not tell of step {name}", node.name()))?;
            if let Check::Pending(changes) = check {
                pending.extend(changes.iter().map(|change| format!("{}: {change}", node.name())));
            }
        }
        Ok(if pending.is_empty() { Check::Done } else { Check::Pending(pending) })
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
                        return Err(error.context(format!("{} does not answer SSH after {waited} s", node.name())));
                    }
                    Err(_) => {}
                }
                interrupt::check()?;
                std::thread::sleep(Duration::from_secs(1));
            }
        })
        .map(drop)
    }

    /// Does `work` on all nodes side by side; every node is let finish, then
    /// the first error (by node order) is returned.
    pub fn on_each_node<T: Send>(&self, work: impl Fn(&dyn Node, &NodeFiles) -> Result<T> + Sync) -> Result<Vec<T>> {
        std::thread::scope(|scope| {
            let work = &work;
            let running: Vec<_> = self
                .nodes
                .iter()
                .zip(self.files)
                .map(|(node, files)| scope.spawn(move || work(node.as_ref(), files)))
                .collect();
            let results: Vec<Result<T>> = running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a worker thread panicked"))))
                .collect();
            results.into_iter().collect()
        })
    }

    /// The cluster's objects, asked once and until something changes.
    pub fn cluster(&self) -> Result<Arc<Cluster>> {
        let mut cache = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = cache.as_ref() {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(Cluster::ask(self.kubectl)?);
        *cache = Some(Arc::clone(&cluster));
        Ok(cluster)
    }
}
