//! The files of a node as they lie under `/opt/provision` on it: static
//! scripts, configuration rendered from the profile, and one small env file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use include_dir::{Dir, include_dir};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{paths, templates};

static NODE: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/node");

/// Everything a node's files depend on. The same names, in upper case, are the
/// variables of `node.env`.
#[derive(Debug, Clone, Serialize)]
pub struct NodeValues {
    /// The lab's name.
    pub lab: String,
    /// The node's name.
    pub node_name: String,
    /// `control-plane` or `worker`.
    pub node_role: String,
    /// Whether the cluster begins on this node; the others join it.
    pub first: bool,
    /// The node's address in the lab's network.
    pub node_ip: String,
    /// The lab's network: its machines and this host.
    pub machine_cidr: String,
    /// The DNS server that the machines reach.
    pub nameserver: String,
    /// Range of the addresses of this node's pods.
    pub node_pods: String,
    /// The other nodes' pods and how they are reached.
    pub routes: Vec<Route>,
    /// Where the cluster's API is reached.
    pub api_address: String,
    /// The other nodes that hold the control plane, by address; none where there is one only.
    pub control_plane_peers: Vec<String>,
    /// This control plane's claim to the shared address; the highest holds it.
    pub api_priority: u32,
    /// Whether the machine is the lab's own: its name and resolver are ours to
    /// set.
    pub own: bool,
    /// Whether its system comes without a node's packages, programs and images.
    pub plain: bool,
    /// Whether the machine is emulated.
    pub emulated: bool,
    /// Whether there is no other node.
    pub single_node: bool,
    /// Range of the pods' addresses.
    pub pod_cidr: String,
    /// Range of the services' addresses.
    pub service_cidr: String,
    /// Address of the cluster's DNS service.
    pub cluster_dns: String,
    /// Without the `v`.
    pub kubernetes_version: String,
    /// How it reaches the outside.
    #[serde(flatten)]
    pub reach: Reach,
    /// What runs containers: `containerd` or `crio`.
    pub runtime_manager: String,
    /// Where the kubelet finds it.
    pub cri_socket: String,
    /// The Debian packages of CRI-O, of this Kubernetes' minor version.
    pub crio_repository: String,
    /// The image of a pod's first process, which kubeadm of that version names.
    pub pause_image: String,
}

/// How a node reaches the outside; empty strings are nothing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reach {
    /// The proxy for `http://`.
    pub proxy_http: String,
    /// The proxy for `https://`.
    pub proxy_https: String,
    /// Hosts and networks without one, separated by commas.
    pub proxy_none: String,
    /// Pairs `registry=url`, separated by blanks.
    pub registry_mirrors: String,
    /// Authorities to trust (PEM); a file of its own, not in `node.env`.
    pub authorities: String,
}

/// A way from a node to the pods of another.
#[derive(Debug, Clone, Serialize)]
pub struct Route {
    /// The pods' range.
    pub pods: String,
    /// Their node's address.
    pub via: String,
}

/// One node's files: path below `/opt/provision`, mode and content.
#[derive(Debug, Clone)]
pub struct NodeFiles {
    files: BTreeMap<String, (u32, String)>,
    hash: String,
}

impl NodeFiles {
    /// Renders all files of a node.
    pub fn render(values: &NodeValues) -> Result<Self> {
        let mut files = BTreeMap::new();
        for file in files_of(&NODE) {
            let path = file.path().to_str().context("a template's path is not UTF-8")?;
            let text = file.contents_utf8().with_context(|| format!("template {path} is not UTF-8"))?;
            if let Some(target) = path.strip_suffix(".tera") {
                let text = templates::render(path, text, values)?;
                // A file that this node has no use for renders to nothing.
                if !text.trim().is_empty() {
                    files.insert(target.to_owned(), (0o644, text));
                }
            } else if path.ends_with(".sh") {
                files.insert(path.to_owned(), (0o755, text.to_owned()));
            } else if path == "packages.txt" {
                files.insert(path.to_owned(), (0o644, text.to_owned()));
            }
        }
        let mut env = env_file(values)?;
        let mut hasher = Sha256::new();
        hasher.update(&env);
        for (path, (mode, text)) in &files {
            hasher.update(format!("{path}\0{mode:o}\0{}\0", text.len()));
            hasher.update(text);
        }
        let hash = format!("{:x}", hasher.finalize());
        env.push_str(&format!("INPUTS_HASH={hash}\n"));
        files.insert("node.env".into(), (0o644, env));
        Ok(Self { files, hash })
    }

    /// Hash of all the files, hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Hash of what the script of one step depends on, hexadecimal: the script,
    /// what all scripts share, the env file, and the files whose names it speaks.
    #[must_use]
    pub fn hash_of(&self, step: &str) -> String {
        let script = format!("steps/{step}.sh");
        let text = self.get(&script).unwrap_or_default();
        let mut hasher = Sha256::new();
        for (path, (_, content)) in &self.files {
            let spoken = path.strip_prefix("files/").is_some_and(|name| text.contains(&format!("$files/{name}")));
            if spoken || path == &script || path == "steps/lib.sh" {
                hasher.update(format!("{path}\0{}\0{content}", content.len()));
            } else if path == "node.env" {
                // All but the hash of everything.
                content.lines().filter(|line| !line.starts_with("INPUTS_HASH=")).for_each(|line| hasher.update(line));
            }
        }
        format!("{:x}", hasher.finalize())
    }

    /// The files as an uncompressed tar archive.
    pub fn to_tar(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, (mode, text)) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(*mode);
            header.set_cksum();
            archive.append_data(&mut header, path, text.as_bytes()).with_context(|| format!("pack {path}"))?;
        }
        archive.into_inner().context("pack the node's files")
    }

    /// Writes the files below `dir`, where the user can read them.
    pub fn write_to(&self, dir: &Path) -> Result<()> {
        paths::remove_dir(dir)?;
        for (path, (mode, text)) in &self.files {
            paths::write_atomic(&dir.join(path), text.as_bytes(), *mode)?;
        }
        Ok(())
    }

    /// The text of one file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
impl NodeFiles {
    /// The text of every file.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.values().map(|(_, text)| text.as_str())
    }
}

fn files_of<'a>(dir: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
    let mut files: Vec<_> = dir.files().collect();
    for dir in dir.dirs() {
        files.extend(files_of(dir));
    }
    files
}

fn env_file(values: &NodeValues) -> Result<String> {
    let values = serde_json::to_value(values).context("list the node's values")?;
    let mut env = String::from("# Written by provision; sourced by the scripts beside it.\n");
    let lines = |name: &String| name == "authorities";
    for (name, value) in values.as_object().into_iter().flatten().filter(|(name, _)| !lines(name)) {
        let value = match value {
            // Lists are for templates only.
            serde_json::Value::Array(_) => continue,
            serde_json::Value::Bool(flag) => u8::from(*flag).to_string(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        env.push_str(&format!("{}={}\n", name.to_uppercase(), shell_words::quote(&value)));
    }
    Ok(env)
}
