//! Commands on a node over SSH; the only file that knows `ssh2`.
//!
//! One session per node, many commands over it. The session does not block, so
//! that Ctrl-C and time-outs end a wait at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use ssh2::{CheckResult, KnownHostFileKind, Session};

use crate::interrupt;
use crate::node::{Node, NotReached, Obstacle, Output};

/// How long one try to connect and log in may take.
const CONNECT: Duration = Duration::from_secs(60);
/// How long any one command on a node may take; scripts bound their own waits
/// below it.
const COMMAND: Duration = Duration::from_secs(45 * 60);
/// How much output of one command is kept; more is an error, not memory.
const OUTPUT_LIMIT: usize = 8 << 20;
/// How often a connection that says nothing is asked whether it still lives.
const KEEPALIVE_SECONDS: u32 = 15;
/// How long a machine may leave what was sent to it unacknowledged. Its kernel
/// does that, however busy its programs are; by itself Linux waits for 15 min.
const SILENCE: Duration = Duration::from_secs(60);

/// Where a node is reached and by which keys.
#[derive(Debug, Clone)]
pub struct Target {
    /// The node's name.
    pub name: String,
    /// Address and port of its SSH server.
    pub address: SocketAddr,
    /// Login name.
    pub user: String,
    /// Private key file.
    pub key: PathBuf,
    /// Pinned host keys, OpenSSH format. A key that is not in it is refused.
    pub known_hosts: PathBuf,
}

/// A node behind an SSH session, connected at the first command.
pub struct SshNode {
    target: Target,
    session: Mutex<Option<Session>>,
}

impl SshNode {
    /// A node that will be reached at `target`.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { target, session: Mutex::new(None) }
    }

    fn connect(&self) -> Result<()> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.is_none() {
            *session = Some(self.open()?);
        }
        Ok(())
    }

    fn open(&self) -> Result<Session> {
        let Target { name, address, user, key, known_hosts } = &self.target;
        let stream = TcpStream::connect_timeout(address, CONNECT)
            .with_context(|| stuck(name, Obstacle::Connect, format!("connect to {name} at {address}")))?;
        let set_up = || format!("set up the connection to {name}");
        stream.set_nodelay(true).with_context(set_up)?;
        let silence = u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX);
        setsockopt(&stream, TcpUserTimeout, &silence).with_context(set_up)?;
        let mut session = Session::new().context("start an SSH session")?;
        session.set_timeout(u32::try_from(CONNECT.as_millis()).unwrap_or(u32::MAX));
        session.set_tcp_stream(stream);
        prefer_pinned_key(&session, name, known_hosts, &address.ip().to_string())?;
        session
            .handshake()
            .with_context(|| stuck(name, Obstacle::Handshake, format!("SSH handshake with {name} at {address}")))?;
        check_host_key(&session, name, &address.ip().to_string(), known_hosts)?;
        session.userauth_pubkey_file(user, None, key, None).with_context(|| {
            stuck(name, Obstacle::Login, format!("log in to {name} as {user} with key {}", key.display()))
        })?;
        session.set_keepalive(true, KEEPALIVE_SECONDS);
        session.set_blocking(false);
        Ok(session)
    }
}

fn stuck(node: &str, how: Obstacle, text: String) -> NotReached {
    NotReached { node: node.into(), how, text }
}

/// Asks the server for the kind of key that is pinned, so that a server with
/// several keys shows the one we know.
fn prefer_pinned_key(session: &Session, name: &str, known_hosts: &Path, host: &str) -> Result<()> {
    let text = crate::paths::read(known_hosts)?;
    let kinds: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(names, _)| names.split(',').any(|name| name == host))
        .filter_map(|(_, rest)| rest.split_whitespace().next())
        .collect();
    if kinds.is_empty() {
        let text = format!("no host key is pinned for {host} in {}", known_hosts.display());
        return Err(stuck(name, Obstacle::HostKeyUnknown, text).into());
    }
    session
        .method_pref(ssh2::MethodType::HostKey, &kinds.join(","))
        .with_context(|| format!("ask {host} for a host key of kind {}", kinds.join(",")))
}

fn check_host_key(session: &Session, name: &str, host: &str, known_hosts: &Path) -> Result<()> {
    let mut pinned = session.known_hosts().context("read host keys")?;
    pinned
        .read_file(known_hosts, KnownHostFileKind::OpenSSH)
        .with_context(|| format!("read {}", known_hosts.display()))?;
    let (key, _) = session.host_key().with_context(|| format!("{name} showed no host key"))?;
    let (how, text) = match pinned.check(host, key) {
        CheckResult::Match => return Ok(()),
        CheckResult::NotFound => {
            (Obstacle::HostKeyUnknown, format!("no host key of {name} ({host}) is pinned in {}", known_hosts.display()))
        }
        CheckResult::Mismatch => (
            Obstacle::HostKeyChanged,
            format!(
                "the host key of {name} ({host}) is not the pinned one: another machine answers at this address\n  \
                 if you replaced the machine yourself: provision down && provision up"
            ),
        ),
        CheckResult::Failure => bail!("the host key of {name} ({host}) could not be checked"),
    };
    Err(stuck(name, how, text).into())
}

impl Node for SshNode {
    fn name(&self) -> &str {
        &self.target.name
    }

    fn exec(&self, command: &str, stdin: &[u8]) -> Result<Output> {
        interrupt::check()?;
        self.connect()?;
        let mut guard = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = guard.as_ref().context("connection is gone")?;
        let result = Exec { session, name: &self.target.name, deadline: Instant::now() + COMMAND }.run(command, stdin);
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
}

/// One command under way.
struct Exec<'a> {
    session: &'a Session,
    name: &'a str,
    deadline: Instant,
}

impl Exec<'_> {
    fn run(&self, command: &str, stdin: &[u8]) -> Result<Output> {
        let mut channel = self.retry(|| self.session.channel_session())?;
        self.retry(|| channel.exec(command))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut unsent = stdin;
        let mut eof_sent = false;
        loop {
            let mut moved = false;
            if !unsent.is_empty() {
                match channel.write(unsent) {
                    Ok(n) => {
                        unsent = &unsent[n..];
                        moved = true;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error).context("send standard input"),
                }
            } else if !eof_sent {
                self.retry(|| channel.send_eof())?;
                eof_sent = true;
            }
            moved |= drain(&mut channel.stream(0), &mut stdout)?;
            moved |= drain(&mut channel.stream(1), &mut stderr)?;
            if channel.eof() && !moved {
                break;
            }
            if !moved {
                self.pause()?;
            }
        }
        self.retry(|| channel.close())?;
        self.retry(|| channel.wait_close())?;
        let signal = self.retry(|| channel.exit_signal())?;
        let status =
            if signal.exit_signal.is_some() { -1 } else { channel.exit_status().context("read exit status")? };
        Ok(Output {
            status,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    fn retry<T>(&self, mut action: impl FnMut() -> Result<T, ssh2::Error>) -> Result<T> {
        const WOULD_BLOCK: i32 = -37;
        loop {
            match action() {
                Err(error) if error.code() == ssh2::ErrorCode::Session(WOULD_BLOCK) => self.pause()?,
                other => return other.map_err(Into::into),
            }
        }
    }

    fn pause(&self) -> Result<()> {
        interrupt::check()?;
        if Instant::now() > self.deadline {
            let text = format!("{} did not answer within {} min", self.name, COMMAND.as_secs() / 60);
            return Err(stuck(self.name, Obstacle::TimeOut, text).into());
        }
        match self.session.keepalive_send() {
            Ok(_) => {}
            Err(error) if error.code() == ssh2::ErrorCode::Session(-37) => {}
            Err(error) => return Err(anyhow!(error)).context("the connection was lost"),
        }
        std::thread::sleep(Duration::from_millis(4));
        Ok(())
    }
}

/// Moves what is there; whether anything was.
fn drain(stream: &mut ssh2::Stream, into: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0; 16 << 10];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(n) => {
            if into.len() + n > OUTPUT_LIMIT {
                bail!("the command printed more than {} MiB", OUTPUT_LIMIT >> 20);
            }
            into.extend_from_slice(&buffer[..n]);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("read output"),
    }
}
