//! The fair baseline: a static binary and nothing else in the image.

use super::{Arm, Content, Mode};

/// See the module.
pub struct NativeStatic;

impl Arm for NativeStatic {
    fn name(&self) -> &'static str {
        "native"
    }

    fn title(&self) -> &'static str {
        "Rust"
    }

    fn mode(&self) -> Mode {
        Mode::Native
    }

    fn content(&self) -> Content {
        Content { base: None, file: "workload", path: "/workload", tag: "native" }
    }

    fn in_smoke(&self) -> bool {
        true
    }
}
