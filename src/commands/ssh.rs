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
    /// The command; without one, a shell. Several words stay the words they are; one
    /// word is a line for the node's shell: -- 'dmesg | tail'
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
            .args(remote_line(&self.command))
            .interactive()
    }
}

/// The line that the node's shell reads, or nothing for a shell of its own. `ssh`
/// itself joins words by blanks and so loses where one ended; a single word has no
/// end to lose, and is what one writes pipes in.
fn remote_line(words: &[String]) -> Option<String> {
    match words {
        [] => None,
        [line] => Some(line.clone()),
        words => Some(shell_words::join(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::remote_line;

    #[test]
    fn words_stay_words_and_one_word_is_a_line_for_the_shell() {
        let line = |words: &[&str]| remote_line(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&[]), None);
        assert_eq!(line(&["cat a || cat b"]).as_deref(), Some("cat a || cat b"));
        assert_eq!(line(&["grep", "a b", "c"]).as_deref(), Some("grep 'a b' c"));
    }
}
