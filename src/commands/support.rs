//! `provision support`: everything that helps to understand a lab's trouble, in
//! one file that may be given away.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use super::Session;
use crate::failure::story::{self, Story};
use crate::lab::Lab;
use crate::node::Node;
use crate::process::Cmd;
use crate::secrets::Known;
use crate::ssh::{Key, SshNode};
use crate::support::{Bundle, default_name};
use crate::{paths, ui};

/// Pack logs, profile, versions and the state of machines and cluster, without secrets.
#[derive(Debug, Args)]
pub struct Support {
    /// The archive (tar.gz) [default: ./provision-support-LAB-TIME.tar.gz]
    file: Option<PathBuf>,
}

/// How long a node or the API may take to accept a connection, to count as there.
const REACH: Duration = Duration::from_secs(3);
/// How long one question to this host may take.
const ASK: Duration = Duration::from_secs(20);

/// What is asked of this host, a file each.
const HOST: [(&str, &[&str]); 12] = [
    ("uname", &["uname", "-a"]),
    ("os-release", &["cat", "/etc/os-release"]),
    ("cpu", &["lscpu"]),
    ("memory", &["free", "-m"]),
    ("disks", &["df", "-hT"]),
    ("addresses", &["ip", "-brief", "address"]),
    ("vagrant", &["vagrant", "--version"]),
    ("libvirt", &["virsh", "--connect", "qemu:///system", "version"]),
    ("machines", &["virsh", "--connect", "qemu:///system", "list", "--all"]),
    ("networks", &["virsh", "--connect", "qemu:///system", "net-list", "--all"]),
    ("volumes", &["virsh", "--connect", "qemu:///system", "vol-list", "default"]),
    ("go", &["go", "version"]),
];

/// What is asked of each node, a file each.
const NODE: [(&str, &str); 7] = [
    ("journal", "journalctl --no-pager -n 2000 -o short-iso"),
    ("units", "systemctl --no-pager --failed; systemctl --no-pager status kubelet containerd | head -n 60"),
    ("sockets", "ss -tulnp"),
    ("disks", "df -hT; free -m"),
    (
        "versions",
        "containerd --version; crun --version; runc --version; kubelet --version; cat /usr/local/lib/provision/packages 2>/dev/null || dpkg -l libwasmedge0 | tail -n 1",
    ),
    ("rules", "PATH=/usr/local/lib/provision:$PATH nft list ruleset | head -n 400"),
    ("containers", "ctr --namespace k8s.io containers list; ctr --namespace k8s.io images list -q"),
];

/// What is asked of the cluster, a file each. Only listings: objects' whole
/// text holds whatever their owners wrote there.
const CLUSTER: [(&str, &[&str]); 4] = [
    ("nodes", &["get", "nodes", "-o", "wide"]),
    ("pods", &["get", "pods", "-A", "-o", "wide"]),
    ("events", &["get", "events", "-A", "--sort-by=.lastTimestamp"]),
    ("nodes-described", &["describe", "nodes"]),
];

impl Support {
    /// Packs and prints the file's name.
    pub fn run(&self, session: &Session) -> Result<()> {
        let file = self.file.clone().unwrap_or_else(|| default_name(session.lab.name()));
        let bytes = write(session, &file)?;
        session.ui.note(&format!(
            "{}: keys, tokens, certificates and passwords are removed; look before you send it",
            ui::size(bytes)
        ));
        writeln!(std::io::stdout(), "{}", file.display()).context("print the file's name")
    }
}

/// Packs all into `file` and returns its size in bytes.
pub fn write(session: &Session, file: &Path) -> Result<u64> {
    let lab = &session.lab;
    let task = session.ui.task("support", format!("Pack what is known of lab {}", lab.name()));
    let mut bundle = Bundle::new(file, &format!("provision-support-{}", lab.name()), secrets(lab))?;
    bundle.add("provision.txt", &about())?;
    bundle.add("profile/values.txt", &values(session))?;
    if let Some(path) = &session.file {
        bundle.add_file("profile/profile.toml", path)?;
    }
    match Story::of(lab) {
        Ok(Some(story)) => bundle.add("explain.txt", &story::to_text(&story))?,
        Ok(None) => {}
        Err(error) => bundle.add("explain.txt", &format!("{error:#}"))?,
    }
    // Results are large and only the newest is about now; `work` is made anew.
    let newest = lab.newest_result().unwrap_or_default();
    bundle.add_tree("lab", lab.dir(), |path| {
        path == lab.results() || path == lab.work() || path == lab.dir().join(".vagrant")
    })?;
    if let Some(path) = newest {
        bundle.add_file("lab/results/newest.json", &path)?;
    }
    task.say("this host");
    for (name, command) in HOST {
        bundle.add_answer(&format!("host/{name}.txt"), ask(command))?;
    }
    for node in &session.nodes {
        task.say(&node.name);
        let target = session.ssh_target(node);
        // Who is behind a jump host is asked by the way there alone.
        let silent = target.jump.is_none() && !reachable(target.address);
        if silent || matches!(&target.key, Key::File(key) if !key.is_file()) {
            bundle.add(&format!("nodes/{}.txt", node.name), "it does not answer SSH\n")?;
            continue;
        }
        let shell = SshNode::new(target);
        for (name, command) in NODE {
            let answer = shell.exec(&format!("timeout 60 sh -c {} 2>&1", shell_words::quote(command)), b"");
            bundle.add_answer(&format!("nodes/{}/{name}.txt", node.name), answer.map(|output| output.stdout))?;
        }
    }
    task.say("the cluster");
    bundle_cluster(session, &mut bundle)?;
    let bytes = bundle.finish(file)?;
    task.done("");
    Ok(bytes)
}

fn bundle_cluster(session: &Session, bundle: &mut Bundle) -> Result<()> {
    let made = session.artifacts().and_then(|set| set.made()).unwrap_or_default();
    let (Some(made), true, true) = (made, session.lab.kubeconfig().is_file(), session.api_answers()) else {
        return bundle.add("cluster.txt", "the API does not answer, or there is none\n");
    };
    let kubectl = session.kubectl(&made);
    for (name, arguments) in CLUSTER {
        bundle.add_answer(&format!("cluster/{name}.txt"), kubectl.read(arguments))?;
    }
    Ok(())
}

fn reachable(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, REACH).is_ok()
}

fn ask(command: &[&str]) -> Result<String> {
    Cmd::new(command[0])
        .args(&command[1..])
        .env("LC_ALL", "C")
        .env("VAGRANT_CHECKPOINT_DISABLE", "1")
        .timeout(ASK)
        .read()
}

/// What is known to be secret of this lab and this environment.
fn secrets(lab: &Lab) -> Known {
    let mut known = Known::default();
    known.add_environment(
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())),
    );
    for file in [lab.ssh_key(), lab.kubeconfig()] {
        known.add_file(&paths::read(&file).unwrap_or_default());
    }
    known
}

/// This program, and the variables that change what it does.
fn about() -> String {
    let mut text = format!("provision {}\n{}\n\n", env!("CARGO_PKG_VERSION"), jiff::Timestamp::now());
    let kept = |name: &str| {
        let lower = name.to_lowercase();
        name.starts_with("PROVISION_")
            || lower.ends_with("_proxy")
            || ["GO", "VAGRANT", "LIBVIRT"].iter().any(|prefix| name.starts_with(prefix))
            || ["PROVIDER", "CPUS", "MEMORY", "KUBECONFIG", "LANG", "PATH", "XDG_STATE_HOME", "XDG_CACHE_HOME"]
                .contains(&name)
    };
    let mut variables: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| kept(name))
        .collect();
    variables.sort();
    for (name, value) in variables {
        text.push_str(&format!("{name}={value}\n"));
    }
    text
}

fn values(session: &Session) -> String {
    let line = |value: &crate::profile::Explained| format!("{} = {}    # {}\n", value.path, value.value, value.origin);
    session.loaded.explain.iter().map(line).collect()
}
