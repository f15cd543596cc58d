//! Vagrant: brings the machines up, whatever runs them; the only folder that
//! knows `vagrant`. What it says is read in its machine-readable form.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

pub mod boxes;
mod libvirt;
mod output;
mod virtualbox;

pub use libvirt::{PoolNames, VagrantLibvirt, pool_path};
use output::{Cause, Said, parse};
pub use virtualbox::VagrantVirtualbox;

use crate::failure::{Kind, Told};
use crate::interrupt::Interrupted;
use crate::lab::Lab;
use crate::process::{Cmd, CommandFailed};
use crate::ssh::{Key, Target};
use crate::ui::{Task, Ui};

/// How long `vagrant up` may take; its own waits end before.
const UP: Duration = Duration::from_secs(30 * 60);
const DESTROY: Duration = Duration::from_secs(5 * 60);
/// How long the first login may take.
const FIRST_LOGIN: Duration = Duration::from_secs(60);
/// Vagrant needs a version that is not 0 to keep a box's volume apart; what
/// tells boxes apart is the hash in their name.
pub const BOX_VERSION: &str = "1.0.0";
/// All boxes' names begin so, and with them what is named after them.
pub const BOX_PREFIX: &str = "provision-node-";

/// Who logs in to a box that others made, by Vagrant's convention with sudo that
/// asks for no password.
pub const USER: &str = "vagrant";

/// The key that Vagrant has put on a machine in place of the one all boxes share.
#[must_use]
pub fn key(lab: &Lab, node: &str) -> PathBuf {
    lab.dir().join(".vagrant/machines").join(node).join("libvirt/private_key")
}

/// Where Vagrant's public registry has a box's file.
#[must_use]
pub fn registry_url(name: &str, version: &str, provider: &str) -> String {
    let (owner, short) = name.split_once('/').unwrap_or(("", name));
    format!("https://vagrantcloud.com/{owner}/boxes/{short}/versions/{version}/providers/{provider}/amd64/vagrant.box")
}

/// Pins the host key that the machine shows to the first login by Vagrant's key;
/// another one later is refused.
pub fn pin(target: &Target, lab: &Lab) -> Result<()> {
    let Key::File(key) = &target.key else { return Ok(()) };
    Cmd::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
        ])
        .args(["-o", "HashKnownHosts=no", "-o", "UpdateHostKeys=no", "-o", "GlobalKnownHostsFile=none", "-o"])
        .arg(format!("UserKnownHostsFile={}", lab.known_hosts().display()))
        .arg("-i")
        .arg(key)
        .arg(format!("{}@{}", target.user, target.address.ip()))
        .arg("true")
        .timeout(FIRST_LOGIN)
        .read()
        .map(drop)
        .with_context(|| format!("log in to {} by the key that Vagrant made", target.name))
}

/// Our file, so that we may read what the provider appends to it.
fn prepare_console(path: &Path) -> Result<()> {
    crate::paths::create_dir(path.parent().unwrap_or(path))?;
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
        .with_context(|| format!("create {}", path.display()))
}

fn vagrant(lab: &Lab, provider: &str, args: &[&str]) -> Cmd {
    Cmd::new("vagrant")
        .args(args)
        .dir(lab.dir())
        .env("VAGRANT_CWD", lab.dir())
        .env("VAGRANT_DOTFILE_PATH", lab.dir().join(".vagrant"))
        .env("VAGRANT_DEFAULT_PROVIDER", provider)
        .env("VAGRANT_CHECKPOINT_DISABLE", "1")
        .env("PROVISION_STATE", lab.dir().parent().unwrap_or(lab.dir()))
        // Values come from the rendered profile, which holds these overrides already.
        .env_remove("CPUS")
        .env_remove("MEMORY")
        .env_remove("PROVIDER")
}

/// What a failure's cause is found to be in `text`, for the tests of its readers.
#[cfg(test)]
pub(crate) fn read_output(text: &str) -> Option<String> {
    let mut cause = Cause::default();
    text.lines().for_each(|line| cause.see(line));
    cause.found().map(|found| found.text)
}

/// Brings the lab's machines up; a failure is told by its cause.
fn up(lab: &Lab, provider: &str, task: &Task) -> Result<()> {
    let mut cause = Cause::default();
    let words = ["up", "--no-provision", "--no-destroy-on-error", "--parallel", "--machine-readable"];
    let result = vagrant(lab, provider, &words).timeout(UP).run_logged(&lab.log("vagrant"), |line| {
        cause.see(line);
        if let Some(Said { text, .. }) = parse(line) {
            task.say(&text);
        }
    });
    match result {
        Err(error) => match (error.downcast_ref::<CommandFailed>(), cause.found()) {
            (Some(failed), Some(cause)) if failed.log.is_some() => {
                let log = lab.log("vagrant");
                let text = format!("vagrant up: {}\n  full log: {}", cause.text, log.display());
                Err(Told { kind: Kind::Vagrant, reason: cause.class, text, log: Some(log) }.into())
            }
            _ => Err(error),
        },
        Ok(()) => Ok(()),
    }
}

/// Lets Vagrant take the machines away first, so that `vagrant global-status`
/// forgets them too. Whatever state it is in, the provider itself is cleaned
/// after this.
fn forget(lab: &Lab, provider: &str, ui: &Ui) -> Result<()> {
    if !lab.dir().join(".vagrant").is_dir() || !lab.vagrantfile().is_file() {
        return Ok(());
    }
    let task = ui.task("vagrant-destroy", "Let Vagrant forget the machines");
    let words = ["destroy", "--force"];
    match vagrant(lab, provider, &words).timeout(DESTROY).run_logged(&lab.log("vagrant"), |_| {}) {
        Ok(()) => task.done(""),
        Err(error) if error.is::<Interrupted>() => return Err(error),
        Err(_) => task.skip(&format!("Vagrant could not; {provider} is asked directly")),
    }
    Ok(())
}
