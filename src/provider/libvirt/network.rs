//! The lab's network at libvirt, and who has which address in it.

use anyhow::{Context, Result};

use super::{names, virsh};

/// Makes the network from `xml`, or gives addresses in one that is there
/// already to the machines of `xml` that it does not know; and starts it.
pub fn ensure_network(name: &str, xml: &str) -> Result<()> {
    if is_defined(name)? {
        add_hosts(name, xml)?;
    } else {
        let file = tempfile::NamedTempFile::new().context("create a file for the network's XML")?;
        std::fs::write(file.path(), xml).context("write the network's XML")?;
        virsh(&["net-define"]).arg(file.path()).read().with_context(|| format!("define network {name}"))?;
    }
    if !is_active(name)? {
        virsh(&["net-start", name]).read().with_context(|| {
            format!("start network {name} (is its address range in use? `ip addr` and `virsh net-list --all` tell)")
        })?;
    }
    Ok(())
}

/// Takes a machine's address in a network back.
pub fn remove_host(name: &str, machine: &str) -> Result<()> {
    if is_defined(name)? {
        for host in hosts(&definition(name)?)?.iter().filter(|host| host.name == machine) {
            update(name, "delete", host)?;
        }
    }
    Ok(())
}

/// The XML of each network, active or not.
pub fn network_definitions() -> Result<Vec<String>> {
    names(&["net-list", "--all", "--name"])?.iter().map(|name| definition(name)).collect()
}

/// Removes a network; whether there was one.
pub fn remove_network(name: &str) -> Result<bool> {
    if !is_defined(name)? {
        return Ok(false);
    }
    // It may be inactive already; undefine says if something is really wrong.
    virsh(&["net-destroy", name]).output()?;
    virsh(&["net-undefine", name]).read().with_context(|| format!("remove network {name}"))?;
    Ok(true)
}

fn is_defined(name: &str) -> Result<bool> {
    Ok(names(&["net-list", "--all", "--name"])?.iter().any(|known| known == name))
}

fn is_active(name: &str) -> Result<bool> {
    Ok(names(&["net-list", "--name"])?.iter().any(|active| active == name))
}

fn definition(name: &str) -> Result<String> {
    virsh(&["net-dumpxml", name]).read().with_context(|| format!("describe network {name}"))
}

/// A machine's place in a network.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    mac: String,
    name: String,
    ip: String,
}

/// The machines that a network's XML gives addresses to.
fn hosts(xml: &str) -> Result<Vec<Host>> {
    let document = roxmltree::Document::parse(xml).context("parse the XML of a network")?;
    let hosts = document.descendants().filter(|node| node.has_tag_name("host") && node.has_attribute("mac"));
    let text = |node: &roxmltree::Node<'_, '_>, name: &str| node.attribute(name).unwrap_or_default().to_owned();
    Ok(hosts.map(|node| Host { mac: text(&node, "mac"), name: text(&node, "name"), ip: text(&node, "ip") }).collect())
}

/// An address that another machine had goes to the one that `xml` names.
fn add_hosts(name: &str, xml: &str) -> Result<()> {
    let (is, wanted) = (hosts(&definition(name)?)?, hosts(xml)?);
    let stale = |host: &&Host| {
        !wanted.contains(host)
            && wanted.iter().any(|new| new.mac == host.mac || new.name == host.name || new.ip == host.ip)
    };
    for host in is.iter().filter(stale) {
        update(name, "delete", host)?;
    }
    for host in wanted.iter().filter(|host| !is.contains(host)) {
        update(name, "add", host)?;
    }
    Ok(())
}

fn update(name: &str, verb: &str, Host { mac, name: host, ip }: &Host) -> Result<()> {
    let element = format!("<host mac='{mac}' name='{host}' ip='{ip}'/>");
    let mut args = vec!["net-update", name, verb, "ip-dhcp-host", element.as_str(), "--config"];
    if is_active(name)? {
        args.push("--live");
    }
    virsh(&args).read().map(drop).with_context(|| format!("{verb} {host} ({ip}) in network {name}"))
}
