//! Sends programs and images to machines that do not come with them: one
//! archive, from this host's cache over SSH, resumed where an earlier try broke
//! off, unpacked only when its digest is the right one.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context as _, Result, bail};

use super::{Check, Context, Payload, Step};
use crate::node::Node;
use crate::profile::NodeSpec;
use crate::ui::{self, Task};

/// See the module.
pub struct DeliverPrograms;

const SCRIPT: &str = "bash /opt/provision/deliver.sh";

impl Step for DeliverPrograms {
    fn name(&self) -> &'static str {
        "deliver_programs"
    }

    fn title(&self) -> &'static str {
        "Send Kubernetes, containerd and the images"
    }

    fn concerns(&self, nodes: &[NodeSpec]) -> bool {
        nodes.iter().any(|node| node.plain)
    }

    fn seen_whole(&self) -> bool {
        // The digest is the last thing that is written.
        true
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let Some(payload) = cx.payload else { return Ok(Check::Done) };
        let bytes = size(payload)?;
        let lacking = cx.on_each_node(|node, _| {
            let has = node.read(&format!("{SCRIPT} has"), b"")?;
            Ok((has.trim() != payload.sha256)
                .then(|| format!("{}: {} of programs and images", node.name(), ui::size(bytes))))
        })?;
        let lacking: Vec<String> = lacking.into_iter().flatten().collect();
        Ok(if lacking.is_empty() { Check::Done } else { Check::Pending(lacking) })
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        let Some(payload) = cx.payload else { return Ok(()) };
        cx.on_each_node(|node, _| {
            if node.read(&format!("{SCRIPT} has"), b"")?.trim() == payload.sha256 {
                return Ok(());
            }
            deliver(node, payload, task).with_context(|| format!("send programs and images to {}", node.name()))
        })
        .map(drop)
    }
}

fn size(payload: &Payload) -> Result<u64> {
    Ok(std::fs::metadata(&payload.file).with_context(|| format!("look at {}", payload.file.display()))?.len())
}

fn deliver(node: &dyn Node, payload: &Payload, task: &Task) -> Result<()> {
    let (sha256, bytes) = (&payload.sha256, size(payload)?);
    let begun = node.read(&format!("{SCRIPT} begin {sha256} {bytes}"), b"")?;
    let have: u64 = begun.trim().parse().with_context(|| format!("{} said `{}`", node.name(), begun.trim()))?;
    let mut file = File::open(&payload.file).with_context(|| format!("open {}", payload.file.display()))?;
    file.seek(SeekFrom::Start(have)).with_context(|| format!("read {}", payload.file.display()))?;
    if have > 0 {
        task.say(&format!("{}: going on at {}", node.name(), ui::size(have)));
    }
    let mut sending = Told { file, sent: have, of: bytes, name: node.name(), task };
    node.read_fed(&format!("{SCRIPT} take {sha256}"), &mut sending)?;
    task.say(&format!("{}: check and unpack", node.name()));
    let unpacked = node.exec(&format!("{SCRIPT} unpack {sha256}"), b"")?;
    if unpacked.status != 0 {
        bail!("{}: {}", node.name(), unpacked.stderr.trim());
    }
    Ok(())
}

/// A file that tells how much of it was read.
struct Told<'a> {
    file: File,
    sent: u64,
    of: u64,
    name: &'a str,
    task: &'a Task,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        // Words for each chunk would cost more than sending it.
        if (self.sent >> 23) != ((self.sent + n as u64) >> 23) {
            self.task.say(&format!("{}: {} of {}", self.name, ui::size(self.sent), ui::size(self.of)));
        }
        self.sent += n as u64;
        Ok(n)
    }
}
