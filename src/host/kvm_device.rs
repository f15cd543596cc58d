//! `/dev/kvm` in the hands of its group, where no udev sees to that.
//!
//! libvirt asks QEMU as root what it can do, and keeps the answer only as long
//! as QEMU's own user may open the device too. Where that user may not, libvirt
//! (9.0 was seen) asks QEMU anew, several times, at each definition of a
//! machine: half a minute and more each, and nothing says why.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{Gid, Group, chown};

use super::as_root::AsRoot;
use crate::host;
use crate::ui::Ui;

const DEVICE: &str = "/dev/kvm";
/// The group and the access that udev gives the device (systemd's 50-udev-default.rules).
const GROUP: &str = "kvm";
const MODE: u32 = 0o660;

/// Does what udev would, where this host has no systemd and we may.
pub fn give_to_its_group(ui: &Ui) -> Result<()> {
    if let (true, Some(group)) = (host::is_root(), lacks_its_group()?) {
        chown(DEVICE, None, Some(group)).with_context(|| format!("give {DEVICE} to group {GROUP}"))?;
        let mode = mode_of(DEVICE)? | MODE;
        fs::set_permissions(DEVICE, fs::Permissions::from_mode(mode))
            .with_context(|| format!("let group {GROUP} open {DEVICE}"))?;
        ui.note(&format!("gave {DEVICE} to group {GROUP}, as udev does: QEMU's own user could not open it"));
    }
    Ok(())
}

/// The commands that do the same, where it is to be done.
pub fn how_to_give() -> Result<Vec<AsRoot>> {
    let command = |words: &[&str]| AsRoot::new(host::is_root(), words);
    Ok(match lacks_its_group()? {
        Some(_) => vec![command(&["chgrp", GROUP, DEVICE]), command(&["chmod", "ug+rw", DEVICE])],
        None => Vec::new(),
    })
}

fn mode_of(device: &str) -> Result<u32> {
    Ok(fs::metadata(device).with_context(|| format!("look at {device}"))?.mode() & 0o7777)
}

/// The group to give the device to, where its members may not open it and no
/// udev sees to that.
fn lacks_its_group() -> Result<Option<Gid>> {
    let (false, Ok(found)) = (host::has_systemd(), Path::new(DEVICE).metadata()) else { return Ok(None) };
    let Some(group) = Group::from_name(GROUP).context("look for group kvm")? else { return Ok(None) };
    Ok(is_closed(found.mode(), Gid::from_raw(found.gid()), group.gid).then_some(group.gid))
}

/// Whether a member of `group` may not open a device of this mode and owner.
fn is_closed(mode: u32, owner: Gid, group: Gid) -> bool {
    let open_to_group = owner == group && mode & 0o060 == 0o060;
    mode & 0o006 != 0o006 && !open_to_group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_given_only_where_its_group_may_not_open_it() {
        let (kvm, other) = (Gid::from_raw(107), Gid::from_raw(991));
        assert!(is_closed(0o020_660, other, kvm));
        assert!(!is_closed(0o020_660, kvm, kvm));
        assert!(!is_closed(0o020_666, other, kvm));
        // Its own group's, which may not open it.
        assert!(is_closed(0o020_600, kvm, kvm));
    }
}
