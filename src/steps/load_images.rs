//! Sends the images to nodes whose manager cannot use what the box holds of them.

use std::fs::File;

use anyhow::{Context as _, Result};

use super::{Check, Context, Step, on_node};
use crate::profile::NodeSpec;
use crate::profile::types::RuntimeManager;
use crate::ui::{self, Task};

/// See the module.
pub struct LoadImages;

const SCRIPT: &str = "load_images";

impl Step for LoadImages {
    fn name(&self) -> &'static str {
        SCRIPT
    }

    fn title(&self) -> &'static str {
        "Load the images into CRI-O"
    }

    fn concerns(&self, nodes: &[NodeSpec]) -> bool {
        nodes.iter().any(|node| node.manager == RuntimeManager::Crio)
    }

    fn seen_whole(&self) -> bool {
        // The digest is the last thing that is written.
        true
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let archive = cx.archive.context("the images' archive is not in the cache")?;
        let lacking = cx.on_each_node(|node, _| {
            let has = node.read("cat /var/lib/provision/load_images 2>/dev/null || true", b"")?;
            Ok((has.trim() != archive.sha256)
                .then(|| format!("{}: {} of images", node.name(), ui::size(archive.bytes))))
        })?;
        let lacking: Vec<String> = lacking.into_iter().flatten().collect();
        Ok(if lacking.is_empty() { Check::Done } else { Check::Pending(lacking) })
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        let archive = cx.archive.context("the images' archive is not in the cache")?;
        cx.on_each_node(|node, _| {
            task.say(&format!("{}: send {}", node.name(), ui::size(archive.bytes)));
            let mut file = File::open(&archive.file).with_context(|| format!("open {}", archive.file.display()))?;
            let sent = node.read_fed("mkdir -p /var/lib/provision; cat >/var/lib/provision/images.tar", &mut file);
            sent.with_context(|| format!("send the images to {}", node.name()))?;
            task.say(&format!("{}: load", node.name()));
            on_node::run_script(cx, node, SCRIPT, archive.sha256.as_bytes())
        })
        .map(drop)
    }
}
