//! Ways outside: a real proxy, and a server whose authority nobody knows.

use std::path::Path;
use std::time::Duration;

use provision::http::{Client, Patience};
use provision::outside::Outside;
use provision::process::Cmd;

use crate::servers::{Files, Manner, Server, free_port};

fn patience() -> Patience {
    let limit = Duration::from_secs(5);
    Patience { connect: limit, answer: limit, stall: limit }
}

fn tinyproxy(dir: &Path) -> (Server, String) {
    let port = free_port();
    let (config, log) = (dir.join("tinyproxy.conf"), dir.join("proxy.log"));
    let text = format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 60\nLogFile \"{}\"\nLogLevel Connect\nAllow 127.0.0.1\n",
        log.display()
    );
    std::fs::write(&config, text).unwrap();
    let command = format!("tinyproxy -d -c {}", config.display());
    (Server::start(&command, &dir.join("tinyproxy.out"), port), format!("http://127.0.0.1:{port}"))
}

#[test]
fn the_proxy_is_asked_unless_the_host_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    let (files, (_server, proxy)) = (Files::start(), tinyproxy(dir.path()));
    files.put("file", b"text", Manner::Well);
    let url = format!("{}/file", files.url);
    let log = || std::fs::read_to_string(dir.path().join("proxy.log")).unwrap();
    let asked = || log().lines().filter(|line| line.contains("Request (file")).count();

    let through = Outside { http_proxy: proxy.clone(), ..Outside::default() };
    assert_eq!(Client::new(&through, patience()).unwrap().text(&url, "*/*").unwrap(), "text");
    // By CONNECT, for http too: the proxy sees the host and no more.
    assert_eq!(asked(), 1, "{}", log());
    let direct = Outside { no_proxy: "127.0.0.1".into(), ..through.clone() };
    assert_eq!(Client::new(&direct, patience()).unwrap().text(&url, "*/*").unwrap(), "text");
    assert_eq!(asked(), 1, "{}", log());

    // Programs that are started get it as well.
    let curl = through.variables().iter().fold(Cmd::new("curl"), |curl, (name, value)| curl.env(name, value));
    assert_eq!(curl.args(["--silent", "--noproxy", "", &url]).read().unwrap(), "text");
    assert_eq!(asked(), 2, "{}", log());

    let refuses = Outside { http_proxy: "http://127.0.0.1:1".into(), ..Outside::default() };
    let error = Client::new(&refuses, patience()).unwrap().text(&url, "*/*").unwrap_err().to_string();
    assert!(error.contains(&url), "{error}");
}

#[test]
fn a_server_is_trusted_by_the_profile_s_own_authority_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let make = |name: &str, extensions: &[&str]| {
        Cmd::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"])
            .args(["-subj", &format!("/CN={name}"), "-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .args(extensions)
            .dir(dir.path())
            .read()
            .unwrap();
    };
    make("authority", &[]);
    let own = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
    make("mirror", &[&own[..], &["-CA", "authority.pem", "-CAkey", "authority.key"]].concat());
    let port = free_port();
    let (key, pem) = (path("mirror.key"), path("mirror.pem"));
    let command =
        format!("openssl s_server -quiet -www -accept 127.0.0.1:{port} -key {} -cert {}", key.display(), pem.display());
    let _server = Server::start(&command, &dir.path().join("openssl.log"), port);
    let url = format!("https://127.0.0.1:{port}/");

    let stranger = Client::new(&Outside::default(), patience()).unwrap().text(&url, "*/*").unwrap_err().to_string();
    assert!(stranger.contains("certificate"), "{stranger}");
    let text = std::fs::read_to_string(path("authority.pem")).unwrap();
    let known = Outside { authorities: text, ..Outside::default() };
    assert!(Client::new(&known, patience()).unwrap().text(&url, "*/*").unwrap().contains("TLS"));

    // For programs: one file with the host's authorities and this one.
    let known = known.with_bundle(dir.path()).unwrap();
    let curl = known.variables().iter().fold(Cmd::new("curl"), |curl, (name, value)| curl.env(name, value));
    assert!(curl.args(["--silent", "--show-error", &url]).read().unwrap().contains("TLS"));
    assert!(Cmd::new("curl").args(["--silent", &url]).read().is_err());
}
