//! How the outside is reached: proxies, extra certificate authorities and
//! mirrors, as the profile (or the environment) says. Builds, downloads and
//! nodes all read it here.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::paths;
use crate::profile::Profile;

/// Where distributions keep the authorities that a host trusts: Debian and Arch,
/// Fedora, openSUSE.
pub const AUTHORITIES: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The way outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// The proxy for `http://`; empty is none.
    pub http_proxy: String,
    /// The proxy for `https://`; empty is none.
    pub https_proxy: String,
    /// Hosts that are reached without one, separated by commas.
    pub no_proxy: String,
    /// The user's own authorities (PEM); empty is none.
    pub authorities: String,
    /// A file with the host's authorities and the user's own, if there are any
    /// of the latter.
    pub bundle: Option<PathBuf>,
}

impl Outside {
    /// As a profile in the folder `beside` says. Reads the file of authorities;
    /// writes nothing.
    pub fn of(profile: &Profile, beside: &Path) -> Result<Self> {
        let (proxy, ca) = (&profile.network.proxy, &profile.network.ca);
        let mut outside = Self {
            http_proxy: proxy.http.clone(),
            https_proxy: proxy.https.clone(),
            no_proxy: proxy.none.clone(),
            ..Self::default()
        };
        if !ca.is_empty() {
            let text = paths::read(&beside.join(ca)).context("read the authorities of network.ca")?;
            ensure!(text.contains("-----BEGIN CERTIFICATE-----"), "network.ca: {ca} holds no certificate (PEM)");
            outside.authorities = text;
        }
        Ok(outside)
    }

    /// Writes the host's authorities and the user's own into one file in `dir`,
    /// for programs that take one file only. Nothing is written without the latter.
    pub fn with_bundle(mut self, dir: &Path) -> Result<Self> {
        if self.authorities.is_empty() {
            return Ok(self);
        }
        let host = trusted_authorities().map(|path| paths::read(&path)).transpose()?.unwrap_or_default();
        let path = dir.join("authorities.pem");
        let text = format!("{}\n{}", host.trim_end(), self.authorities);
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            paths::write_atomic(&path, text.as_bytes(), 0o644)?;
        }
        self.bundle = Some(path);
        Ok(self)
    }

    /// The variables by which programs on this host (go, cargo, apt, Vagrant)
    /// are told. Empty where the profile says nothing: then they see what the
    /// user's environment holds.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (name, value) in
            [("http_proxy", &self.http_proxy), ("https_proxy", &self.https_proxy), ("no_proxy", &self.no_proxy)]
        {
            if !value.is_empty() {
                variables.push((name.to_owned(), value.clone()));
                variables.push((name.to_uppercase(), value.clone()));
            }
        }
        if let Some(bundle) = &self.bundle {
            // The latter for curl, which takes it before the former.
            for name in ["SSL_CERT_FILE", "CURL_CA_BUNDLE"] {
                variables.push((name.to_owned(), bundle.display().to_string()));
            }
        }
        variables
    }

    /// The file with all authorities, if the user brought some.
    #[must_use]
    pub fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref()
    }

    /// Hosts without a proxy, as a list.
    pub fn direct_hosts(&self) -> impl Iterator<Item = &str> {
        self.no_proxy.split(',').map(str::trim).filter(|host| !host.is_empty())
    }

    /// The proxies as a node is to use them: without those that only this host
    /// reaches, and never for the lab's own addresses.
    #[must_use]
    pub fn for_nodes(&self, own: &[String]) -> Proxies {
        let reachable = |proxy: &str| if is_loopback(proxy) { String::new() } else { proxy.to_owned() };
        let (http, https) = (reachable(&self.http_proxy), reachable(&self.https_proxy));
        if http.is_empty() && https.is_empty() {
            return Proxies::default();
        }
        let none = ["localhost", "127.0.0.1", ".svc", ".cluster.local"].map(str::to_owned).into_iter();
        let none: Vec<String> = self.direct_hosts().map(str::to_owned).chain(none).chain(own.to_vec()).collect();
        Proxies { http, https, none: none.join(",") }
    }

    /// The proxies that nodes cannot reach, since they listen on this host only.
    pub fn only_here(&self) -> impl Iterator<Item = &str> {
        [&self.http_proxy, &self.https_proxy].into_iter().map(String::as_str).filter(|proxy| is_loopback(proxy))
    }
}

/// Proxies as nodes use them; empty strings are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://`.
    pub http: String,
    /// For `https://`.
    pub https: String,
    /// Hosts and networks without one.
    pub none: String,
}

/// The file with the authorities that this host trusts.
#[must_use]
pub fn host_authorities() -> Option<PathBuf> {
    AUTHORITIES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// The file with the authorities that programs trust here: the environment's
/// `SSL_CERT_FILE`, else the host's.
#[must_use]
pub fn trusted_authorities() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from).filter(|path| path.is_file());
    named.or_else(host_authorities)
}

/// A proxy's address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    /// `http` where none is said.
    pub scheme: String,
    /// Its name or address.
    pub host: String,
    /// The scheme's own where none is said.
    pub port: u16,
    /// Name and password for it, as the URL has them.
    pub secret: Option<String>,
}

impl ProxyAddress {
    /// Reads it as programs do; `None` if it is no address of a proxy.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        let rest = rest.split(['/', '?', '#']).next()?;
        let (secret, place) = rest.rsplit_once('@').map_or((None, rest), |(secret, place)| (Some(secret), place));
        let standard = match scheme {
            "http" => 80,
            "https" => 443,
            "socks5" | "socks5h" => 1080,
            _ => return None,
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (place, standard),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(char::is_whitespace) {
            return None;
        }
        Some(Self { scheme: scheme.into(), host: host.into(), port, secret: secret.map(str::to_owned) })
    }

    /// Whether only this host reaches it.
    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn is_loopback(proxy: &str) -> bool {
    ProxyAddress::parse(proxy).is_some_and(|proxy| proxy.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(http: &str) -> Outside {
        Outside { http_proxy: http.into(), no_proxy: "intranet.example, .corp".into(), ..Outside::default() }
    }

    #[test]
    fn programs_get_both_spellings_and_nothing_where_nothing_is_said() {
        assert!(Outside::default().variables().is_empty());
        let names: Vec<String> = behind("http://p:3128").variables().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"]);
    }

    #[test]
    fn nodes_never_ask_a_proxy_for_the_lab_itself() {
        let proxies = behind("http://u:p@proxy.example:3128").for_nodes(&["10.96.0.0/12".into()]);
        assert_eq!(proxies.http, "http://u:p@proxy.example:3128");
        assert_eq!(proxies.none, "intranet.example,.corp,localhost,127.0.0.1,.svc,.cluster.local,10.96.0.0/12");
    }

    #[test]
    fn a_proxy_on_this_host_s_loopback_is_not_handed_to_nodes() {
        let outside = behind("http://127.0.0.1:3128");
        assert_eq!(outside.for_nodes(&[]), Proxies::default());
        assert_eq!(outside.only_here().collect::<Vec<_>>(), ["http://127.0.0.1:3128"]);
    }

    #[test]
    fn an_address_has_a_port_and_may_be_of_ipv6() {
        let proxy = ProxyAddress::parse("http://[2001:db8::1]:3128").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("2001:db8::1", 3128));
        assert_eq!(ProxyAddress::parse("proxy.example").unwrap().port, 80);
    }
}
