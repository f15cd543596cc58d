//! A real `sshd` on 127.0.0.1 with keys of its own, for the tests that speak to
//! one. As root it can have users, a sudoers file and a system's name of its own
//! too, in a mount namespace that ends with it.

#![allow(clippy::unwrap_used, dead_code, clippy::allow_attributes, reason = "each test uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "the server runs beside the test, which process::Cmd cannot do")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use provision::process::Cmd;
use provision::ssh::{Key, Root, SshNode, Target};

pub mod program;

/// An `sshd` of our own: its folder, its port, its log.
pub struct Server {
    dir: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Server {
    /// A server that this user logs in to.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server in whose view of the file system some files under `/etc` have
    /// another text; takes root.
    pub fn with(files: &[(&str, &str, u32)]) -> Self {
        Self::apart(files, &[])
    }

    /// The same, with folders besides that are empty in its view; takes root.
    pub fn apart(files: &[(&str, &str, u32)], empty: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["host", "user", "stranger"] {
            keygen(&dir.path().join(name));
        }
        // Debian's service makes this folder; without the service we do.
        if nix::unistd::Uid::effective().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nLogLevel VERBOSE\n",
            path("host"),
            path("user.pub"),
        );
        std::fs::write(dir.path().join("config"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let sshd = format!("exec /usr/sbin/sshd -D -e -f {}", path("config"));
        let mut command = if files.is_empty() {
            let mut command = Command::new("sh");
            command.args(["-c", &sshd]);
            command
        } else {
            assert!(nix::unistd::Uid::effective().is_root(), "files of its own take root: run this test as root");
            let mut script = String::from("set -e; ");
            for folder in empty {
                script.push_str(&format!("mount -t tmpfs -o mode=755 tmpfs {folder}; "));
            }
            script.push_str("mkdir -p /run/sshd; ");
            for (index, (at, text, mode)) in files.iter().enumerate() {
                let file = dir.path().join(format!("file{index}"));
                std::fs::write(&file, text).unwrap();
                script.push_str(&format!("chmod {mode:o} {0}; touch {at}; mount --bind {0} {at}; ", file.display()));
            }
            // The login's user looks for its keys here.
            script.push_str(&format!("chmod 755 {}; {sshd}", dir.path().display()));
            let mut command = Command::new("unshare");
            command.args(["--mount", "bash", "-c", &script]);
            command
        };
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let server = Self { dir, port, process };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(server.address()).is_err() {
            assert!(Instant::now() < deadline, "sshd does not listen:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A file in its folder: `host`, `user` and `stranger` are keys.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// How often somebody was let in.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// The way to the server for a client that knows it by `host_key` under
    /// `host_name`.
    pub fn target(&self, host_name: &str, host_key: &str, user_key: &str) -> Target {
        let known_hosts = self.path(&format!("known-{host_name}-{host_key}"));
        std::fs::write(&known_hosts, self.known(host_name, host_key)).unwrap();
        Target {
            name: "node1".into(),
            address: self.address(),
            user: whoami(),
            key: Key::File(self.path(user_key)),
            root: Root::Login,
            jump: None,
            known_hosts: vec![known_hosts],
            patience: Duration::from_secs(60),
            replaced: "provision down && provision up".into(),
        }
    }

    /// A line for a file of known hosts.
    pub fn known(&self, host_name: &str, host_key: &str) -> String {
        format!("{host_name} {}", std::fs::read_to_string(self.path(&format!("{host_key}.pub"))).unwrap())
    }

    /// A client that knows the server by `host_key` under `host_name`.
    pub fn client(&self, host_name: &str, host_key: &str, user_key: &str) -> SshNode {
        SshNode::new(self.target(host_name, host_key, user_key))
    }

    /// A client that may come in.
    pub fn friend(&self) -> SshNode {
        self.client("127.0.0.1", "host", "user")
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn keygen(path: &Path) {
    Cmd::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]).arg(path).read().unwrap();
}

/// This process's user.
pub fn whoami() -> String {
    Cmd::new("id").arg("-un").read().unwrap()
}
