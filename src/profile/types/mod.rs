//! What a profile holds. These types are the one source of names, bounds and
//! descriptions: the JSON schema is generated from them, and a profile is
//! checked against that schema, so that editors and `provision` agree.

mod machines;
mod network;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use machines::{Acceleration, Access, BoxSource, Firmware, Machine, NodeGroup, Provider, Role, SshAddress, Sudo};
pub use network::{Mirrors, Network, Proxy};

/// The Kubernetes versions that `modules/kubernetes` pins, the newest first.
pub const KUBERNETES_VERSIONS: &[&str] = &["1.37.2", "1.36.3", "1.35.4", "1.34.4"];
/// Least CPUs of a node: kubeadm refuses a control plane with fewer.
pub const MIN_CPUS: u32 = 2;
/// Most CPUs of a node.
pub const MAX_CPUS: u32 = 256;
/// Least memory of a node, in MiB: kubeadm refuses a control plane with less.
pub const MIN_MEMORY_MIB: u64 = 1700;
/// Most memory of a node, in MiB (1 TiB).
pub const MAX_MEMORY_MIB: u64 = 1 << 20;
/// Smallest disk of a node, in GiB: the box and room for pods.
pub const MIN_DISK_GIB: u64 = 8;
/// Largest disk of a node, in GiB (16 TiB, the most ext4 holds with 4 KiB blocks and 32 bits).
pub const MAX_DISK_GIB: u64 = 16 << 10;
/// Largest disk of a node of VirtualBox, in GiB: the size of the box's disk, which takes only what is written to it.
pub const MAX_VIRTUALBOX_DISK_GIB: u64 = 64;
/// Most nodes of one kind.
pub const MAX_COUNT: u32 = 100;
/// Most users of a benchmark.
pub const MAX_USERS: u32 = 10_000;
/// Most runs whose documents are kept.
pub const MAX_KEEP: u32 = 100_000;
/// Longest benchmark of one server, in seconds.
pub const MAX_SECONDS: u32 = 3600;

/// The lab: its machines, its Kubernetes, its runtime and its benchmark.
/// Fields that are left out come from the built-in default profile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The lab's name, a DNS label of at most 30 characters; machines are named after it.
    #[schemars(extend("format" = "lab-name"))]
    pub name: String,
    /// What runs the machines.
    pub provider: Provider,
    /// Where the machines' box comes from: build (a Debian 13 with all that a node needs, made on this host), or the
    /// name of a Vagrant box with Debian 13, such as debian/trixie64.
    #[serde(rename = "box")]
    #[schemars(with = "String", extend("format" = "box-name"))]
    pub box_source: BoxSource,
    /// How the machines are run.
    pub machine: Machine,
    /// The lab's machines, one table per kind.
    #[serde(rename = "nodes")]
    #[schemars(length(min = 1))]
    pub groups: Vec<NodeGroup>,
    /// Which Kubernetes, and where it comes from.
    pub kubernetes: Kubernetes,
    /// What runs containers and WebAssembly on a node.
    pub runtime: Runtime,
    /// The lab's address ranges; they must not overlap.
    pub network: Network,
    /// Who has what is downloaded.
    pub mirrors: Mirrors,
    /// The load of the benchmark.
    pub benchmark: Benchmark,
    /// What `provision rebuild` does with its verdict.
    pub rebuild: Rebuild,
}

/// Which Kubernetes, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// The version, without `v`.
    #[schemars(extend("enum" = KUBERNETES_VERSIONS))]
    pub version: String,
    /// Where the programs come from.
    pub source: KubernetesSource,
    /// The file with the releases' digests, which `provision pin` writes; beside
    /// the profile, unless the path is absolute.
    #[schemars(extend("format" = "path"))]
    pub pins: String,
}

/// Where the programs of Kubernetes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KubernetesSource {
    /// Built on this host from pinned Go modules.
    Build,
    /// The projects' official releases, by pinned digest.
    Release,
    /// Releases where their digests are pinned and their hosts answer, else built.
    Auto,
}

/// What runs containers and WebAssembly on a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The container manager that the kubelet talks to.
    pub manager: RuntimeManager,
    /// The version of containerd, without `v`; not every one works with every Kubernetes.
    #[schemars(extend("format" = "version"))]
    pub version: String,
    /// The OCI runtime of the lab's RuntimeClass.
    pub handler: RuntimeHandler,
    /// The WebAssembly runtime inside the handler.
    pub wasm: WasmRuntime,
}

/// The container manager that the kubelet talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeManager {
    /// containerd 2.
    Containerd,
    /// CRI-O, from its project's own packages, which each node fetches; no lab
    /// has been made with it yet.
    Crio,
}

impl RuntimeManager {
    /// The name that profiles and the nodes' scripts use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Crio => "crio",
        }
    }

    /// Where the kubelet finds it.
    #[must_use]
    pub fn socket(self) -> &'static str {
        match self {
            Self::Containerd => "unix:///run/containerd/containerd.sock",
            Self::Crio => "unix:///var/run/crio/crio.sock",
        }
    }
}

/// The OCI runtime of the lab's RuntimeClass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeHandler {
    /// Debian's crun, built with WasmEdge.
    Crun,
}

/// The WebAssembly runtime inside the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WasmRuntime {
    /// WasmEdge, interpreting or running modules compiled ahead of time.
    Wasmedge,
}

/// How much a benchmark measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// One look at Rust and Wasm, as the demo took it: no intervals.
    Smoke,
    /// About two minutes: every arm, wide intervals.
    #[default]
    Quick,
    /// About half an hour: every route, intervals of a few percent.
    Standard,
    /// About an hour: for comparing one night with another.
    Nightly,
}

impl Size {
    /// The word on the command line and in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Nightly => "nightly",
        }
    }
}

/// The load of the benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// How much `provision bench` measures.
    pub size: Size,
    /// Users that send requests at the same time, each waiting for its answer.
    #[schemars(range(min = 1, max = MAX_USERS))]
    pub users: u32,
    /// How long each server is under load, in seconds.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub seconds: u32,
    /// The load instead of the above on emulated machines.
    pub emulated: Load,
}

/// What `provision rebuild` does with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// Documents of how many runs are kept, besides the baseline's.
    #[schemars(range(min = 1, max = MAX_KEEP))]
    pub keep: u32,
    /// A program with its arguments, run after each night with a JSON document
    /// on its standard input and the verdict's word in PROVISION_VERDICT; no
    /// shell reads it. Empty for none.
    #[schemars(extend("format" = "command"))]
    pub hook: String,
}

/// How many users for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Users that send requests at the same time, each waiting for its answer.
    #[schemars(range(min = 1, max = MAX_USERS))]
    pub users: u32,
    /// How long each server is under load, in seconds.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub seconds: u32,
}

impl Benchmark {
    /// The load on machines that are emulated, or are not.
    #[must_use]
    pub fn load(&self, emulated: bool) -> Load {
        if emulated { self.emulated } else { Load { users: self.users, seconds: self.seconds } }
    }
}
