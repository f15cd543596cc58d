//! The arms as pods of a lab's cluster, the generator as a Job on their node:
//! the load never leaves that machine.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::pod::ClusterServer;
use super::{Place, Server};
use crate::arms::{Arm, NAMESPACE, PORT};
use crate::bench::run::{Cost, Environment, Lane, PlaceKind};
use crate::kubectl::Kubectl;
use crate::node::Node;
use crate::{pods, templates};

mod job;
mod pod;
mod sampler;

/// The generator's image, as preloaded into the box.
pub const GENERATOR: &str = "provision.local/loadgen:v1";
/// How long a pod may take to answer; an emulated node starts three in a minute.
const POD_LIMIT: Duration = Duration::from_secs(600);
/// Seconds after which a null server ends by itself.
const NULL_SECONDS: u32 = 900;

/// A lab that runs.
pub struct Cluster<'a> {
    /// The cluster's API.
    pub kubectl: &'a Kubectl,
    /// The node on which servers and generator run.
    pub node: &'a dyn Node,
    /// uid of the cluster.
    pub uid: String,
    /// Image name to manifest digest, as preloaded.
    pub images: &'a BTreeMap<String, String>,
    /// Image name to bytes of all its layers.
    pub sizes: &'a BTreeMap<String, u64>,
    /// What the node is.
    pub environment: Environment,
    /// Generators side by side, each a pod of an indexed Job.
    pub generators: Cell<u32>,
    /// Most of them that the node has room for.
    pub most_generators: u32,
}

impl Cluster<'_> {
    fn server(&self, name: &str, manifest: &str) -> Result<ClusterServer<'_>> {
        pods::delete(self.kubectl, "pod", name)?;
        ClusterServer::start(self, name, manifest)
    }
}

/// The first document of an arm's manifest: the pod without its service, whose
/// name the load does not use.
fn pod_of(arm: &dyn Arm, name: &str, node: &str) -> Result<String> {
    let manifest = arm.manifest(name, node)?;
    Ok(manifest.split("---\n").next().unwrap_or_default().to_owned())
}

impl Place for Cluster<'_> {
    fn kind(&self) -> PlaceKind {
        PlaceKind::Cluster { uid: self.uid.clone() }
    }

    fn environment(&self) -> Result<Environment> {
        Ok(self.environment.clone())
    }

    fn image(&self, arm: &dyn Arm) -> Result<(String, u64)> {
        let image = arm.image();
        let digest = self.images.get(&image).with_context(|| format!("image {image} was not made"))?;
        Ok((digest.clone(), self.sizes.get(&image).copied().unwrap_or(0)))
    }

    fn start(&self, lane: &Lane, arm: &dyn Arm) -> Result<Box<dyn Server + '_>> {
        let name = format!("bench-{}", lane.name);
        Ok(Box::new(self.server(&name, &pod_of(arm, &name, self.node.name())?)?))
    }

    fn start_null(&self) -> Result<Box<dyn Server + '_>> {
        #[derive(Serialize)]
        struct Values<'a> {
            name: &'a str,
            namespace: &'a str,
            image: &'a str,
            node: &'a str,
            port: u16,
            seconds: u32,
        }
        let name = "bench-null";
        let node = self.node.name();
        let values = Values { name, namespace: NAMESPACE, image: GENERATOR, node, port: PORT, seconds: NULL_SECONDS };
        let template = include_str!("../../../../templates/kubernetes/null-server.yaml.tera");
        Ok(Box::new(self.server(name, &templates::render("null-server.yaml", template, &values)?)?))
    }

    fn generators(&self) -> u32 {
        self.generators.get()
    }

    fn scale_to(&self, generators: u32) -> bool {
        let fits = (1..=self.most_generators).contains(&generators);
        if fits {
            self.generators.set(generators);
        }
        fits
    }

    fn replicas(&self, arm: &dyn Arm, count: u32) -> Result<Cost> {
        if count < 2 {
            bail!("to find what one more replica costs takes at least two");
        }
        let mut servers = Vec::new();
        for index in 0..count {
            let name = format!("bench-{}-{index}", arm.name());
            servers.push(self.server(&name, &pod_of(arm, &name, self.node.name())?)?);
        }
        // The whole pod with its sandbox, but without the first: what it loads
        // into the page cache, all share.
        let mut sum = 0;
        for server in &servers[1..] {
            sum += server.pod_kib()?;
        }
        Ok(Cost { replica_kib: Some(sum as f64 / f64::from(count - 1)), replicas: count })
    }
}
