//! VirtualBox's host-only networks: an interface of this host each, in which
//! machines have cards. Which lab made one stands in VirtualBox's own notes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{failures, machine, machines, manage};

/// A host-only network.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostOnly {
    /// The interface on this host.
    name: String,
    /// Its address, if it has one.
    address: Option<Ipv4Addr>,
}

fn list() -> Result<Vec<HostOnly>> {
    let text = manage(&["list", "hostonlyifs"]).read().context("list VirtualBox's host-only networks")?;
    Ok(interfaces(&text))
}

/// Paragraphs of `Key: value` lines; there is no machine-readable form.
fn interfaces(text: &str) -> Vec<HostOnly> {
    let interface = |paragraph: &str| {
        let value = |key: &str| {
            let line = paragraph.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        Some(HostOnly { name: value("Name")?, address: value("IPAddress").and_then(|text| text.parse().ok()) })
    };
    text.split("\n\n").filter_map(interface).collect()
}

/// The interfaces of all of them.
pub fn names() -> Result<Vec<String>> {
    Ok(list()?.into_iter().map(|interface| interface.name).collect())
}

/// The interface of the network in which this host has `address`.
pub fn at(address: Ipv4Addr) -> Result<Option<String>> {
    Ok(list()?.into_iter().find(|interface| interface.address == Some(address)).map(|interface| interface.name))
}

/// Makes sure of a network in which this host has `address`; one that is made
/// is `owner`'s, the folder of a lab.
pub fn ensure(address: Ipv4Addr, netmask: Ipv4Addr, owner: &Path) -> Result<()> {
    if at(address)?.is_some() {
        return Ok(());
    }
    let before = list()?;
    manage(&["hostonlyif", "create"])
        .read()
        .map_err(failures::explained)
        .with_context(|| format!("make a host-only network for {address}"))?;
    let made = list()?.into_iter().find(|interface| !before.iter().any(|known| known.name == interface.name));
    let name = made.context("find the host-only network that VirtualBox has just made")?.name;
    let set_up = || -> Result<()> {
        note_owner(&name, Some(owner))?;
        manage(&["hostonlyif", "ipconfig", &name, "--ip", &address.to_string(), "--netmask", &netmask.to_string()])
            .read()
            .map(drop)
            .map_err(failures::explained)
            .with_context(|| format!("give {name} the address {address}"))
    };
    set_up().inspect_err(|_| drop(remove(&name)))
}

/// Machines that have a card in the network of `interface`.
pub fn users_of(interface: &str) -> Result<Vec<String>> {
    let mut users = Vec::new();
    for name in machines()? {
        let values = machine(&name)?.unwrap_or_default();
        if values.iter().any(|(key, value)| key.starts_with("hostonlyadapter") && value == interface) {
            users.push(name);
        }
    }
    Ok(users)
}

/// The folder of the lab that made the network of `interface`, if one did.
pub fn owner_of(interface: &str) -> Result<Option<PathBuf>> {
    let text = manage(&["getextradata", "global", &note(interface)]).read().context("read VirtualBox's notes")?;
    Ok(text.lines().find_map(|line| line.strip_prefix("Value: ")).map(PathBuf::from))
}

/// Removes the network of `interface`.
pub fn remove(interface: &str) -> Result<()> {
    let removed = manage(&["hostonlyif", "remove", interface]).read();
    removed.with_context(|| format!("remove network {interface}"))?;
    note_owner(interface, None)
}

/// Without an owner the note goes.
fn note_owner(interface: &str, owner: Option<&Path>) -> Result<()> {
    let note = manage(&["setextradata", "global", &note(interface)]);
    note.args(owner).read().map(drop).with_context(|| format!("note whose network {interface} is"))
}

/// The name of the note.
fn note(interface: &str) -> String {
    format!("provision/network/{interface}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_only_networks_are_paragraphs() {
        let text = "Name:            vboxnet0\nGUID:            786f\nIPAddress:       192.168.56.1\nNetworkMask:     \
                    255.255.255.0\n\nName:            vboxnet1\nIPAddress:       \n";
        let network = |name: &str, address: Option<&str>| HostOnly {
            name: name.into(),
            address: address.map(|address| address.parse().unwrap()),
        };
        assert_eq!(interfaces(text), [network("vboxnet0", Some("192.168.56.1")), network("vboxnet1", None)]);
    }
}
