//! What a node says of a container's process, and what that proves.

use serde::{Deserialize, Serialize};

use crate::arms::{Arm, Mode};

/// How many times native's time a compiled module's computing may take. Seen:
/// 1.1 on a real CPU, up to 6 on an emulated one (its compiled code uses
/// instructions that are costly to emulate).
const AOT_AT_MOST: f64 = 12.0;
/// How many times native's time interpreting takes at least. Seen: 27 on a
/// real CPU, 60-130 on an emulated one.
const INTERPRETER_AT_LEAST: f64 = 14.0;

/// `evidence.sh`'s lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// Whether the container has a process.
    pub running: bool,
    /// `/proc/PID/comm`.
    pub comm: String,
    /// `/proc/PID/cmdline`, joined by spaces.
    pub cmdline: String,
    /// Whether libwasmedge is mapped.
    pub libwasmedge: bool,
    /// Executable mappings without a file: code that WasmEdge brought in.
    pub anonymous_executable: u32,
    /// Resident memory, KiB.
    pub rss_kib: u64,
    /// Annotation `module.wasm.image/variant` in the OCI spec; empty if absent.
    pub variant: String,
    /// The low-level runtime's binary; empty for containerd's default.
    pub runtime: String,
}

impl Evidence {
    /// Reads `KEY=VALUE` lines; unknown keys are for people.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "running" => found.running = value == "1",
                "comm" => found.comm = value.into(),
                "cmdline" => found.cmdline = value.into(),
                "libwasmedge" => found.libwasmedge = value == "1",
                "anonymous_executable" => found.anonymous_executable = value.parse().unwrap_or(0),
                "rss_kib" => found.rss_kib = value.parse().unwrap_or(0),
                "variant" => found.variant = value.into(),
                "runtime" => found.runtime = value.into(),
                _ => {}
            }
        }
        found
    }
}

/// The part of the chain from a pod to its module that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MissingLink {
    /// The annotation does not reach the runtime.
    #[error(
        "link `annotation`: module.wasm.image/variant is not in the OCI spec, so crun takes the module for a program\n  \
         is it on the pod, and does containerd hand it on?  provision ssh -- grep -A9 runtimes.crun /etc/containerd/config.toml"
    )]
    Annotation,
    /// Another low-level runtime than crun started it, or crun ran no handler.
    #[error(
        "link `handler`: the process is not WasmEdge's, although the annotation is there\n  \
         is crun called, and built with WasmEdge?  provision ssh -- crun --version"
    )]
    Handler,
    /// The handler ran without its library.
    #[error("link `library`: libwasmedge is not mapped\n  is it there?  provision up --step install_runtime")]
    Library,
    /// A module that claims to be compiled is interpreted.
    #[error(
        "link `mode`: the module claims to be compiled (AOT) and is interpreted: WasmEdge ignored its compiled part \
         (another version compiled it, or AOT is not loaded by default)\n  \
         compare the versions:  provision ssh -- 'cat /usr/local/lib/provision/packages 2>/dev/null || dpkg -l libwasmedge0'"
    )]
    AotIgnored,
    /// A module that claims to be interpreted is not.
    #[error("link `mode`: the module claims to be interpreted and compiled code is mapped")]
    NotInterpreted,
    /// The native arm is not native.
    #[error("link `handler`: the native arm is run by WasmEdge")]
    NotNative,
}

impl MissingLink {
    /// The word for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Annotation => "annotation",
            Self::Handler => "handler",
            Self::Library => "library",
            Self::AotIgnored => "aot-ignored",
            Self::NotInterpreted => "not-interpreted",
            Self::NotNative => "not-native",
        }
    }
}

/// Holds an arm's claim against what was seen.
pub fn judge(arm: &dyn Arm, seen: &Evidence) -> Result<(), MissingLink> {
    let wasmedge = seen.comm == "wasmedge" || seen.cmdline.starts_with("[libcrun:wasmedge]");
    match arm.mode() {
        Mode::Native if wasmedge || seen.libwasmedge => Err(MissingLink::NotNative),
        Mode::Native => Ok(()),
        _ if seen.variant.is_empty() => Err(MissingLink::Annotation),
        _ if !wasmedge => Err(MissingLink::Handler),
        _ if !seen.libwasmedge => Err(MissingLink::Library),
        Mode::Aot if seen.anonymous_executable == 0 => Err(MissingLink::AotIgnored),
        Mode::Interpreter if seen.anonymous_executable > 0 => Err(MissingLink::NotInterpreted),
        _ => Ok(()),
    }
}

/// The canary: time confirms the mode. Both times are of the same work, the
/// best of several.
pub fn judge_time(arm: &dyn Arm, microseconds: u64, native_microseconds: u64) -> Result<f64, String> {
    let ratio = microseconds as f64 / native_microseconds.max(1) as f64;
    match arm.mode() {
        Mode::Aot if ratio > AOT_AT_MOST => Err(format!(
            "canary: {} claims compiled code and takes {ratio:.1} x native's time to compute (at most {AOT_AT_MOST} x \
             was expected); it looks interpreted, or the machine was busy: provision up --step prove_runtime",
            arm.name()
        )),
        Mode::Interpreter if ratio < INTERPRETER_AT_LEAST => Err(format!(
            "canary: {} claims to be interpreted and takes only {ratio:.1} x native's time to compute (at least \
             {INTERPRETER_AT_LEAST} x was expected); it looks compiled",
            arm.name()
        )),
        _ => Ok(ratio),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arms::find;

    fn arms() -> [&'static dyn Arm; 3] {
        ["native", "wasm-aot", "wasm-interpreter"].map(|name| find(name).unwrap())
    }

    fn seen(lines: &str) -> Evidence {
        Evidence::parse(lines)
    }

    // As read from /proc in a lab: Debian 13, crun 1.21, WasmEdge 0.14.1.
    const AOT: &str = "running=1\npid=3\ncomm=wasmedge\ncmdline=[libcrun:wasmedge] /workload.wasm\nlibwasmedge=1\n\
                       anonymous_executable=1\nrss_kib=13926\nvariant=compat-smart\nruntime=/usr/bin/crun\n";

    #[test]
    fn each_missing_link_is_named() {
        let [native, aot, interpreter] = arms();
        assert_eq!(judge(aot, &seen(AOT)), Ok(()));
        let without = |from: &str, to: &str| seen(&AOT.replace(from, to));
        assert_eq!(judge(aot, &without("variant=compat-smart", "variant=")), Err(MissingLink::Annotation));
        assert_eq!(
            judge(aot, &without("comm=wasmedge\ncmdline=[libcrun:wasmedge] ", "comm=w\ncmdline=")),
            Err(MissingLink::Handler)
        );
        assert_eq!(judge(aot, &without("libwasmedge=1", "libwasmedge=0")), Err(MissingLink::Library));
        let interpreted = without("executable=1", "executable=0");
        assert_eq!(judge(aot, &interpreted), Err(MissingLink::AotIgnored));
        assert_eq!(judge(interpreter, &interpreted), Ok(()));
        assert_eq!(judge(interpreter, &seen(AOT)), Err(MissingLink::NotInterpreted));
        assert_eq!(judge(native, &seen(AOT)), Err(MissingLink::NotNative));
        assert_eq!(judge(native, &seen("running=1\ncomm=workload\ncmdline=/workload\n")), Ok(()));
    }

    #[test]
    fn time_unmasks_a_wrong_mode() {
        let [_, aot, interpreter] = arms();
        assert!(judge_time(aot, 580, 520).is_ok());
        assert!(judge_time(aot, 14_000, 520).unwrap_err().contains("looks interpreted"));
        assert!(judge_time(interpreter, 14_000, 520).is_ok());
        assert!(judge_time(interpreter, 600, 520).unwrap_err().contains("looks compiled"));
    }
}
