//! Wasm, compiled ahead of time by the node's WasmEdge.

use super::{Arm, Content, Mode};

/// crun runs a command that ends in `.wasm` by WasmEdge, any other natively.
pub(super) const BY_WASMEDGE: &[(&str, &str)] = &[("module.wasm.image/variant", "compat-smart")];

/// See the module.
pub struct WasmAot;

impl Arm for WasmAot {
    fn name(&self) -> &'static str {
        "wasm-aot"
    }

    fn title(&self) -> &'static str {
        "Wasm (AOT)"
    }

    fn mode(&self) -> Mode {
        Mode::Aot
    }

    fn content(&self) -> Content {
        Content { base: None, file: "workload-aot.wasm", path: "/workload.wasm", tag: "wasm-aot" }
    }

    fn annotations(&self) -> &'static [(&'static str, &'static str)] {
        BY_WASMEDGE
    }

    fn in_smoke(&self) -> bool {
        true
    }
}
