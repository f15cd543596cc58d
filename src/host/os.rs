//! Which operating system this host runs, by its os-release file, and how
//! packages are installed there where it is not by apt.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::as_root::AsRoot;

/// An operating system, as os-release(5) describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// Its name for people, such as `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// Its own identifier and those of what it is like, nearest first.
    pub ids: Vec<String>,
    /// The release's name, such as `bookworm`, if it has one.
    pub codename: String,
}

impl Os {
    /// This host's.
    #[must_use]
    pub fn of_host() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        Self::parse(&read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default())
    }

    /// What an os-release file says; its values are quoted as in a shell.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let raw = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            shell_words::split(raw).ok()?.into_iter().next()
        };
        let mut ids: Vec<String> = value("ID").into_iter().collect();
        ids.extend(value("ID_LIKE").unwrap_or_default().split_whitespace().map(str::to_owned));
        let name = value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_else(|| "an unknown system".into());
        // sid's os-release has no name of its own release but that of testing.
        Self { name, ids, codename: value("VERSION_CODENAME").unwrap_or_default() }
    }

    /// Whether its packages are Debian's, or called as they are there.
    #[must_use]
    pub fn is_debian(&self) -> bool {
        self.ids.iter().any(|id| ["debian", "ubuntu"].contains(&id.as_str()))
    }

    /// The family of distributions that it belongs to, if it is not Debian's.
    pub fn family(&self) -> Result<Option<&'static Family>> {
        let families = families()?;
        Ok(self.ids.iter().find_map(|id| families.iter().find(|family| family.ids.contains(id))))
    }
}

/// Distributions that install packages in one way; a table of
/// `config/distributions.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Its name for people.
    pub name: String,
    /// os-release's identifiers that belong to it.
    ids: Vec<String>,
    /// Where the names of packages were looked up.
    pub source: String,
    /// Words of the command that reads the lists of packages anew, if one is needed.
    #[serde(default)]
    refresh: Vec<String>,
    /// Words of the command that installs the packages named after them.
    install: Vec<String>,
    /// Debian's name of a package to the names here.
    packages: BTreeMap<String, Vec<String>>,
    /// Debian's name of a package to how one gets it here, where it is no package.
    #[serde(default)]
    elsewhere: BTreeMap<String, String>,
}

impl Family {
    /// What Debian calls `package` is got here as this sentence says; none if
    /// it is a package here, too.
    #[must_use]
    pub fn by_hand(&self, package: &str) -> Option<String> {
        if self.packages.contains_key(package) {
            return None;
        }
        Some(self.elsewhere.get(package).cloned().unwrap_or_else(|| format!("{} has no package of it", self.name)))
    }

    /// The commands that install what Debian calls `packages`.
    #[must_use]
    pub fn plan(&self, packages: &[&str], root: bool) -> Vec<AsRoot> {
        let mut words = self.install.clone();
        for name in packages.iter().filter_map(|package| self.packages.get(*package)).flatten() {
            if !words.contains(name) {
                words.push(name.clone());
            }
        }
        let refresh = (!self.refresh.is_empty()).then(|| AsRoot::new(root, &self.refresh));
        refresh.into_iter().chain([AsRoot::new(root, &words)]).collect()
    }
}

fn families() -> Result<&'static [Family]> {
    #[derive(Deserialize)]
    struct File {
        family: Vec<Family>,
    }
    static FAMILIES: OnceLock<Vec<Family>> = OnceLock::new();
    if let Some(families) = FAMILIES.get() {
        return Ok(families);
    }
    let file: File = toml::from_str(include_str!("../../config/distributions.toml"))
        .context("read the built-in config/distributions.toml")?;
    Ok(FAMILIES.get_or_init(|| file.family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::packages;

    // As their images ship them, shortened.
    const FEDORA: &str = "NAME=\"Fedora Linux\"\nVERSION=\"43 (Server Edition)\"\nID=fedora\nVERSION_ID=43\nVERSION_CODENAME=\"\"\nPRETTY_NAME=\"Fedora Linux 43 (Server Edition)\"\n";
    const ARCH: &str = "NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n";
    const TUMBLEWEED: &str = "NAME=\"openSUSE Tumbleweed\"\nID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\nPRETTY_NAME=\"openSUSE Tumbleweed\"\n";
    const UBUNTU: &str = "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=noble\n";
    const MINT: &str = "NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\nPRETTY_NAME=\"Linux Mint 22\"\n";
    const ALPINE: &str = "NAME=\"Alpine Linux\"\nID=alpine\nPRETTY_NAME=\"Alpine Linux v3.23\"\n";

    #[test]
    fn the_release_is_read_from_its_file() {
        let ubuntu = Os::parse(UBUNTU);
        assert_eq!((ubuntu.codename.as_str(), ubuntu.name.as_str()), ("noble", "Ubuntu 24.04.3 LTS"));
        assert!(ubuntu.is_debian() && Os::parse(MINT).is_debian());
        let arch = Os::parse(ARCH);
        assert_eq!((arch.codename.as_str(), arch.is_debian()), ("", false));
        assert_eq!(Os::parse("").name, "an unknown system");
    }

    #[test]
    fn each_family_installs_by_its_own_commands() {
        let needed: Vec<&str> = packages::names().collect();
        let shown = |release: &str| {
            let os = Os::parse(release);
            let family = os.family().unwrap().unwrap();
            let there: Vec<&str> = needed.iter().copied().filter(|name| family.by_hand(name).is_none()).collect();
            let by_hand = needed.iter().filter_map(|name| Some(format!("{name}: {}", family.by_hand(name)?)));
            let lines = family.plan(&there, false).iter().map(AsRoot::line).chain(by_hand).collect::<Vec<_>>();
            format!("{}\n{}", os.name, lines.join("\n"))
        };
        insta::assert_snapshot!([FEDORA, ARCH, TUMBLEWEED].map(shown).join("\n\n"));
        assert!(Os::parse(ALPINE).family().unwrap().is_none());
        assert!(Os::parse(UBUNTU).family().unwrap().is_none());
    }

    #[test]
    fn every_name_in_the_data_is_a_package_that_something_needs() {
        for family in families().unwrap() {
            assert!(family.source.starts_with("https://"), "{}", family.name);
            for name in family.packages.keys().chain(family.elsewhere.keys()) {
                assert!(packages::names().any(|needed| needed == name), "{}: {name}", family.name);
            }
        }
    }
}
