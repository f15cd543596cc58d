//! What labs have left at libvirt. A machine is ours by its title, its name and
//! its console's file, a network by a DNS record, a disk by the box below it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use super::super::MachineState;
use super::super::orphans::{Orphan, is_gone};
use super::super::vagrant::boxes::key_in;

/// The name of the DNS record in which a lab's network carries its folder.
pub const FOLDER_RECORD: &str = "folder.provision";

/// Finds what was left behind; changes nothing. `state` is the folder of this
/// user's labs; a disk that is younger than `young` is left alone.
pub fn find(state: &Path, young: Duration) -> Result<Vec<Orphan>> {
    let mut orphans = BTreeSet::new();
    for name in super::domain_names()? {
        let Some(folder) = folder_of_machine(&name, &super::definition(&name)?) else { continue };
        if is_gone(&folder) {
            orphans.insert(Orphan::Machine { name, folder });
        }
    }
    for xml in super::network_definitions()? {
        let Some((name, folder)) = folder_of_network(&xml) else { continue };
        if is_gone(&folder) {
            orphans.insert(Orphan::Network { name, folder });
        }
    }
    let in_use = super::files_in_use()?;
    let labs = labs(state)?;
    for name in super::volume_names()? {
        let Some(xml) = super::volume_definition(&name)? else { continue };
        let volume = Volume::parse(&xml).with_context(|| format!("read the description of volume {name}"))?;
        if in_use.contains(&volume.path) || volume.age().is_none_or(|age| age < young) {
            continue;
        }
        if is_box(&name) {
            orphans.insert(Orphan::Box(name));
        } else if volume.rests_on_box() && !labs.iter().any(|lab| name.starts_with(&format!("{lab}-"))) {
            orphans.insert(Orphan::Disk(name));
        }
    }
    Ok(orphans.into_iter().collect())
}

/// Refuses a domain that bears the name of a machine of the lab in `folder` and
/// is not its own: another user's lab of that name, or no lab's at all.
pub fn must_be_own(name: &str, folder: &Path) -> Result<()> {
    if super::domain_state(name)? == MachineState::Absent {
        return Ok(());
    }
    match folder_of_machine(name, &super::definition(name)?) {
        Some(other) if is_same(&other, folder) => Ok(()),
        Some(other) => bail!(
            "domain {name} at libvirt belongs to the lab in {}\n  take it down from there, or give this lab another \
             `name` in the profile; if that folder is gone: provision down --orphans",
            other.display()
        ),
        None => bail!(
            "domain {name} at libvirt was not made by this lab, and stays untouched\n  give the lab another `name` \
             in the profile, or rename the domain: virsh domrename {name} NAME"
        ),
    }
}

/// As [`must_be_own`], for the lab's network.
pub fn network_must_be_own(name: &str, folder: &Path) -> Result<()> {
    for xml in super::network_definitions()? {
        let document = roxmltree::Document::parse(&xml).context("parse a network's XML")?;
        let named = document.root_element().children().find(|node| node.has_tag_name("name"));
        if named.and_then(|node| node.text()) != Some(name) {
            continue;
        }
        let owner = folder_of_network(&xml).map(|(_, owner)| owner);
        if !owner.as_deref().is_some_and(|owner| is_same(owner, folder)) {
            let whose = owner.map_or("nobody knows whose it is".into(), |owner| {
                format!("it belongs to the lab in {}", owner.display())
            });
            bail!(
                "network {name} at libvirt was not made by this lab: {whose}\n  give this lab another `name` and \
                 other addresses in the profile; if that lab's folder is gone: provision down --orphans"
            );
        }
    }
    Ok(())
}

/// Whether two paths mean one folder; it may be reached by a link, or be gone.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

/// The folder of the lab that made the domain `name`: its title, its name and
/// the file of its console all say the same lab and node.
fn folder_of_machine(name: &str, xml: &str) -> Option<PathBuf> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let title = document.root_element().children().find(|node| node.has_tag_name("title"))?.text()?;
    let (lab, node) = title.strip_prefix("provision lab ")?.split_once(", ")?;
    let console = Path::new("console").join(format!("{node}.log"));
    document
        .descendants()
        .filter(|node| node.has_tag_name("source"))
        .filter_map(|source| source.attribute("path"))
        .map(Path::new)
        .filter(|path| path.ends_with(Path::new(lab).join(&console)) && name == format!("{lab}-{node}"))
        .find_map(|path| Some(path.parent()?.parent()?.to_owned()))
}

/// The name of a network that a lab made, and the lab's folder, from its DNS record.
fn folder_of_network(xml: &str) -> Option<(String, PathBuf)> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let name = document.root_element().children().find(|node| node.has_tag_name("name"))?.text()?;
    let record = document
        .descendants()
        .find(|node| node.has_tag_name("txt") && node.attribute("name") == Some(FOLDER_RECORD))?;
    let folder = PathBuf::from(decode(record.attribute("value")?));
    let lab = folder.file_name()?.to_str()?;
    (name == format!("provision-{lab}")).then(|| (name.to_owned(), folder.clone()))
}

/// What stands as it is in a DNS record and in XML; all else is `%` and two
/// hexadecimal digits.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-');

/// A path fit for a DNS record and for XML.
#[must_use]
pub fn encode(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    percent_encoding::percent_encode(path.as_os_str().as_bytes(), PLAIN).to_string()
}

fn decode(text: &str) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(percent_encoding::percent_decode_str(text).collect())
}

/// Whether a volume bears a box's name, and the ending of a disk, a kernel or an
/// initial RAM disk.
fn is_box(name: &str) -> bool {
    key_in(name).is_some_and(|(_, ending)| {
        ending == "_vmlinuz" || ending == "_initrd.img" || ending.starts_with("_vagrant_box_image_")
    })
}

/// Names of the labs in this user's folder.
fn labs(state: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    match std::fs::read_dir(state) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("list {}", state.display())),
        Ok(entries) => {
            for entry in entries {
                let entry = entry.with_context(|| format!("list {}", state.display()))?;
                if !is_gone(&entry.path()) {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
    }
    Ok(names)
}

/// What libvirt says of a volume.
struct Volume {
    path: String,
    backing: Option<String>,
    /// When its file last changed its state, seconds since 1970.
    changed: Option<f64>,
}

impl Volume {
    fn parse(xml: &str) -> Result<Self> {
        let document = roxmltree::Document::parse(xml).context("parse XML")?;
        let path_in = |tag: &str| {
            let node = document.descendants().find(|node| node.has_tag_name(tag))?;
            node.children().find(|child| child.has_tag_name("path"))?.text().map(str::to_owned)
        };
        let changed = document.descendants().find(|node| node.has_tag_name("ctime"));
        Ok(Self {
            path: path_in("target").context("it has no path")?,
            backing: path_in("backingStore"),
            changed: changed.and_then(|node| node.text()?.parse().ok()),
        })
    }

    fn age(&self) -> Option<Duration> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
        let changed = Duration::try_from_secs_f64(self.changed?).ok()?;
        Some(now.saturating_sub(changed))
    }

    fn rests_on_box(&self) -> bool {
        let file = self.backing.as_deref().and_then(|path| Path::new(path).file_name()?.to_str());
        file.is_some_and(is_box)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::orphans::YOUNG;

    fn machine(title: &str, console: &str) -> String {
        format!(
            "<domain><title>{title}</title><devices><serial type='file'><source path='{console}'/></serial></devices></domain>"
        )
    }

    #[test]
    fn a_machine_is_ours_if_title_name_and_console_agree() {
        let folder = |name, title, console| folder_of_machine(name, &machine(title, console));
        let (title, console) = ("provision lab a-b, node1", "/s/a-b/console/node1.log");
        assert_eq!(folder("a-b-node1", title, console), Some("/s/a-b".into()));
        assert_eq!(folder("other", title, console), None);
        assert_eq!(folder("a-b-node1", "provision lab a-b, node2", console), None);
        assert_eq!(folder("a-b-node1", title, "/s/c/console/node1.log"), None);
        assert_eq!(folder("a-b-node1", "my machine", console), None);
        assert_eq!(folder_of_machine("a-b-node1", "<domain/>"), None);
    }

    #[test]
    fn a_network_is_ours_if_its_record_names_a_lab_of_its_name() {
        let xml = |name: &str, value: &str| {
            format!("<network><name>{name}</name><dns><txt name='{FOLDER_RECORD}' value='{value}'/></dns></network>")
        };
        let path = Path::new("/home/a b,ü/provision/x");
        assert_eq!(decode(&encode(path)), path.as_os_str());
        assert_eq!(encode(path), "/home/a%20b%2C%C3%BC/provision/x");
        let found = folder_of_network(&xml("provision-x", &encode(path)));
        assert_eq!(found, Some(("provision-x".to_owned(), path.to_owned())));
        assert_eq!(folder_of_network(&xml("provision-y", &encode(path))), None);
        assert_eq!(folder_of_network("<network><name>provision-x</name></network>"), None);
    }

    #[test]
    fn a_box_is_known_by_its_whole_name() {
        assert!(is_box("provision-node-0123456789abcdef_vmlinuz"));
        assert!(is_box("provision-node-0123456789abcdef_vagrant_box_image_1.0.0_box.img"));
        for other in ["provision-node-mine.img", "provision-node-0123456789abcdef.img", "provision-node-ü", "x_vmlinuz"]
        {
            assert!(!is_box(other), "{other}");
        }
    }

    #[test]
    fn a_volume_tells_what_it_rests_on_and_its_age() {
        let xml = "<volume><target><path>/p/a.img</path><timestamps><ctime>1000.5</ctime></timestamps></target>\
            <backingStore><path>/p/provision-node-0123456789abcdef_vagrant_box_image_1.0.0_box.img</path></backingStore></volume>";
        let volume = Volume::parse(xml).unwrap();
        assert!(volume.rests_on_box() && volume.path == "/p/a.img");
        assert!(volume.age().unwrap() > YOUNG);
        assert!(!Volume::parse("<volume><target><path>/p/b</path></target></volume>").unwrap().rests_on_box());
    }
}
