//! The host's system and the profile itself.

use anyhow::Result;

use super::{Asked, Finding, Host, Topic};
use crate::host::{has_systemd, is_root};
use crate::process;

/// The operating system, its architecture, its services; the profile.
pub struct System;

impl Topic for System {
    fn title(&self, _: &Asked) -> String {
        "this host".into()
    }

    fn look(&self, asked: &Asked, host: &Host) -> Result<Vec<Finding>> {
        let os = host.installer.os();
        let mut found = vec![if host.installer.unknown().is_none() {
            Finding::ok(format!("{} on {}", os.name, std::env::consts::ARCH))
        } else {
            Finding::note(format!("{}: `provision` cannot install packages here", os.name))
                .next("install by hand what is missing below; Debian, Ubuntu, Fedora, Arch and openSUSE are known")
        }];
        if std::env::consts::ARCH != "x86_64" {
            found.push(
                Finding::problem(format!("the CPU is {}, and labs are made for x86_64 only", std::env::consts::ARCH))
                    .next("use a host with an x86-64 CPU"),
            );
        }
        if !has_systemd() {
            found.push(Finding::note("systemd does not manage this host: daemons are started one by one"));
        }
        if is_root() {
            found.push(Finding::ok("this is root"));
        } else if process::find("sudo").is_some() {
            found.push(Finding::ok("sudo is there for what takes root"));
        } else {
            found.push(
                Finding::note("this is not root and there is no sudo: installing is up to root")
                    .next("as root: provision doctor --fix"),
            );
        }
        if let Some(faults) = &asked.faults {
            let lines = faults.to_string();
            let (text, _) = lines.rsplit_once('\n').unwrap_or((&lines, ""));
            found.push(
                Finding::problem(format!("{text}\n  the rest is looked at for the built-in profile"))
                    .next(faults.next.clone()),
            );
        }
        Ok(found)
    }
}
