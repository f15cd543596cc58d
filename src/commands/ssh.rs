//! `provision ssh`: a shell or a command on a node, by the system's `ssh` with
//! the lab's key and pinned host keys.

use anyhow::Result;
use clap::Args;

use super::Session;
use crate::process::Cmd;
use crate::ssh::{Key, proxy_option};

/// Open a shell on a node, or run a command there.
#[derive(Debug, Args)]
pub struct Ssh {
    /// The node [default: the first]
    node: Option<String>,
    /// The command; without one, a shell
    #[arg(last = true)]
    command: Vec<String>,
}

impl Ssh {
    /// Runs `ssh` and returns its exit code.
    pub fn run(&self, session: &Session) -> Result<i32> {
        session.lab.must_exist()?;
        let node = session.node(self.node.as_deref())?;
        let target = session.ssh_target(node);
        let mut ssh = Cmd::new("ssh");
        if let Key::File(key) = &target.key {
            ssh = ssh.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
        }
        // Not `-J`: our keys and known hosts would not hold for the jump host.
        if let Some(way) = proxy_option(&target) {
            ssh = ssh.arg("-o").arg(way);
        }
        ssh.args(["-o", "StrictHostKeyChecking=yes", "-o"])
            .arg(target.known_hosts_option())
            .args(["-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR", "-p"])
            .arg(target.address.port().to_string())
            .arg(format!("{}@{}", target.user, target.address.ip()))
            .args((!self.command.is_empty()).then(|| shell_words::join(&self.command)))
            .interactive()
    }
}
