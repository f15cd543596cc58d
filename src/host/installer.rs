//! How packages get onto this host: by apt, by another distribution's program,
//! or not by us. Packages are called here as Debian calls them.

use std::path::Path;

use anyhow::Result;

use super::as_root::{self, AsRoot};
use super::os::{Family, Os};
use super::{apt, is_root, vagrant_plugins};
use crate::process;
use crate::ui::Ui;

/// The oldest Go that fetches the newer Go that a module asks for.
pub const OLDEST_GO: (u32, u32) = (1, 21);

/// How packages get onto this host.
pub struct Installer {
    os: Os,
    root: bool,
    manager: Manager,
}

enum Manager {
    Apt(apt::Facts),
    Family(&'static Family),
    /// None that we know; the reason.
    None(String),
}

impl Installer {
    /// This host's; asks apt, which takes a fraction of a second.
    pub fn of_host() -> Result<Self> {
        let os = Os::of_host();
        let manager = match os.family()? {
            Some(family) => Manager::Family(family),
            None if process::find("apt-get").is_some() => Manager::Apt(apt::Facts::of_host(&os, OLDEST_GO)?),
            None if os.is_debian() => Manager::None("it has no apt-get".into()),
            None => Manager::None(format!("its system is {}, which `provision` does not know", os.name)),
        };
        Ok(Self { os, root: is_root(), manager })
    }

    /// Why nothing can be installed here, if so.
    #[must_use]
    pub fn unknown(&self) -> Option<&str> {
        match &self.manager {
            Manager::None(why) => Some(why),
            Manager::Apt(_) | Manager::Family(_) => None,
        }
    }

    /// The operating system.
    #[must_use]
    pub fn os(&self) -> &Os {
        &self.os
    }

    /// Why no command of ours installs `package`, and what to do instead.
    pub fn by_hand(&self, package: &str) -> Result<Option<String>> {
        if package == "vagrant-libvirt" && vagrant_plugins::is_makers_own() {
            return Ok(Some("its Vagrant is not the system's; type: vagrant plugin install vagrant-libvirt".into()));
        }
        Ok(match &self.manager {
            Manager::None(why) => Some(format!("{why}; install what Debian calls: {package}")),
            Manager::Family(family) => family.by_hand(package),
            // Debian's is in sid alone, in contrib.
            Manager::Apt(_) if package == "virtualbox" && !apt::offers(package)? => Some(
                "apt knows no package virtualbox; see https://www.virtualbox.org/wiki/Linux_Downloads, and VBoxManage \
                 must then be on PATH"
                    .into(),
            ),
            Manager::Apt(_) => None,
        })
    }

    /// The commands that install these, which are not to be installed by hand.
    #[must_use]
    pub fn commands(&self, packages: &[&str]) -> Vec<AsRoot> {
        match &self.manager {
            Manager::Apt(facts) => apt::plan(packages, facts, OLDEST_GO),
            Manager::Family(family) => family.plan(packages, self.root),
            Manager::None(_) => Vec::new(),
        }
    }
}

/// Runs the commands that install `packages`, their output going to `log`.
pub fn install(ui: &Ui, packages: &[&str], commands: &[AsRoot], log: &Path) -> Result<()> {
    as_root::authorise(commands)?;
    let task = ui.task("packages", format!("Install {}", packages.join(", ")));
    let installed = as_root::run(commands, log, |line| task.say(line));
    task.close(installed)
}
