//! Whether a lab fits this host, asked before anything is made: memory, disk,
//! CPUs and addresses. All that does not fit is told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ipnet::Ipv4Net;

use super::addresses::Used;
use crate::paths;
use crate::profile::NodeSpec;

/// What a lab asks of the host. Machines that run already have their memory:
/// leave them out of `nodes`.
#[derive(Debug, Clone)]
pub struct Demand<'a> {
    /// libvirt's networks as XML, if it runs the machines.
    pub networks: &'a [String],
    /// The machines still to be started.
    pub nodes: &'a [NodeSpec],
    /// The lab's machine network.
    pub network: Ipv4Net,
    /// The networks (libvirt's names, VirtualBox's interfaces) that are this lab's own.
    pub own_networks: &'a [String],
    /// Room still needed in folders, which need not exist yet.
    pub folders: &'a [Room],
}

/// Room that something needs in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// What needs it, such as `the cache`.
    pub what: String,
    /// The folder.
    pub folder: PathBuf,
    /// How much, in MiB.
    pub mib: u64,
}

/// What the host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    /// Memory that can be had without swapping, in MiB.
    pub memory_mib: u64,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Address ranges in use.
    pub used: Vec<Used>,
    /// Of each folder asked for: its file system and the room there.
    pub disks: Vec<Disk>,
}

/// The room of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Tells file systems apart.
    pub device: u64,
    /// Room for this user, in MiB.
    pub free_mib: u64,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What it is about.
    pub object: String,
    /// What the host has.
    pub is: String,
    /// What the lab needs.
    pub needed: String,
    /// What to do or type.
    pub next: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; needed: {}\n    {}", self.object, self.is, self.needed, self.next)
    }
}

/// All that does not fit; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the lab does not fit this host:{}", .0.iter().map(|misfit| format!("\n  {misfit}")).collect::<String>())]
pub struct Misfits(pub Vec<Misfit>);

/// Asks this host for what [`check`] compares.
pub fn supply(demand: &Demand<'_>) -> Result<Supply> {
    let meminfo = paths::read(Path::new("/proc/meminfo"))?;
    Ok(Supply {
        memory_mib: available_mib(&meminfo).context("read MemAvailable from /proc/meminfo")?,
        cpus: std::thread::available_parallelism().context("count the CPUs")?.get(),
        used: super::addresses::in_use(demand.networks)?,
        disks: demand.folders.iter().map(|room| disk(&room.folder)).collect::<Result<_>>()?,
    })
}

/// Compares what the lab asks with what the host has. Misfits are an error;
/// what is merely slow comes back as warnings.
pub fn check(demand: &Demand<'_>, supply: &Supply) -> Result<Vec<String>, Misfits> {
    let misfits: Vec<Misfit> = memory(demand, supply)
        .into_iter()
        .chain(disks(demand.folders, &supply.disks))
        .chain(addresses(demand, supply))
        .collect();
    if misfits.is_empty() { Ok(cpus(demand, supply)) } else { Err(Misfits(misfits)) }
}

/// Refuses what this host's disk has no room for.
pub fn must_hold(room: Room) -> Result<()> {
    let there = disk(&room.folder)?;
    let misfits = disks(&[room], &[there]);
    if misfits.is_empty() { Ok(()) } else { Err(Misfits(misfits).into()) }
}

fn memory(demand: &Demand<'_>, supply: &Supply) -> Option<Misfit> {
    let needed: u64 = demand.nodes.iter().map(|node| node.memory_mib).sum();
    let each = supply.memory_mib / u64::try_from(demand.nodes.len().max(1)).ok()?;
    let next = if each >= crate::profile::types::MIN_MEMORY_MIB {
        format!("give the machines less: --memory {each}; or stop other programs")
    } else {
        "stop other programs or machines; see the largest: ps -e -o rss,args --sort -rss | head".to_owned()
    };
    (needed > supply.memory_mib).then(|| Misfit {
        object: "memory".into(),
        is: format!("{} MiB are available", supply.memory_mib),
        needed: format!("{needed} MiB for {}", machines(demand.nodes.len())),
        next,
    })
}

fn disks(rooms: &[Room], disks: &[Disk]) -> Vec<Misfit> {
    let mut by_device: BTreeMap<u64, (u64, Vec<&Room>)> = BTreeMap::new();
    for (room, disk) in rooms.iter().zip(disks) {
        by_device.entry(disk.device).or_insert((disk.free_mib, Vec::new())).1.push(room);
    }
    let misfits = by_device.into_values().filter_map(|(free_mib, rooms)| {
        let needed: u64 = rooms.iter().map(|room| room.mib).sum();
        let folder = rooms.first()?.folder.display();
        let parts: Vec<String> = rooms
            .iter()
            .map(|room| format!("{} MiB for {} in {}", room.mib, room.what, room.folder.display()))
            .collect();
        (needed > free_mib).then(|| Misfit {
            object: format!("disk of {folder}"),
            is: format!("{free_mib} MiB are free"),
            needed: if parts.len() == 1 { parts.join("") } else { format!("{needed} MiB ({})", parts.join(", ")) },
            next: "make room there; what the cache holds goes with: provision clean".to_owned(),
        })
    });
    misfits.collect()
}

fn addresses(demand: &Demand<'_>, supply: &Supply) -> Vec<Misfit> {
    let clash = |used: &&Used| {
        let own = demand.own_networks.iter().any(|name| used.network.as_ref() == Some(name));
        !own && (used.range.contains(&demand.network) || demand.network.contains(&used.range))
    };
    let misfit = |used: &Used| Misfit {
        object: format!("network {}", demand.network),
        is: format!("{} uses {}", used.user, used.range),
        needed: "a range of the lab's own".into(),
        next: match free_range(&supply.used) {
            Some(range) => format!("set in the profile: network.machines = \"{range}\""),
            None => "set network.machines in the profile to a range that nothing uses".into(),
        },
    };
    supply.used.iter().filter(clash).map(misfit).collect()
}

/// A private /24 that nothing uses.
fn free_range(used: &[Used]) -> Option<Ipv4Net> {
    let taken = |range: &Ipv4Net| used.iter().any(|used| used.range.contains(range) || range.contains(&used.range));
    let mut ranges = (150..250).filter_map(|third| Ipv4Net::new([192, 168, third, 0].into(), 24).ok());
    ranges.find(|range| !taken(range))
}

fn cpus(demand: &Demand<'_>, supply: &Supply) -> Vec<String> {
    let wanted: u64 = demand.nodes.iter().map(|node| u64::from(node.cpus)).sum();
    if wanted <= supply.cpus as u64 {
        return Vec::new();
    }
    let machines = machines(demand.nodes.len());
    vec![format!("{machines} with {wanted} CPUs in all share this host's {}: expect it to be slow", supply.cpus)]
}

fn machines(count: usize) -> String {
    if count == 1 { "1 machine".into() } else { format!("{count} machines") }
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

/// The file system that `folder` is or will be on.
fn disk(folder: &Path) -> Result<Disk> {
    let existing = folder.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let room =
        nix::sys::statvfs::statvfs(existing).with_context(|| format!("ask the disk of {}", existing.display()))?;
    let device = std::fs::metadata(existing).with_context(|| format!("read {}", existing.display()))?.dev();
    Ok(Disk { device, free_mib: room.blocks_available() * room.fragment_size() / (1 << 20) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::default_profile;

    fn used(user: &str, range: &str, network: Option<&str>) -> Used {
        Used { user: user.into(), range: range.parse().unwrap(), network: network.map(str::to_owned) }
    }

    fn room(what: &str, folder: &str, mib: u64) -> Room {
        Room { what: what.into(), folder: folder.into(), mib }
    }

    #[test]
    fn all_that_does_not_fit_is_told_at_once() {
        let profile = default_profile();
        let folders = [
            room("the cache", "/home/me/.cache/provision", 6000),
            room("the lab", "/home/me/.local/state/provision/lab", 100),
            room("the machines' disks", "/var/lib/libvirt/images", 4000),
        ];
        let demand = Demand {
            networks: &[],
            nodes: &profile.nodes(),
            network: profile.network.machines,
            own_networks: &[],
            folders: &folders,
        };
        let supply = Supply {
            memory_mib: 2500,
            cpus: 1,
            used: vec![
                used("interface eth0", "10.0.0.0/8", None),
                used("interface wg0", "192.168.157.128/25", None),
                used("libvirt network other", "192.168.157.0/24", Some("other")),
                used("libvirt network default", "192.168.150.0/24", Some("default")),
            ],
            disks: vec![
                Disk { device: 1, free_mib: 6050 },
                Disk { device: 1, free_mib: 6050 },
                Disk { device: 2, free_mib: 1000 },
            ],
        };
        insta::assert_snapshot!(check(&demand, &supply).unwrap_err(), @r#"
        the lab does not fit this host:
          memory: 2500 MiB are available; needed: 3072 MiB for 1 machine
            give the machines less: --memory 2500; or stop other programs
          disk of /home/me/.cache/provision: 6050 MiB are free; needed: 6100 MiB (6000 MiB for the cache in /home/me/.cache/provision, 100 MiB for the lab in /home/me/.local/state/provision/lab)
            make room there; what the cache holds goes with: provision clean
          disk of /var/lib/libvirt/images: 1000 MiB are free; needed: 4000 MiB for the machines' disks in /var/lib/libvirt/images
            make room there; what the cache holds goes with: provision clean
          network 192.168.157.0/24: interface wg0 uses 192.168.157.128/25; needed: a range of the lab's own
            set in the profile: network.machines = "192.168.151.0/24"
          network 192.168.157.0/24: libvirt network other uses 192.168.157.0/24; needed: a range of the lab's own
            set in the profile: network.machines = "192.168.151.0/24"
        "#);
    }

    #[test]
    fn a_lab_that_runs_already_fits_beside_itself() {
        let demand = Demand {
            networks: &[],
            nodes: &[],
            network: "192.168.157.0/24".parse().unwrap(),
            own_networks: &["lab".into()],
            folders: &[],
        };
        let used = vec![used("libvirt network lab", "192.168.157.0/24", Some("lab"))];
        let supply = Supply { memory_mib: 100, cpus: 1, used, disks: vec![] };
        assert_eq!(check(&demand, &supply), Ok(vec![]));
    }

    #[test]
    fn too_few_cpus_are_a_warning() {
        let nodes = default_profile().nodes();
        let network = "192.168.157.0/24".parse().unwrap();
        let demand = Demand { networks: &[], nodes: &nodes, network, own_networks: &[], folders: &[] };
        let supply = Supply { memory_mib: 4000, cpus: 1, used: vec![], disks: vec![] };
        assert_eq!(
            check(&demand, &supply).unwrap(),
            ["1 machine with 2 CPUs in all share this host's 1: expect it to be slow"]
        );
    }

    #[test]
    fn the_room_of_a_folder_yet_to_be_made_is_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        let there = disk(dir.path()).unwrap();
        assert_eq!(disk(&dir.path().join("a/b/c")).unwrap().device, there.device);
        assert!(there.free_mib > 0);
        let room = |mib| Room { what: "x".into(), folder: dir.path().join("a"), mib };
        assert!(must_hold(room(1)).is_ok() && must_hold(room(u64::MAX)).is_err());
    }

    #[test]
    fn available_memory_is_read_in_mib() {
        assert_eq!(available_mib("MemTotal:       100 kB\nMemAvailable:   2097152 kB\n"), Some(2048));
        assert_eq!(available_mib("MemTotal: 100 kB\n"), None);
    }
}
