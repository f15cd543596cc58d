//! The demo's native arm: the server linked against glibc, on a Debian base.

use super::{Arm, Content, Mode};
use crate::artifacts::debian_base;

/// See the module.
pub struct NativeDebian;

impl Arm for NativeDebian {
    fn name(&self) -> &'static str {
        "native-debian"
    }

    fn title(&self) -> &'static str {
        "Rust (Debian)"
    }

    fn mode(&self) -> Mode {
        Mode::Native
    }

    fn content(&self) -> Content {
        Content {
            base: Some(debian_base::NAME),
            file: "workload-dynamic",
            path: "/usr/local/bin/workload",
            tag: "native-debian",
        }
    }
}
