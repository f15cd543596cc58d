//! What releases consist of and how they look byte for byte: the pin file.
//!
//! `provision pin` fills it by asking the hosts that publish the digests; from
//! then on the digests decide, wherever the files come from.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::artifacts::digest;
use crate::http::{Client, Trouble};
use crate::paths;
use crate::profile::compat;
use crate::profile::types::Mirrors;

/// The programs of a node that Kubernetes publishes as files.
const PROGRAMS: [&str; 3] = ["kubeadm", "kubectl", "kubelet"];
/// What a registry may answer with for an image.
pub const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// One release each.
    #[serde(default, rename = "release")]
    pub releases: Vec<Release>,
}

/// A release of Kubernetes with the containerd that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Kubernetes' version, without `v`.
    pub kubernetes: String,
    /// containerd's version, without `v`.
    pub containerd: String,
    /// The architecture in Go's words.
    pub arch: String,
    /// The files.
    #[serde(rename = "file")]
    pub files: Vec<PinnedFile>,
    /// The images.
    #[serde(rename = "image")]
    pub images: Vec<PinnedImage>,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedFile {
    /// Whose it is, and so which mirror has it.
    pub of: Project,
    /// Where, below that mirror.
    pub path: String,
    /// Hex SHA-256.
    pub sha256: String,
}

/// Who publishes files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Project {
    /// Kubernetes: `<path>.sha256` beside each file.
    Kubernetes,
    /// containerd: `<path>.sha256sum` beside each file.
    Containerd,
}

/// An image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedImage {
    /// The name on a node, with registry and tag.
    pub name: String,
    /// Of its index or manifest: `sha256:` and hex.
    pub digest: String,
}

impl Pins {
    /// Reads a pin file; one that is not there holds nothing.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Ok(Self::default());
        }
        toml::from_str(&paths::read(path)?).with_context(|| format!("read the pins in {}", path.display()))
    }

    /// The release of this Kubernetes with this containerd.
    #[must_use]
    pub fn find(&self, kubernetes: &str, containerd: &str, arch: &str) -> Option<&Release> {
        self.releases.iter().find(|release| {
            release.kubernetes == kubernetes && release.containerd == containerd && release.arch == arch
        })
    }

    /// Takes a release in, in the place of the same one.
    pub fn put(&mut self, release: Release) {
        self.releases.retain(|other| {
            (&other.kubernetes, &other.containerd, &other.arch)
                != (&release.kubernetes, &release.containerd, &release.arch)
        });
        self.releases.push(release);
        self.releases
            .sort_by(|a, b| (&b.kubernetes, &b.arch, &b.containerd).cmp(&(&a.kubernetes, &a.arch, &a.containerd)));
    }

    /// The file's text.
    pub fn text(&self) -> Result<String> {
        let text = toml::to_string(self).context("write the pins")?;
        Ok(format!(
            "# The official releases, byte for byte: written by `provision pin`, read by\n# kubernetes.source = \"release\".\n\n{text}"
        ))
    }
}

/// Asks the projects' hosts for the digests of one release.
pub fn ask(
    client: &Client,
    mirrors: &Mirrors,
    row: &compat::Kubernetes,
    containerd: &str,
    arch: &str,
    say: &dyn Fn(&str),
) -> Result<Release> {
    let version = row.version.to_string();
    let mut files = Vec::new();
    let programs = PROGRAMS.map(|name| (Project::Kubernetes, format!("v{version}/bin/linux/{arch}/{name}")));
    let archive = format!("v{containerd}/containerd-{containerd}-linux-{arch}.tar.gz");
    for (of, path) in programs.into_iter().chain([(Project::Containerd, archive)]) {
        say(&path);
        let url = format!("{}.{}", of.url(mirrors, &path), of.digest_suffix());
        let text = client.text(&url, "*/*")?;
        let sha256 = text.split_whitespace().next().unwrap_or_default().to_lowercase();
        ensure!(
            digest::is_sha256(&sha256),
            "{url} holds no SHA-256 but {:?}",
            text.chars().take(80).collect::<String>()
        );
        files.push(PinnedFile { of, path, sha256 });
    }
    let mut images = Vec::new();
    for name in image_names(row) {
        say(&name);
        let (repository, tag) = repository_of(&name)?;
        let url = format!("{}/v2/{repository}/manifests/{tag}", mirrors.images.trim_end_matches('/'));
        let text = client.text(&url, MANIFESTS)?;
        images.push(PinnedImage { name, digest: format!("sha256:{}", digest::of_bytes(text.as_bytes())) });
    }
    Ok(Release { kubernetes: version, containerd: containerd.to_owned(), arch: arch.to_owned(), files, images })
}

/// Whether the hosts of a release answer; the words say which does not.
pub fn reachable(client: &Client, mirrors: &Mirrors, release: &Release) -> Result<(), String> {
    let mut asked = Vec::new();
    for file in &release.files {
        if !asked.contains(&file.of) {
            asked.push(file.of);
            let url = format!("{}.{}", file.of.url(mirrors, &file.path), file.of.digest_suffix());
            client.text(&url, "*/*").map_err(|trouble: Trouble| trouble.to_string())?;
        }
    }
    // Every registry answers here, if only to ask for a name and a password.
    let url = format!("{}/v2/", mirrors.images.trim_end_matches('/'));
    client.text(&url, "*/*").map(drop).map_err(|trouble| trouble.to_string())
}

impl Project {
    /// Where a file of this project is.
    #[must_use]
    pub fn url(self, mirrors: &Mirrors, path: &str) -> String {
        let base = match self {
            Self::Kubernetes => &mirrors.kubernetes,
            Self::Containerd => &mirrors.containerd,
        };
        format!("{}/{path}", base.trim_end_matches('/'))
    }

    fn digest_suffix(self) -> &'static str {
        match self {
            Self::Kubernetes => "sha256",
            Self::Containerd => "sha256sum",
        }
    }
}

/// The images of a control plane, as kubeadm names them.
#[must_use]
pub fn image_names(row: &compat::Kubernetes) -> Vec<String> {
    let kube = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"];
    let kube = kube.map(|name| format!("registry.k8s.io/{name}:v{}", row.version));
    kube.into_iter().chain([row.etcd_image(), row.coredns_image(), row.pause_image()]).collect()
}

/// An image's repository and tag in whatever registry has it.
pub fn repository_of(name: &str) -> Result<(&str, &str)> {
    let path = name.split_once('/').map(|(_, path)| path);
    path.and_then(|path| path.rsplit_once(':')).with_context(|| format!("image {name} has no registry and tag"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(kubernetes: &str) -> Release {
        let file = PinnedFile { of: Project::Kubernetes, path: "v1/bin".into(), sha256: "0".repeat(64) };
        let image = PinnedImage { name: "registry.k8s.io/pause:3".into(), digest: "sha256:00".into() };
        Release {
            kubernetes: kubernetes.into(),
            containerd: "2.4.1".into(),
            arch: "amd64".into(),
            files: vec![file],
            images: vec![image],
        }
    }

    #[test]
    fn a_release_replaces_the_same_one_and_survives_the_file() {
        let mut pins = Pins::default();
        pins.put(release("1.36.3"));
        pins.put(release("1.37.2"));
        let mut changed = release("1.36.3");
        changed.files[0].path = "v2/bin".into();
        pins.put(changed);
        let back: Pins = toml::from_str(&pins.text().unwrap()).unwrap();
        assert_eq!(back, pins);
        assert_eq!(back.releases.len(), 2);
        assert_eq!(back.find("1.36.3", "2.4.1", "amd64").unwrap().files[0].path, "v2/bin");
        assert_eq!(back.find("1.36.3", "2.4.1", "arm64"), None);
    }

    #[test]
    fn images_are_found_in_any_registry() {
        assert_eq!(repository_of("registry.k8s.io/coredns/coredns:v1.14.6").unwrap(), ("coredns/coredns", "v1.14.6"));
        assert!(repository_of("pause").is_err());
    }
}
