//! Proxies that the profile or the environment names: whether they are addresses,
//! answer, and let us through; and whether the lab's own network goes past them.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::Result;
use ipnet::Ipv4Net;

use super::{Asked, Finding, Host, Topic};
use crate::outside::ProxyAddress;
use crate::profile::types::Proxy as Settings;

/// `http_proxy`, `https_proxy`, `no_proxy`, and the profile's.
pub struct Proxies;

/// How long a proxy may take to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// What it is asked for: a site that is no part of the work.
const SITE: &str = "www.debian.org";

impl Topic for Proxies {
    fn title(&self, _: &Asked) -> String {
        "proxies".into()
    }

    fn look(&self, asked: &Asked, _: &Host) -> Result<Vec<Finding>> {
        let network = &asked.profile.network;
        Ok(findings(
            &network.proxy,
            &|name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            network.machines,
        ))
    }
}

/// `settings` are what the profile and the environment say together; one of the
/// latter that is no address of a proxy is not among them.
fn findings(settings: &Settings, environment: &dyn Fn(&str) -> Option<String>, machines: Ipv4Net) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut any = false;
    for (name, field, value) in
        [("http_proxy", "network.proxy.http", &settings.http), ("https_proxy", "network.proxy.https", &settings.https)]
    {
        let (lower, upper) = (environment(name), environment(&name.to_uppercase()));
        if let (Some(lower), Some(upper)) = (&lower, &upper)
            && lower != upper
        {
            found.push(
                Finding::note(format!("{name} and {} differ: programs read one or the other", name.to_uppercase()))
                    .next(format!("export {}=\"${name}\"", name.to_uppercase())),
            );
        }
        let variable = lower.or(upper);
        let name = if variable.is_some() { name } else { field };
        let Some(value) = Some(value.clone()).filter(|value| !value.is_empty()).or(variable) else { continue };
        any = true;
        found.push(one(name, &value));
    }
    if !any {
        return vec![Finding::ok("none is set")];
    }
    if !goes_past(&settings.none, machines) {
        found.push(
            Finding::problem(format!("no_proxy leaves out the lab's network {machines}: kubectl would ask the proxy"))
                .next(format!("export no_proxy=\"${{no_proxy:+$no_proxy,}}localhost,127.0.0.1,{machines}\"")),
        );
    }
    found
}

fn one(name: &str, value: &str) -> Finding {
    let set = |to: &str| match name.contains('.') {
        true => format!("in the profile, {name} = \"{to}\""),
        false => format!("export {name}={to}"),
    };
    let without = if name.contains('.') { set("") } else { format!("unset {name}") };
    let Some(proxy) = ProxyAddress::parse(value) else {
        return Finding::problem(format!("{name} is no address of a proxy"))
            .next(format!("{}, or: {without}", set("http://HOST:PORT")));
    };
    let shown = format!("{}://{}:{}", proxy.scheme, proxy.host, proxy.port);
    let next = format!("put in the right one: {}; or go without: {without}", set("http://HOST:PORT"));
    match ask(&proxy, name.contains("https")) {
        Ok(Some(200..400)) => Finding::ok(format!("{name}: {shown} lets us through")),
        Ok(Some(407)) => Finding::problem(format!("{name}: {shown} asks for a name and a password (407)"))
            .next(set(&format!("{}://NAME:PASSWORD@{}:{}", proxy.scheme, proxy.host, proxy.port))),
        Ok(Some(status)) => Finding::problem(format!("{name}: {shown} refuses {SITE} ({status})")).next(next),
        Ok(None) => Finding::ok(format!("{name}: {shown} takes connections")),
        Err(error) => Finding::problem(format!("{name}: {shown} does not answer: {error}")).next(next),
    }
}

/// The status that it answers with; none if it is no plain HTTP proxy and takes
/// the connection. `tunnel`: asked as for HTTPS.
fn ask(proxy: &ProxyAddress, tunnel: bool) -> std::io::Result<Option<u16>> {
    let mut last = std::io::Error::other("its name has no address");
    for address in (proxy.host.as_str(), proxy.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) if proxy.scheme == "http" => return status(proxy, stream, tunnel).map(Some),
            Ok(_) => return Ok(None),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn status(proxy: &ProxyAddress, mut stream: TcpStream, tunnel: bool) -> std::io::Result<u16> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let what = if tunnel { format!("CONNECT {SITE}:443") } else { format!("HEAD http://{SITE}/") };
    let secret = proxy.secret.as_ref().map(|secret| {
        use base64::Engine;
        let plain: Vec<u8> = percent_encoding::percent_decode_str(secret).collect();
        format!("Proxy-Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(plain))
    });
    let secret = secret.unwrap_or_default();
    // In one piece: some proxies answer the first one that comes, and close.
    let request = format!("{what} HTTP/1.1\r\nHost: {SITE}\r\n{secret}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 64];
    let mut got = 0;
    while got < answer.len() && !answer[..got].contains(&b'\n') {
        match stream.read(&mut answer[got..])? {
            0 => break,
            count => got += count,
        }
    }
    let line = String::from_utf8_lossy(&answer[..got]);
    let status = line.strip_prefix("HTTP/").and_then(|line| line.split(' ').nth(1)?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("it does not speak HTTP"))
}

/// Whether an address of `network` goes past the proxy by this `no_proxy`, as
/// Go's programs (kubectl) read it.
fn goes_past(no_proxy: &str, network: Ipv4Net) -> bool {
    no_proxy
        .split(',')
        .map(str::trim)
        .any(|entry| entry == "*" || entry.parse::<Ipv4Net>().is_ok_and(|range| range.contains(&network)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use std::net::TcpListener;

    fn machines() -> Ipv4Net {
        "192.168.157.0/24".parse().unwrap()
    }

    /// A proxy on this host that answers everyone with `answer`; what it was asked.
    fn proxy(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; 1024];
            let count = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..count]).into_owned()
        });
        (address, thread)
    }

    #[test]
    fn a_proxy_is_asked_and_believed() {
        let (address, thread) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        let finding = one("http_proxy", &format!("http://{address}/"));
        assert_eq!(finding.level, Level::Problem);
        assert!(finding.text.ends_with("asks for a name and a password (407)"), "{}", finding.text);
        assert!(thread.join().unwrap().starts_with("HEAD http://www.debian.org/ HTTP/1.1\r\n"));

        let (address, thread) = proxy("HTTP/1.1 200 Connection established\r\n\r\n");
        let finding = one("https_proxy", &format!("http://me:p%40ss@{address}"));
        assert_eq!(finding.level, Level::Ok, "{}", finding.text);
        assert!(!finding.text.contains("p%40ss"));
        let asked = thread.join().unwrap();
        assert!(asked.starts_with("CONNECT www.debian.org:443 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Basic bWU6cEBzcw=="), "{asked}");

        let (address, thread) = proxy("HTTP/1.0 403 Forbidden\r\n\r\n");
        assert!(one("http_proxy", &address).text.ends_with("refuses www.debian.org (403)"));
        thread.join().unwrap();
        let (address, thread) = proxy("SSH-2.0-OpenSSH_9.2\r\n");
        assert!(one("http_proxy", &address).text.ends_with("does not answer: it does not speak HTTP"));
        thread.join().unwrap();
    }

    #[test]
    fn one_that_refuses_connections_is_named_with_the_next_command() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let finding = one("http_proxy", &format!("http://{address}"));
        assert_eq!(finding.level, Level::Problem);
        assert!(finding.text.contains("does not answer: Connection refused"), "{}", finding.text);
        assert!(finding.next.unwrap().ends_with("or go without: unset http_proxy"));
    }

    #[test]
    fn what_is_no_address_is_said_so() {
        for value in ["http://", "ftp://proxy:1", "http://a b:80", "http://proxy:port"] {
            assert_eq!(one("http_proxy", value).text, "http_proxy is no address of a proxy", "{value}");
        }
    }

    #[test]
    fn the_labs_network_must_go_past_the_proxy() {
        assert!(goes_past("localhost,192.168.0.0/16", machines()));
        assert!(goes_past("*", machines()));
        assert!(!goes_past("localhost, 127.0.0.1,192.168.157.0/25", machines()));
        let (address, thread) = proxy("HTTP/1.1 200 OK\r\n\r\n");
        let set = |name: &str| match name {
            "http_proxy" => Some(address.clone()),
            "HTTP_PROXY" => Some("other:1".into()),
            _ => None,
        };
        let settings = |http: &str| Settings { http: http.into(), https: String::new(), none: String::new() };
        let found = findings(&settings(&address), &set, machines());
        thread.join().unwrap();
        let levels: Vec<Level> = found.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Note, Level::Ok, Level::Problem]);
        assert_eq!(findings(&settings(""), &|_| None, machines())[0].text, "none is set");
    }

    #[test]
    fn a_proxy_of_the_profile_is_mended_there() {
        let settings = Settings { http: "ftp://proxy".into(), https: String::new(), none: "*".into() };
        let found = findings(&settings, &|_| None, machines());
        assert_eq!(found[0].text, "network.proxy.http is no address of a proxy");
        assert_eq!(
            found[0].next.as_deref(),
            Some(
                "in the profile, network.proxy.http = \"http://HOST:PORT\", or: in the profile, network.proxy.http = \"\""
            )
        );
        assert_eq!(found.len(), 1);
    }
}
