//! `ssh.rs` against a real `sshd` on 127.0.0.1: what it does on a good day, and
//! that nothing but the pinned machine and the lab's key is ever accepted.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod sshd;

use std::time::{Duration, Instant};

use provision::node::Node;
use provision::process::Cmd;
use provision::ssh::{Key, SshNode};
use sshd::{Server, whoami};

fn refused(node: &SshNode) -> String {
    format!("{:#}", node.exec("true", b"").unwrap_err())
}

#[test]
fn output_status_and_input_arrive_over_one_login() {
    let server = Server::start();
    let node = server.friend();
    let output = node.exec("echo out; echo err >&2; exit 7", b"").unwrap();
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (7, "out\n", "err\n"));

    let text = "0123456789abcde\n".repeat(1 << 17);
    let output = node.exec("cat", text.as_bytes()).unwrap();
    assert_eq!(output.status, 0);
    assert!(output.stdout == text, "{} bytes came back of {}", output.stdout.len(), text.len());

    assert_eq!(node.exec("kill -9 $$", b"").unwrap().status, -1);
    assert_eq!(node.exec("cat", b"").unwrap().stdout, "");
    let error = format!("{:#}", (&node as &dyn Node).read("echo why >&2; exit 3", b"").unwrap_err());
    assert!(error.contains("node1: `echo why >&2; exit 3` exited with status 3\n  why"), "{error}");
    assert_eq!(server.logins(), 1, "{}", server.log());
}

#[test]
fn a_command_that_does_not_read_its_input_ends_all_the_same() {
    let server = Server::start();
    let node = server.friend();
    let output = node.exec("exec true", &vec![b'x'; 4 << 20]).unwrap();
    assert_eq!(output.status, 0);
    assert_eq!(node.exec("echo still here", b"").unwrap().stdout, "still here\n");
}

#[test]
fn output_is_kept_up_to_8_mib_and_refused_beyond() {
    let server = Server::start();
    let node = server.friend();
    let output = node.exec(&format!("head -c {} /dev/zero | tr '\\0' x", 8 << 20), b"").unwrap();
    assert_eq!(output.stdout.len(), 8 << 20);
    let error =
        format!("{:#}", node.exec(&format!("head -c {} /dev/zero | tr '\\0' x", (8 << 20) + 1), b"").unwrap_err());
    assert!(error.contains("the command printed more than 8 MiB"), "{error}");
    assert_eq!(node.exec("echo on", b"").unwrap().stdout, "on\n");
}

#[test]
fn another_host_key_is_refused_before_any_login() {
    let server = Server::start();
    let error = refused(&server.client("127.0.0.1", "stranger", "user"));
    assert!(
        error.contains("the host key of node1 (127.0.0.1) is not the pinned one: another machine answers")
            && error.ends_with("provision down && provision up"),
        "{error}"
    );
    assert_eq!(server.logins(), 0, "{}", server.log());
}

#[test]
fn a_host_without_a_pinned_key_is_refused_before_any_login() {
    let server = Server::start();
    let error = refused(&server.client("127.0.0.2", "host", "user"));
    assert!(error.contains("no host key is pinned for 127.0.0.1 in"), "{error}");
    assert_eq!(server.logins(), 0, "{}", server.log());
}

#[test]
fn without_any_file_of_host_keys_nobody_is_spoken_to() {
    let server = Server::start();
    let mut target = server.target("127.0.0.1", "host", "user");
    target.known_hosts = vec!["/nowhere/known_hosts".into()];
    let error = refused(&SshNode::new(target));
    assert!(error.contains("no host key is pinned for 127.0.0.1: there is no /nowhere/known_hosts"), "{error}");
    assert!(error.contains("have it remembered: ssh "), "{error}");
    assert_eq!(server.logins(), 0, "{}", server.log());
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let server = Server::start();
    let mut target = server.target("127.0.0.1", "host", "user");
    target.key = Key::File("/nowhere/key".into());
    assert!(refused(&SshNode::new(target)).contains("the key /nowhere/key for node1 is not there"));
}

#[test]
fn a_user_key_that_the_server_does_not_know_is_an_error_that_names_it() {
    let server = Server::start();
    let error = refused(&server.client("127.0.0.1", "host", "stranger"));
    assert!(
        error.contains(&format!("log in to node1 as {} with key", whoami())) && error.contains("stranger"),
        "{error}"
    );
}

#[test]
fn a_connection_that_drops_is_an_error_and_the_next_command_connects_again() {
    let server = Server::start();
    let node = server.friend();
    let started = Instant::now();
    // The shell's parent is the server's process for this connection.
    let error = format!("{:#}", node.exec("echo begun; kill -9 $PPID; sleep 60", b"").unwrap_err());
    assert!(error.contains("run `echo begun; kill -9 $PPID; sleep 60` on node1"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
    assert_eq!(node.exec("echo back", b"").unwrap().stdout, "back\n");
    assert_eq!(server.logins(), 2, "{}", server.log());
}

#[test]
fn nobody_listening_is_an_error_at_once() {
    let mut server = Server::start();
    let node = server.friend();
    server.stop();
    let started = Instant::now();
    let error = refused(&node);
    assert!(error.contains(&format!("connect to node1 at {}", server.address())), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
#[ignore = "takes a minute and needs root"]
fn a_machine_that_falls_silent_is_given_up() {
    const INSIDE: &str = "PROVISION_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        // A network of its own, in which nothing arrives any more.
        let test = ["--exact", "--ignored", "a_machine_that_falls_silent_is_given_up"];
        let said = Cmd::new("unshare")
            .args(["--net", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(test)
            .env(INSIDE, "1")
            .timeout(Duration::from_secs(150))
            .read()
            .unwrap();
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    Cmd::new("ip").args(["link", "set", "lo", "up"]).read().unwrap();
    let server = Server::start();
    let node = server.friend();
    assert_eq!(node.exec("echo there", b"").unwrap().stdout, "there\n");
    let started = Instant::now();
    let error = std::thread::scope(|scope| {
        let silence = scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            let rules =
                "add table ip cut; add chain ip cut input { type filter hook input priority filter; policy drop; }";
            Cmd::new("nft").arg(rules).read().unwrap();
        });
        let error = node.exec("sleep 120", b"").unwrap_err();
        silence.join().unwrap();
        error
    });
    let failure = provision::failure::Failure::of(&error);
    assert_eq!(failure.reason.as_deref(), Some("lost"), "{error:#}");
    assert!(started.elapsed() < Duration::from_secs(100), "it took {:?}", started.elapsed());
}
