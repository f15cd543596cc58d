//! What no single value can tell: rules between the fields of a profile.

use super::compat::{self, Table};
use super::nodes::NAT;
use super::path::Path;
use super::types::{
    Acceleration, BoxSource, Firmware, MAX_VIRTUALBOX_DISK_GIB, Profile, Provider, Role, RuntimeManager,
};

/// A broken rule.
pub struct Broken {
    /// The fields that the rule looked at; the fault stands at the one that the
    /// user set last.
    pub fields: Vec<Path>,
    /// What is wrong and what is allowed.
    pub text: String,
}

/// Every rule that `profile` breaks.
#[must_use]
pub fn broken(profile: &Profile) -> Vec<Broken> {
    let table = compat::table();
    let rules = [
        overlaps(profile),
        control_plane(profile),
        room(profile),
        manager(profile),
        firmware(profile),
        virtualbox(profile),
        existing(profile),
        named_box(profile),
        versions(profile, table),
        wasm(profile, table),
    ];
    rules.into_iter().flatten().collect()
}

fn overlaps(profile: &Profile) -> Vec<Broken> {
    let network = &profile.network;
    let ranges = [("machines", network.machines), ("pods", network.pods), ("services", network.services)];
    let pairs = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| (ranges[a], ranges[b]));
    pairs
        .into_iter()
        .filter(|((_, one), (_, other))| one.contains(other) || other.contains(one))
        .map(|((one_name, one), (other_name, other))| {
            let field = |name| Path::default().key("network").key(name);
            Broken {
                fields: vec![field(one_name), field(other_name)],
                text: format!(
                    "network.{one_name} {one} and network.{other_name} {other} overlap; allowed: ranges that share no address"
                ),
            }
        })
        .collect()
}

/// Most control planes: more members of etcd make it slower and hardly safer.
const MAX_CONTROL_PLANES: u32 = 7;

fn control_plane(profile: &Profile) -> Vec<Broken> {
    let fields = |name: &str| (0..profile.groups.len()).map(|index| group(index).key(name)).collect::<Vec<_>>();
    let counts_of_control_planes = || {
        let groups = profile.groups.iter().enumerate().filter(|(_, group)| group.role == Role::ControlPlane);
        groups.map(|(index, _)| group(index).key("count")).collect::<Vec<_>>()
    };
    match profile.control_planes() {
        // Existing machines of which none is named, which is told.
        0 if profile.groups.iter().any(|group| group.role == Role::ControlPlane) => Vec::new(),
        0 => vec![Broken {
            fields: fields("role"),
            text: "no node has role control-plane; allowed: 1, 3, 5 or 7 control-plane nodes".into(),
        }],
        count if count > MAX_CONTROL_PLANES => vec![Broken {
            fields: counts_of_control_planes(),
            text: format!("the profile asks for {count} control-plane nodes; allowed: 1, 3, 5 or 7"),
        }],
        count if count % 2 == 0 => vec![Broken {
            fields: counts_of_control_planes(),
            text: format!(
                "the profile asks for {count} control-plane nodes; allowed: 1, 3, 5 or 7 (etcd needs more than half of \
                 them: {count} bear the loss of {}, and so does {})",
                (count - 1) / 2,
                count - 1
            ),
        }],
        _ => Vec::new(),
    }
}

fn group(index: usize) -> Path {
    Path::default().key("nodes").index(index)
}

/// Every node needs an address, and a range for its pods.
fn room(profile: &Profile) -> Vec<Broken> {
    let total: u32 = profile.groups.iter().map(|group| profile.size(group)).sum();
    let (machines, pods) = profile.room();
    let network = &profile.network;
    [("machines", network.machines, machines, "addresses of nodes"), ("pods", network.pods, pods, "nodes' /24")]
        .into_iter()
        // Machines that exist already have addresses of their own.
        .filter(|(name, ..)| *name == "pods" || profile.provider.makes_machines())
        .filter(|(_, _, room, _)| total > *room)
        .map(|(name, range, room, what)| {
            let mut fields = vec![Path::default().key("network").key(name)];
            fields.extend((0..profile.groups.len()).map(|index| group(index).key("count")));
            Broken {
                fields,
                text: format!(
                    "network.{name} {range} has room for {room} {what}, and the profile asks for {total} nodes; allowed: a wider range or fewer nodes"
                ),
            }
        })
        .collect()
}

/// A box whose crun was built for another WasmEdge than it has.
fn wasm(profile: &Profile, table: &Table) -> Vec<Broken> {
    if profile.box_source != BoxSource::Build {
        return Vec::new();
    }
    let refused = table.boxes.iter().filter(|entry| entry.name == "build");
    let refused = refused.filter_map(|entry| table.refuses_wasm(&entry.crun, &entry.wasmedge));
    refused.map(|text| Broken { fields: vec![Path::default().key("box")], text }).collect()
}

/// Pairs of versions that do not work together, or that we cannot bring.
fn versions(profile: &Profile, table: &Table) -> Vec<Broken> {
    let field = |table: &str, name: &str| Path::default().key(table).key(name);
    let fields = vec![field("kubernetes", "version"), field("runtime", "version")];
    let (kubernetes, containerd) = (&profile.kubernetes.version, &profile.runtime.version);
    let own = table.own_containerd().map(ToString::to_string).unwrap_or_default();
    if profile.runtime.manager == RuntimeManager::Crio {
        // Its minor version is Kubernetes' own.
        return Vec::new();
    }
    if let Some(text) = table.refuses(kubernetes, containerd) {
        vec![Broken { fields, text }]
    } else if *containerd != own {
        let text = format!("runtime.version is {containerd:?}; allowed: {own} (no other containerd is built)");
        vec![Broken { fields: vec![field("runtime", "version")], text }]
    } else {
        Vec::new()
    }
}

/// What only containerd can.
fn manager(profile: &Profile) -> Vec<Broken> {
    if profile.runtime.manager == RuntimeManager::Containerd {
        return Vec::new();
    }
    let own = Path::default().key("runtime").key("manager");
    let mut broken = Vec::new();
    if !profile.mirrors.registries.is_empty() {
        let text = "mirrors.registries are containerd's and runtime.manager is \"crio\"; allowed: \"\", or containerd";
        let fields = vec![Path::default().key("mirrors").key("registries"), own.clone()];
        broken.push(Broken { fields, text: text.into() });
    }
    if !profile.provider.makes_machines() || profile.box_source != BoxSource::Build {
        let text = "runtime.manager is \"crio\"; allowed: containerd, where the machines are not made from our box";
        broken.push(Broken { fields: vec![own, Path::default().key("provider")], text: text.into() });
    }
    broken
}

fn firmware(profile: &Profile) -> Vec<Broken> {
    if profile.machine.firmware == Firmware::Bios || profile.provider == Provider::Virtualbox {
        return Vec::new();
    }
    let text = format!(
        "machine.firmware is \"efi\" and provider is {}; allowed: bios, or provider virtualbox",
        profile.provider.name()
    );
    let fields = vec![Path::default().key("machine").key("firmware"), Path::default().key("provider")];
    vec![Broken { fields, text }]
}

/// What VirtualBox cannot do.
fn virtualbox(profile: &Profile) -> Vec<Broken> {
    if profile.provider != Provider::Virtualbox {
        return Vec::new();
    }
    let provider = || Path::default().key("provider");
    let mut broken = Vec::new();
    if profile.machine.acceleration != Acceleration::Auto {
        let text =
            "provider is virtualbox, which needs virtualisation and brings its own; allowed: machine.acceleration \
                    = \"auto\""
                .into();
        broken.push(Broken { fields: vec![Path::default().key("machine").key("acceleration"), provider()], text });
    }
    if profile.control_planes() > 1 {
        let text = "provider is virtualbox, with which control planes cannot share an address yet; allowed: one \
                    control-plane node"
            .into();
        broken.push(Broken { fields: vec![provider()], text });
    }
    let network = &profile.network;
    let ranges = [("machines", network.machines), ("pods", network.pods), ("services", network.services)];
    for (name, range) in ranges.into_iter().filter(|(_, range)| range.contains(&NAT) || NAT.contains(range)) {
        let text =
            format!("network.{name} {range} holds {NAT}, VirtualBox's own way out of each machine; allowed: others");
        broken.push(Broken { fields: vec![Path::default().key("network").key(name), provider()], text });
    }
    for (index, group) in profile.groups.iter().enumerate() {
        if group.disk_gib > MAX_VIRTUALBOX_DISK_GIB {
            let text = format!(
                "nodes[{index}].disk_gib is {}; allowed with provider virtualbox: up to {MAX_VIRTUALBOX_DISK_GIB}",
                group.disk_gib
            );
            let field = Path::default().key("nodes").index(index).key("disk_gib");
            broken.push(Broken { fields: vec![field, provider()], text });
        }
    }
    broken
}

/// A box that others made is named whole, or not at all.
fn named_box(profile: &Profile) -> Vec<Broken> {
    let field = |name: &str| Path::default().key("machine").key(name);
    let source = || Path::default().key("box");
    let machine = &profile.machine;
    let given = [("box_version", &machine.box_version), ("box_sha256", &machine.box_sha256)];
    let BoxSource::Named(name) = &profile.box_source else {
        let extra = given.into_iter().chain([("box_url", &machine.box_url)]).filter(|(_, value)| !value.is_empty());
        return extra
            .map(|(key, _)| Broken {
                fields: vec![field(key), source()],
                text: format!("machine.{key} is for a named box; allowed: leave it out with box = \"build\""),
            })
            .collect();
    };
    let mut broken: Vec<Broken> = given
        .into_iter()
        .filter(|(_, value)| value.is_empty())
        .map(|(key, _)| Broken {
            fields: vec![source(), field(key)],
            text: format!(
                "machine.{key} is empty; allowed: with box = \"{name}\" its version and the SHA-256 of its file"
            ),
        })
        .collect();
    if profile.provider != Provider::Libvirt {
        broken.push(Broken {
            fields: vec![source(), Path::default().key("provider")],
            text: format!("box is {name:?}; allowed: build, or provider = \"libvirt\""),
        });
    }
    if profile.control_planes() > 1 {
        broken.push(Broken {
            fields: vec![source()],
            text: format!(
                "box is {name:?}; allowed: build, with several control planes (what shares their address is in it)"
            ),
        });
    }
    broken
}

/// Machines are either made by the provider or listed, not both.
fn existing(profile: &Profile) -> Vec<Broken> {
    let (mut broken, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for (index, group) in profile.groups.iter().enumerate() {
        let field = |name: &str| Path::default().key("nodes").index(index).key(name);
        let mut say = |text: String| {
            let fields = vec![field("addresses"), Path::default().key("provider")];
            broken.push(Broken { fields, text });
        };
        if profile.provider.makes_machines() {
            if !group.addresses.is_empty() {
                say(format!(
                    "nodes[{index}].addresses are for machines that exist already; allowed: with provider = \"hosts\""
                ));
            }
            continue;
        }
        if group.addresses.is_empty() {
            say(format!("nodes[{index}].addresses is empty; allowed: with provider = \"hosts\" at least one address"));
        }
        for address in &group.addresses {
            let (ip, network) = (address.ip, &profile.network);
            if !seen.insert(ip) {
                say(format!("nodes[{index}].addresses has {ip}, which is a node already; allowed: each address once"));
            }
            for (name, range) in [("pods", network.pods), ("services", network.services)] {
                if range.contains(&ip) {
                    say(format!(
                        "nodes[{index}].addresses has {ip}, which is in network.{name} {range}; allowed: an address outside"
                    ));
                }
            }
        }
        if group.count != 1 && group.count as usize != group.addresses.len() {
            let text = format!(
                "nodes[{index}].count is {} and addresses has {}; allowed: leave count out with provider = \"hosts\"",
                group.count,
                group.addresses.len()
            );
            broken.push(Broken { fields: vec![field("count")], text });
        }
    }
    if !profile.provider.makes_machines() && profile.control_planes() > 1 {
        let fields = (0..profile.groups.len()).map(|index| group(index).key("addresses")).collect();
        let text = "the profile names several control planes; allowed: one with provider = \"hosts\" (they would share an \
                    address that is nobody's)";
        broken.push(Broken { fields, text: text.into() });
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_whose_crun_was_built_for_another_wasmedge_is_refused() {
        let profile = super::super::default_profile();
        assert!(wasm(&profile, compat::table()).is_empty());
        let mut table: Table = toml::from_str(compat::TABLE).unwrap();
        table.boxes[0].wasmedge = "0.13.5".into();
        let broken = wasm(&profile, &table);
        assert!(broken[0].text.contains("crun 1.21 is not known to start WasmEdge 0.13.5"), "{}", broken[0].text);
    }
}
