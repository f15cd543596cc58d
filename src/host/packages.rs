//! The programs that making and running a lab takes: which of them this host
//! lacks, and the offer to install just those.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::installer::{self, Installer, OLDEST_GO};
use super::{apt, as_root, vagrant_plugins};
use crate::outside::AUTHORITIES;
use crate::process::{self, Cmd};
use crate::profile::Provider;
use crate::ui::Ui;

/// Something that the main job uses.
#[derive(Debug, PartialEq, Eq)]
pub struct Need {
    /// What it is for, as words after a program's or package's name.
    pub purpose: &'static str,
    /// The package that has it, as Debian calls it.
    pub package: &'static str,
    /// Who uses it.
    jobs: &'static [Job],
    found: Found,
}

/// How one sees that something is there.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// One of these programs.
    Program(&'static [&'static str]),
    /// One of these files.
    File(&'static [&'static str]),
    /// This plugin of Vagrant.
    Plugin(&'static str),
    /// A Go of [`OLDEST_GO`] or later.
    Go,
}

/// What a host is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Run labs by this provider.
    Lab(Provider),
    /// Run the benchmark's arms in containers of its own.
    LocalBenchmark,
}

const LIBVIRT: Job = Job::Lab(Provider::Libvirt);
const VIRTUALBOX: Job = Job::Lab(Provider::Virtualbox);
const HOSTS: Job = Job::Lab(Provider::Hosts);
const MACHINES: &[Job] = &[LIBVIRT, VIRTUALBOX];
const LABS: &[Job] = &[LIBVIRT, VIRTUALBOX, HOSTS];
const ALL: &[Job] = &[LIBVIRT, VIRTUALBOX, HOSTS, Job::LocalBenchmark];

/// One line per need: what for, the package, who uses it, how it is found.
#[rustfmt::skip]
const NEEDS: &[Need] = &[
    need("starts the machines", "vagrant", MACHINES, Found::Program(&["vagrant"])),
    need("lets Vagrant drive libvirt", "vagrant-libvirt", &[LIBVIRT], Found::Plugin("vagrant-libvirt")),
    need("keeps the machines and their networks", "libvirt-daemon-system", &[LIBVIRT], Found::Program(&["libvirtd", "virtqemud"])),
    need("asks libvirt", "libvirt-clients", &[LIBVIRT], Found::Program(&["virsh"])),
    need("gives the machines their addresses", "dnsmasq-base", &[LIBVIRT], Found::Program(&["dnsmasq"])),
    need("runs the machines", "qemu-system-x86", &[LIBVIRT], Found::Program(&["qemu-system-x86_64"])),
    need("runs the machines", "virtualbox", &[VIRTUALBOX], Found::Program(&["VBoxManage"])),
    need("makes the lab's key and opens its shells", "openssh-client", LABS, Found::Program(&["ssh-keygen"])),
    need("shows the addresses in use", "iproute2", MACHINES, Found::Program(&["ip"])),
    need("makes the machines' disks", "qemu-utils", MACHINES, Found::Program(&["qemu-img"])),
    need("makes the nodes' root file system", "mmdebstrap", ALL, Found::Program(&["mmdebstrap"])),
    need("makes it without being root", "uidmap", ALL, Found::Program(&["newuidmap"])),
    need("writes it to a disk", "e2fsprogs", MACHINES, Found::Program(&["mke2fs"])),
    need("checks Debian's signatures", "debian-archive-keyring", ALL, Found::File(&["/usr/share/keyrings/debian-archive-keyring.gpg"])),
    need("checks the servers that modules come from", "ca-certificates", ALL, Found::File(AUTHORITIES)),
    need("builds Kubernetes (1.21 or later)", apt::GO, LABS, Found::Go),
];

const fn need(purpose: &'static str, package: &'static str, jobs: &'static [Job], found: Found) -> Need {
    Need { purpose, package, jobs, found }
}

impl Need {
    /// What the user knows it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.found {
            Found::Program(names) => names[0],
            Found::File(paths) => paths[0],
            Found::Plugin(name) => name,
            Found::Go => "go",
        }
    }

    /// Whether it is what tells of a provider's machines.
    #[must_use]
    pub fn asks_for_machines(&self) -> bool {
        ["virsh", "VBoxManage"].contains(&self.name())
    }

    /// Whether this host has it.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match &self.found {
            Found::Program(names) => names.iter().any(|name| process::find(name).is_some()),
            Found::File(paths) => paths.iter().any(|path| Path::new(path).exists()),
            Found::Plugin(name) => vagrant_plugins::is_installed(name),
            Found::Go => installed_go().is_some_and(|version| version >= OLDEST_GO),
        }
    }
}

/// What `job` needs, whether it is there or not.
pub fn needed(job: Job) -> impl Iterator<Item = &'static Need> {
    NEEDS.iter().filter(move |need| need.jobs.contains(&job))
}

/// Debian's names of all packages that any job needs.
pub fn names() -> impl Iterator<Item = &'static str> {
    NEEDS.iter().map(|need| need.package)
}

/// What `job` needs and this host lacks.
#[must_use]
pub fn missing(job: Job) -> Vec<&'static Need> {
    needed(job).filter(|need| !need.is_met()).collect()
}

/// What only making artifacts takes: a bundle brings them made.
const BUILDING: &[&str] = &[
    "mmdebstrap",
    "newuidmap",
    "mke2fs",
    "go",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/etc/ssl/certs/ca-certificates.crt",
];

/// Fails if this host lacks what `job` needs to run what is made already.
pub fn must_run(job: Job) -> Result<()> {
    let mut lacking = missing(job);
    lacking.retain(|need| !BUILDING.contains(&need.name()));
    if lacking.is_empty() {
        return Ok(());
    }
    bail!("this host lacks, and a bundle does not bring:{}\ninstall it while there is a network", describe(&lacking))
}

fn installed_go() -> Option<(u32, u32)> {
    go_version(&Cmd::new(process::find("go")?).arg("version").read().ok()?)
}

/// Major and minor version from what `go version` prints.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split(' ').nth(2)?.strip_prefix("go")?;
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether the user agrees that packages are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Given on the command line.
    Given,
    /// To be asked for on this terminal.
    Ask,
    /// Cannot be had.
    None,
}

impl Consent {
    /// Given by `yes`; else asked for, where questions can be seen and answered.
    #[must_use]
    pub fn detect(yes: bool, json: bool) -> Self {
        let terminal = !json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        match (yes, terminal) {
            (true, _) => Self::Given,
            (false, true) => Self::Ask,
            (false, false) => Self::None,
        }
    }

    /// Whether the user agrees; `question` is asked where it must be.
    pub fn agreed(self, ui: &Ui, question: &str) -> Result<bool> {
        match self {
            Self::Given => Ok(true),
            Self::Ask => {
                ui.note(&format!("{question} Type y and Enter for yes:"));
                let mut answer = String::new();
                std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
                Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
            }
            Self::None => Ok(false),
        }
    }
}

/// Installs what `job` needs and this host lacks, if the user agrees; the
/// output of the commands goes to `log`. With nothing missing it says and does
/// nothing.
pub fn offer(ui: &Ui, job: Job, consent: Consent, log: &Path) -> Result<()> {
    let lacking = missing(job);
    if lacking.is_empty() {
        return Ok(());
    }
    let list = describe(&lacking);
    let installer = Installer::of_host()?;
    let packages: Vec<&str> = lacking.iter().map(|need| need.package).collect();
    if let Some(why) = installer.unknown() {
        bail!("this host lacks:{list}\n{why}; install what Debian calls: {}", packages.join(" "));
    }
    let mut by_hand = String::new();
    for need in &lacking {
        if let Some(why) = installer.by_hand(need.package)? {
            by_hand.push_str(&format!("\n  {}: {why}", need.name()));
        }
    }
    if !by_hand.is_empty() {
        bail!(
            "this host lacks:{list}\nnot installed by `provision`:{by_hand}\nand the rest by: provision doctor --fix"
        );
    }
    let commands = installer.commands(&packages);
    let lines = as_root::lines(&commands);
    if !consent.agreed(ui, &format!("This host lacks:{list}\nThis installs it:{lines}\nRun that now?"))? {
        bail!("this host lacks:{list}\ngive --yes to install it, or type:{lines}");
    }
    installer::install(ui, &packages, &commands, log)?;
    match missing(job).as_slice() {
        [] => Ok(()),
        still => bail!(
            "the packages are installed, but this host still lacks:{}\n  full log: {}",
            describe(still),
            log.display()
        ),
    }
}

fn describe(needs: &[&Need]) -> String {
    needs.iter().map(|need| format!("\n  {} ({})", need.name(), need.purpose)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_compared_as_numbers() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(go_version("go version go1.21rc2 linux/amd64"), Some((1, 21)));
        assert!(go_version("go version go1.19.8 linux/amd64").unwrap() < OLDEST_GO);
        assert_eq!(go_version("go version devel +abc"), None);
    }

    #[test]
    fn each_package_is_named_once_and_each_provider_gets_its_own() {
        let mut packages: Vec<&str> = names().collect();
        let count = packages.len();
        packages.sort_unstable();
        packages.dedup();
        assert_eq!(packages.len(), count);
        assert!(missing(LIBVIRT).iter().all(|need| need.name() != "VBoxManage"));
        assert!(missing(VIRTUALBOX).iter().all(|need| need.name() != "virsh"));
        assert!(missing(Job::LocalBenchmark).iter().all(|need| !["virsh", "vagrant", "go"].contains(&need.name())));
    }
}
