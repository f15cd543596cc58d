//! The baseline's image under runc: what crun itself costs or saves.

use super::{Arm, Content, Mode, Runtime, native_static};

/// See the module.
pub struct NativeRunc;

impl Arm for NativeRunc {
    fn name(&self) -> &'static str {
        "native-runc"
    }

    fn title(&self) -> &'static str {
        "Rust (runc)"
    }

    fn mode(&self) -> Mode {
        Mode::Native
    }

    fn runtime(&self) -> Runtime {
        Runtime::Runc
    }

    fn content(&self) -> Content {
        native_static::NativeStatic.content()
    }
}
