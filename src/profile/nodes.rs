//! What follows from a profile: the machines with their names and addresses.

use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};

use super::types::{Profile, Role};

/// The first machine's place in the lab's network; the gateway has place 1.
const FIRST_PLACE: u32 = 11;
/// The place of the cluster's DNS in the range of Services, as kubeadm has it.
const DNS_PLACE: u32 = 10;

/// One machine of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name in Kubernetes: `node1`, `node2`…
    pub name: String,
    /// What it does in the cluster.
    pub role: Role,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Size of the root disk in GiB.
    pub disk_gib: u64,
    /// Its fixed address in the lab's network.
    pub ip: Ipv4Addr,
    /// Its MAC address, the same at every start.
    pub mac: String,
}

impl Profile {
    /// The machines, in the order of the profile.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeSpec> {
        let groups = self.groups.iter().flat_map(|group| std::iter::repeat_n(group, group.count as usize));
        (0u32..)
            .zip(groups)
            .map(|(index, group)| {
                let name = format!("node{}", index + 1);
                NodeSpec {
                    role: group.role,
                    cpus: group.cpus,
                    memory_mib: group.memory_mib,
                    disk_gib: group.disk_gib,
                    ip: place(self.network.machines, FIRST_PLACE + index),
                    mac: mac(&self.name, &name),
                    name,
                }
            })
            .collect()
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

    /// The address of the cluster's DNS Service.
    #[must_use]
    pub fn cluster_dns(&self) -> Ipv4Addr {
        place(self.network.services, DNS_PLACE)
    }
}

fn place(network: ipnet::Ipv4Net, place: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(network.network().to_bits() + place)
}

/// QEMU's locally administered prefix and 24 bits that differ by lab and node.
fn mac(lab: &str, node: &str) -> String {
    let hash = Sha256::digest(format!("{lab}/{node}"));
    format!("52:54:00:{:02x}:{:02x}:{:02x}", hash[0], hash[1], hash[2])
}

#[cfg(test)]
mod tests {
    use super::super::default_profile;

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
    fn macs_differ_by_lab() {
        let mut other = default_profile();
        other.name = "other".into();
        assert_ne!(other.nodes()[0].mac, default_profile().nodes()[0].mac);
    }
}
