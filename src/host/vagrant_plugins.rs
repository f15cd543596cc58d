//! Vagrant's plugins, seen without Ruby, which would take seconds.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Whether Vagrant came in its makers' package, which brings its own Ruby and
/// does not see the plugins that the system's packages bring.
#[must_use]
pub fn is_makers_own() -> bool {
    Path::new("/opt/vagrant/bin/vagrant").exists()
}

/// Where this user's Vagrant keeps its boxes and plugins; it need not be there.
#[must_use]
pub fn home() -> Option<PathBuf> {
    let home = std::env::var_os("VAGRANT_HOME").map(PathBuf::from);
    home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".vagrant.d")))
}

/// Whether the plugin is installed.
#[must_use]
pub fn is_installed(name: &str) -> bool {
    lists().iter().any(|list| entry(list, name).is_some())
}

/// The version of an installed plugin, if it can be found: from Vagrant's list,
/// or the name of its specification where the system has it.
#[must_use]
pub fn version(name: &str) -> Option<String> {
    let entries: Vec<Value> = lists().iter().filter_map(|list| entry(list, name)).collect();
    let listed = entries.iter().find_map(|entry| entry["installed_gem_version"].as_str().filter(|it| !it.is_empty()));
    if entries.is_empty() || listed.is_some() {
        return listed.map(str::to_owned);
    }
    let folders = ["/usr/share/rubygems-integration/all/specifications", "/usr/share/gems/specifications"];
    let mut files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    files.find_map(|file| specified(file.file_name().to_str()?, name).map(str::to_owned))
}

/// The version in the name of a plugin's specification.
fn specified<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    let version = file.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(".gemspec")?;
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

/// Vagrant's lists of plugins: the user's, and those of the system's packages.
fn lists() -> Vec<PathBuf> {
    let packaged = std::fs::read_dir("/usr/share/vagrant-plugins/plugins.d").into_iter().flatten().flatten();
    let packaged = packaged.map(|entry| entry.path()).filter(|_| !is_makers_own());
    home().map(|home| home.join("plugins.json")).into_iter().chain(packaged).collect()
}

fn entry(list: &Path, name: &str) -> Option<Value> {
    let list: Value = serde_json::from_str(&std::fs::read_to_string(list).ok()?).ok()?;
    // Debian's packages have a file each, with the plugin at its top.
    list.get("installed").unwrap_or(&list).get(name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_found_in_vagrants_list() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("plugins.json");
        std::fs::write(&list, r#"{"version":"1","installed":{"vagrant-libvirt":{"ruby_version":"0"}}}"#).unwrap();
        assert!(entry(&list, "vagrant-libvirt").is_some());
        assert!(entry(&list, "vagrant-reload").is_none());
        std::fs::write(&list, r#"{"vagrant-libvirt":{"gem_version":"","sources":[]}}"#).unwrap();
        assert!(entry(&list, "vagrant-libvirt").is_some());
        assert!(entry(&dir.path().join("none"), "vagrant-libvirt").is_none());
    }

    #[test]
    fn a_version_is_read_from_the_name_of_a_specification() {
        assert_eq!(specified("vagrant-libvirt-0.11.2.gemspec", "vagrant-libvirt"), Some("0.11.2"));
        assert_eq!(specified("vagrant-libvirt-extra-1.0.gemspec", "vagrant-libvirt"), None);
    }
}
