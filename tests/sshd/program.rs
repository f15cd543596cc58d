//! `provision` with a lab of one machine that exists already.

use std::net::SocketAddr;
use std::time::Duration;

use provision::process::Cmd;

/// The program with a profile, a home and a state folder of its own.
pub struct Program {
    /// Its home; `state` in it is its state folder.
    pub dir: tempfile::TempDir,
}

impl Program {
    /// With one machine, there, and what its `ssh` says.
    pub fn new(address: SocketAddr, ssh: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let profile = format!(
            "name = \"t\"\nprovider = \"hosts\"\n[[nodes]]\nrole = \"control-plane\"\naddresses = [\"{address}\"]\nssh = {{ {ssh} }}\n"
        );
        std::fs::write(dir.path().join("lab.toml"), profile).unwrap();
        Self { dir }
    }

    /// Host keys that the lab knows.
    pub fn knows(&self, lines: &str) {
        std::fs::create_dir_all(self.dir.path().join("state/t")).unwrap();
        std::fs::write(self.dir.path().join("state/t/known_hosts"), lines).unwrap();
    }

    /// `provision WORDS` with them.
    pub fn command(&self, words: &[&str]) -> Cmd {
        Cmd::new(env!("CARGO_BIN_EXE_provision"))
            .args(words)
            .arg("--profile")
            .arg(self.dir.path().join("lab.toml"))
            .env("HOME", self.dir.path())
            .env("PROVISION_STATE", self.dir.path().join("state"))
            .env_remove("PROVIDER")
            .env_remove("SSH_AUTH_SOCK")
            .timeout(Duration::from_secs(60))
    }
}
