//! The IPv4 ranges that this host uses: its interfaces' and libvirt's networks'.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use serde::Deserialize;

use crate::process::{self, Cmd};

/// How VirtualBox names the interfaces of its host-only networks.
const VIRTUALBOX: &str = "vboxnet";

/// A range in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Who uses it, such as `interface eth0`.
    pub user: String,
    /// The range.
    pub range: Ipv4Net,
    /// The name of libvirt's network, or of VirtualBox's interface, if it is one.
    pub network: Option<String>,
}

/// Every range in use. `networks` are libvirt's, as their XML; the bridge of
/// one counts as that network.
pub fn in_use(networks: &[String]) -> Result<Vec<Used>> {
    let program = process::find("ip").context("find the program ip (package iproute2)")?;
    let interfaces = Cmd::new(program).args(["-json", "-4", "address", "show"]).read()?;
    merge(&interfaces, networks)
}

#[derive(Debug, Deserialize)]
struct Interface {
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Debug, Deserialize)]
struct Address {
    local: Ipv4Addr,
    prefixlen: u8,
}

/// The ranges from what `ip -json` and `virsh net-dumpxml` print.
fn merge(interfaces: &str, networks: &[String]) -> Result<Vec<Used>> {
    let interfaces: Vec<Interface> = serde_json::from_str(interfaces).context("read what `ip -json address` prints")?;
    let (mut used, mut bridges) = (Vec::new(), Vec::new());
    for xml in networks {
        let document = roxmltree::Document::parse(xml).context("read what `virsh net-dumpxml` prints")?;
        let children = || document.root_element().children();
        let name = children().find(|node| node.has_tag_name("name")).and_then(|node| node.text()).unwrap_or_default();
        bridges.extend(
            children()
                .filter_map(|node| node.attribute("name").filter(|_| node.has_tag_name("bridge")))
                .map(str::to_owned),
        );
        let ranges = children().filter(|node| node.has_tag_name("ip")).filter_map(|node| range(&node));
        used.extend(ranges.map(|range| Used {
            user: format!("libvirt network {name}"),
            range,
            network: Some(name.to_owned()),
        }));
    }
    for interface in interfaces.iter().filter(|interface| !bridges.contains(&interface.ifname)) {
        for address in &interface.addr_info {
            let range = Ipv4Net::new(address.local, address.prefixlen).with_context(|| {
                format!("read the address {}/{} of {}", address.local, address.prefixlen, interface.ifname)
            })?;
            let name = &interface.ifname;
            let network = name.starts_with(VIRTUALBOX).then(|| name.clone());
            used.push(Used { user: format!("interface {name}"), range: range.trunc(), network });
        }
    }
    Ok(used)
}

/// The range of an `<ip>` element: an IPv4 address with a mask or a prefix.
fn range(node: &roxmltree::Node<'_, '_>) -> Option<Ipv4Net> {
    let address: Ipv4Addr = node.attribute("address")?.parse().ok()?;
    let net = match (node.attribute("netmask"), node.attribute("prefix")) {
        (Some(mask), _) => Ipv4Net::with_netmask(address, mask.parse().ok()?).ok()?,
        (None, Some(prefix)) => Ipv4Net::new(address, prefix.parse().ok()?).ok()?,
        (None, None) => return None,
    };
    Some(net.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_and_networks_are_read_and_a_networks_bridge_counts_once() {
        // As printed by iproute2 6.1 and libvirt 9.0, shortened.
        let interfaces = r#"[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP"],"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host"}]},
            {"ifname":"eth0","addr_info":[{"family":"inet","local":"192.0.2.2","prefixlen":24,"broadcast":"192.0.2.255"}]},
            {"ifname":"tun0","addr_info":[{"family":"inet","local":"10.8.0.6","prefixlen":32}]},
            {"ifname":"virbr0","addr_info":[{"family":"inet","local":"192.168.122.1","prefixlen":24}]}, {}]"#
            .replace(", {}]", "]");
        let default = "<network>\n  <name>default</name>\n  <forward mode='nat'/>\n  <bridge name='virbr0' stp='on' delay='0'/>\n  \
            <ip address='192.168.122.1' netmask='255.255.255.0'>\n    <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>\n  </ip>\n  \
            <ip family='ipv6' address='fd00::1' prefix='64'/>\n</network>";
        let plain = "<network connections='1'><name>isolated</name><bridge name='virbr1'/><ip family='ipv4' address='10.9.0.1' prefix='16'/></network>";
        let bridged = "<network><name>lan</name><forward mode='bridge'/><bridge name='br0'/></network>";
        let used = merge(&interfaces, &[default.into(), plain.into(), bridged.into()]).unwrap();
        let lines: Vec<String> = used.iter().map(|used| format!("{} {}", used.user, used.range)).collect();
        assert_eq!(
            lines,
            [
                "libvirt network default 192.168.122.0/24",
                "libvirt network isolated 10.9.0.0/16",
                "interface lo 127.0.0.0/8",
                "interface eth0 192.0.2.0/24",
                "interface tun0 10.8.0.6/32",
            ]
        );
        assert_eq!(used[1].network.as_deref(), Some("isolated"));
    }

    #[test]
    fn output_of_another_kind_is_an_error() {
        assert!(merge("no json", &[]).is_err());
        assert!(merge("[]", &["<network>".into()]).is_err());
        assert_eq!(merge("[]", &[]).unwrap(), []);
    }
}
