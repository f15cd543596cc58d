//! Commands on a node over SSH; this file and those in `ssh/` are the only ones
//! that know `ssh2`.
//!
//! One session per node, many commands over it. The session does not block, so
//! that Ctrl-C and time-outs end a wait at once.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use ssh2::Session;

use crate::interrupt;
use crate::node::{Node, NotReached, Obstacle, Output};
use crate::process::Tunnel;

mod exec;
mod jump;
mod known;
mod login;
mod sudo;

use exec::Exec;
pub use jump::{Forward, jump_words, proxy_option};
pub use sudo::{Password, Root};

/// How long any one command on a node may take; scripts bound their own waits
/// below it.
const COMMAND: Duration = Duration::from_secs(45 * 60);
/// How often a connection that says nothing is asked whether it still lives.
const KEEPALIVE_SECONDS: u32 = 15;
/// How long a machine may leave what was sent to it unacknowledged. Its kernel
/// does that, however busy its programs are; by itself Linux waits for 15 min.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the login, and then the question how to become root, may take on a
/// machine that is there: a busy one starts a shell and sudo in tens of seconds.
const LOGIN: Duration = Duration::from_secs(60);

/// Where a node is reached and by which keys.
#[derive(Debug, Clone)]
pub struct Target {
    /// The node's name.
    pub name: String,
    /// Address and port of its SSH server.
    pub address: SocketAddr,
    /// Login name.
    pub user: String,
    /// What the login is made with.
    pub key: Key,
    /// How commands become root's.
    pub root: Root,
    /// The machine that leads there, as ssh takes it: `[user@]name[:port]`.
    pub jump: Option<String>,
    /// Files of host keys, OpenSSH format. A key that is in none is refused.
    pub known_hosts: Vec<PathBuf>,
    /// How long a machine may take to be connected to and to show its host key.
    /// One that did is there, and has [`LOGIN`] at least for what follows.
    pub patience: Duration,
    /// What to type when the machine was replaced and its host key with it.
    pub replaced: String,
}

impl Target {
    /// ssh's option for where host keys are looked up.
    #[must_use]
    pub fn known_hosts_option(&self) -> String {
        let files: Vec<String> = self.known_hosts.iter().map(|file| file.display().to_string()).collect();
        format!("UserKnownHostsFile={}", files.join(" "))
    }
}

/// What a login is made with.
#[derive(Debug, Clone)]
pub enum Key {
    /// A private key's file.
    File(PathBuf),
    /// Those that the SSH agent offers.
    Agent,
}

/// A node behind an SSH session, connected at the first command.
pub struct SshNode {
    target: Target,
    connection: Mutex<Option<Connection>>,
}

/// A session that is logged in.
struct Connection {
    session: Session,
    /// The same socket, to wait on.
    socket: OwnedFd,
    /// How commands become root's here, as it was found out.
    root: sudo::Way,
    /// Ends with the connection.
    _tunnel: Option<Tunnel>,
}

impl SshNode {
    /// A node that will be reached at `target`.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { target, connection: Mutex::new(None) }
    }

    /// Runs `command` with what `input` gives, within `limit`.
    fn run(&self, command: &str, input: &mut dyn Read, limit: Duration) -> Result<Output> {
        interrupt::check()?;
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            *guard = Some(self.open()?);
        }
        let connection = guard.as_ref().context("connection is gone")?;
        let result = connection.exec(&self.target.name, limit).run(&connection.root, command, input);
        if result.is_err() {
            // Whatever state the connection is in, the next command starts anew.
            *guard = None;
        }
        let name = &self.target.name;
        let words = || format!("run `{command}` on {name}");
        result.map_err(|error| {
            let broke = error.chain().any(|cause| cause.is::<ssh2::Error>() || cause.is::<std::io::Error>());
            if broke { error.context(stuck(name, Obstacle::Lost, words())) } else { error.context(words()) }
        })
    }

    fn open(&self) -> Result<Connection> {
        let Target { name, address, user, jump, patience, .. } = &self.target;
        let pinned = known::Pinned::read(&self.target)?;
        let mut session = Session::new().context("start an SSH session")?;
        session.set_timeout(milliseconds(*patience));
        let login = LOGIN.max(*patience);
        let (socket, tunnel) = match jump {
            None => {
                let stream = TcpStream::connect_timeout(address, *patience)
                    .with_context(|| stuck(name, Obstacle::Connect, format!("connect to {name} at {address}")))?;
                let set_up = || format!("set up the connection to {name}");
                stream.set_nodelay(true).with_context(set_up)?;
                setsockopt(&stream, TcpUserTimeout, &milliseconds(SILENCE)).with_context(set_up)?;
                let socket = stream.try_clone().context("share a socket")?.into();
                session.set_tcp_stream(stream);
                (socket, None)
            }
            Some(jump) => {
                let (stream, tunnel) = jump::through(jump, &self.target)?;
                let socket = stream.try_clone().context("share a socket")?.into();
                session.set_tcp_stream(stream);
                (socket, Some(tunnel))
            }
        };
        let opened = (|| {
            pinned.prefer(&session)?;
            session
                .handshake()
                .with_context(|| stuck(name, Obstacle::Handshake, format!("SSH handshake with {name} at {address}")))?;
            pinned.check(&session, &self.target)?;
            session.set_timeout(milliseconds(login));
            login::log_in(&session, &self.target)?;
            session.set_keepalive(true, KEEPALIVE_SECONDS);
            session.set_blocking(false);
            anyhow::Ok(())
        })();
        if let Err(error) = opened {
            // Behind a jump host it is ssh that knows what went wrong.
            let said = tunnel.as_ref().map(Tunnel::said).filter(|said| !said.is_empty());
            return Err(match (said, jump) {
                (Some(said), Some(jump)) => jump::told(error, name, jump, &said),
                _ => error,
            });
        }
        let mut connection = Connection { session, socket, root: sudo::Way::Login, _tunnel: tunnel };
        let mut ask = |command: &str, input: &str| {
            connection.exec(name, login).run(&sudo::Way::Login, command, &mut input.as_bytes())
        };
        let way = self.target.root.find(name, user, &mut ask)?;
        connection.root = way;
        Ok(connection)
    }
}

/// As libssh2 and the kernel take a limit.
fn milliseconds(limit: Duration) -> u32 {
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)
}

fn stuck(node: &str, how: Obstacle, text: String) -> NotReached {
    NotReached { node: node.into(), how, text }
}

impl Connection {
    fn exec<'a>(&'a self, name: &'a str, limit: Duration) -> Exec<'a> {
        Exec { session: &self.session, socket: &self.socket, name, limit, deadline: Instant::now() + limit }
    }
}

impl Node for SshNode {
    fn name(&self) -> &str {
        &self.target.name
    }

    fn exec(&self, command: &str, stdin: &[u8]) -> Result<Output> {
        self.run(command, &mut &*stdin, COMMAND)
    }

    fn exec_within(&self, command: &str, stdin: &[u8], limit: Duration) -> Result<Output> {
        self.run(command, &mut &*stdin, limit)
    }

    fn feed(&self, command: &str, input: &mut dyn Read) -> Result<Output> {
        self.run(command, input, COMMAND)
    }

    fn hang_up(&self) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
