//! Forms of a profile's strings that no keyword of a JSON schema describes: names,
//! networks, addresses and what reaches a shell, apt or TOML.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The longest name of a lab; machines, networks and files carry it.
pub const MAX_NAME: usize = 30;

/// A string's form that no schema keyword describes: its name in `format`,
/// what is allowed in words, and the check, which may propose a mended value.
pub(super) struct Format {
    pub name: &'static str,
    pub allowed: &'static str,
    /// What an editor can check of it.
    pub pattern: &'static str,
    pub check: fn(&str) -> Result<(), Option<String>>,
}

const NETWORK_PATTERN: &str = r"^(\d{1,3}\.){3}\d{1,3}/\d{1,2}$";

pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "lab-name",
        allowed: "up to 30 of a-z, 0-9 and -, with no - at either end",
        pattern: "^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$",
        check: |text| {
            let fine = |text: &str| {
                (1..=MAX_NAME).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                    && !text.starts_with('-')
                    && !text.ends_with('-')
            };
            let mended = text.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
            if fine(text) { Ok(()) } else { Err(Some(mended).filter(|mended| fine(mended))) }
        },
    },
    Format {
        name: "machine-network",
        allowed: "a private IPv4 network from /16 to /28, such as 192.168.157.0/24",
        pattern: NETWORK_PATTERN,
        check: |text| network(text, 16, 28),
    },
    Format {
        name: "pod-network",
        allowed: "a private IPv4 network from /8 to /24, such as 10.244.0.0/16",
        pattern: NETWORK_PATTERN,
        check: |text| network(text, 8, 24),
    },
    Format {
        name: "service-network",
        allowed: "a private IPv4 network from /12 to /24, such as 10.96.0.0/12",
        pattern: NETWORK_PATTERN,
        check: |text| network(text, 12, 24),
    },
    Format {
        name: "command",
        allowed: "a program and its arguments, quoted as in a shell, or an empty string",
        pattern: r"^[^\x00]*$",
        check: |text| shell_words::split(text).map(drop).map_err(|_| None),
    },
    Format {
        name: "box-name",
        allowed: "build, or a Vagrant box's name such as debian/trixie64",
        pattern: r"^(build|[A-Za-z0-9][-A-Za-z0-9_.]*/[A-Za-z0-9][-A-Za-z0-9_.]*)$",
        check: |text| {
            let word = |text: &str| {
                text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            };
            let named = text.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name));
            if text == "build" || named { Ok(()) } else { Err(None) }
        },
    },
    Format {
        name: "box-version",
        allowed: "a box's version such as 13.20260101.1, or an empty string",
        pattern: r"^(\d[0-9A-Za-z.]*)?$",
        check: |text| {
            let fine = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
            if text.is_empty() || (fine && text.starts_with(|c: char| c.is_ascii_digit())) { Ok(()) } else { Err(None) }
        },
    },
    Format {
        name: "sha256",
        allowed: "a SHA-256 as 64 of 0-9 and a-f, or an empty string",
        pattern: "^([0-9a-f]{64})?$",
        check: |text| {
            let fine =
                |text: &str| matches!(text.len(), 0 | 64) && text.bytes().all(|b| b"0123456789abcdef".contains(&b));
            let mended = text.to_ascii_lowercase();
            if fine(text) { Ok(()) } else { Err(Some(mended).filter(|mended| fine(mended))) }
        },
    },
    Format {
        name: "box-url",
        allowed: "a URL of a box's file (http, https or file), or an empty string",
        pattern: r"^((https?|file)://[^\s]+)?$",
        check: |text| {
            let rest = ["http://", "https://", "file://"].iter().find_map(|scheme| text.strip_prefix(scheme));
            let fine = rest
                .is_some_and(|rest| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control()));
            if text.is_empty() || fine { Ok(()) } else { Err(None) }
        },
    },
    Format {
        name: "ssh-address",
        allowed: "an IPv4 address, with a port where that is not 22, such as 192.0.2.10 or 192.0.2.10:2222",
        pattern: r"^(\d{1,3}\.){3}\d{1,3}(:\d{1,5})?$",
        check: |text| text.parse::<super::types::SshAddress>().map(drop).map_err(|_| None),
    },
    Format {
        name: "login-name",
        allowed: "a login name of up to 32 of a-z, A-Z, 0-9, _, . and -",
        pattern: LOGIN_PATTERN,
        check: |text| if is_login(text) { Ok(()) } else { Err(None) },
    },
    Format {
        name: "ssh-key",
        allowed: "agent, or the path of a private key's file, absolute or beginning with ~/",
        pattern: "^(agent|~?/.+)$",
        check: |text| {
            let fine = text == "agent" || text.starts_with("~/") || text.starts_with('/');
            if fine && !text.contains(char::is_control) { Ok(()) } else { Err(None) }
        },
    },
    Format {
        name: "jump-host",
        allowed: "none, or a machine as ssh takes it: [user@]name[:port]",
        pattern: r"^([A-Za-z_][-A-Za-z0-9_.]{0,31}@)?[A-Za-z0-9][-A-Za-z0-9.]*(:\d{1,5})?$",
        check: |text| {
            let (user, rest) = text.split_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
            let (host, port) = rest.split_once(':').unwrap_or((rest, "22"));
            let named = host.starts_with(|c: char| c.is_ascii_alphanumeric())
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
            if named && user.is_none_or(is_login) && port.parse().is_ok_and(|port: u16| port != 0) {
                Ok(())
            } else {
                Err(None)
            }
        },
    },
    Format {
        name: "path",
        allowed: "the path of a file",
        pattern: "^.+$",
        check: |text| if text.trim().is_empty() || text.contains('\0') { Err(None) } else { Ok(()) },
    },
    Format {
        name: "optional-path",
        allowed: "the path of a file, or \"\"",
        pattern: "^.*$",
        check: |text| if text.contains('\0') { Err(None) } else { Ok(()) },
    },
    Format {
        name: "proxy",
        allowed: "a proxy such as http://proxy.example:3128, or \"\"",
        pattern: "^((https?|socks5h?)://[^ /]+/?)?$",
        check: |text| {
            let plain = text.replacen("socks5h://", "http://", 1).replacen("socks5://", "http://", 1);
            if text.is_empty() { Ok(()) } else { address(&plain) }
        },
    },
    Format {
        name: "hosts",
        allowed: "hosts or networks separated by commas, or \"\"",
        pattern: "^[^ \"'\\\\]*$",
        check: |text| {
            let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let fine = |c: char| c.is_ascii_alphanumeric() || ".,:/*-_[]".contains(c);
            match text.chars().all(fine) {
                true => Ok(()),
                false => Err(Some(plain).filter(|plain| plain.chars().all(fine))),
            }
        },
    },
    Format {
        name: "url",
        allowed: "an address such as https://mirror.example/path",
        pattern: "^https?://[^ ]+$",
        check: address,
    },
    Format {
        name: "debian-mirror",
        allowed: "an address such as https://mirror.example/debian, a line or a file for apt, or \"\"",
        pattern: "^[^\"'\\\\]*$",
        check: |text| if text.contains(['"', '\'', '\\', '\n']) { Err(None) } else { Ok(()) },
    },
    Format {
        name: "registry-mirrors",
        allowed: "pairs such as docker.io=https://mirror.example separated by commas, or \"\"",
        pattern: "^([^ =,]+=https?://[^ =,]+(,[^ =,]+=https?://[^ =,]+)*)?$",
        check: |text| {
            let pair = |pair: &str| {
                let (registry, mirror) = pair.split_once('=')?;
                let plain = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
                (!registry.is_empty() && registry.chars().all(plain)).then_some(())?;
                address(mirror).ok()
            };
            if text.is_empty() || text.split(',').all(|it| pair(it).is_some()) { Ok(()) } else { Err(None) }
        },
    },
    Format {
        name: "version",
        allowed: "a version of two or three numbers, such as 2.4.1",
        pattern: VERSION_PATTERN,
        check: |text| {
            let mended = text.trim().trim_start_matches('v');
            if super::compat::parse(text).is_some() {
                Ok(())
            } else {
                Err(super::compat::parse(mended).map(|_| mended.to_owned()))
            }
        },
    },
];

const LOGIN_PATTERN: &str = "^[A-Za-z_][-A-Za-z0-9_.]{0,31}$";

fn is_login(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Two or three numbers.
const VERSION_PATTERN: &str = r"^\d{1,4}\.\d{1,4}(\.\d{1,4})?$";

const PRIVATE: [(Ipv4Addr, u8); 3] =
    [(Ipv4Addr::new(10, 0, 0, 0), 8), (Ipv4Addr::new(172, 16, 0, 0), 12), (Ipv4Addr::new(192, 168, 0, 0), 16)];

fn network(text: &str, widest: u8, narrowest: u8) -> Result<(), Option<String>> {
    let net: Ipv4Net = text.parse().map_err(|_| None)?;
    let private = PRIVATE.into_iter().any(|(base, prefix)| Ipv4Net::new_assert(base, prefix).contains(&net));
    if !private || !(widest..=narrowest).contains(&net.prefix_len()) {
        return Err(None);
    }
    // Written with host bits, it is unclear which network is meant.
    if net.trunc() == net { Ok(()) } else { Err(Some(net.trunc().to_string())) }
}

/// `http://` or `https://`, a host, and nothing that a shell, TOML or apt would read otherwise.
fn address(text: &str) -> Result<(), Option<String>> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@%+,!$&*;=()[]".contains(c);
    let fine = |rest: &str| !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(plain);
    match rest {
        Some(rest) if fine(rest) => Ok(()),
        Some(_) => Err(None),
        None => Err(Some(format!("https://{text}")).filter(|_| !text.contains("://") && fine(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, text: &str) -> Result<(), Option<String>> {
        (FORMATS.iter().find(|format| format.name == name).unwrap().check)(text)
    }

    #[test]
    fn names_are_dns_labels() {
        assert_eq!(format("lab-name", "lab-1"), Ok(()));
        assert_eq!(format("lab-name", &"a".repeat(MAX_NAME)), Ok(()));
        assert_eq!(format("lab-name", &"a".repeat(MAX_NAME + 1)), Err(None));
        assert_eq!(format("lab-name", "My_Lab"), Err(Some("my-lab".into())));
        assert_eq!(format("lab-name", ""), Err(None));
        assert_eq!(format("lab-name", "-lab"), Err(None));
    }

    #[test]
    fn networks_are_private_aligned_and_of_a_sane_size() {
        assert_eq!(format("machine-network", "192.168.157.0/24"), Ok(()));
        assert_eq!(format("machine-network", "192.168.157.16/28"), Ok(()));
        assert_eq!(format("machine-network", "192.168.157.0/29"), Err(None));
        assert_eq!(format("machine-network", "192.168.157.5/24"), Err(Some("192.168.157.0/24".into())));
        assert_eq!(format("machine-network", "8.8.8.0/24"), Err(None));
        assert_eq!(format("machine-network", "172.32.0.0/16"), Err(None));
        assert_eq!(format("pod-network", "10.0.0.0/8"), Ok(()));
        assert_eq!(format("pod-network", "10.244.0.0/25"), Err(None));
        assert_eq!(format("service-network", "10.0.0.0/8"), Err(None));
        assert_eq!(format("service-network", "fd00::/112"), Err(None));
    }

    #[test]
    fn what_reaches_shells_apt_and_toml_holds_nothing_that_they_read() {
        assert_eq!(format("proxy", ""), Ok(()));
        assert_eq!(format("proxy", "http://me:secret@proxy.example:3128"), Ok(()));
        assert_eq!(format("proxy", "proxy.example:3128"), Err(Some("https://proxy.example:3128".into())));
        assert_eq!(format("proxy", "http://p\"; reboot"), Err(None));
        assert_eq!(format("hosts", "10.0.0.0/8,.corp,*.local"), Ok(()));
        assert_eq!(format("hosts", "a, b"), Err(Some("a,b".into())));
        assert_eq!(format("hosts", "a\nB=1"), Err(None));
        assert_eq!(format("url", "ftp://mirror.example"), Err(None));
        assert_eq!(format("registry-mirrors", "docker.io=https://a.example,ghcr.io=http://b.example:5000/x"), Ok(()));
        assert_eq!(format("registry-mirrors", "../docker.io=https://a.example"), Err(None));
        assert_eq!(format("version", "v2.4.1"), Err(Some("2.4.1".into())));
    }
}
