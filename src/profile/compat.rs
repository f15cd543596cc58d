//! Which versions work together: the table in config/compatibility.toml, and
//! what follows from it for a profile.

use std::sync::LazyLock;

use semver::{Version, VersionReq};
use serde::Deserialize;

/// The table, as published.
pub const TABLE: &str = include_str!("../../config/compatibility.toml");

static PARSED: LazyLock<Result<Table, String>> =
    LazyLock::new(|| toml::from_str(TABLE).map_err(|error| error.to_string()));

/// All of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The Kubernetes versions on offer, the newest first.
    pub kubernetes: Vec<Kubernetes>,
    /// The containerd versions that are known, ours first.
    pub containerd: Vec<Containerd>,
    /// Pairs of crun and WasmEdge.
    pub wasm: Vec<Wasm>,
    /// What the boxes have of them.
    #[serde(rename = "box")]
    pub boxes: Vec<BoxEntry>,
}

/// A Kubernetes and what goes with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Without `v`.
    pub version: Version,
    /// Each of them takes some versions of containerd.
    pub containerd: Vec<VersionReq>,
    /// The tag of etcd's image that its kubeadm asks for.
    pub etcd: String,
    /// The tag of CoreDNS' image.
    pub coredns: String,
    /// The tag of pause's image.
    pub pause: String,
    /// Who says so.
    pub sources: Vec<String>,
}

/// A containerd.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Containerd {
    /// Without `v`.
    pub version: Version,
    /// Who brings it: `provision` is this program.
    pub from: String,
    /// Who says so.
    pub sources: Vec<String>,
}

/// A crun with the WasmEdge that it was built for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wasm {
    /// crun's version.
    pub crun: String,
    /// WasmEdge's version.
    pub wasmedge: String,
    /// The distribution that has both.
    pub from: String,
    /// Who says so.
    pub sources: Vec<String>,
}

/// What a box has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxEntry {
    /// As in a profile's `box`.
    pub name: String,
    /// Its system.
    pub system: String,
    /// Its crun.
    pub crun: String,
    /// Its WasmEdge.
    pub wasmedge: String,
}

/// The table that this program was compiled with.
///
/// # Panics
/// If it cannot be read, which a test excludes.
#[must_use]
pub fn table() -> &'static Table {
    match PARSED.as_ref() {
        Ok(table) => table,
        Err(error) => panic!("config/compatibility.toml: {error}"),
    }
}

impl Table {
    /// The row of a Kubernetes version (without `v`).
    #[must_use]
    pub fn kubernetes(&self, version: &str) -> Option<&Kubernetes> {
        self.kubernetes.iter().find(|row| row.version.to_string() == version)
    }

    /// The containerd that this program builds.
    #[must_use]
    pub fn own_containerd(&self) -> Option<&Version> {
        self.containerd.iter().find(|row| row.from == "provision").map(|row| &row.version)
    }

    /// Why these two do not work together and the nearest pair that does; `None`
    /// if they do, or if this Kubernetes is not in the table.
    #[must_use]
    pub fn refuses(&self, kubernetes: &str, containerd: &str) -> Option<String> {
        let row = self.kubernetes(kubernetes)?;
        let wanted = parse(containerd)?;
        if row.takes(&wanted) {
            return None;
        }
        let nearest = self.own_containerd().filter(|own| row.takes(own));
        let nearest =
            nearest.map(|own| format!("; the nearest pair that works: Kubernetes {kubernetes} with containerd {own}"));
        let last = self.kubernetes.iter().find(|other| other.takes(&wanted));
        let last = last.map(|other| format!(" (containerd {containerd} works up to Kubernetes {})", other.version));
        Some(format!(
            "Kubernetes {kubernetes} does not work with containerd {containerd}, it takes {}{}{}",
            row.containerd_in_words(),
            nearest.unwrap_or_default(),
            last.unwrap_or_default()
        ))
    }

    /// Why a crun does not start this WasmEdge, and the pairs that work.
    #[must_use]
    pub fn refuses_wasm(&self, crun: &str, wasmedge: &str) -> Option<String> {
        if self.wasm.iter().any(|pair| pair.crun == crun && pair.wasmedge == wasmedge) {
            return None;
        }
        let pairs: Vec<String> =
            self.wasm.iter().map(|pair| format!("{} with {} ({})", pair.crun, pair.wasmedge, pair.from)).collect();
        Some(format!("crun {crun} is not known to start WasmEdge {wasmedge}; pairs that work: {}", pairs.join(", ")))
    }
}

impl Kubernetes {
    /// Whether it works with this containerd.
    #[must_use]
    pub fn takes(&self, containerd: &Version) -> bool {
        self.containerd.iter().any(|requirement| requirement.matches(containerd))
    }

    /// The name of etcd's image.
    #[must_use]
    pub fn etcd_image(&self) -> String {
        format!("registry.k8s.io/etcd:{}", self.etcd)
    }

    /// The name of CoreDNS' image.
    #[must_use]
    pub fn coredns_image(&self) -> String {
        format!("registry.k8s.io/coredns/coredns:{}", self.coredns)
    }

    /// The name of pause's image.
    #[must_use]
    pub fn pause_image(&self) -> String {
        format!("registry.k8s.io/pause:{}", self.pause)
    }

    fn containerd_in_words(&self) -> String {
        let words = self.containerd.iter().map(|requirement| {
            let text = requirement.to_string();
            match text.strip_prefix('~') {
                Some(from) => format!("{from} and later patches of it"),
                None => format!("{} or later", text.trim_start_matches(">=")),
            }
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// A version of up to three numbers; `1.7` stands for its newest patch.
#[must_use]
pub fn parse(text: &str) -> Option<Version> {
    let numbers: Vec<u64> = text.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [major, minor] => Some(Version::new(major, minor, u64::from(u32::MAX))),
        [major, minor, patch] => Some(Version::new(major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::types::KUBERNETES_VERSIONS;

    #[test]
    fn the_table_offers_what_the_profile_offers_and_every_row_has_a_source() {
        let table = table();
        let offered: Vec<String> = table.kubernetes.iter().map(|row| row.version.to_string()).collect();
        assert_eq!(offered, KUBERNETES_VERSIONS);
        let sources = table.kubernetes.iter().map(|row| &row.sources);
        let sources = sources.chain(table.containerd.iter().map(|row| &row.sources));
        let mut sources = sources.chain(table.wasm.iter().map(|row| &row.sources));
        assert!(sources.all(|sources| !sources.is_empty()));
        assert!(table.boxes.iter().all(|entry| table.refuses_wasm(&entry.crun, &entry.wasmedge).is_none()));
    }

    #[test]
    fn every_kubernetes_works_with_our_containerd() {
        let own = table().own_containerd().unwrap();
        assert!(table().kubernetes.iter().all(|row| row.takes(own)));
    }

    #[test]
    fn pairs_are_refused_by_the_project_s_own_table() {
        let refused = |kubernetes, containerd| table().refuses(kubernetes, containerd);
        assert_eq!(refused("1.35.4", "1.7.28"), None);
        assert_eq!(refused("1.35.4", "1.7"), None);
        assert!(refused("1.35.4", "1.7.24").is_some());
        assert_eq!(refused("1.36.3", "2.2.5"), None);
        assert!(refused("1.37.2", "2.2.5").is_some());
        assert_eq!(
            refused("1.36.3", "1.7").unwrap(),
            "Kubernetes 1.36.3 does not work with containerd 1.7, it takes 2.3.0 or later, 2.2.0 and later patches of it; \
             the nearest pair that works: Kubernetes 1.36.3 with containerd 2.4.1 (containerd 1.7 works up to Kubernetes 1.35.4)"
        );
    }

    #[test]
    fn a_crun_that_was_built_for_another_wasmedge_is_refused() {
        assert_eq!(table().refuses_wasm("1.21", "0.14.1"), None);
        let refused = table().refuses_wasm("1.21", "0.13.5").unwrap();
        assert!(
            refused.contains("crun 1.21 is not known to start WasmEdge 0.13.5")
                && refused.contains("1.14.1 with 0.13.5")
        );
    }
}
