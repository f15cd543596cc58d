//! What a profile says of networks: the lab's own ranges, and how the outside is
//! reached.

use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::Deserialize;

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
