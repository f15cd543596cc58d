//! How a lab's machines are reached: over SSH, by keys that are known.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Session;
use crate::node::Node;
use crate::profile::{NodeSpec, Sudo};
use crate::provider::{Provider, vagrant};
use crate::ssh::{Key, Root, SshNode, Target};
use crate::steps::Context;
use crate::steps::machines::{self, Change};
use crate::{console, paths, terminal};

impl Session {
    /// The nodes over SSH; nothing is connected yet. Asks for sudo's password
    /// where the profile says that sudo does, the first time.
    pub fn ssh_nodes(&self) -> Result<Vec<Box<dyn Node>>> {
        let access = self.nodes.iter().filter_map(|node| node.access.as_ref());
        let users: BTreeSet<&str> =
            access.filter(|access| access.sudo == Sudo::Password).map(|access| access.user.as_str()).collect();
        if !users.is_empty() && !self.password.is_set() {
            let users: Vec<&str> = users.into_iter().collect();
            let asked = terminal::ask_hidden(&format!("password for sudo of {}: ", users.join(", ")))?;
            self.password.set(asked.context(
                "sudo asks for a password (nodes.ssh.sudo), and there is no terminal to ask for it on\n  run it on a \
                 terminal, or let sudo ask for none and say so: nodes.ssh.sudo = \"free\"",
            )?);
        }
        Ok(self.nodes.iter().map(|node| Box::new(SshNode::new(self.ssh_target(node))) as Box<dyn Node>).collect())
    }

    /// Whether host keys were pinned, where that is ours to do.
    #[must_use]
    pub fn knows_hosts(&self) -> bool {
        self.nodes.iter().all(|node| node.access.is_some()) || self.lab.known_hosts().is_file()
    }

    /// Pins the host keys that the machines print on their consoles, or at first
    /// sight those of a box that prints none; those of machines that are not
    /// ours are the user's to know.
    pub fn pin_host_keys(&self) -> Result<()> {
        let ours = self.nodes.iter().filter(|node| node.access.is_none());
        ours.into_iter().try_for_each(|node| match node.plain {
            true => vagrant::pin(&self.ssh_target(node), &self.lab),
            false => console::pin(&self.lab, node),
        })
    }

    /// Forgets the host keys of machines of ours that others have replaced:
    /// those say theirs on their consoles.
    pub fn forget_replaced(&self, changes: &[Change]) -> Result<()> {
        let ours = self.nodes.iter().zip(changes).filter(|(node, _)| node.access.is_none());
        let mut replaced = ours.filter(|(_, change)| **change == Change::Replaced);
        replaced.try_for_each(|(node, _)| console::forget_key(&self.lab, node))
    }

    /// Waits at most `limit` for the machines, which run, to answer, and writes
    /// down which ones they are.
    pub fn meet(&self, provider: &dyn Provider, cx: &Context, limit: Duration) -> Result<()> {
        let names = self.node_names();
        cx.wait_for_nodes(limit).map_err(|error| console::with_tails(&self.lab, &names, error))?;
        let met: Result<Vec<_>> = names.iter().map(|node| provider.identity(&self.lab, node)).collect();
        machines::meet(cx, met?)
    }

    /// How a node is reached.
    #[must_use]
    pub fn ssh_target(&self, node: &NodeSpec) -> Target {
        let address = SocketAddr::new(IpAddr::V4(node.ip), node.port);
        let Some(access) = &node.access else {
            return Target {
                name: node.name.clone(),
                address,
                user: if node.plain { vagrant::USER } else { "root" }.into(),
                key: Key::File(if node.plain { vagrant::key(&self.lab, &node.name) } else { self.lab.ssh_key() }),
                root: if node.plain { Root::Free } else { Root::Login },
                jump: None,
                known_hosts: vec![self.lab.known_hosts()],
                patience: Duration::from_secs(60),
                replaced: "provision down && provision up".into(),
            };
        };
        Target {
            name: node.name.clone(),
            address,
            user: access.user.clone(),
            key: match access.key.as_str() {
                "agent" => Key::Agent,
                path => Key::File(paths::expand_home(path)),
            },
            root: match access.sudo {
                Sudo::No => Root::Login,
                Sudo::Free => Root::Free,
                Sudo::Password => Root::Password(Arc::clone(&self.password)),
            },
            jump: access.jump_host().map(Into::into),
            known_hosts: vec![
                self.lab.known_hosts(),
                paths::expand_home("~/.ssh/known_hosts"),
                "/etc/ssh/ssh_known_hosts".into(),
            ],
            patience: Duration::from_secs(20),
            replaced: "ssh-keygen -R '{host}' -f {file}".into(),
        }
    }
}
