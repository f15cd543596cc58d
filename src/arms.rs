//! The benchmark's arms: the same server, native and as Wasm, each a pod and a
//! service in namespace `provision`.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::templates;

/// The namespace of everything the lab itself runs.
pub const NAMESPACE: &str = "provision";
/// The port of every arm, as in the demo.
pub const PORT: u16 = 1234;

/// How an arm's code is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Machine code, compiled by rustc.
    Native,
    /// Wasm, compiled ahead of time by WasmEdge.
    Aot,
    /// Wasm, interpreted by WasmEdge.
    Interpreter,
}

/// One arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arm {
    /// Name of its pod and service, and in results.
    pub name: &'static str,
    /// Its column in tables.
    pub title: &'static str,
    /// The mode it claims, which the proof checks.
    pub mode: Mode,
    /// Image, as preloaded into the box.
    pub image: &'static str,
    /// The container's command.
    command: &'static str,
}

/// All arms; the first is what the others are compared with.
pub const ARMS: [Arm; 3] = [
    Arm {
        name: "native",
        title: "Rust",
        mode: Mode::Native,
        image: "provision.local/workload:native",
        command: "/workload",
    },
    Arm {
        name: "wasm-aot",
        title: "Wasm (AOT)",
        mode: Mode::Aot,
        image: "provision.local/workload:wasm-aot",
        command: "/workload.wasm",
    },
    Arm {
        name: "wasm-interpreter",
        title: "Wasm (interpreter)",
        mode: Mode::Interpreter,
        image: "provision.local/workload:wasm-interpreter",
        command: "/workload.wasm",
    },
];

impl Arm {
    /// Whether it is a Wasm module.
    #[must_use]
    pub fn is_wasm(&self) -> bool {
        self.mode != Mode::Native
    }

    /// Pod and service as a manifest.
    pub fn manifest(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Values<'a> {
            name: &'a str,
            image: &'a str,
            command: &'a str,
            wasm: bool,
            namespace: &'a str,
            port: u16,
        }
        let values = Values {
            name: self.name,
            image: self.image,
            command: self.command,
            wasm: self.is_wasm(),
            namespace: NAMESPACE,
            port: PORT,
        };
        templates::render("arm.yaml", include_str!("../templates/kubernetes/arm.yaml.tera"), &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wasm_arm_asks_for_wasmedge_and_the_native_one_does_not() {
        insta::assert_snapshot!(ARMS[1].manifest().unwrap());
        assert!(!ARMS[0].manifest().unwrap().contains("module.wasm.image"));
    }
}
