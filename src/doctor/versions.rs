//! Versions that are known to clash, or to be good together.

use anyhow::Result;

use super::{Asked, Finding, Host, Topic};
use crate::host::known_good;
use crate::profile::Provider;

/// Vagrant, its plugins, libvirt, QEMU, VirtualBox and the kernel.
pub struct Versions;

impl Topic for Versions {
    fn title(&self, _: &Asked) -> String {
        "versions".into()
    }

    fn look(&self, asked: &Asked, host: &Host) -> Result<Vec<Finding>> {
        let installed = &host.installed;
        let all = ["vagrant", "vagrant-libvirt", "libvirt", "qemu", "virtualbox", "kernel"];
        let mut found = vec![Finding::ok(installed.words(&all))];
        let chosen = asked.profile.provider;
        for clash in known_good::clashes(installed)? {
            // A clash of VirtualBox is none of a libvirt lab's business.
            let ours = clash.concerns("virtualbox") == (chosen == Provider::Virtualbox);
            let matters = ours && chosen != Provider::Hosts;
            found.push(
                Finding::problem_if(matters, format!("{}: {}", clash.between(installed), clash.text))
                    .next(&clash.next)
                    .source(&clash.source),
            );
        }
        let key = if chosen == Provider::Virtualbox { "virtualbox" } else { "vagrant-libvirt" };
        if installed.versions.contains_key(key) {
            found.push(match known_good::good(installed, key)? {
                Some(good) => {
                    let by = good.exercised.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
                    Finding::ok(format!("known to be good together, as in {}{by}", good.name)).source(&good.source)
                }
                None => Finding::note(format!(
                    "no known good set has these versions; known are those of: {}",
                    known_good::good_names(key)?.join(", ")
                )),
            });
        }
        Ok(found)
    }
}
