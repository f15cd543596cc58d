//! Puts the node's files on it: scripts, configuration and the env file.

use std::time::Duration;

use anyhow::Result;

use super::{Check, Context, Step};
use crate::ui::Task;

/// How long a node may take to say what it has.
const ANSWER: Duration = Duration::from_secs(60);

/// See the module.
pub struct InstallFiles;

impl Step for InstallFiles {
    fn name(&self) -> &'static str {
        "install_files"
    }

    fn title(&self) -> &'static str {
        "Put scripts and configuration on the nodes"
    }

    fn seen_whole(&self) -> bool {
        true
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let differs = cx.on_each_node(|node, files| {
            // Bash reads the one line itself: no further process on a slow guest.
            let line = node.read_within(
                "test -e /opt/provision/hash && read -r hash </opt/provision/hash; echo \"$hash\"",
                b"",
                ANSWER,
            )?;
            Ok((line.trim() != files.hash()).then(|| format!("{}: /opt/provision", node.name())))
        })?;
        let differs: Vec<String> = differs.into_iter().flatten().collect();
        Ok(if differs.is_empty() { Check::Done } else { Check::Pending(differs) })
    }

    fn run(&self, cx: &Context, _: &Task) -> Result<()> {
        cx.on_each_node(|node, files| {
            let command = format!(
                "set -e; rm -rf /opt/provision.new; mkdir -p /opt/provision.new; tar -x -C /opt/provision.new --no-same-owner; \
                 echo {} >/opt/provision.new/hash; rm -rf /opt/provision; mv /opt/provision.new /opt/provision",
                files.hash()
            );
            node.read(&command, &files.to_tar()?).map(drop)
        })
        .map(drop)
    }
}
