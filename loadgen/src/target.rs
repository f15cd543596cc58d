//! What may be loaded: an `http://` address inside the lab, and nothing else.
//!
//! A load generator pointed at someone else's server is an attack. So only
//! loopback, private and link-local addresses are taken, and names that a
//! cluster alone can answer; their address is checked again once it is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::dns;

/// The longest accepted URL.
const MAX_URL: usize = 2048;

/// A checked URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: Host,
    port: u16,
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Target {
    /// Reads `http://HOST[:PORT]/PATH`.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("must begin with http://")?;
        if url.len() > MAX_URL || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("must be at most {MAX_URL} characters of printable ASCII without spaces"));
        }
        if rest.contains(['@', '#']) {
            return Err("neither @ nor # is supported".into());
        }
        let (authority, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, port.ok_or("the port must be from 1 to 65535")?)
            }
            _ => (authority, 80),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = match bare.parse::<IpAddr>() {
            Ok(address) => Host::Address(inside(address)?),
            Err(_) if is_cluster_name(host) => Host::Name(host.to_ascii_lowercase()),
            Err(_) => {
                return Err("must be a loopback, private or cluster address, localhost, a Service's name \
                            or a name ending in .svc or .svc.cluster.local"
                    .into());
            }
        };
        Ok(Self { host, port, path })
    }

    /// The socket address; asks the cluster's DNS for a name.
    pub fn resolve(&self) -> Result<SocketAddr, String> {
        let address = match &self.host {
            Host::Address(address) => *address,
            Host::Name(name) if name == "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Host::Name(name) => dns::look_up(name)
                .and_then(|address| inside(IpAddr::V4(address)))
                .map_err(|fault| format!("{name}: {fault}"))?,
        };
        Ok(SocketAddr::new(address, self.port))
    }

    /// The request as it goes over the wire.
    pub fn request(&self, keep_alive: bool) -> Vec<u8> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: provision-loadgen/{}\r\nAccept: */*\r\nConnection: {connection}\r\n\r\n",
            self.path,
            self.authority(),
            env!("CARGO_PKG_VERSION"),
        )
        .into_bytes()
    }

    /// The URL, with its port.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.authority(), self.path)
    }

    fn authority(&self) -> String {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).to_string(),
            Host::Name(name) => format!("{name}:{}", self.port),
        }
    }
}

/// `localhost`, a Service of the own namespace, or a name below `.svc`.
fn is_cluster_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let service = name.strip_suffix(".cluster.local").unwrap_or(&name);
    let labels: Vec<&str> = service.strip_suffix(".svc").map_or(vec![service], |rest| rest.split('.').collect());
    labels.iter().all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && label.bytes().any(|byte| byte.is_ascii_alphabetic())
    }) && (service.ends_with(".svc") || service == name)
}

/// The address, if it cannot be outside.
pub fn inside(address: IpAddr) -> Result<IpAddr, String> {
    let inside = match address {
        IpAddr::V4(v4) => is_inside_v4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| is_inside_v6(v6), is_inside_v4),
    };
    if inside { Ok(address) } else { Err(format!("{address} is no loopback, private or cluster address")) }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        // Shared address space, which some clusters use for pods.
        || (a == 100 && (64..128).contains(&b))
}

fn is_inside_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_is_taken_and_said_back() {
        for (url, back) in [
            ("http://127.0.0.1:1234", "http://127.0.0.1:1234/"),
            ("http://10.96.0.7:80/compute?n=5", "http://10.96.0.7:80/compute?n=5"),
            ("http://172.31.1.1?x", "http://172.31.1.1:80/?x"),
            ("http://192.168.1.1/", "http://192.168.1.1:80/"),
            ("http://[::1]:80/a", "http://[::1]:80/a"),
            ("http://[fd00::1]/", "http://[fd00::1]:80/"),
            ("http://wasm-server:1234/", "http://wasm-server:1234/"),
            ("http://a.default.svc/", "http://a.default.svc:80/"),
            ("http://A.default.svc.cluster.local/", "http://a.default.svc.cluster.local:80/"),
            ("http://localhost/", "http://localhost:80/"),
        ] {
            assert_eq!(Target::parse(url).unwrap().url(), back);
        }
    }

    #[test]
    fn outside_and_nonsense_are_refused() {
        for url in [
            "http://1.1.1.1/",
            "http://172.32.0.1/",
            "http://100.128.0.1/",
            "http://[2606:4700::1111]/",
            "http://[::ffff:1.1.1.1]/",
            "http://example.com/",
            "http://svc.example.com/",
            "http://cluster.local/",
            "http://a.cluster.local/",
            "http://.svc/",
            "http://16843009/",
            "http://0.0.0.0/",
            "https://127.0.0.1/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/a\r\nX: y",
            "http://",
            "127.0.0.1",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_request_says_how_the_connection_ends() {
        let target = Target::parse("http://127.0.0.1:1/x?y=1").unwrap();
        let text = |keep_alive| String::from_utf8(target.request(keep_alive)).unwrap();
        assert!(text(false).starts_with("GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n"));
        assert!(text(false).ends_with("Connection: close\r\n\r\n"));
        assert!(text(true).ends_with("Connection: keep-alive\r\n\r\n"));
    }
}
