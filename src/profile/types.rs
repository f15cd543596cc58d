//! What a profile holds. These types are the one source of names, bounds and
//! descriptions: the JSON schema is generated from them, and a profile is
//! checked against that schema, so that editors and `provision` agree.

use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
/// Largest disk of a node of `VirtualBox`, in GiB: the size of the box's disk, which takes only what is written to it.
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

/// What runs the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// QEMU machines by libvirt, with KVM or emulated.
    Libvirt,
    /// `VirtualBox` machines.
    Virtualbox,
    /// Machines that exist already, reached by SSH.
    Hosts,
}

impl Provider {
    /// The name that profiles and Vagrant use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Libvirt => "libvirt",
            Self::Virtualbox => "virtualbox",
            Self::Hosts => "hosts",
        }
    }
}

/// Where the machines' box comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum BoxSource {
    /// A Debian 13 made on this host with all that a node needs inside.
    Build,
    /// A Vagrant box by its name, with a system and nothing of a node.
    Named(String),
}

impl From<String> for BoxSource {
    fn from(text: String) -> Self {
        if text == "build" { Self::Build } else { Self::Named(text) }
    }
}

/// How the machines are run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The host's help in running the machines' code.
    pub acceleration: Acceleration,
    /// What starts the machines; with provider libvirt bios, which nothing is read from: the kernel is handed over.
    pub firmware: Firmware,
    /// The version of a named box.
    #[schemars(extend("format" = "box-version"))]
    pub box_version: String,
    /// The SHA-256 of a named box's file.
    #[schemars(extend("format" = "sha256"))]
    pub box_sha256: String,
    /// Where a named box's file is; empty: at Vagrant's public registry.
    #[schemars(extend("format" = "box-url"))]
    pub box_url: String,
}

/// What starts a machine from its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// The BIOS of PCs.
    Bios,
    /// UEFI, 64 bits.
    Efi,
}

impl Firmware {
    /// The name that profiles use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Efi => "efi",
        }
    }
}

/// The host's help in running the machines' code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acceleration {
    /// KVM where the host offers it, else emulation.
    Auto,
    /// KVM, or fail.
    Kvm,
    /// Emulation (QEMU's TCG) even where KVM works; about ten times slower.
    Emulated,
}

/// Machines of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeGroup {
    /// What these nodes do in the cluster.
    pub role: Role,
    /// How many of them.
    #[schemars(range(min = 1, max = MAX_COUNT))]
    pub count: u32,
    /// Virtual CPUs of each.
    #[schemars(range(min = MIN_CPUS, max = MAX_CPUS))]
    pub cpus: u32,
    /// Memory of each, in MiB.
    #[schemars(range(min = MIN_MEMORY_MIB, max = MAX_MEMORY_MIB))]
    pub memory_mib: u64,
    /// Size of the root disk of each, in GiB; a sparse file on the host.
    #[schemars(range(min = MIN_DISK_GIB, max = MAX_DISK_GIB))]
    pub disk_gib: u64,
    /// With provider hosts: the machines, by the address at which the others reach them; their SSH port behind a colon
    /// where it is not 22.
    #[schemars(with = "Vec<String>", extend("items" = { "type": "string", "format": "ssh-address" }))]
    pub addresses: Vec<SshAddress>,
    /// With provider hosts: how these machines are logged in to.
    pub ssh: Access,
}

/// An address with an SSH server behind it, such as 192.0.2.10 or 192.0.2.10:2222.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SshAddress {
    /// The machine's own address.
    pub ip: std::net::Ipv4Addr,
    /// Its SSH server's port.
    pub port: u16,
}

impl std::str::FromStr for SshAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ip, port) = text.split_once(':').unwrap_or((text, "22"));
        let parsed = ip.parse().ok().zip(port.parse().ok().filter(|port| *port != 0));
        parsed.map(|(ip, port)| Self { ip, port }).ok_or_else(|| format!("`{text}` is no IPv4 address with a port"))
    }
}

impl TryFrom<String> for SshAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// How machines that exist already are logged in to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The login name.
    #[schemars(extend("format" = "login-name"))]
    pub user: String,
    /// The private key's file, or agent: those that the SSH agent offers.
    #[schemars(extend("format" = "ssh-key"))]
    pub key: String,
    /// The machine that leads there, as ssh takes it, or none.
    #[schemars(extend("format" = "jump-host"))]
    pub jump: String,
    /// How the login becomes root.
    pub sudo: Sudo,
}

/// How a login becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sudo {
    /// It is root.
    No,
    /// By sudo, which asks for no password.
    Free,
    /// By sudo with the user's password, asked once on the terminal.
    Password,
}

/// What a node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs etcd, the API server, the controllers and, in a lab, pods too.
    ControlPlane,
    /// Runs pods.
    Worker,
}

impl Role {
    /// The name that profiles and the nodes' scripts use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }
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
    /// `WasmEdge`, interpreting or running modules compiled ahead of time.
    Wasmedge,
}

/// The lab's address ranges.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The machines' network, the lab's own on this host.
    #[schemars(with = "String", extend("format" = "machine-network"))]
    pub machines: Ipv4Net,
    /// The pods' addresses; each node takes a /24 of it.
    #[schemars(with = "String", extend("format" = "pod-network"))]
    pub pods: Ipv4Net,
    /// The Services' addresses.
    #[schemars(with = "String", extend("format" = "service-network"))]
    pub services: Ipv4Net,
    /// A file (PEM) with authorities to trust besides the host's own; they reach
    /// builds, downloads and nodes. Beside the profile, unless the path is
    /// absolute. Empty: none.
    #[schemars(extend("format" = "optional-path"))]
    pub ca: String,
    /// How the outside is reached.
    pub proxy: Proxy,
}

/// How the outside is reached. Builds, downloads and nodes use it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// The proxy for `http://` addresses; empty: none, or the environment's `http_proxy`.
    #[schemars(extend("format" = "proxy"))]
    pub http: String,
    /// The proxy for `https://` addresses; empty: none, or the environment's `https_proxy`.
    #[schemars(extend("format" = "proxy"))]
    pub https: String,
    /// Hosts that are reached without a proxy, separated by commas; empty: none,
    /// or the environment's `no_proxy`. The lab's own addresses always are.
    #[schemars(extend("format" = "hosts"))]
    pub none: String,
}

/// Who has what is downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirrors {
    /// Debian's archive, for the host's builds and for nodes; empty: the official one.
    #[schemars(extend("format" = "debian-mirror"))]
    pub debian: String,
    /// The release files of Kubernetes.
    #[schemars(extend("format" = "url"))]
    pub kubernetes: String,
    /// The release files of containerd.
    #[schemars(extend("format" = "url"))]
    pub containerd: String,
    /// The Debian packages of CRI-O, a folder for each of its minor versions.
    #[schemars(extend("format" = "url"))]
    pub crio: String,
    /// The registry that has the images of a Kubernetes release.
    #[schemars(extend("format" = "url"))]
    pub images: String,
    /// For the nodes: registries and who stands in for them, such as
    /// `docker.io=https://mirror.example`, separated by commas.
    #[schemars(extend("format" = "registry-mirrors"))]
    pub registries: String,
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
