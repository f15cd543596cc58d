//! A machine's serial console, and the host key it prints there: the first
//! contact that SSH's key checking rests on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::failure::Annotated;
use crate::lab::Lab;
use crate::profile::NodeSpec;
use crate::{interrupt, paths};

/// What the box's `provision-host-key` service prints in front of the key.
const MARK: &str = "provision-host-key: ";
/// How long the line may take once the machine answers SSH.
const WAIT: Duration = Duration::from_secs(60);
/// How many last lines of a console an error shows.
const TAIL: usize = 12;

/// The last host key in a console's text, as `TYPE BASE64`.
#[must_use]
pub fn host_key(console: &str) -> Option<String> {
    console.lines().rev().filter_map(|line| line.split_once(MARK)).find_map(|(_, rest)| {
        let mut words = rest.split_whitespace();
        let (kind, blob) = (words.next()?, words.next()?);
        (kind.starts_with("ssh-") && blob.len() > 60).then(|| format!("{kind} {blob}"))
    })
}

/// Makes sure that the node's host key is pinned; a key that is pinned stays.
pub fn pin(lab: &Lab, node: &NodeSpec) -> Result<()> {
    let known = if lab.known_hosts().is_file() { paths::read(&lab.known_hosts())? } else { String::new() };
    let address = node.ip.to_string();
    if known.lines().any(|line| line.split(' ').next() == Some(&address)) {
        return Ok(());
    }
    let started = Instant::now();
    let key = loop {
        let bytes = std::fs::read(lab.console(&node.name))
            .with_context(|| format!("read the console {}", lab.console(&node.name).display()))?;
        if let Some(key) = host_key(&String::from_utf8_lossy(&bytes)) {
            break key;
        }
        if started.elapsed() > WAIT {
            bail!(
                "{} printed no host key on its console ({})\n  without it SSH cannot know the machine: provision down && provision up",
                node.name,
                lab.console(&node.name).display()
            );
        }
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(200));
    };
    paths::write_atomic(&lab.known_hosts(), format!("{known}{address} {key}\n").as_bytes(), 0o644)
}

/// An error with the ends of the machines' consoles: what a machine that does
/// not answer has to say stands there.
#[must_use]
pub fn with_tails(lab: &Lab, nodes: &[String], error: anyhow::Error) -> anyhow::Error {
    let mut text = format!("{error:#}");
    for node in nodes {
        let path = lab.console(node);
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let console = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            text.push_str(&format!("\n  the console of {node} is empty"));
            continue;
        }
        text.push_str(&format!("\n  end of the console of {node} ({}):", path.display()));
        for line in &lines[lines.len().saturating_sub(TAIL)..] {
            let line: String = line.chars().filter(|c| !c.is_control()).collect();
            text.push_str(&format!("\n  | {line}"));
        }
    }
    text.push_str("\n  go on from here: provision up   give up: provision down");
    Annotated { text, about: error }.into()
}

/// Forgets console and host key of a machine that is made anew.
pub fn forget(lab: &Lab, node: &NodeSpec) -> Result<()> {
    paths::remove_file(&lab.console(&node.name))?;
    forget_key(lab, node)
}

/// Forgets the host key of a machine that another one has replaced.
pub fn forget_key(lab: &Lab, node: &NodeSpec) -> Result<()> {
    if lab.known_hosts().is_file() {
        let address = format!("{} ", node.ip);
        let known = paths::read(&lab.known_hosts())?;
        let kept: String =
            known.lines().filter(|line| !line.starts_with(&address)).map(|line| format!("{line}\n")).collect();
        paths::write_atomic(&lab.known_hosts(), kept.as_bytes(), 0o644)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_key_counts() {
        let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let old = blob.replace("OMqq", "XXXX");
        let text = format!(
            "[  1.0] boot\r\n{MARK}ssh-ed25519 {old}\r\nlogin\r\n[ 2.0] {MARK}ssh-ed25519 {blob}\r\n{MARK}ssh-ed255"
        );
        assert_eq!(host_key(&text).unwrap(), format!("ssh-ed25519 {blob}"));
        assert_eq!(host_key("no key here"), None);
    }
}
