//! Asks all node-side steps of many machines at once, as `plan` and `up` do,
//! and prints what it took; `ci/fan-out` runs it against real SSH servers.
//!
//! usage: `fan_out ADDRESSES KEY KNOWN_HOSTS` (a file with ADDRESS:PORT lines)

#![expect(clippy::print_stdout, reason = "its figures are its purpose")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use provision::journal::Journal;
use provision::kubectl::Kubectl;
use provision::lab::Lab;
use provision::node::Node;
use provision::profile::{self, NodeSpec};
use provision::ssh::{Key, Root, SshNode, Target};
use provision::steps::{Context, NodeFiles, NodeValues, Reach};
use provision::ui::{Mode, Ui};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, addresses, key, known_hosts] = words.as_slice() else {
        anyhow::bail!("usage: fan_out ADDRESSES KEY KNOWN_HOSTS")
    };
    let nodes: Vec<Box<dyn Node>> = std::fs::read_to_string(addresses)
        .with_context(|| format!("read {addresses}"))?
        .lines()
        .map(|address| {
            let target = Target {
                name: format!("node-{}", address.split(':').next().unwrap_or_default()),
                address: address.parse().with_context(|| format!("read {address}"))?,
                user: "root".into(),
                key: Key::File(key.into()),
                root: Root::Login,
                jump: None,
                known_hosts: vec![PathBuf::from(known_hosts)],
                patience: Duration::from_secs(20),
                replaced: String::new(),
            };
            Ok(Box::new(SshNode::new(target)) as Box<dyn Node>)
        })
        .collect::<Result<_>>()?;
    let profile = profile::default_profile();
    let files = NodeFiles::render(&values())?;
    let files: Vec<NodeFiles> = nodes.iter().map(|_| files.clone()).collect();
    let specs: Vec<NodeSpec> =
        nodes.iter().map(|node| NodeSpec { name: node.name().into(), ..profile.nodes()[0].clone() }).collect();
    let cx = Context {
        profile: &profile,
        lab: &Lab::below(Path::new("/nowhere"), "fan-out"),
        nodes: &nodes,
        specs: &specs,
        files: &files,
        kubectl: &Kubectl::new("kubectl".into(), "kubeconfig".into()),
        emulated: false,
        lock: "",
        images: &BTreeMap::new(),
        archive: None,
        sizes: &BTreeMap::new(),
        payload: None,
        ui: &Ui::new(Mode::Plain),
        journal: &Journal::at("/nowhere".into()),
        checks: Mutex::new(None),
        cluster: Mutex::new(None),
    };

    let (most, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let started = Instant::now();
    let (result, seconds) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(sockets(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let result = cx.node_check("prepare_system", |_| true);
        let seconds = started.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        (result, seconds)
    });
    println!("seconds {seconds:.2}");
    // Two handles each: the session's, and the one that is waited on.
    println!("connections {}", most.into_inner() / 2);
    println!("peak_kib {}", status("VmHWM").unwrap_or_default());
    match result {
        Ok(check) => println!("answer {check:?}"),
        Err(error) => println!("error {error:#}"),
    }
    Ok(())
}

fn values() -> NodeValues {
    NodeValues {
        lab: "fan-out".into(),
        node_name: "node".into(),
        node_role: "worker".into(),
        node_ip: "127.0.0.1".into(),
        machine_cidr: "192.168.157.0/24".into(),
        first: true,
        node_pods: "10.244.0.0/24".into(),
        routes: Vec::new(),
        api_address: "127.0.0.1".into(),
        control_plane_peers: Vec::new(),
        api_priority: 200,
        nameserver: "127.0.0.1".into(),
        own: false,
        plain: true,
        emulated: false,
        single_node: false,
        pod_cidr: "10.244.0.0/16".into(),
        service_cidr: "10.96.0.0/12".into(),
        cluster_dns: "10.96.0.10".into(),
        reach: Reach::default(),
        runtime_manager: "containerd".into(),
        cri_socket: "unix:///run/containerd/containerd.sock".into(),
        crio_repository: String::new(),
        pause_image: "registry.k8s.io/pause:3.10.2".into(),
        kubernetes_version: "1.37.2".into(),
    }
}

/// Sockets that this process holds.
fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    files
        .filter(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:")))
        .count()
}

/// A figure of this process in KiB.
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse().ok())
}
