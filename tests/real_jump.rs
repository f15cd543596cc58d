//! Machines behind a jump host, against real `sshd`s on 127.0.0.1: commands, a
//! user's shell, and the way to the API.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod sshd;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use provision::failure::Failure;
use provision::node::Node;
use provision::process::Cmd;
use provision::ssh::{Forward, SshNode, Target};
use sshd::program::Program;
use sshd::{Server, whoami};

/// Both servers' host keys, as a client knows them.
fn known(servers: &[&Server]) -> String {
    servers.iter().map(|server| server.known(&format!("[127.0.0.1]:{}", server.address().port()), "host")).collect()
}

fn jump_of(server: &Server) -> String {
    format!("{}@127.0.0.1:{}", whoami(), server.address().port())
}

/// A machine behind another one, and who is known of them; one key opens both.
fn behind(inner: &Server, jump: &Server, known: &str) -> Target {
    let known_hosts = inner.path("known");
    std::fs::write(&known_hosts, known).unwrap();
    std::fs::copy(inner.path("user.pub"), jump.path("user.pub")).unwrap();
    let mut target = inner.target("127.0.0.1", "host", "user");
    target.jump = Some(jump_of(jump));
    target.known_hosts = vec![known_hosts];
    target.patience = Duration::from_secs(20);
    target
}

#[test]
fn a_machine_behind_a_jump_host_is_reached_and_an_unknown_jump_host_is_not() {
    let (inner, jump) = (Server::start(), Server::start());
    let node = SshNode::new(behind(&inner, &jump, &known(&[&inner, &jump])));
    let text = "0123456789abcde\n".repeat(1 << 16);
    assert!(node.exec("cat", text.as_bytes()).unwrap().stdout == text);
    assert_eq!(node.exec("echo once more", b"").unwrap().stdout, "once more\n");
    assert_eq!((inner.logins(), jump.logins()), (1, 1));

    let stranger = SshNode::new(behind(&inner, &jump, &known(&[&inner])));
    let error = stranger.exec("true", b"").unwrap_err();
    assert_eq!(Failure::of(&error).reason.as_deref(), Some("jump"));
    let error = format!("{error:#}");
    assert!(error.contains("the way to node1 through") && error.contains("Host key verification failed"), "{error}");
    assert_eq!(inner.logins(), 1);
}

#[test]
fn a_machine_that_the_jump_host_does_not_reach_is_no_fault_of_the_jump_host() {
    let (mut inner, jump) = (Server::start(), Server::start());
    let node = SshNode::new(behind(&inner, &jump, &known(&[&inner, &jump])));
    inner.stop();
    let error = node.exec("true", b"").unwrap_err();
    assert_eq!(Failure::of(&error).reason.as_deref(), Some("connect"));
    assert!(format!("{error:#}").contains("Connection refused"), "{error:#}");
    assert_eq!(jump.logins(), 1);
}

#[test]
fn a_users_shell_takes_the_same_way_with_the_labs_own_key_and_known_hosts() {
    let (inner, jump) = (Server::start(), Server::start());
    std::fs::copy(inner.path("user.pub"), jump.path("user.pub")).unwrap();
    let key = inner.path("user");
    let ssh = format!("user = \"{}\", key = \"{}\", jump = \"{}\"", whoami(), key.display(), jump_of(&jump));
    let program = Program::new(inner.address(), &ssh);
    program.knows(&known(&[&inner, &jump]));
    // As `up` leaves it.
    std::fs::create_dir(program.dir.path().join("state/t/node")).unwrap();
    let said = program.command(&["ssh", "node1"]);
    let said = said.args(["--", "echo", "100%", "$SSH_CONNECTION"]).read().unwrap();
    assert_eq!(said, "100% $SSH_CONNECTION");
    assert_eq!((inner.logins(), jump.logins()), (1, 1), "{}", jump.log());
}

#[test]
fn a_way_is_tried_out_before_anybody_listens_at_its_end() {
    let (inner, jump) = (Server::start(), Server::start());
    let to = |to: SocketAddr| Forward::new(behind(&inner, &jump, &known(&[&jump])), to).unwrap().try_out();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    to(closed).unwrap();
    to(inner.address()).unwrap();
    // TCP goes to no broadcast address.
    let error = to(SocketAddr::from(([255, 255, 255, 255], 6443))).unwrap_err();
    assert_eq!(Failure::of(&error).reason.as_deref(), Some("jump"));
    let words = format!("the way to 255.255.255.255:6443 through {}: ", jump_of(&jump));
    assert!(error.to_string().starts_with(&words) && error.to_string().contains("open failed"), "{error}");
}

/// A server that says back what it is told, for ever.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut from = stream.try_clone().unwrap();
                std::io::copy(&mut from, &mut stream).unwrap_or(0);
            });
        }
    });
    address
}

fn answers(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut said = [0; 5];
    stream.read_exact(&mut said).is_ok() && &said == b"hello"
}

#[test]
fn a_port_leads_through_the_jump_host_and_is_opened_anew_when_the_way_broke() {
    let (inner, jump) = (Server::start(), Server::start());
    let target = behind(&inner, &jump, &known(&[&jump]));
    let forward = Forward::new(target, echo()).unwrap();
    assert_eq!(jump.logins(), 0, "nobody has asked yet");
    let first = forward.address().unwrap();
    assert!(answers(first) && answers(first));
    assert_eq!(forward.address().unwrap(), first);
    assert_eq!((inner.logins(), jump.logins()), (0, 1), "one way, by the jump host alone");

    Cmd::new("pkill").args(["-KILL", "-f", "--", &format!("-L {first}:")]).read().unwrap();
    while TcpStream::connect(first).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(answers(forward.address().unwrap()));
    assert_eq!(jump.logins(), 2);

    let last = forward.address().unwrap();
    drop(forward);
    assert!(TcpStream::connect(last).is_err(), "it ends with its owner");
}

#[test]
fn a_jump_host_that_does_not_lead_there_says_why() {
    let (inner, jump) = (Server::start(), Server::start());
    let stranger = Forward::new(behind(&inner, &jump, &known(&[&inner])), echo()).unwrap();
    let error = format!("{:#}", stranger.address().unwrap_err());
    assert!(error.contains(&format!("through {}: ", jump_of(&jump))), "{error}");
    assert!(error.contains("Host key verification failed"), "{error}");
    assert!(Forward::new(inner.target("127.0.0.1", "host", "user"), echo()).is_none(), "without a jump host no detour");
}
