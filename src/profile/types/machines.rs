//! What a profile says of the lab's machines: what runs them, how many of which
//! size, and how those that exist already are reached.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{MAX_COUNT, MAX_CPUS, MAX_DISK_GIB, MAX_MEMORY_MIB, MIN_CPUS, MIN_DISK_GIB, MIN_MEMORY_MIB};

/// What runs the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// QEMU machines by libvirt, with KVM or emulated.
    Libvirt,
    /// VirtualBox machines.
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

    /// Whether the machines are made for the lab, and go with it; the others
    /// exist already and are somebody's.
    #[must_use]
    pub fn makes_machines(self) -> bool {
        match self {
            Self::Libvirt | Self::Virtualbox => true,
            Self::Hosts => false,
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

impl Access {
    /// The jump host, if there is one.
    #[must_use]
    pub fn jump_host(&self) -> Option<&str> {
        Some(self.jump.as_str()).filter(|jump| *jump != "none")
    }
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
