//! Debian 13 as the lowest layer of an image: what the demo's native server
//! stood on, so that its size and start can be compared with none at all.

use std::path::Path;

use anyhow::Result;

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::namespace::Namespace;
use crate::artifacts::programs::missing;
use crate::artifacts::root;

/// The artifact's name.
pub const NAME: &str = "debian-base";
/// The layer inside the artifact.
pub const LAYER: &str = "layer.tar";

const MAKE: &str = include_str!("scripts/make_base.sh");

/// Debian's minimal base as a tar archive.
pub struct DebianBase {
    /// Where Debian comes from, as mmdebstrap takes it; `None` is its default.
    pub mirror: Option<String>,
}

impl DebianBase {
    fn options(&self) -> Vec<String> {
        root::options("minbase", &[], self.mirror.as_deref())
    }
}

impl Artifact for DebianBase {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "Install Debian 13 as an image's base".into()
    }

    fn inputs(&self) -> Inputs {
        Inputs::new()
            .with("arch", std::env::consts::ARCH)
            .with("mmdebstrap", self.options().join(" "))
            .file("recipe", MAKE.as_bytes())
    }

    fn obstacles(&self) -> Vec<String> {
        let mut found = Namespace::detect().obstacles();
        found.extend(missing(&["mmdebstrap", "tar"]));
        found.extend(root::missing_keyring());
        found
    }

    fn room(&self) -> Vec<Room> {
        let dir = (Namespace::detect() == Namespace::User).then(std::env::temp_dir);
        vec![Room::in_cache(200 << 20), Room { dir, bytes: 250 << 20 }]
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        let script = cx.script("make_base.sh", MAKE)?;
        let make = root::in_mode(cx, script, &into.join(LAYER));
        cx.run(&make.args(root::authorities(cx)).args(self.options()))
    }
}
