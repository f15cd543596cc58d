//! Releases, registries, proxies and authorities against real servers on
//! 127.0.0.1: Debian's docker-registry, tinyproxy and OpenSSL's server, and a
//! file server that truncates, dies, stalls and trickles when told to.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "real_sources/downloads.rs"]
mod downloads;
#[path = "real_sources/releases.rs"]
mod releases;
#[path = "real_sources/servers.rs"]
mod servers;
#[path = "real_sources/ways.rs"]
mod ways;
