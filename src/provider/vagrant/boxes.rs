//! Vagrant's own copies of our boxes: as large as the boxes, and kept when those
//! have long gone from the cache.

use std::path::Path;

use anyhow::Result;

use super::BOX_PREFIX;
use crate::host::vagrant_plugins;
use crate::paths;
use crate::process::Cmd;

/// A box that Vagrant has unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Its name at Vagrant.
    pub name: String,
    /// The first digits of the key of the artifact that it was.
    pub key: String,
    /// Its size.
    pub bytes: u64,
}

/// All of ours that this user's Vagrant has, by name.
pub fn copies() -> Result<Vec<Copy>> {
    vagrant_plugins::home().map_or(Ok(Vec::new()), |home| copies_in(&home.join("boxes")))
}

fn copies_in(boxes: &Path) -> Result<Vec<Copy>> {
    let mut found = Vec::new();
    for dir in paths::folders(boxes)? {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((key, "")) = key_in(&name) else { continue };
        let files = walkdir::WalkDir::new(&dir).into_iter().flatten().filter(|entry| entry.file_type().is_file());
        let bytes = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
        found.push(Copy { key: key.to_owned(), bytes, name: name.clone() });
    }
    Ok(found)
}

/// The digits of its key in the name of a box or of what is named after one, and
/// what follows them.
#[must_use]
pub fn key_in(name: &str) -> Option<(&str, &str)> {
    let (key, rest) = name.strip_prefix(BOX_PREFIX)?.split_at_checked(16)?;
    key.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some((key, rest))
}

/// Lets Vagrant remove it. A machine that was made from it runs on.
pub fn remove(copy: &Copy) -> Result<()> {
    let command = Cmd::new("vagrant").args(["box", "remove", "--force", "--all", &copy.name]);
    command.env("VAGRANT_CHECKPOINT_DISABLE", "1").read().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_boxes_are_seen_with_their_size() {
        let dir = tempfile::tempdir().unwrap();
        let boxes = dir.path().join("boxes");
        assert_eq!(copies_in(&boxes).unwrap(), []);
        for (name, text) in [
            ("provision-node-0123456789abcdef/1.0.0/libvirt/box.img", "12345"),
            ("provision-node-0123456789abcdef/1.0.0/libvirt/metadata.json", "{}"),
            ("provision-node-mine/1/libvirt/box.img", "1"),
            ("debian-VAGRANTSLASH-trixie64/1/libvirt/box.img", "1"),
        ] {
            let file = boxes.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let ours = Copy { name: "provision-node-0123456789abcdef".into(), key: "0123456789abcdef".into(), bytes: 7 };
        assert_eq!(copies_in(&boxes).unwrap(), [ours]);
    }
}
