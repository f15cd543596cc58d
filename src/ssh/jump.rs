//! What lies behind a jump host: a machine's SSH server, and ports of it.
//!
//! A jump host is reached by the system's `ssh`, as OpenSSH's own ProxyJump
//! does: the user's configuration, agent, known hosts and chains of jump hosts
//! hold for it. libssh2 could open the channels itself
//! (`channel_direct_tcpip`), but then two sessions would share a thread, and
//! bytes be copied, for each node.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Key, Target, stuck};
use crate::interrupt;
use crate::node::{NotReached, Obstacle};
use crate::process::{Cmd, Tunnel};

/// How often another port is taken where somebody else was quicker.
const PORTS: u32 = 3;
/// How often it is looked whether a port is open.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a way that is tried out may take to be refused.
const TRY: Duration = Duration::from_secs(5);

/// Login name, host and port of `[user@]name[:port]`; no port is an empty one.
fn parts(jump: &str) -> (Option<&str>, &str, &str) {
    let (user, rest) = jump.split_once('@').map_or((None, jump), |(user, rest)| (Some(user), rest));
    let (host, port) = rest.split_once(':').unwrap_or((rest, ""));
    (user, host, port)
}

/// The jump host as a user names it to ssh: `[-p port] [user@]name`.
#[must_use]
pub fn jump_words(jump: &str) -> String {
    let (user, host, port) = parts(jump);
    let port = if port.is_empty() { String::new() } else { format!("-p {port} ") };
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    format!("{port}{user}{host}")
}

/// `ssh WORDS` on the jump host, with the key and the host keys of the target.
fn ssh(jump: &str, target: &Target, words: &[&str]) -> Cmd {
    let (user, host, port) = parts(jump);
    let mut ssh = Cmd::new("ssh")
        .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o"])
        .arg(target.known_hosts_option())
        .arg("-o")
        .arg(format!("ConnectTimeout={}", target.patience.as_secs().max(1)));
    if let Key::File(key) = &target.key {
        ssh = ssh.arg("-i").arg(key);
    }
    if let Some(user) = user {
        ssh = ssh.args(["-l", user]);
    }
    if !port.is_empty() {
        ssh = ssh.args(["-p", port]);
    }
    ssh.args(words).arg("--").arg(host)
}

/// A stream to the target through `jump`, and the process that carries it.
pub fn through(jump: &str, target: &Target) -> Result<(UnixStream, Tunnel)> {
    ssh(jump, target, &["-W", &target.address.to_string()]).tunnel().context("reach the jump host")
}

/// The error of a session that was not set up, with what the ssh that carries it
/// said and whose fault that makes it.
pub(super) fn told(error: anyhow::Error, name: &str, jump: &str, said: &str) -> anyhow::Error {
    let text = format!("the way to {name} through {jump}: {said}");
    let Some(not) = error.downcast_ref::<NotReached>() else { return error.context(text) };
    let how = match not.how {
        // The jump host is well, and got no further itself.
        Obstacle::Handshake if said.contains("open failed") => Obstacle::Connect,
        Obstacle::Handshake => Obstacle::Jump,
        how => how,
    };
    error.context(stuck(name, how, text))
}

/// The target's way for a `ssh` that a user talks with, as its option; none
/// where no jump host is between.
#[must_use]
pub fn proxy_option(target: &Target) -> Option<String> {
    let jump = target.jump.as_deref()?;
    // ssh reads `%` as the beginning of a token of its own.
    let line = ssh(jump, target, &["-W", &target.address.to_string()]).to_line().replace('%', "%%");
    Some(format!("ProxyCommand={line}"))
}

/// A port of this host that leads, through a jump host, to one that only that
/// reaches. It is opened when it is first asked for, and anew when the way broke.
pub struct Forward {
    jump: String,
    target: Target,
    to: SocketAddr,
    open: Mutex<Option<(SocketAddr, Tunnel)>>,
}

impl Forward {
    /// To `to`, by the way to `target`; none where no jump host is between.
    #[must_use]
    pub fn new(target: Target, to: SocketAddr) -> Option<Self> {
        Some(Self { jump: target.jump.clone()?, target, to, open: Mutex::new(None) })
    }

    /// Where it is on this host.
    pub fn address(&self) -> Result<SocketAddr> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((address, _)) = open.as_ref().filter(|(_, tunnel)| tunnel.lives()) {
            return Ok(*address);
        }
        *open = None;
        let (address, _) = open.insert(self.start()?);
        Ok(*address)
    }

    /// An error where the jump host does not lead there; that nobody listens there
    /// yet is none.
    pub fn try_out(&self) -> Result<()> {
        let mut stream = TcpStream::connect(self.address()?).context("try the way through the jump host")?;
        stream.set_read_timeout(Some(TRY)).context("try the way through the jump host")?;
        // Our end accepts in any case; where the far one cannot be had, ssh says
        // why and closes.
        if !matches!(stream.read(&mut [0; 1]), Ok(0)) {
            return Ok(());
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let said = open.as_ref().map(|(_, tunnel)| tunnel.said()).unwrap_or_default();
        if said.contains("Connection refused") { Ok(()) } else { Err(self.not_there(&said)) }
    }

    fn not_there(&self, said: &str) -> anyhow::Error {
        stuck(&self.target.name, Obstacle::Jump, format!("the way to {} through {}: {said}", self.to, self.jump)).into()
    }

    fn start(&self) -> Result<(SocketAddr, Tunnel)> {
        let mut said = String::new();
        for _ in 0..PORTS {
            // ssh cannot be asked for any port that is free: it has to be told one.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
            let address = free.context("find a free port on this host")?;
            let forward = format!("{address}:{}", self.to);
            // By a connection of its own: one that a user's ssh shares would keep the port.
            let options = ["ExitOnForwardFailure=yes", "ServerAliveInterval=15", "ControlPath=none"];
            let mut words: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
            words.extend(["-N", "-L", forward.as_str()]);
            let (_, tunnel) = ssh(&self.jump, &self.target, &words).tunnel().context("reach the jump host")?;
            if self.wait(address, &tunnel)? {
                return Ok((address, tunnel));
            }
            said = tunnel.said();
            if !said.contains("Address already in use") {
                break;
            }
        }
        Err(self.not_there(&said))
    }

    /// Until ssh listens (yes) or has ended (no).
    fn wait(&self, address: SocketAddr, tunnel: &Tunnel) -> Result<bool> {
        // ssh bounds the connection itself; the login comes on top.
        let deadline = Instant::now() + self.target.patience * 2;
        while tunnel.lives() {
            interrupt::check()?;
            if TcpStream::connect(address).is_ok() {
                return Ok(tunnel.lives());
            }
            if Instant::now() > deadline {
                let limit = (self.target.patience * 2).as_secs();
                return Err(self.not_there(&format!("not open after {limit} s")));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_host_is_named_as_ssh_takes_it() {
        assert_eq!(jump_words("gate.example"), "gate.example");
        assert_eq!(jump_words("me@gate.example:2222"), "-p 2222 me@gate.example");
    }
}
