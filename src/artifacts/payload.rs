//! What machines that have a system already still need: Kubernetes, containerd,
//! crun with WasmEdge, nft, and the images, unpacked in containerd's store, as one tar
//! archive of files below `/`. One file, so that it is sent, resumed and checked
//! as one.
//!
//! crun, WasmEdge and nft are Debian 13's, with every library that they load and
//! their own dynamic loader: the same on every node, whatever its system has of
//! them. Debian 12's crun knows no WasmEdge, and its nft (1.0.6) ends by SIGSEGV where
//! kube-proxy's newer one has written rules.

use std::path::Path;

use anyhow::Result;

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::namespace::Namespace;
use crate::artifacts::{images, node_box, programs, root};

/// The artifact's name.
pub const NAME: &str = "payload";
/// The archive.
pub const ARCHIVE: &str = "payload.tar";

const RELOCATE: &str = include_str!("scripts/relocate.sh");
const PACK: &str = include_str!("scripts/payload.sh");

/// Programs and images for a machine with a system of its own.
pub struct Payload;

impl Artifact for Payload {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "Pack programs and images for machines that exist already".into()
    }

    fn inputs(&self) -> Inputs {
        let inputs = Inputs::new().with("arch", std::env::consts::ARCH);
        node_box::preload_inputs(inputs).file("relocate", RELOCATE.as_bytes()).file("pack", PACK.as_bytes())
    }

    fn needs(&self) -> Vec<&str> {
        vec!["kubernetes", "containerd", root::RUNTIME, images::NAME]
    }

    fn obstacles(&self) -> Vec<String> {
        let mut found = Namespace::detect().obstacles();
        found.extend(programs::missing(&["tar", "chroot"]));
        found
    }

    fn room(&self) -> Vec<Room> {
        // The tree and the archive.
        vec![Room::in_cache(2 << 30)]
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        let tree = cx.work().join("tree");
        node_box::preload(cx, &tree)?;
        let relocate = node_box::inside(cx, "relocate.sh", RELOCATE)?;
        cx.timed("relocate", || cx.run(&relocate.arg(cx.need(root::RUNTIME)?.join(root::TREE)).arg(&tree)))?;
        let pack = node_box::inside(cx, "payload.sh", PACK)?.arg(&tree).arg(into.join(ARCHIVE));
        cx.timed("pack", || cx.run(&pack))
    }
}
