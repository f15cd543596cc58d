//! Whether VirtualBox can start machines on this host: its drivers, the CPU,
//! KVM beside it, Vagrant's knowledge of it, and the address range.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ipnet::Ipv4Net;

use crate::host::acceleration::virtualisation_flag;
use crate::host::known_good::{self, Clash, Installed};
use crate::paths;

/// What of this host decides.
#[derive(Debug, Clone)]
pub struct Host {
    /// The CPU's flag for virtualisation.
    pub flag: Option<&'static str>,
    /// Versions, and what KVM does.
    pub installed: Installed,
    /// `/dev/vboxdrv` and `/dev/vboxnetctl`, as far as they are missing.
    pub missing_devices: Vec<&'static str>,
    /// The drivers for VirtualBox that Vagrant has, as `7.0`; `None` if its
    /// files were not found.
    pub vagrant_knows: Option<Vec<String>>,
    /// The text of /etc/vbox/networks.conf, if there is one.
    pub networks: Option<String>,
}

/// What VirtualBox allows where there is no networks.conf (its manual,
/// "Host-Only Networking").
const ALLOWED: &str = "192.168.56.0/21";
const NETWORKS: &str = "/etc/vbox/networks.conf";

/// Asks this host, on which this is `installed`.
pub fn probe(installed: Installed) -> Result<Host> {
    Ok(Host {
        flag: virtualisation_flag(&paths::read(Path::new("/proc/cpuinfo"))?),
        installed,
        missing_devices: ["/dev/vboxdrv", "/dev/vboxnetctl"]
            .into_iter()
            .filter(|path| !Path::new(path).exists())
            .collect(),
        vagrant_knows: vagrant_knows(),
        networks: std::fs::read_to_string(NETWORKS).ok(),
    })
}

/// All that stands in the way, a text each with the next command.
pub fn obstacles(host: &Host, machines: Ipv4Net) -> Result<Vec<String>> {
    let mut found: Vec<String> = cpu(host).into_iter().collect();
    found.extend(kernel(&host.installed)?);
    found.extend(set_up(host, machines));
    Ok(found)
}

/// What of it is VirtualBox's own: drivers, Vagrant's knowledge of it, the range.
#[must_use]
pub fn set_up(host: &Host, machines: Ipv4Net) -> Vec<String> {
    [devices(host), vagrant(host), range(host, machines)].into_iter().flatten().collect()
}

fn cpu(host: &Host) -> Option<String> {
    host.flag.is_none().then(|| {
        "the CPU offers no vmx or svm flag, which VirtualBox needs\n    turn on virtualisation in the firmware (or nested \
         virtualisation, if this host is itself a machine), or use libvirt, which can emulate: provision up --provider \
         libvirt"
            .into()
    })
}

fn devices(host: &Host) -> Option<String> {
    (!host.missing_devices.is_empty()).then(|| {
        format!(
            "VirtualBox's kernel drivers are not loaded (missing: {})\n    load them: sudo modprobe -a vboxdrv \
             vboxnetflt vboxnetadp\n    or build them: sudo apt install virtualbox-dkms (with Oracle's package: sudo \
             /sbin/vboxconfig)",
            host.missing_devices.join(", ")
        )
    })
}

/// Linux against VirtualBox: since 6.12 they clash over who has the CPU's
/// virtualisation. Vagrant's part of what is known is better asked of its files.
fn kernel(installed: &Installed) -> Result<Vec<String>> {
    let ours = |clash: &&Clash| clash.concerns("virtualbox") && clash.concerns("kernel");
    let text = |clash: &Clash| {
        format!("{}: {}\n    {}\n    known from {}", clash.between(installed), clash.text, clash.next, clash.source)
    };
    Ok(known_good::clashes(installed)?.into_iter().filter(ours).map(text).collect())
}

fn vagrant(host: &Host) -> Option<String> {
    let knows = host.vagrant_knows.as_ref()?;
    let version = host.installed.versions.get("virtualbox")?;
    let version = format!("{}.{}", version.major, version.minor);
    let newest = knows.last()?;
    (!knows.contains(&version)).then(|| {
        format!(
            "this Vagrant does not know VirtualBox {version} (the newest it knows is {newest})\n    install a newer \
             Vagrant, or VirtualBox {newest}"
        )
    })
}

fn range(host: &Host, machines: Ipv4Net) -> Option<String> {
    let allowed = allowed(host.networks.as_deref());
    let inside =
        |range: &str| range == "*" || range.parse().is_ok_and(|range: Ipv4Net| range.trunc().contains(&machines));
    (!allowed.iter().any(|range| inside(range))).then(|| {
        format!(
            "VirtualBox allows no host-only network {machines} (allowed: {})\n    set in the profile: network.machines = \
             \"192.168.56.0/24\"; or allow it: sudo mkdir -p /etc/vbox; echo '* {machines}' | sudo tee -a {NETWORKS}",
            allowed.join(", ")
        )
    })
}

/// The ranges of networks.conf: lines that begin with `*`, ranges behind it.
fn allowed(networks: Option<&str>) -> Vec<String> {
    let Some(text) = networks else { return vec![ALLOWED.into()] };
    let ranges = text.lines().filter_map(|line| line.trim().strip_prefix('*')).flat_map(str::split_whitespace);
    ranges.filter(|range| range.contains('.') || *range == "*").map(str::to_owned).collect()
}

/// Reads Vagrant's own list, which takes no Ruby.
fn vagrant_knows() -> Option<Vec<String>> {
    let list = "plugins/providers/virtualbox/driver/meta.rb";
    let gems = gem_folders().into_iter().flat_map(|gems| below(&gems));
    let texts: Vec<String> = gems.filter_map(|gem| std::fs::read_to_string(gem.join(list)).ok()).collect();
    let knows = versions_in(&texts.join("\n"));
    (!knows.is_empty()).then_some(knows)
}

/// Where Vagrant's gem may be: its own packages', Debian 12's, later Debian's.
fn gem_folders() -> Vec<PathBuf> {
    let own = Path::new("/opt/vagrant/embedded/gems");
    if own.exists() {
        return below(own).into_iter().map(|version| version.join("gems")).chain([own.join("gems")]).collect();
    }
    let debian = below(Path::new("/usr/lib")).into_iter().map(|dir| dir.join("rubygems-integration"));
    let later = debian.flat_map(|dir| below(&dir)).map(|ruby| ruby.join("gems"));
    later.chain(["/usr/share/rubygems-integration/all/gems".into()]).collect()
}

fn below(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// `"7.0" => Version_7_0,` lines, in order.
fn versions_in(list: &str) -> Vec<String> {
    let version = |line: &str| {
        let (version, driver) = line.trim().strip_prefix('"')?.split_once("\" => ")?;
        driver.starts_with("Version_").then(|| version.to_owned())
    };
    let mut versions: Vec<String> = list.lines().filter_map(version).collect();
    versions.sort_by_key(|version| version.split('.').map(|part| part.parse::<u32>().ok()).collect::<Vec<_>>());
    versions.dedup();
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            flag: Some("vmx"),
            installed: installed("7.0.20", "6.1.0", None),
            missing_devices: vec![],
            vagrant_knows: Some(vec!["6.1".into(), "7.0".into()]),
            networks: Some("* 10.0.0.0/8 192.168.0.0/16\n* 2001::/64\n".into()),
        }
    }

    fn installed(virtualbox: &str, kernel: &str, kvm_at_load: Option<bool>) -> Installed {
        let versions = [("virtualbox", virtualbox), ("kernel", kernel), ("vagrant", "2.3.4")];
        Installed { versions: versions.map(|(name, text)| (name, text.parse().unwrap())).into(), kvm_at_load }
    }

    fn found(host: &Host) -> Vec<String> {
        obstacles(host, "192.168.157.0/24".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_good_host_has_no_obstacle() {
        assert_eq!(found(&host()), [""; 0]);
    }

    #[test]
    fn what_a_loaded_kvm_must_be_depends_on_both_versions() {
        let clash = |linux, virtualbox, at_load| {
            kernel(&installed(virtualbox, linux, at_load))
                .unwrap()
                .first()
                .map(|text| text.contains("tee /etc/modprobe.d"))
        };
        assert_eq!(clash("6.11.0", "7.1.4", None), None);
        assert_eq!(clash("6.12.5", "7.1.4", Some(true)), Some(true));
        assert_eq!(clash("6.12.5", "7.2.14", Some(true)), Some(true));
        assert_eq!(clash("6.12.5", "7.2.14", Some(false)), None);
        assert_eq!(clash("6.18.0", "7.2.8", Some(true)), Some(true));
        assert_eq!(clash("6.18.0", "7.2.14", Some(true)), None);
        assert_eq!(clash("7.1.0", "7.2.14", Some(false)), Some(false));
    }

    #[test]
    fn each_obstacle_names_the_next_command() {
        let bad = Host {
            flag: None,
            installed: installed("7.2.4", "6.12.0", Some(true)),
            missing_devices: vec!["/dev/vboxdrv", "/dev/vboxnetctl"],
            networks: None,
            ..host()
        };
        insta::assert_snapshot!(found(&bad).join("\n"));
    }

    #[test]
    fn vagrants_list_is_read() {
        let list = "  @@version_map = {\n    \"4.0\" => Version_4_0,\n    \"10.0\" => Version_10_0,\n    \"7.0\" => \
                    Version_7_0,\n  \"x\" => 1\n";
        assert_eq!(versions_in(list), ["4.0", "7.0", "10.0"]);
        assert_eq!(allowed(Some("* *\n")), ["*"]);
    }
}
