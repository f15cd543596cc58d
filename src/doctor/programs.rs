//! The programs of a provider, and its daemon.

use anyhow::Result;

use super::{Asked, Finding, Host, Remedy, Topic};
use crate::host::daemons::{self, Libvirt};
use crate::host::packages::{self, Job};
use crate::host::{as_root, is_root};
use crate::profile::Provider;
use crate::provider::virtualbox::{self, preflight};

/// What a provider takes.
pub struct Programs(pub Provider);

impl Topic for Programs {
    fn title(&self, asked: &Asked) -> String {
        let chosen = if self.0 == asked.profile.provider { ", the provider of this profile" } else { "" };
        format!("{}{chosen}", self.0.name())
    }

    fn look(&self, asked: &Asked, host: &Host) -> Result<Vec<Finding>> {
        let chosen = self.0 == asked.profile.provider;
        let (there, lacking): (Vec<_>, Vec<_>) = packages::needed(Job::Lab(self.0)).partition(|need| need.is_met());
        let mut found = Vec::new();
        if !there.is_empty() {
            let names: Vec<&str> = there.iter().map(|need| need.name()).collect();
            found.push(Finding::ok(format!("installed: {}", names.join(", "))));
        }
        for need in lacking {
            let finding = Finding::problem_if(chosen, format!("{} is missing: {}", need.name(), need.purpose));
            found.push(match host.installer.by_hand(need.package)? {
                Some(why) => finding.next(why),
                None => {
                    let line = as_root::line(&host.installer.commands(&[need.package]));
                    let finding = finding.next(line);
                    if chosen { finding.remedy(Remedy::Install(need)) } else { finding }
                }
            });
        }
        if self.0 == Provider::Libvirt {
            found.extend(daemon(chosen, daemons::libvirt()?));
        }
        if self.0 == Provider::Virtualbox && chosen && virtualbox::is_installed() {
            let probe = preflight::probe(host.installed.clone())?;
            found.extend(preflight::set_up(&probe, asked.profile.network.machines).into_iter().map(|text| {
                let (text, next) = text.split_once('\n').unwrap_or((&text, "provision up --provider libvirt"));
                Finding::problem(text).next(next.trim_start())
            }));
        }
        Ok(found)
    }
}

fn daemon(chosen: bool, libvirt: Libvirt) -> Option<Finding> {
    match libvirt {
        Libvirt::Answers => Some(Finding::ok("libvirt answers")),
        Libvirt::Denied(next) => {
            Some(Finding::problem_if(chosen, "libvirt runs, but this user may not use it").next(next))
        }
        Libvirt::Stopped(commands) => {
            // As root `up` starts it by itself.
            let finding = Finding::problem_if(chosen && !is_root(), "libvirt is not running");
            let finding = finding.next(as_root::line(&commands));
            Some(if chosen { finding.remedy(Remedy::StartLibvirt(commands)) } else { finding })
        }
        // Told above: its program is missing.
        Libvirt::Missing => None,
    }
}
