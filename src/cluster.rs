//! What the cluster holds, read with one request: enough for every check.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::kubectl::Kubectl;

/// The cluster's nodes, namespaces, runtime classes and pods at one moment.
#[derive(Debug)]
pub struct Cluster {
    /// Different for every cluster that ever was: the uid of `kube-system`.
    pub uid: String,
    items: Vec<Value>,
}

impl Cluster {
    /// Asks the cluster.
    pub fn ask(kubectl: &Kubectl) -> Result<Self> {
        let mut answer = kubectl.json(&["get", "namespaces,runtimeclasses,nodes,pods", "--all-namespaces"])?;
        let items = match answer["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        let mut cluster = Self { uid: String::new(), items };
        cluster.uid = cluster
            .object("Namespace", None, "kube-system")
            .and_then(|namespace| namespace["metadata"]["uid"].as_str())
            .context("the cluster has no namespace kube-system")?
            .to_owned();
        Ok(cluster)
    }

    /// An object by kind, namespace (if it has one) and name.
    #[must_use]
    pub fn object(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<&Value> {
        self.of_kind(kind)
            .find(|item| item["metadata"]["name"] == name && item["metadata"]["namespace"].as_str() == namespace)
    }

    /// A pod.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Value> {
        self.object("Pod", Some(namespace), name)
    }

    /// All objects of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.items.iter().filter(move |item| item["kind"] == kind)
    }

    /// Whether a node reports Ready.
    #[must_use]
    pub fn node_ready(&self, name: &str) -> bool {
        self.object("Node", None, name).is_some_and(|node| {
            node["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        })
    }
}
