//! What this user may do: folders, groups, ids for root trees.

use std::path::Path;

use anyhow::Result;
use nix::unistd::{AccessFlags, Gid, Group, User, access, geteuid, getgroups};

use super::{Asked, Finding, Host, Remedy, Topic};
use crate::artifacts::namespace::Namespace;
use crate::host::as_root::{self, AsRoot};
use crate::host::is_root;
use crate::paths;
use crate::profile::Provider;

/// Folders, groups, subordinate ids.
pub struct Permissions;

impl Topic for Permissions {
    fn title(&self, _: &Asked) -> String {
        "permissions".into()
    }

    fn look(&self, asked: &Asked, _: &Host) -> Result<Vec<Finding>> {
        let mut found = vec![folder("state", &paths::state_dir()?), folder("cache", &paths::cache_dir()?)];
        if is_root() {
            return Ok(found);
        }
        if asked.profile.provider == Provider::Libvirt {
            found.extend(group("libvirt")?);
        }
        found.extend(Namespace::User.obstacles().into_iter().map(|text| {
            let (what, next) = text.split_once(": type ").unwrap_or((&text, ""));
            let finding = Finding::problem(what);
            if next.is_empty() { finding } else { finding.next(next) }
        }));
        found.extend(namespaces());
        Ok(found)
    }
}

/// Whether this user may write where the folder is or will be.
fn folder(what: &str, dir: &Path) -> Finding {
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Finding::ok(format!("the {what} folder {} is or can be made", dir.display())),
        Err(error) => {
            let name = if what == "state" { "PROVISION_STATE" } else { "PROVISION_CACHE" };
            Finding::problem(format!(
                "the {what} folder {} cannot be written: {}: {error}",
                dir.display(),
                there.display()
            ))
            .next(format!("make it this user's: sudo chown -R \"$USER\" {}; or set {name}", there.display()))
        }
    }
}

fn group(name: &str) -> Result<Option<Finding>> {
    // Without the group the package is missing, which is told elsewhere.
    let Some(group) = Group::from_name(name)? else { return Ok(None) };
    let user = User::from_uid(geteuid())?.map(|user| user.name).unwrap_or_default();
    let now: Vec<Gid> = getgroups()?;
    Ok(Some(if now.contains(&group.gid) {
        Finding::ok(format!("user {user} is in group {name}"))
    } else if group.mem.contains(&user) {
        Finding::note(format!("user {user} is in group {name}, but not in this session"))
            .next(format!("log in again, or: exec newgrp {name}"))
    } else {
        let commands = vec![AsRoot::new(false, &["usermod", "--append", "--groups", name, &user])];
        Finding::note(format!("user {user} is not in group {name}"))
            .next(format!("{} && exec newgrp {name}", as_root::line(&commands)))
            .remedy(Remedy::Run(commands))
    }))
}

/// Whether the kernel lets a user make the namespaces that root trees take.
fn namespaces() -> Option<Finding> {
    let is = |path: &str, value: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") || is("/proc/sys/user/max_user_namespaces", "0") {
        return Some(
            Finding::problem("the kernel lets no user make user namespaces, in which root trees are made")
                .next("sudo sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000"),
        );
    }
    is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1").then(|| {
        Finding::note("AppArmor restricts user namespaces; if making a root tree is refused:")
            .next("sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0")
            .source("https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_folder_yet_to_be_made_takes_its_parents_permission() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(folder("cache", &dir.path().join("a/b")).level, Level::Ok);
        // Not even root writes there.
        let finding = folder("state", Path::new("/proc/provision"));
        if finding.level == Level::Problem {
            assert!(finding.next.unwrap().ends_with("or set PROVISION_STATE"));
        }
    }
}
