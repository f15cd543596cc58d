//! Where the lab's Kubernetes API is reached from this host: at its own address,
//! or through the jump host that leads to the control plane.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Session;
use crate::artifacts::made::Made;
use crate::kubectl::Kubectl;
use crate::ssh::Forward;

/// How long the API server's port may take to answer: of machines on this host,
/// and elsewhere.
const ANSWER: [Duration; 2] = [Duration::from_millis(150), Duration::from_secs(1)];
/// The same behind a jump host.
const ANSWER_BEHIND: Duration = Duration::from_secs(5);

impl Session {
    /// The API server's own address.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        SocketAddr::new(self.profile().api_address().into(), 6443)
    }

    /// The jump host that leads to it, if it takes one.
    #[must_use]
    pub fn api_jump(&self) -> Option<&str> {
        self.nodes.first()?.access.as_ref()?.jump_host()
    }

    /// What was made, with the kubectl in it.
    pub fn made_with_kubectl(&self) -> Result<Made> {
        self.artifacts()?.made()?.context("kubectl is not in the cache any more\n  make it again: provision up")
    }

    /// The cluster's API, spoken by the kubectl that was made with the box.
    #[must_use]
    pub fn kubectl(&self, made: &Made) -> Kubectl {
        let kubectl = Kubectl::new(made.kubectl.clone(), self.lab.kubeconfig());
        match self.forward() {
            Some(forward) => kubectl.through(self.api_address().ip(), move || forward.address()),
            None => kubectl,
        }
    }

    /// Whether something answers there.
    #[must_use]
    pub fn api_answers(&self) -> bool {
        let Some(forward) = self.forward() else {
            let limit = ANSWER[usize::from(!self.owns_machines())];
            return TcpStream::connect_timeout(&self.api_address(), limit).is_ok();
        };
        // Our end of the way accepts in any case. A server of TLS says something
        // to who does not speak it, and the far end of nowhere nothing.
        let said = forward.address().and_then(|address| {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(ANSWER_BEHIND))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            Ok(stream.read(&mut [0; 1])?)
        });
        said.is_ok_and(|bytes| bytes > 0)
    }

    /// The way there, where a jump host is between.
    pub(super) fn forward(&self) -> Option<Forward> {
        Forward::new(self.ssh_target(self.nodes.first()?), self.api_address())
    }
}
