//! What labs have left at VirtualBox. A machine is ours by its name and its
//! console's file, a network by VirtualBox's own note of whose it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::super::orphans::{Orphan, is_gone};
use super::{machine, machines, networks};

/// Finds what was left behind; changes nothing.
pub fn find() -> Result<Vec<Orphan>> {
    let mut orphans = Vec::new();
    let mut gone = Vec::new();
    // Such as `<inaccessible>` have lost their definition.
    for name in machines()?.into_iter().filter(|name| !name.starts_with('<')) {
        let folder = machine(&name)?.and_then(|values| folder_of_machine(&name, &values));
        if let Some(folder) = folder.filter(|folder| is_gone(folder)) {
            gone.push(name.clone());
            orphans.push(Orphan::VirtualboxMachine { name, folder });
        }
    }
    for name in networks::names()? {
        let Some(folder) = networks::owner_of(&name)?.filter(|folder| is_gone(folder)) else { continue };
        if networks::users_of(&name)?.iter().all(|user| gone.contains(user)) {
            orphans.push(Orphan::VirtualboxNetwork { name, folder });
        }
    }
    Ok(orphans)
}

/// The folder of the lab that made the machine `name`: its name and the file
/// of its console say the same lab and node.
fn folder_of_machine(name: &str, values: &BTreeMap<String, String>) -> Option<PathBuf> {
    let console = Path::new(values.get("uartmode1")?.strip_prefix("file,")?);
    let node = console.file_stem()?.to_str()?;
    let folder = console.parent()?.parent()?;
    let lab = folder.file_name()?.to_str()?;
    let ours = console == folder.join("console").join(format!("{node}.log")) && name == format!("{lab}-{node}");
    ours.then(|| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_ours_if_its_name_and_its_console_agree() {
        let folder =
            |name, mode: &str| folder_of_machine(name, &BTreeMap::from([("uartmode1".to_owned(), mode.to_owned())]));
        assert_eq!(folder("a-b-node1", "file,/s/a-b/console/node1.log"), Some("/s/a-b".into()));
        assert_eq!(folder("a-b-node2", "file,/s/a-b/console/node1.log"), None);
        assert_eq!(folder("other", "file,/s/a-b/console/node1.log"), None);
        assert_eq!(folder("a-b-node1", "file,/s/a-b/else/node1.log"), None);
        assert_eq!(folder("a-b-node1", "disconnected"), None);
        assert_eq!(folder_of_machine("a-b-node1", &BTreeMap::new()), None);
    }
}
