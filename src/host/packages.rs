//! The programs that making and running a lab takes: which of them this host
//! lacks, and the offer to install just those.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::process::{self, Cmd};
use crate::profile::Provider;
use crate::ui::Ui;

/// The oldest Go that fetches the newer Go that a module asks for.
const OLDEST_GO: (u32, u32) = (1, 21);

/// Something that the main job uses.
#[derive(Debug, PartialEq, Eq)]
pub struct Need {
    /// What it is for, as words after a program's or package's name.
    pub purpose: &'static str,
    /// The package of Debian that has it; none if Debian has no such package.
    pub package: Option<&'static str>,
    /// Who uses it.
    jobs: &'static [Job],
    found: Found,
}

/// How one sees that something is there.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// One of these programs.
    Program(&'static [&'static str]),
    /// This file.
    File(&'static str),
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
const LABS: &[Job] = &[LIBVIRT, VIRTUALBOX];
const ALL: &[Job] = &[LIBVIRT, VIRTUALBOX, Job::LocalBenchmark];

/// One line per need: what for, the package, who uses it, how it is found.
#[rustfmt::skip]
const NEEDS: &[Need] = &[
    need("starts the machines", Some("vagrant"), LABS, Found::Program(&["vagrant"])),
    need("lets Vagrant drive libvirt", Some("vagrant-libvirt"), &[LIBVIRT], Found::Plugin("vagrant-libvirt")),
    need("keeps the machines and their networks", Some("libvirt-daemon-system"), &[LIBVIRT], Found::Program(&["libvirtd", "virtqemud"])),
    need("asks libvirt", Some("libvirt-clients"), &[LIBVIRT], Found::Program(&["virsh"])),
    need("gives the machines their addresses", Some("dnsmasq-base"), &[LIBVIRT], Found::Program(&["dnsmasq"])),
    need("runs the machines", Some("qemu-system-x86"), &[LIBVIRT], Found::Program(&["qemu-system-x86_64"])),
    need("runs the machines", None, &[VIRTUALBOX], Found::Program(&["VBoxManage"])),
    need("makes the lab's key and opens its shells", Some("openssh-client"), LABS, Found::Program(&["ssh-keygen"])),
    need("shows the addresses in use", Some("iproute2"), LABS, Found::Program(&["ip"])),
    need("makes the machines' disks", Some("qemu-utils"), LABS, Found::Program(&["qemu-img"])),
    need("makes the nodes' root file system", Some("mmdebstrap"), ALL, Found::Program(&["mmdebstrap"])),
    need("makes it without being root", Some("uidmap"), ALL, Found::Program(&["newuidmap"])),
    need("writes it to a disk", Some("e2fsprogs"), LABS, Found::Program(&["mke2fs"])),
    need("checks Debian's signatures", Some("debian-archive-keyring"), ALL, Found::File("/usr/share/keyrings/debian-archive-keyring.gpg")),
    need("checks the servers that modules come from", Some("ca-certificates"), ALL, Found::File("/etc/ssl/certs/ca-certificates.crt")),
    need("builds Kubernetes (1.21 or later)", Some(apt::GO), LABS, Found::Go),
];

const fn need(purpose: &'static str, package: Option<&'static str>, jobs: &'static [Job], found: Found) -> Need {
    Need { purpose, package, jobs, found }
}

impl Need {
    /// What the user knows it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.found {
            Found::Program(names) => names[0],
            Found::File(path) => path,
            Found::Plugin(name) => name,
            Found::Go => "go",
        }
    }

    fn is_met(&self) -> bool {
        match &self.found {
            Found::Program(names) => names.iter().any(|name| process::find(name).is_some()),
            Found::File(path) => Path::new(path).exists(),
            Found::Plugin(name) => plugin_lists().iter().any(|list| lists_plugin(list, name)),
            Found::Go => installed_go().is_some_and(|version| version >= OLDEST_GO),
        }
    }
}

/// What `job` needs and this host lacks.
#[must_use]
pub fn missing(job: Job) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| need.jobs.contains(&job)).filter(|need| !need.is_met()).collect()
}

/// Vagrant's lists of plugins: the user's, and the one of Debian's packages.
/// Reading them takes no Ruby, which would take seconds.
fn plugin_lists() -> Vec<PathBuf> {
    let home = std::env::var_os("VAGRANT_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".vagrant.d")));
    let packaged = std::fs::read_dir("/usr/share/vagrant-plugins/plugins.d").into_iter().flatten().flatten();
    // Vagrant's own packages bring their Ruby and do not see Debian's plugins.
    let debian = !Path::new("/opt/vagrant/bin/vagrant").exists();
    let packaged = packaged.map(|entry| entry.path()).filter(|_| debian);
    home.map(|home| home.join("plugins.json")).into_iter().chain(packaged).collect()
}

fn lists_plugin(list: &Path, name: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(list) else { return false };
    let Ok(list) = serde_json::from_str::<serde_json::Value>(&text) else { return false };
    // Debian's packages have a file each, with the plugin at its top.
    list.get("installed").unwrap_or(&list).get(name).is_some()
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
/// output of apt goes to `log`. With nothing missing it says and does nothing.
pub fn offer(ui: &Ui, job: Job, consent: Consent, log: &Path) -> Result<()> {
    let lacking = missing(job);
    if lacking.is_empty() {
        return Ok(());
    }
    let list = describe(&lacking);
    if let Some(need) = lacking.iter().find(|need| need.package.is_none()) {
        bail!(
            "this host lacks:{list}\nDebian has no package of {0}; install it by hand so that {0} is on PATH",
            need.name()
        );
    }
    if lacking.iter().any(|need| need.name() == "vagrant-libvirt") && Path::new("/opt/vagrant/bin/vagrant").exists() {
        bail!("this host lacks:{list}\nits Vagrant is not Debian's; type: vagrant plugin install vagrant-libvirt");
    }
    let packages: Vec<&str> = lacking.iter().filter_map(|need| need.package).collect();
    if process::find("apt-get").is_none() {
        bail!("this host lacks:{list}\nit has no apt-get; install what Debian calls: {}", packages.join(" "));
    }
    let plan = apt::plan(&packages, &apt::Facts::of_host(OLDEST_GO)?, OLDEST_GO);
    let lines = plan.iter().map(|step| format!("\n  {}", step.line())).collect::<String>();
    if !consent.agreed(ui, &format!("This host lacks:{list}\nThis installs it:{lines}\nRun that now?"))? {
        bail!("this host lacks:{list}\ngive --yes to install it, or type:{lines}");
    }
    apt::authorise(&plan)?;
    let task = ui.task("packages", format!("Install {}", packages.join(", ")));
    let installed = apt::run(&plan, log, |line| task.say(line));
    task.close(installed)?;
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
    fn a_plugin_is_found_in_vagrants_list() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("plugins.json");
        std::fs::write(&list, r#"{"version":"1","installed":{"vagrant-libvirt":{"ruby_version":"0"}}}"#).unwrap();
        assert!(lists_plugin(&list, "vagrant-libvirt"));
        assert!(!lists_plugin(&list, "vagrant-reload"));
        std::fs::write(&list, r#"{"vagrant-libvirt":{"gem_version":"","sources":[]}}"#).unwrap();
        assert!(lists_plugin(&list, "vagrant-libvirt"));
        assert!(!lists_plugin(&dir.path().join("none"), "vagrant-libvirt"));
    }

    #[test]
    fn each_package_is_named_once_and_each_provider_gets_its_own() {
        let mut packages: Vec<&str> = NEEDS.iter().filter_map(|need| need.package).collect();
        let count = packages.len();
        packages.sort_unstable();
        packages.dedup();
        assert_eq!(packages.len(), count);
        assert!(missing(LIBVIRT).iter().all(|need| need.name() != "VBoxManage"));
        assert!(missing(VIRTUALBOX).iter().all(|need| need.name() != "virsh"));
        assert!(missing(Job::LocalBenchmark).iter().all(|need| !["virsh", "vagrant", "go"].contains(&need.name())));
    }
}
