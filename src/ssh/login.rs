//! The login on a machine: key files, the agent.

use anyhow::{Context, Result, anyhow, bail};
use ssh2::Session;

use super::{Key, Target, stuck};
use crate::node::Obstacle;

/// Logs in with what the target says.
pub fn log_in(session: &Session, target: &Target) -> Result<()> {
    let Target { name, user, key, .. } = target;
    match key {
        Key::File(key) => {
            if !key.is_file() {
                bail!("the key {} for {name} is not there", key.display());
            }
            session.userauth_pubkey_file(user, None, key, None).with_context(|| {
                stuck(name, Obstacle::Login, format!("log in to {name} as {user} with key {}", key.display()))
            })
        }
        Key::Agent => by_agent(session, name, user),
    }
}

/// Offers the agent's keys in turn.
fn by_agent(session: &Session, name: &str, user: &str) -> Result<()> {
    const NEXT: &str = "start an agent and give it a key: eval \"$(ssh-agent)\" && ssh-add; or name a key's file in \
                        nodes.ssh.key";
    let mut agent = session.agent().context("speak with the SSH agent")?;
    let identities = agent.connect().and_then(|()| agent.list_identities()).and_then(|()| agent.identities());
    let identities = identities.map_err(|error| {
        anyhow!("log in to {name} as {user}: the SSH agent does not answer ({})\n  {NEXT}", error.message())
    })?;
    let mut refused = Vec::new();
    for identity in &identities {
        match agent.userauth(user, identity) {
            Ok(()) => return Ok(()),
            Err(_) => refused.push(identity.comment().to_owned()),
        }
    }
    if refused.is_empty() {
        bail!("log in to {name} as {user}: the SSH agent has no key\n  {NEXT}");
    }
    let text = format!(
        "log in to {name} as {user}: it takes none of the agent's keys ({})\n  add one there: ssh-copy-id {user}@ADDRESS",
        refused.join(", ")
    );
    Err(stuck(name, Obstacle::Login, text).into())
}
