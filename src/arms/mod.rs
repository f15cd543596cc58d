//! The benchmark's arms: the same server in different hands. An arm is a file
//! in this folder and a line in [`all`]; image, pod, local container, proof and
//! tables take it from there.

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::templates;

mod native_debian;
mod native_runc;
mod native_static;
mod wasm_aot;
mod wasm_interpreter;

/// The namespace of everything the lab itself runs.
pub const NAMESPACE: &str = "provision";
/// The port of every arm, as in the demo.
pub const PORT: u16 = 1234;

/// How an arm's code is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Machine code, compiled by rustc.
    Native,
    /// Wasm, compiled ahead of time by WasmEdge.
    Aot,
    /// Wasm, interpreted by WasmEdge.
    Interpreter,
}

/// The program that makes a container of an arm's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// crun, which runs Wasm modules by WasmEdge.
    Crun,
    /// runc.
    Runc,
}

impl Runtime {
    /// The program's name, which is the RuntimeClass's and its handler's too.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }
}

/// What an arm's image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The artifact whose root tree is the lowest layer, if there is one.
    pub base: Option<&'static str>,
    /// The server: a file of artifact `workload`.
    pub file: &'static str,
    /// Its absolute path in the image, which is the container's command.
    pub path: &'static str,
    /// The image's tag; arms that differ in what runs them only share one.
    pub tag: &'static str,
}

/// One way to run the server.
pub trait Arm: Send + Sync {
    /// Name of its pod and service, and in results.
    fn name(&self) -> &'static str;
    /// Its column in tables.
    fn title(&self) -> &'static str;
    /// The mode it claims, which the proof checks.
    fn mode(&self) -> Mode;
    /// What makes its container.
    fn runtime(&self) -> Runtime {
        Runtime::Crun
    }
    /// What its image holds.
    fn content(&self) -> Content;
    /// Annotations of its pod or container.
    fn annotations(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Whether the first table of a lab (`up`'s smoke benchmark) has it.
    fn in_smoke(&self) -> bool {
        false
    }
}

/// All arms. The first is the control: what the others are compared with.
#[must_use]
pub fn all() -> [&'static dyn Arm; 5] {
    [
        &native_static::NativeStatic,
        &native_debian::NativeDebian,
        &native_runc::NativeRunc,
        &wasm_aot::WasmAot,
        &wasm_interpreter::WasmInterpreter,
    ]
}

/// The arms that `up` proves and measures: enough to compare Rust with Wasm.
#[must_use]
pub fn smoke() -> Vec<&'static dyn Arm> {
    all().into_iter().filter(|arm| arm.in_smoke()).collect()
}

/// The arm of that name; an error lists those that there are.
pub fn find(name: &str) -> Result<&'static dyn Arm> {
    all()
        .into_iter()
        .find(|arm| arm.name() == name)
        .with_context(|| format!("there is no arm `{name}`; the arms are: {}", all().map(|arm| arm.name()).join(", ")))
}

impl dyn Arm + '_ {
    /// Its image, as preloaded into the box.
    #[must_use]
    pub fn image(&self) -> String {
        format!("provision.local/workload:{}", self.content().tag)
    }

    /// Whether it is a Wasm module.
    #[must_use]
    pub fn is_wasm(&self) -> bool {
        self.mode() != Mode::Native
    }

    /// Pod and service of the name `name`, the pod on node `node`, as a manifest.
    pub fn manifest(&self, name: &str, node: &str) -> Result<String> {
        #[derive(Serialize)]
        struct Values<'a> {
            name: &'a str,
            image: String,
            command: &'a str,
            runtime: &'a str,
            annotations: &'a [(&'static str, &'static str)],
            namespace: &'a str,
            node: &'a str,
            port: u16,
        }
        let values = Values {
            name,
            node,
            image: self.image(),
            command: self.content().path,
            runtime: self.runtime().name(),
            annotations: self.annotations(),
            namespace: NAMESPACE,
            port: PORT,
        };
        templates::render("arm.yaml", include_str!("../../templates/kubernetes/arm.yaml.tera"), &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wasm_arm_asks_for_wasmedge_and_the_native_one_does_not() {
        insta::assert_snapshot!(wasm_aot::WasmAot.manifest_for_test());
        assert!(
            !(&native_static::NativeStatic as &dyn Arm).manifest("x", "node1").unwrap().contains("module.wasm.image")
        );
    }

    #[test]
    fn wasm_arms_run_a_file_that_crun_recognises() {
        for arm in all().into_iter().filter(|arm| arm.is_wasm()) {
            assert!(arm.content().path.ends_with(".wasm"), "{}", arm.name());
        }
    }

    #[test]
    fn an_unknown_arm_is_told_with_those_that_there_are() {
        let error = find("wasmtime").err().unwrap().to_string();
        assert!(error.contains("`wasmtime`") && error.contains("wasm-interpreter"), "{error}");
    }

    impl wasm_aot::WasmAot {
        fn manifest_for_test(&self) -> String {
            (self as &dyn Arm).manifest("wasm-aot", "node1").unwrap()
        }
    }
}
