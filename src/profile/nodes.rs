//! What follows from a profile: the machines with their names and addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

use super::types::{Access, BoxSource, NodeGroup, Profile, Provider, Role, RuntimeManager};

/// The first machine's place in the lab's network; the gateway has place 1.
const FIRST_PLACE: u32 = 11;
/// The place of the address that several control planes share.
const API_PLACE: u32 = 10;
/// How much of the pods' range each node takes.
const PODS_PREFIX: u8 = 24;
/// The place of the cluster's DNS in the range of Services, as kubeadm has it.
const DNS_PLACE: u32 = 10;
/// Behind VirtualBox's NAT each machine has the same address of this range.
pub(super) const NAT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 2, 0), 24);
/// The DNS server of that NAT (VirtualBox's manual, "Network Address
/// Translation": the proxy at .3).
const NAT_NAMESERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// One machine of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name in Kubernetes: `node1`, `node2`…
    pub name: String,
    /// What it does in the cluster.
    pub role: Role,
    /// What runs its containers.
    pub manager: RuntimeManager,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Size of the root disk in GiB.
    pub disk_gib: u64,
    /// Its fixed address in the lab's network.
    pub ip: Ipv4Addr,
    /// The addresses of its pods.
    pub pods: Ipv4Net,
    /// Its MAC address, the same at every start.
    pub mac: String,
    /// Its SSH server's port.
    pub port: u16,
    /// How it is logged in to where it is not ours.
    pub access: Option<Access>,
    /// Whether its system comes without a node's packages, programs and images.
    pub plain: bool,
}

impl Profile {
    /// The machines: control planes first, otherwise in the order of the
    /// profile, so that one more worker at the end changes nothing of the others.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeSpec> {
        let existing = !self.provider.makes_machines();
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|group| group.role != Role::ControlPlane);
        let machines = groups.into_iter().flat_map(|group| {
            let addresses =
                group.addresses.iter().filter(move |_| existing).map(move |address| (group, Some(*address)));
            let ours = if existing { 0 } else { group.count as usize };
            addresses.chain(std::iter::repeat_n((group, None), ours))
        });
        (0u32..)
            .zip(machines)
            .map(|(index, (group, address))| {
                let name = format!("node{}", index + 1);
                NodeSpec {
                    role: group.role,
                    manager: self.runtime.manager,
                    cpus: group.cpus,
                    memory_mib: group.memory_mib,
                    disk_gib: group.disk_gib,
                    ip: address.map_or_else(|| place(self.network.machines, FIRST_PLACE + index), |it| it.ip),
                    pods: pods_of(self.network.pods, index),
                    port: address.map_or(22, |it| it.port),
                    access: address.map(|_| group.ssh.clone()),
                    plain: existing || self.box_source != BoxSource::Build,
                    mac: mac(&self.name, &name),
                    name,
                }
            })
            .collect()
    }

    /// Where CRI-O comes from: the packages of this Kubernetes' minor version.
    #[must_use]
    pub fn crio_repository(&self) -> String {
        let minor = self.kubernetes.version.split('.').take(2).collect::<Vec<_>>().join(".");
        format!("{}/v{minor}/deb", self.mirrors.crio.trim_end_matches('/'))
    }

    /// How many nodes hold the control plane.
    #[must_use]
    pub fn control_planes(&self) -> u32 {
        let groups = self.groups.iter().filter(|group| group.role == Role::ControlPlane);
        groups.map(|group| self.size(group)).sum()
    }

    /// How many nodes a group has.
    #[must_use]
    pub fn size(&self, group: &NodeGroup) -> u32 {
        match self.provider.makes_machines() {
            true => group.count,
            false => u32::try_from(group.addresses.len()).unwrap_or(u32::MAX),
        }
    }

    /// Where the cluster's API is reached: at the only control plane, or at the
    /// address that several of them share.
    #[must_use]
    pub fn api_address(&self) -> Ipv4Addr {
        match self.nodes().first() {
            Some(first) if self.control_planes() < 2 => first.ip,
            _ => place(self.network.machines, API_PLACE),
        }
    }

    /// How many nodes the address ranges have room for: of the machines, of the pods.
    #[must_use]
    pub fn room(&self) -> (u32, u32) {
        let hosts = 1u32 << (32 - self.network.machines.prefix_len());
        let pods = 1u32 << PODS_PREFIX.saturating_sub(self.network.pods.prefix_len());
        // Without the last address, which is the broadcast's.
        (hosts.saturating_sub(FIRST_PLACE + 1), pods)
    }

    /// The name of a node's machine at the provider: `<lab>-<node>`.
    #[must_use]
    pub fn machine_name(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    /// The host's address in the lab's network: the nodes' router and DNS server.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        place(self.network.machines, 1)
    }

    /// The name server that the machines are told; theirs stays where they exist already.
    #[must_use]
    pub fn nameserver(&self) -> Option<Ipv4Addr> {
        match self.provider {
            Provider::Libvirt => Some(self.gateway()),
            Provider::Virtualbox => Some(NAT_NAMESERVER),
            Provider::Hosts => None,
        }
    }

    /// The address of the cluster's DNS Service.
    #[must_use]
    pub fn cluster_dns(&self) -> Ipv4Addr {
        place(self.network.services, DNS_PLACE)
    }
}

fn place(network: ipnet::Ipv4Net, place: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(network.network().to_bits() + place)
}

fn pods_of(pods: Ipv4Net, index: u32) -> Ipv4Net {
    let base = u64::from(pods.network().to_bits()) + (u64::from(index) << (32 - PODS_PREFIX));
    // A profile with more nodes than ranges is refused by the rules; until then nothing may panic.
    Ipv4Net::new(Ipv4Addr::from_bits(base as u32), PODS_PREFIX).unwrap_or(pods)
}

/// QEMU's locally administered prefix and 24 bits that differ by lab and node.
fn mac(lab: &str, node: &str) -> String {
    let hash = Sha256::digest(format!("{lab}/{node}"));
    format!("52:54:00:{:02x}:{:02x}:{:02x}", hash[0], hash[1], hash[2])
}

#[cfg(test)]
mod tests {
    use super::super::default_profile;
    use super::super::types::Role;
    use super::Provider;

    #[test]
    fn control_planes_come_first_and_each_node_has_pods_of_its_own() {
        let mut profile = default_profile();
        let mut workers = profile.groups[0].clone();
        workers.role = Role::Worker;
        workers.count = 2;
        profile.groups.insert(0, workers);
        let nodes = profile.nodes();
        let told: Vec<String> = nodes.iter().map(|n| format!("{} {} {}", n.name, n.role.name(), n.pods)).collect();
        assert_eq!(
            told,
            ["node1 control-plane 10.244.0.0/24", "node2 worker 10.244.1.0/24", "node3 worker 10.244.2.0/24"]
        );
        assert_eq!(profile.api_address(), nodes[0].ip);
        profile.groups[1].count = 3;
        assert_eq!(profile.api_address().to_string(), "192.168.157.10");
        assert_eq!(profile.room(), (244, 256));
    }

    #[test]
    fn machines_have_fixed_names_and_addresses() {
        let mut profile = default_profile();
        profile.groups[0].count = 2;
        let nodes = profile.nodes();
        assert_eq!(nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["node1", "node2"]);
        assert_eq!(nodes[1].ip.to_string(), "192.168.157.12");
        assert_eq!(nodes[0].mac, "52:54:00:33:de:1f");
        assert_ne!(nodes[0].mac, nodes[1].mac);
        assert_eq!(profile.machine_name(&nodes[0].name), "lab-node1");
        assert_eq!(profile.gateway().to_string(), "192.168.157.1");
        assert_eq!(profile.cluster_dns().to_string(), "10.96.0.10");
    }

    #[test]
    fn existing_machines_are_where_the_profile_says() {
        let mut profile = default_profile();
        profile.provider = Provider::Hosts;
        profile.groups[0].addresses = vec!["192.0.2.10".parse().unwrap(), "192.0.2.11:2222".parse().unwrap()];
        let nodes = profile.nodes();
        assert_eq!(
            (nodes[1].name.as_str(), nodes[1].ip.to_string().as_str(), nodes[1].port),
            ("node2", "192.0.2.11", 2222)
        );
        assert_eq!(nodes[0].access.as_ref().map(|access| access.user.as_str()), Some("root"));
    }

    #[test]
    fn macs_differ_by_lab() {
        let mut other = default_profile();
        other.name = "other".into();
        assert_ne!(other.nodes()[0].mac, default_profile().nodes()[0].mac);
    }
}
