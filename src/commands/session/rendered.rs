//! What a profile is rendered to: the Vagrantfile, libvirt's network, the nodes' files.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Session;
use crate::lab::Lab;
use crate::profile::{NodeSpec, Role, compat};
use crate::provider::libvirt::orphans;
use crate::provider::virtualbox;
use crate::steps::{self, NodeFiles, NodeValues, Reach, Route};
use crate::{paths, templates};

impl Session {
    pub(super) fn network_xml(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Values<'a> {
            network_name: String,
            lab: &'a str,
            folder_record: &'a str,
            folder: String,
            gateway: String,
            netmask: String,
            nodes: Vec<NodeView<'a>>,
        }
        let values = Values {
            network_name: network_name(&self.lab),
            lab: self.lab.name(),
            folder_record: orphans::FOLDER_RECORD,
            folder: orphans::encode(self.lab.dir()),
            gateway: self.profile().gateway().to_string(),
            netmask: self.profile().network.machines.netmask().to_string(),
            nodes: self.nodes.iter().map(NodeView::of).collect(),
        };
        templates::render("network.xml", include_str!("../../../templates/network.xml.tera"), &values)
    }

    /// The Vagrantfile of this profile.
    pub fn vagrantfile(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Values<'a> {
            lab: &'a str,
            lab_prefix: String,
            provider: &'a str,
            network_name: String,
            network: String,
            netmask: String,
            prefix: u8,
            firmware: &'a str,
            firmware_device: &'a str,
            plain: bool,
            prepare: String,
            nodes: Vec<MachineView<'a>>,
        }
        let network = self.profile().network.machines;
        let (firmware, firmware_device) = virtualbox::firmware(self.profile().machine.firmware);
        let values = Values {
            lab: self.lab.name(),
            lab_prefix: self.lab.machine(""),
            provider: self.profile().provider.name(),
            network_name: network_name(&self.lab),
            network: network.to_string(),
            netmask: network.netmask().to_string(),
            prefix: network.prefix_len(),
            firmware,
            firmware_device,
            plain: self.has_plain_machines(),
            prepare: self.prepare_command(),
            nodes: self.nodes.iter().map(|node| MachineView::of(node, &self.nodes)).collect(),
        };
        templates::render("Vagrantfile", include_str!("../../../templates/Vagrantfile.tera"), &values)
    }

    /// What makes all that Vagrant alone needs of this profile.
    #[must_use]
    pub fn prepare_command(&self) -> String {
        let file = self.file.as_ref().map(|file| format!(" --profile {}", shell_words::quote(&file.to_string_lossy())));
        format!("provision up --prepare{}", file.unwrap_or_default())
    }

    /// How the nodes reach the outside.
    fn reach(&self) -> Result<Reach> {
        let (network, outside) = (&self.profile().network, self.outside()?);
        let own = [network.machines, network.pods, network.services].map(|range| range.to_string());
        let proxies = outside.for_nodes(&own);
        Ok(Reach {
            proxy_http: proxies.http,
            proxy_https: proxies.https,
            proxy_none: proxies.none,
            registry_mirrors: self.profile().mirrors.registries.replace(',', " "),
            authorities: outside.authorities,
        })
    }

    /// The files of each node, in order.
    pub fn node_files(&self, emulated: bool) -> Result<Vec<NodeFiles>> {
        let profile = self.profile();
        let reach = self.reach()?;
        let row = compat::table().kubernetes(&profile.kubernetes.version);
        let pause_image = row.context("this Kubernetes is not in the table of compatibility")?.pause_image();
        let several = profile.control_planes() > 1;
        (0u32..)
            .zip(&self.nodes)
            .map(|(index, node)| {
                let others = || self.nodes.iter().filter(|other| other.name != node.name);
                let peers = others().filter(|other| several && other.role == Role::ControlPlane);
                NodeFiles::render(&NodeValues {
                    lab: self.lab.name().into(),
                    node_name: node.name.clone(),
                    node_role: node.role.name().into(),
                    first: index == 0,
                    node_ip: node.ip.to_string(),
                    machine_cidr: profile.network.machines.to_string(),
                    nameserver: profile.nameserver().map(|it| it.to_string()).unwrap_or_default(),
                    node_pods: node.pods.to_string(),
                    routes: others()
                        .map(|other| Route { pods: other.pods.to_string(), via: other.ip.to_string() })
                        .collect(),
                    api_address: profile.api_address().to_string(),
                    control_plane_peers: peers.map(|peer| peer.ip.to_string()).collect(),
                    api_priority: 200 - index.min(100),
                    own: self.owns_machines(),
                    plain: node.plain,
                    emulated,
                    single_node: self.nodes.len() == 1,
                    pod_cidr: profile.network.pods.to_string(),
                    service_cidr: profile.network.services.to_string(),
                    cluster_dns: profile.cluster_dns().to_string(),
                    kubernetes_version: profile.kubernetes.version.clone(),
                    reach: reach.clone(),
                    runtime_manager: node.manager.name().into(),
                    cri_socket: node.manager.socket().into(),
                    crio_repository: profile.crio_repository(),
                    pause_image: pause_image.clone(),
                })
            })
            .collect()
    }

    /// Writes the Vagrantfile and the node files below `dir`.
    pub fn render_to(&self, dir: &Path, emulated: bool) -> Result<()> {
        if self.owns_machines() {
            paths::write_atomic(&dir.join("Vagrantfile"), self.vagrantfile()?.as_bytes(), 0o644)?;
        }
        for (node, files) in self.nodes.iter().zip(self.node_files(emulated)?) {
            files.write_to(&dir.join("node").join(&node.name))?;
        }
        Ok(())
    }
}

/// The lab's network at libvirt.
#[must_use]
pub fn network_name(lab: &Lab) -> String {
    format!("provision-{}", lab.name())
}

/// A node as the templates see it.
#[derive(Serialize)]
struct NodeView<'a> {
    name: &'a str,
    ip: String,
    mac: &'a str,
    cpus: u32,
    memory_mib: u64,
    disk_gib: u64,
}

impl<'a> NodeView<'a> {
    fn of(node: &'a NodeSpec) -> Self {
        Self {
            name: &node.name,
            ip: node.ip.to_string(),
            mac: &node.mac,
            cpus: node.cpus,
            memory_mib: node.memory_mib,
            disk_gib: node.disk_gib,
        }
    }
}

/// A node as the Vagrantfile sees it.
#[derive(Serialize)]
struct MachineView<'a> {
    #[serde(flatten)]
    node: NodeView<'a>,
    /// Names of the scripts that make it a node, with blanks between.
    steps: String,
}

impl<'a> MachineView<'a> {
    fn of(node: &'a NodeSpec, nodes: &[NodeSpec]) -> Self {
        Self { node: NodeView::of(node), steps: steps::scripts_of(node, nodes).join(" ") }
    }
}
