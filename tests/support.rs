//! A support bundle of a lab with a secret planted in every place that goes
//! into one: none comes out, and the lines around them do.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use provision::process::Cmd;

const TOKEN: &str = "abcdef.0123456789abcdef";
const CERTIFICATE_KEY: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0";
const KEY_LINE: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gt";
const CLIENT_KEY: &str = "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSU9wbGFudGVkCg==";
const BARE_KEY: &str = "MHcCAQEEIOplantedplantedplantedplantedplantedplanted0AoGCCqGSM49AwEH";
const PROXY: &str = "h0rse-b4ttery";
const PASSWORD: &str = "correct-horse-staple";
const JWT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl";
const VARIABLE: &str = "planted-in-a-variable";

fn secrets() -> [&'static str; 9] {
    [TOKEN, CERTIFICATE_KEY, KEY_LINE, CLIENT_KEY, BARE_KEY, PROXY, PASSWORD, JWT, VARIABLE]
}

/// Every secret in a form in which logs show it, between lines to keep.
fn planted(place: &str) -> String {
    format!(
        "first line of {place}\n\
         kubeadm join 192.168.157.11:6443 --token {TOKEN} --certificate-key {CERTIFICATE_KEY}\n\
         -----BEGIN OPENSSH PRIVATE KEY-----\n{KEY_LINE}\n-----END OPENSSH PRIVATE KEY-----\n\
         user {{ client-key-data: {CLIENT_KEY} }}\n\
         Setting up proxy http://ann:{PROXY}@proxy.invalid:3128/ for the guest\n\
         {{\"password\": \"{PASSWORD}\", \"x\": 1}} and secret-free text\n\
         authorization: Bearer {JWT}\n\
         [   12.345678] systemd[1]: {JWT} {VARIABLE}\n\
         a lone line of a key: {BARE_KEY}\n\
         last line of {place}\n"
    )
}

/// The same as one line of JSON.
fn planted_json(place: &str) -> String {
    format!("{}\n", serde_json::json!({"format": "provision.event/1", "text": planted(place)}))
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn no_secret_leaves_with_a_support_bundle() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let texts = [
        "state/lab/logs/vagrant.log",
        "state/lab/logs/node1-init_control_plane.log",
        "state/lab/console/node1.log",
        "state/lab/Vagrantfile",
        "state/lab/machine.json",
        "state/lab/node/node1/files/kubeadm.yaml",
        "state/lab/more.log",
        "profile.toml",
    ];
    for name in &texts[..7] {
        write(&at(name), &planted(name));
    }
    write(&at("state/lab/logs/events.jsonl"), &planted_json("events"));
    write(&at("state/lab/logs/journal.jsonl"), &planted_json("the journal"));
    write(&at("state/lab/results/20260101T000000Z.json"), &planted_json("the result"));
    let comments: String = planted("profile.toml").lines().map(|line| format!("# {line}\n")).collect();
    write(&at("profile.toml"), &comments);
    // The keys themselves: whole files of secrets, known by their values too.
    write(&at("state/lab/id_ed25519"), &format!("-----BEGIN X-----\n{KEY_LINE}\n{BARE_KEY}\n-----END X-----\n"));
    write(&at("state/lab/kubeconfig"), &planted("kubeconfig"));
    write(&at("state/lab/.vagrant/machines/node1/libvirt/private_key"), &planted("vagrant"));
    for program in ["virsh", "vagrant", "go", "lscpu", "ip"] {
        let script = format!("#!/bin/sh\ncat <<'EOF'\n{}EOF\n", planted(program));
        write(&at("programs").join(program), &script);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(at("programs").join(program), mode).unwrap();
    }

    let bundle = at("bundle.tar.gz");
    let run = Cmd::new(env!("CARGO_BIN_EXE_provision")).arg("support").arg(&bundle);
    ["PROVIDER", "CPUS", "MEMORY"]
        .into_iter()
        .fold(run, Cmd::env_remove)
        .env("PATH", format!("{}:/usr/bin:/bin", at("programs").display()))
        .env("PROVISION_STATE", at("state"))
        .env("PROVISION_CACHE", at("cache"))
        .env("PROVISION_PROFILE", at("profile.toml"))
        .env("https_proxy", format!("http://ann:{PROXY}@proxy.invalid:3128"))
        .env("PROVISION_DEBIAN_MIRROR", format!("http://ann:{PROXY}@mirror.invalid/debian"))
        .env("HUB_TOKEN", VARIABLE)
        .read()
        .unwrap();
    let mode = std::fs::metadata(&bundle).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(&bundle).unwrap()));
    let mut all = String::new();
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().display().to_string());
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        for secret in secrets() {
            assert!(!text.contains(secret), "{} holds {secret}:\n{text}", names.last().unwrap());
        }
        all.push_str(&text);
    }
    for place in
        texts.iter().copied().chain(["events", "the journal", "the result", "virsh", "vagrant", "go", "lscpu", "ip"])
    {
        for line in ["first", "last"] {
            assert!(all.contains(&format!("{line} line of {place}")), "the {line} line of {place} is lost");
        }
    }
    assert!(all.contains("-free text") && all.contains("@proxy.invalid:3128"), "what is no secret stays");
    for name in ["id_ed25519", "kubeconfig", "private_key"] {
        assert!(!names.iter().any(|found| found.ends_with(name)), "{name} is in the bundle: {names:?}");
    }
    assert!(all.contains("kubeconfig: holds keys"), "what was left out is named");
    assert!(!at("state/lab/.lock").exists(), "it only reads");
}
