//! Which versions of Vagrant, its plugins, libvirt, QEMU, VirtualBox and the
//! kernel work together, and which do not: `config/known-good.toml`, each entry
//! with its source.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use semver::{Version, VersionReq};
use serde::Deserialize;

use super::vagrant_plugins;
use crate::process::{self, Cmd};

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(20);

/// What is installed here: name to version. The names are those of the data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// `vagrant`, `vagrant-libvirt`, `libvirt`, `qemu`, `virtualbox`, `kernel`.
    pub versions: BTreeMap<&'static str, Version>,
    /// Whether the loaded KVM holds the CPU's virtualisation all the time; none
    /// if it is not loaded or too old to say.
    pub kvm_at_load: Option<bool>,
}

/// Versions that were seen to work together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Good {
    /// Where they are found together.
    pub name: String,
    versions: BTreeMap<String, VersionReq>,
    /// A page that says so.
    pub source: String,
    /// Which of our tests runs them, if one does.
    #[serde(default)]
    pub exercised: Option<String>,
}

/// Versions that do not work together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clash {
    versions: BTreeMap<String, VersionReq>,
    #[serde(default)]
    kvm_at_load: Option<bool>,
    /// What goes wrong.
    pub text: String,
    /// What to do or type.
    pub next: String,
    /// A page that says so.
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    good: Vec<Good>,
    clash: Vec<Clash>,
}

fn file() -> Result<&'static File> {
    static FILE: OnceLock<File> = OnceLock::new();
    if let Some(file) = FILE.get() {
        return Ok(file);
    }
    let file = toml::from_str(include_str!("../../config/known-good.toml"))
        .context("read the built-in config/known-good.toml")?;
    Ok(FILE.get_or_init(|| file))
}

impl Installed {
    /// Asks this host; the programs are run, which takes up to a second.
    #[must_use]
    pub fn on_host() -> Self {
        let says = |program: &str, words: &[&str]| {
            let output = Cmd::new(process::find(program)?).args(words).timeout(LIMIT).output().ok()?;
            last_version(&output.stdout)
        };
        let found = [
            ("vagrant", says("vagrant", &["--version"])),
            ("vagrant-libvirt", vagrant_plugins::version("vagrant-libvirt").as_deref().and_then(last_version)),
            ("libvirt", says("virsh", &["--version"])),
            ("qemu", says("qemu-system-x86_64", &["--version"])),
            ("virtualbox", says("VBoxManage", &["--version"])),
            ("kernel", std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().as_deref().and_then(last_version)),
        ];
        let modules = Path::new("/sys/module");
        let loaded = ["kvm_intel", "kvm_amd"].iter().any(|name| modules.join(name).exists());
        let at_load =
            std::fs::read_to_string(modules.join("kvm/parameters/enable_virt_at_load")).ok().filter(|_| loaded);
        Self {
            versions: found.into_iter().filter_map(|(name, version)| Some((name, version?))).collect(),
            kvm_at_load: at_load.map(|value| value.trim() == "Y"),
        }
    }

    fn meets(&self, versions: &BTreeMap<String, VersionReq>) -> bool {
        versions.iter().all(|(name, wanted)| self.versions.get(name.as_str()).is_some_and(|is| wanted.matches(is)))
    }

    /// `vagrant 2.3.4, libvirt 9.0.0` of those of `names` that are there.
    #[must_use]
    pub fn words(&self, names: &[&str]) -> String {
        let there = names.iter().filter_map(|name| Some(format!("{name} {}", self.versions.get(name)?)));
        there.collect::<Vec<_>>().join(", ")
    }
}

impl Clash {
    /// What clashes, with the versions that are here.
    #[must_use]
    pub fn between(&self, installed: &Installed) -> String {
        let names: Vec<&str> = self.versions.keys().map(String::as_str).collect();
        installed.words(&names)
    }

    /// Whether it is about `name`.
    #[must_use]
    pub fn concerns(&self, name: &str) -> bool {
        self.versions.contains_key(name)
    }
}

/// Everything that is known to clash among what is installed.
pub fn clashes(installed: &Installed) -> Result<Vec<&'static Clash>> {
    let clashes = file()?.clash.iter().filter(|clash| {
        installed.meets(&clash.versions) && clash.kvm_at_load.is_none_or(|wanted| installed.kvm_at_load == Some(wanted))
    });
    Ok(clashes.collect())
}

/// The known good set about `name` that is installed here.
pub fn good(installed: &Installed, name: &str) -> Result<Option<&'static Good>> {
    Ok(file()?.good.iter().find(|good| good.versions.contains_key(name) && installed.meets(&good.versions)))
}

/// The names of all known good sets about `name`.
pub fn good_names(name: &str) -> Result<Vec<&'static str>> {
    Ok(file()?.good.iter().filter(|good| good.versions.contains_key(name)).map(|good| good.name.as_str()).collect())
}

/// The version in the last line that has one: some programs warn first. What
/// follows the third number (`r170995`, `.dev`, `-amd64`) says nothing here.
fn last_version(text: &str) -> Option<Version> {
    text.lines().rev().find_map(|line| {
        let line = line.split_once('(').map_or(line, |(line, _)| line);
        let word = line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = word.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u64>);
        let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Version::new(major, minor, numbers.next().and_then(Result::ok).unwrap_or(0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(versions: &[(&'static str, &str)], kvm_at_load: Option<bool>) -> Installed {
        let versions = versions.iter().map(|(name, version)| (*name, last_version(version).unwrap()));
        Installed { versions: versions.collect(), kvm_at_load }
    }

    fn texts(installed: &Installed) -> Vec<&'static str> {
        clashes(installed).unwrap().iter().map(|clash| clash.text.as_str()).collect()
    }

    #[test]
    fn versions_are_read_from_what_the_programs_print() {
        let read = |text: &str| last_version(text).map(|version| version.to_string());
        assert_eq!(read("Vagrant 2.3.4\n").as_deref(), Some("2.3.4"));
        assert_eq!(read("Vagrant 2.3.8.dev\n").as_deref(), Some("2.3.8"));
        assert_eq!(read("9.0.0\n").as_deref(), Some("9.0.0"));
        let qemu =
            "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022 Fabrice Bellard\n";
        assert_eq!(read(qemu).as_deref(), Some("7.2.22"));
        let virtualbox = "WARNING: The character device /dev/vboxdrv does not exist.\n7.2.4_Debianr170995\n";
        assert_eq!(read(virtualbox).as_deref(), Some("7.2.4"));
        assert_eq!(read("6.12.43+deb13-amd64\n").as_deref(), Some("6.12.43"));
        assert_eq!(read("6.12-rc1\n").as_deref(), Some("6.12.0"));
        assert_eq!(read("no version\n"), None);
    }

    #[test]
    fn debian_12s_own_are_good_and_do_not_clash() {
        let debian = installed(
            &[("vagrant", "2.3.4"), ("vagrant-libvirt", "0.11.2"), ("libvirt", "9.0.0"), ("qemu", "7.2.22")],
            None,
        );
        assert_eq!(good(&debian, "vagrant-libvirt").unwrap().unwrap().name, "Debian 12");
        assert_eq!(texts(&debian), [""; 0]);
        assert!(good(&installed(&[("vagrant", "2.4.1")], None), "vagrant-libvirt").unwrap().is_none());
    }

    #[test]
    fn virtualbox_and_kvm_get_along_by_version_and_parameter() {
        let host = |virtualbox, kernel, at_load| {
            installed(&[("vagrant", "2.4.9"), ("virtualbox", virtualbox), ("kernel", kernel)], at_load)
        };
        assert_eq!(texts(&host("7.2.4", "6.1.0", None)), [""; 0]);
        assert!(texts(&host("7.2.4", "6.12.43", Some(true)))[0].contains("VERR_VMX_IN_VMX_ROOT_MODE"));
        assert_eq!(texts(&host("7.2.4", "6.12.43", Some(false))), [""; 0]);
        assert_eq!(texts(&host("7.2.4", "6.12.43", None)), [""; 0]);
        assert_eq!(texts(&host("7.2.14", "6.18.2", Some(true))), [""; 0]);
        assert!(texts(&host("7.2.14", "6.18.2", Some(false)))[0].contains("SVME_NOT_ENABLED"));
        assert_eq!(texts(&host("7.2.14", "6.12.43", Some(true))).len(), 1);
        assert_eq!(texts(&host("7.2.10", "7.1.0", Some(true))).len(), 1);
    }

    #[test]
    fn a_vagrant_that_is_too_old_for_virtualbox_is_one_clash() {
        for (vagrant, virtualbox, count) in [
            ("2.3.1", "7.2.4", 1),
            ("2.3.8", "7.2.4", 1),
            ("2.4.7", "7.2.4", 1),
            ("2.4.7", "7.1.8", 0),
            ("2.4.9", "7.2.4", 0),
        ] {
            let host = installed(&[("vagrant", vagrant), ("virtualbox", virtualbox), ("kernel", "6.1.0")], None);
            let clashes = clashes(&host).unwrap();
            assert_eq!(clashes.len(), count, "{vagrant} {virtualbox}");
            assert!(
                clashes
                    .iter()
                    .all(|clash| clash.between(&host) == format!("vagrant {vagrant}, virtualbox {virtualbox}"))
            );
        }
    }

    #[test]
    fn every_entry_has_a_source_and_names_things_that_are_looked_up() {
        let known = ["vagrant", "vagrant-libvirt", "libvirt", "qemu", "virtualbox", "kernel"];
        let file = file().unwrap();
        let good = file.good.iter().map(|good| (&good.versions, &good.source));
        for (versions, source) in good.chain(file.clash.iter().map(|clash| (&clash.versions, &clash.source))) {
            assert!(source.starts_with("https://"), "{source}");
            assert!(versions.keys().all(|name| known.contains(&name.as_str())), "{versions:?}");
        }
    }
}
