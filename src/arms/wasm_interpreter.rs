//! Wasm, interpreted: what runs where AOT code is missing or silently ignored.

use super::{Arm, Content, Mode, wasm_aot};

/// See the module.
pub struct WasmInterpreter;

impl Arm for WasmInterpreter {
    fn name(&self) -> &'static str {
        "wasm-interpreter"
    }

    fn title(&self) -> &'static str {
        "Wasm (interpreter)"
    }

    fn mode(&self) -> Mode {
        Mode::Interpreter
    }

    fn content(&self) -> Content {
        Content { base: None, file: "workload.wasm", path: "/workload.wasm", tag: "wasm-interpreter" }
    }

    fn annotations(&self) -> &'static [(&'static str, &'static str)] {
        wasm_aot::BY_WASMEDGE
    }

    fn in_smoke(&self) -> bool {
        true
    }
}
