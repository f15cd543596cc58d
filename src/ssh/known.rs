//! Host keys: whose they are is read from files in OpenSSH's format, and a key
//! that is in none of them, or is another one, ends the connection before any
//! login.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use ssh2::{MethodType, Session};

use super::{Target, stuck};
use crate::node::Obstacle;

/// The keys that files of known hosts hold for one machine.
pub struct Pinned {
    keys: Vec<PinnedKey>,
    revoked: Vec<Vec<u8>>,
}

struct PinnedKey {
    kind: String,
    blob: Vec<u8>,
    file: PathBuf,
}

impl Pinned {
    /// Of the machine at `target`, before it is spoken to; a file that is not
    /// there holds no keys, and at least one must be.
    pub fn read(target: &Target) -> Result<Self> {
        let mut pinned = Self { keys: Vec::new(), revoked: Vec::new() };
        let (host, port) = (target.address.ip().to_string(), target.address.port());
        let there: Vec<&PathBuf> = target.known_hosts.iter().filter(|file| file.exists()).collect();
        if there.is_empty() {
            let text = format!(
                "no host key is pinned for {host}: there is no {}\n  look at its key and have it remembered: {}",
                files(target),
                remember(target)
            );
            return Err(stuck(&target.name, Obstacle::HostKeyUnknown, text).into());
        }
        for file in there {
            pinned.take(&crate::paths::read(file)?, file, &host, port);
        }
        Ok(pinned)
    }

    fn take(&mut self, text: &str, file: &Path, host: &str, port: u16) {
        let with_port = format!("[{host}]:{port}");
        let mut bare = Vec::new();
        let before = self.keys.len();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let (revoked, line) = match line.strip_prefix("@revoked ") {
                Some(rest) => (true, rest.trim_start()),
                None => (false, line),
            };
            let mut words = line.split_whitespace();
            let (Some(names), Some(kind), Some(blob)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(blob) = STANDARD.decode(blob) else { continue };
            let exact = names.split(',').any(|name| is_name(name, &with_port) || (port == 22 && is_name(name, host)));
            let loose = port != 22 && names.split(',').any(|name| is_name(name, host));
            if !exact && !loose {
                continue;
            }
            if revoked {
                self.revoked.push(blob);
                continue;
            }
            let key = PinnedKey { kind: kind.to_owned(), blob, file: file.to_owned() };
            if exact { self.keys.push(key) } else { bare.push(key) }
        }
        // An entry without a port counts where there is none with it.
        if self.keys.len() == before {
            self.keys.append(&mut bare);
        }
    }

    /// Asks the server for the kind of key that is pinned, so that a server
    /// with several keys shows the one we know.
    pub fn prefer(&self, session: &Session) -> Result<()> {
        let mut kinds: Vec<&str> = Vec::new();
        for key in &self.keys {
            // One kind of key, three ways to sign with it.
            let ways: &[&str] =
                if key.kind == "ssh-rsa" { &["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] } else { &[&key.kind] };
            kinds.extend(ways.iter().filter(|way| !kinds.contains(way)).copied().collect::<Vec<_>>());
        }
        if kinds.is_empty() {
            return Ok(());
        }
        let kinds = kinds.join(",");
        session.method_pref(MethodType::HostKey, &kinds).with_context(|| format!("ask for a host key of kind {kinds}"))
    }

    /// Whether the server showed one of the keys; called before any login.
    pub fn check(&self, session: &Session, target: &Target) -> Result<()> {
        let (name, address) = (&target.name, target.address);
        let (shown, _) = session.host_key().with_context(|| format!("{name} showed no host key"))?;
        if self.revoked.iter().any(|blob| blob == shown) {
            bail!("{name} ({}) shows a host key that is revoked: {}", address.ip(), fingerprint(shown));
        }
        if self.keys.iter().any(|key| key.blob == shown) {
            return Ok(());
        }
        let (host, port) = (address.ip(), address.port());
        let Some(pinned) = self.keys.first() else {
            let text = format!(
                "no host key is pinned for {host} in {}\n  {name} at {address} shows {}\n  compare it on the machine \
                 itself: ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub\n  and have it remembered: {}",
                files(target),
                fingerprint(shown),
                kind_word(shown),
                remember(target)
            );
            return Err(stuck(name, Obstacle::HostKeyUnknown, text).into());
        };
        let text = format!(
            "the host key of {name} ({host}) is not the pinned one: another machine answers at this address\n  \
             pinned: {} ({})\n  shown:  {}\n  if you replaced the machine yourself: {}",
            fingerprint(&pinned.blob),
            pinned.file.display(),
            fingerprint(shown),
            target
                .replaced
                .replace("{file}", &pinned.file.display().to_string())
                .replace("{host}", &if port == 22 { host.to_string() } else { format!("[{host}]:{port}") })
        );
        Err(stuck(name, Obstacle::HostKeyChanged, text).into())
    }
}

fn files(target: &Target) -> String {
    let files: Vec<String> = target.known_hosts.iter().map(|file| file.display().to_string()).collect();
    files.join(" or ")
}

/// The command by which a user's ssh shows the key, asks, and remembers.
fn remember(target: &Target) -> String {
    let jump = target.jump.as_ref().map(|jump| format!("-J {jump} ")).unwrap_or_default();
    let port = target.address.port();
    let port = if port == 22 { String::new() } else { format!("-p {port} ") };
    format!("ssh {jump}{port}{}@{} true", target.user, target.address.ip())
}

/// Whether an entry's name, perhaps hashed, is this one.
fn is_name(entry: &str, name: &str) -> bool {
    let Some(hashed) = entry.strip_prefix("|1|") else { return entry.eq_ignore_ascii_case(name) };
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// As `ssh-keygen -l` shows it: the key's kind and `SHA256:…`.
fn fingerprint(blob: &[u8]) -> String {
    format!("{} SHA256:{}", kind_word(blob).to_uppercase(), STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// `ed25519`, `ecdsa` or `rsa`: what the key's file on a machine is named after.
fn kind_word(blob: &[u8]) -> &'static str {
    let length = blob.get(..4).map_or(0, |bytes| usize::from(bytes[3]));
    match blob.get(4..4 + length) {
        Some(b"ssh-ed25519") => "ed25519",
        Some(b"ssh-rsa") => "rsa",
        Some(kind) if kind.starts_with(b"ecdsa") => "ecdsa",
        _ => "host",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn found(text: &str, host: &str, port: u16) -> usize {
        let mut pinned = Pinned { keys: Vec::new(), revoked: Vec::new() };
        pinned.take(text, Path::new("known_hosts"), host, port);
        pinned.keys.len() + 10 * pinned.revoked.len()
    }

    #[test]
    fn entries_are_found_by_name_port_and_hash() {
        let line = |names: &str| format!("# a comment\n\n{names} {KEY} me@here\n");
        assert_eq!(found(&line("192.0.2.1,other"), "192.0.2.1", 22), 1);
        assert_eq!(found(&line("192.0.2.1"), "192.0.2.2", 22), 0);
        assert_eq!(found(&line("[192.0.2.1]:2222"), "192.0.2.1", 2222), 1);
        assert_eq!(found(&line("[192.0.2.1]:2222"), "192.0.2.1", 22), 0);
        assert_eq!(found(&line("192.0.2.1"), "192.0.2.1", 2222), 1);
        assert_eq!(found(&line("@revoked 192.0.2.1"), "192.0.2.1", 22), 10);
        assert_eq!(found(&line("@cert-authority *"), "192.0.2.1", 22), 0);
        // Made by `ssh-keygen -H` of 192.0.2.1.
        let hashed = HASHED;
        assert_eq!(found(&line(hashed), "192.0.2.1", 22), 1);
        assert_eq!(found(&line(hashed), "192.0.2.2", 22), 0);
    }

    const HASHED: &str = "|1|AsrRaJ3CqX2GZoi2kTowNm7XUmg=|DAFj1EvB3HdVP2pIra2V+P4VEQU=";

    #[test]
    fn a_fingerprint_is_what_ssh_keygen_shows() {
        let blob = STANDARD.decode(KEY.split_once(' ').unwrap().1).unwrap();
        assert_eq!(fingerprint(&blob), "ED25519 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    }
}
