//! Root's view for work on root trees: as root a mount namespace, as another
//! user also a user namespace with that user's subordinate ids, so that a
//! tree's files can have their owners. Mounts made inside end with it.

use crate::artifacts::programs::missing;
use crate::process::{self, Cmd};

/// Who works on root trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// We are root.
    Root,
    /// We are not: /etc/subuid and newuidmap lend us ids.
    User,
}

impl Namespace {
    /// By this process's effective user.
    #[must_use]
    pub fn detect() -> Self {
        if nix::unistd::geteuid().is_root() { Self::Root } else { Self::User }
    }

    /// A command that runs what is added as arguments as root of the namespace.
    #[must_use]
    pub fn command(self) -> Cmd {
        let unshare = Cmd::new("unshare").arg("--mount").env("PATH", process::path());
        match self {
            Self::Root => unshare.arg("--"),
            Self::User => unshare.args(["--map-auto", "--map-root-user", "--"]),
        }
    }

    /// Runs a bash script there; arguments added are `$1`, `$2`…
    #[must_use]
    pub fn bash(self, script: &str) -> Cmd {
        self.command().args(["bash", "-c", script, "provision"])
    }

    /// What stands in the way of using it here.
    #[must_use]
    pub fn obstacles(self) -> Vec<String> {
        match self {
            Self::Root => missing(&["unshare", "bash"]),
            Self::User => {
                let mut found = missing(&["unshare", "bash", "newuidmap", "newgidmap"]);
                let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
                let name = user.map(|user| user.name).unwrap_or_default();
                for file in ["/etc/subuid", "/etc/subgid"] {
                    let text = std::fs::read_to_string(file).unwrap_or_default();
                    if !text.lines().any(|line| line.split(':').next() == Some(&name)) {
                        found.push(format!(
                            "{file} lends user {name} no ids: type sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
                        ));
                    }
                }
                found
            }
        }
    }
}
