//! Machines that exist already, against real `sshd`s on 127.0.0.1: agent
//! and sudo on a good day, and every way to be refused, named with what to
//! do next. Those with a system of their own take root.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod sshd;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use provision::journal::Journal;
use provision::kubectl::Kubectl;
use provision::lab::Lab;
use provision::node::{self, Node};
use provision::process::Cmd;
use provision::profile;
use provision::provider::Provider;
use provision::provider::hosts::Hosts;
use provision::ssh::{Password, Root, SshNode, Target};
use provision::steps::{self, Context, NodeFiles, NodeValues, Payload, Reach, Selection};
use provision::ui::{Mode, Ui};
use sshd::program::Program;
use sshd::{Server, whoami};

fn refused(node: &SshNode) -> String {
    format!("{:#}", node.exec("true", b"").unwrap_err())
}

/// An SSH agent that holds a key.
struct Agent {
    socket: PathBuf,
    _process: provision::process::Running,
}

impl Agent {
    fn with(server: &Server, key: &str) -> Self {
        let socket = server.path("agent");
        let process = Cmd::new("ssh-agent").arg("-D").arg("-a").arg(&socket).start().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            assert!(Instant::now() < deadline, "the agent does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        Cmd::new("ssh-add").arg("-q").arg(server.path(key)).env("SSH_AUTH_SOCK", &socket).read().unwrap();
        Self { socket, _process: process }
    }
}

#[test]
fn the_agents_keys_are_offered_and_refused_ones_are_named() {
    let server = Server::start();
    let program = Program::new(server.address(), &format!("user = \"{}\"", whoami()));
    program.knows(&server.known(&format!("[127.0.0.1]:{}", server.address().port()), "host"));

    let status = program.command(&["status"]).read().unwrap();
    assert!(status.contains("off") && status.contains("the SSH agent does not answer"), "{status}");
    assert!(status.contains("ssh-add"), "{status}");

    let agent = Agent::with(&server, "user");
    let status = program.command(&["status"]).env("SSH_AUTH_SOCK", &agent.socket).read().unwrap();
    assert!(status.contains("node1    absent"), "{status}");
    assert_eq!(server.logins(), 1, "{}", server.log());

    let other = Server::start();
    let stranger = Agent::with(&other, "stranger");
    let status = program.command(&["status"]).env("SSH_AUTH_SOCK", &stranger.socket).read().unwrap();
    assert!(status.contains("it takes none of the agent's keys (test)"), "{status}");
}

#[test]
fn a_changed_host_key_is_told_with_both_fingerprints_and_the_next_command() {
    let server = Server::start();
    let mut target = server.target("127.0.0.1", "stranger", "user");
    target.replaced = "ssh-keygen -R '{host}' -f {file}".into();
    let error = refused(&SshNode::new(target));
    let print = |key: &str| {
        let line = Cmd::new("ssh-keygen").arg("-lf").arg(server.path(&format!("{key}.pub"))).read().unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    };
    assert!(error.contains(&format!("pinned: ED25519 {}", print("stranger"))), "{error}");
    assert!(error.contains(&format!("shown:  ED25519 {}", print("host"))), "{error}");
    let next =
        format!("ssh-keygen -R '[127.0.0.1]:{}' -f {}", server.address().port(), server.path("known-").display());
    assert!(error.contains(&next), "{error}");
    assert_eq!(server.logins(), 0, "{}", server.log());
}

#[test]
fn an_unknown_host_is_refused_with_its_fingerprint() {
    let server = Server::start();
    let error = refused(&server.client("192.0.2.7", "host", "user"));
    assert!(error.contains("no host key is pinned for 127.0.0.1 in") && error.contains("SHA256:"), "{error}");
    let next = format!("ssh -p {} {}@127.0.0.1 true", server.address().port(), whoami());
    assert!(error.ends_with(&next), "{error}");
    assert_eq!(server.logins(), 0, "{}", server.log());
}

/// Users of a machine of its own: `asked` types a password (secret), `free`
/// need not, `nobody2` may not.
const USERS: &[(&str, &str, u32)] = &[
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n\
         asked:x:2001:2001::/:/bin/bash\nfree:x:2002:2002::/:/bin/bash\nnobody2:x:2003:2003::/:/bin/bash\n",
        0o644,
    ),
    (
        "/etc/shadow",
        "root:*:20000::::::\nsshd:*:20000::::::\n\
         asked:$6$provision$X2SpyzP2CkgVrnG0qNFvynLfeQC.uWt9pjXEfskG65Sbkx.Yhr3yqAjzFw3ZLBxKGgskQ9ltx3tTv4lTsmzuQ1:20000::::::\n\
         free:x:20000::::::\nnobody2:$6$provision$X2SpyzP2CkgVrnG0qNFvynLfeQC.uWt9pjXEfskG65Sbkx.Yhr3yqAjzFw3ZLBxKGgskQ9ltx3tTv4lTsmzuQ1:20000::::::\n",
        0o640,
    ),
    ("/etc/sudoers", "root ALL=(ALL) ALL\nasked ALL=(ALL) ALL\nfree ALL=(ALL) NOPASSWD: ALL\n", 0o440),
];

fn with_sudo(server: &Server, user: &str, root: Root) -> SshNode {
    SshNode::new(Target { user: user.into(), root, ..server.target("127.0.0.1", "host", "user") })
}

fn password(text: &str) -> Root {
    let password = Password::default();
    password.set(text.into());
    Root::Password(Arc::new(password))
}

#[test]
fn real_sudo_makes_root_with_and_without_a_password_and_input_stays_whole() {
    let server = Server::with(USERS);
    for (user, root) in [("free", Root::Free), ("free", password("secret")), ("asked", password("secret"))] {
        let node = with_sudo(&server, user, root);
        let output = node.exec("id -u; cat; exit 3", b"line\n").unwrap();
        assert_eq!((output.status, output.stdout.as_str()), (3, "0\nline\n"), "{user}: {}", output.stderr);
    }
    assert!(!server.log().contains("secret"), "{}", server.log());
}

#[test]
fn real_sudo_that_refuses_is_named_with_the_next_command() {
    let server = Server::with(USERS);
    let error = refused(&with_sudo(&server, "asked", Root::Free));
    assert!(error.contains("sudo refuses asked: sudo: a password is required"), "{error}");
    assert!(error.contains("nodes.ssh.sudo = \"password\""), "{error}");
    let error = refused(&with_sudo(&server, "asked", password("wrong")));
    assert!(error.contains("sudo refuses asked with this password"), "{error}");
    let error = refused(&with_sudo(&server, "nobody2", password("secret")));
    assert!(error.contains("node1: sudo refuses nobody2") && error.contains("not in the sudoers file"), "{error}");
}

#[test]
fn the_password_is_asked_on_the_terminal_and_shown_nowhere() {
    let server = Server::with(USERS);
    let program = Program::new(
        server.address(),
        &format!("user = \"asked\", sudo = \"password\", key = \"{}\"", server.path("user").display()),
    );
    program.knows(&server.known("127.0.0.1", "host"));

    let error = program.command(&["status"]).output().unwrap();
    assert!(
        !error.status.success() && error.stderr.contains("there is no terminal to ask for it on"),
        "{}",
        error.stderr
    );

    let line = program.command(&["status"]).to_line();
    let shown = server.path("shown");
    Cmd::new("bash")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/ci/on-terminal"))
        .arg(&shown)
        .arg(&line)
        .env("HOME", program.dir.path())
        .env("PROVISION_STATE", program.dir.path().join("state"))
        .stdin("secret\n")
        .timeout(Duration::from_secs(60))
        .read()
        .unwrap();
    let printed = std::fs::read_to_string(shown).unwrap();
    assert!(printed.contains("password for sudo of asked:") && printed.contains("node1    absent"), "{printed}");
    assert!(!printed.contains("secret"), "{printed}");
}

fn hosts(targets: Vec<Target>) -> Hosts {
    let addresses = targets.iter().map(|_| Ipv4Addr::LOCALHOST).collect();
    Hosts::new(targets.into_iter().map(|target| Box::new(SshNode::new(target)) as Box<dyn Node>).collect(), addresses)
}

fn named(name: &str, target: Target) -> Target {
    Target { name: name.into(), ..target }
}

#[test]
fn half_of_the_machines_being_away_does_not_hide_the_others() {
    let server = Server::start();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = || server.target("127.0.0.1", "host", "user");
    let bad = |address| Target { address, patience: Duration::from_secs(1), ..good() };
    let targets = || {
        vec![
            named("node1", good()),
            named("node2", bad(closed)),
            named("node3", good()),
            named("node4", bad(silent.local_addr().unwrap())),
        ]
    };
    let started = Instant::now();
    let nodes: Vec<Box<dyn Node>> =
        targets().into_iter().map(|target| Box::new(SshNode::new(target)) as Box<dyn Node>).collect();
    let error = format!("{:#}", node::fan_out(&nodes, |_, node| node.read("true", b"")).unwrap_err());
    assert!(error.starts_with("2 of 4 nodes failed:\n"), "{error}");
    assert!(error.contains("connect to node2 at") && error.contains("SSH handshake with node4 at"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());

    let provider = hosts(targets());
    let names = ["node1", "node2", "node3", "node4"].map(str::to_owned);
    let states = provider.states(&Lab::below(server.path("state").as_path(), "t"), &names).unwrap();
    use provision::provider::MachineState::{Absent, Off};
    assert_eq!(states, [Absent, Off, Absent, Off]);
    assert!(provider.why(1).unwrap().contains("connect to node2"), "{:?}", provider.why(1));
    assert_eq!(provider.why(0), None);
}

#[test]
fn a_command_that_hangs_ends_with_its_time_and_the_node_goes_on() {
    let server = Server::start();
    let node = server.friend();
    let error = format!("{:#}", node.exec_within("sleep 60", b"", Duration::from_secs(1)).unwrap_err());
    assert!(error.contains("node1 did not answer within 1.0 s"), "{error}");
    assert_eq!(node.exec("echo on", b"").unwrap().stdout, "on\n");
}

/// Why a machine that says this of its system cannot be a node; its address is
/// another's in any case.
fn refusal(release: &str) -> String {
    let server = Server::with(&[("/etc/os-release", release, 0o644)]);
    let lab = Lab::below(server.path("state").as_path(), "t");
    let error = hosts(vec![server.target("127.0.0.1", "host", "user")]).up(&lab, &Ui::new(Mode::Plain)).unwrap_err();
    format!("{error:#}")
}

#[test]
fn another_system_is_refused_by_name() {
    let error = refusal("ID=arch\nPRETTY_NAME=\"Arch Linux\"\n");
    assert!(error.contains("node1 (127.0.0.1): this machine cannot be a node"), "{error}");
    assert!(error.contains("it runs Arch Linux; nodes can be: Debian 12, Debian 13, Ubuntu 24.04"), "{error}");
    assert!(error.contains("127.0.0.1 is none of its own addresses"), "{error}");
}

#[test]
fn systems_are_known_by_what_they_say_of_themselves() {
    let refused = |release| refusal(release).contains("it runs");
    assert!(!refused("ID=debian\nVERSION_ID=\"12\"\n"));
    assert!(!refused("ID=debian\nVERSION_ID=\"13\"\n"));
    assert!(!refused("ID=ubuntu\nVERSION_ID=\"24.04\"\nID_LIKE=debian\n"));
    assert!(refused("ID=ubuntu\nVERSION_ID=\"22.04\"\nID_LIKE=debian\n"));
    assert!(refused("ID=linuxmint\nVERSION_ID=\"22\"\nID_LIKE=\"ubuntu debian\"\n"));
}

/// Steps' view of a lab of one machine that is not ours.
fn with_steps(server: &Server, payload: Option<&Payload>, look: impl FnOnce(&Context)) {
    let mut profile = profile::default_profile();
    profile.provider = profile::Provider::Hosts;
    profile.groups[0].addresses = vec![server.address().to_string().parse().unwrap()];
    let values = NodeValues {
        lab: "t".into(),
        node_name: "node1".into(),
        node_role: "control-plane".into(),
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
        single_node: true,
        pod_cidr: "10.244.0.0/16".into(),
        service_cidr: "10.96.0.0/12".into(),
        cluster_dns: "10.96.0.10".into(),
        reach: Reach::default(),
        runtime_manager: "containerd".into(),
        cri_socket: "unix:///run/containerd/containerd.sock".into(),
        crio_repository: String::new(),
        pause_image: "registry.k8s.io/pause:3.10.2".into(),
        kubernetes_version: "1.37.2".into(),
    };
    let nodes: Vec<Box<dyn Node>> = vec![Box::new(with_sudo(server, "asked", password("secret")))];
    look(&Context {
        profile: &profile,
        lab: &Lab::below(server.path("state").as_path(), "t"),
        nodes: &nodes,
        specs: &profile.nodes(),
        files: &[NodeFiles::render(&values).unwrap()],
        kubectl: &Kubectl::new("kubectl".into(), "kubeconfig".into()),
        emulated: false,
        lock: "",
        images: &BTreeMap::new(),
        archive: None,
        sizes: &BTreeMap::new(),
        payload,
        ui: &Ui::new(Mode::Plain),
        journal: &Journal::at(server.path("journal")),
        checks: Mutex::new(None),
        cluster: Mutex::new(None),
    });
}

fn run(cx: &Context, step: &str) -> anyhow::Result<steps::Summary> {
    steps::run(&steps::all(), &Selection::Only(step.into()), cx)
}

#[test]
fn scripts_and_programs_are_sent_by_sudo_resumed_and_checked() {
    // What is written stays in its own view; no service manager is in it.
    let server = Server::apart(USERS, &["/opt", "/run", "/usr/local/bin", "/var/lib"]);
    let bytes: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let tree = server.path("tree");
    for (file, mode) in [
        ("usr/local/bin/kubernetes", 0o755),
        ("usr/local/bin/containerd", 0o755),
        ("usr/local/bin/crun", 0o755),
        ("var/lib/containerd/store", 0o600),
    ] {
        provision::paths::write_atomic(&tree.join(file), &bytes, mode).unwrap();
    }
    let pack = |file: PathBuf| {
        let tar = Cmd::new("tar").arg("-cf").arg(&file).arg("-C").arg(&tree);
        tar.args(["usr/local/bin", "var/lib/containerd"]).read().unwrap();
        let sum = Cmd::new("sha256sum").arg(&file).read().unwrap();
        Payload { file, sha256: sum.split(' ').next().unwrap().into() }
    };
    let lacking = pack(server.path("lacking.tar"));
    std::os::unix::fs::symlink("kubernetes", tree.join("usr/local/bin/kubelet")).unwrap();
    let file = server.path("payload.tar");
    let payload = pack(file.clone());

    with_steps(&server, Some(&lacking), |cx| {
        run(cx, "install_files").unwrap();
        let error = format!("{:#}", run(cx, "deliver_programs").unwrap_err());
        assert!(error.contains("node1: what was sent holds no kubelet"), "{error}");
        let has = cx.nodes[0].read("bash /opt/provision/deliver.sh has", b"").unwrap();
        assert_eq!(has, "", "it counts as delivered");
    });

    with_steps(&server, Some(&payload), |cx| {
        run(cx, "install_files").unwrap();
        // A first try, cut off in the middle.
        let whole = std::fs::read(&file).unwrap();
        let deliver = |words: &str, input: &[u8]| {
            cx.nodes[0].read(&format!("bash /opt/provision/deliver.sh {words}"), input).unwrap()
        };
        let begin = format!("begin {} {}", payload.sha256, whole.len());
        assert_eq!(deliver(&begin, b"").trim(), "0");
        deliver(&format!("take {}", payload.sha256), &whole[..1_000_000]);
        assert_eq!(deliver(&begin, b"").trim(), "1000000");

        run(cx, "deliver_programs").unwrap();
        let found = cx.nodes[0]
            .read("cd / && sha256sum usr/local/bin/* var/lib/containerd/store | cut -d' ' -f1 | uniq -c", b"");
        let digest = Cmd::new("sha256sum").arg(tree.join("usr/local/bin/kubernetes")).read().unwrap();
        assert_eq!(found.unwrap().trim(), format!("5 {}", digest.split(' ').next().unwrap()));
        assert_eq!(deliver("has", b"").trim(), payload.sha256);
        let left = cx.nodes[0].read("ls /var/lib/provision", b"").unwrap();
        assert_eq!(left, "delivered\n");
    });
    assert!(!std::path::Path::new("/opt/provision").exists(), "it reached this host's own files");

    let damaged = Payload { sha256: "0".repeat(64), ..payload };
    with_steps(&server, Some(&damaged), |cx| {
        let error = format!("{:#}", run(cx, "deliver_programs").unwrap_err());
        assert!(error.contains("node1: what arrived has another digest"), "{error}");
        let left = cx.nodes[0].read("ls /var/lib/provision", b"").unwrap();
        assert_eq!(left, "delivered\n");
    });
}
