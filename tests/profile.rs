//! Profiles as users write them: every fault found at once, every value with
//! its origin, the schema for editors up to date.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use provision::profile::{self, Faults, Loaded, Sources, schema};

type Environment<'a> = &'a [(&'a str, &'a str)];

/// Loads `text` as a file named `lab.toml`.
fn load_with(text: &str, sources: Sources, environment: Environment<'_>) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lab.toml");
    std::fs::write(&file, text).unwrap();
    let lookup = |name: &str| environment.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
    profile::load(&Sources { file: Some(file), ..sources }, &lookup)
        .map_err(|faults: Faults| faults.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

fn load(text: &str) -> Result<Loaded, String> {
    load_with(text, Sources::default(), &[])
}

fn explained(loaded: &Loaded) -> String {
    let line = |it: &profile::Explained| {
        let origin = it.origin.to_string();
        let origin = origin.rsplit('/').next().unwrap_or_default().to_owned();
        format!("{:27} {:18} {}", it.path, it.value, origin)
    };
    loaded.explain.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn ten_faults_are_listed_at_once_in_the_order_of_the_file() {
    let text = r#"
name = "My_Lab"
provider = "libvrt"
colour = "blue"

[[nodes]]
role = "control-plane"
cpus = 0
memry_mib = 4096
disk_gib = "12"

[kubernetes]
version = "1.29.0"

[runtme]
manager = "containerd"

[network]
machines = "192.168.157.5/24"
pods = "10.96.0.0/16"
services = "300.0.0.0/12"

[benchmark]
users = 20000
emulated = { users = 1.5, seconds = 10 }
"#;
    assert_snapshot!(load(text).unwrap_err());
}

#[test]
fn an_empty_file_is_the_default_profile() {
    let loaded = load("").unwrap();
    assert_eq!(loaded.profile, profile::default_profile());
    assert_snapshot!(explained(&loaded));
}

#[test]
fn every_value_knows_the_layer_it_came_from() {
    let text = "name = \"mine\"\n[[nodes]]\ncpus = 4\nmemory_mib = 2048\n[benchmark]\nemulated.users = 5\n";
    let sources = Sources { cpus: Some("8".into()), ..Sources::default() };
    let environment = [("CPUS", "6"), ("MEMORY", "4GiB"), ("PROVIDER", ""), ("NAME", "other")];
    assert_snapshot!(explained(&load_with(text, sources, &environment).unwrap()));
}

#[test]
fn overrides_are_checked_like_the_file_and_listed_after_it() {
    let sources = Sources { provider: Some("vbox".into()), cpus: Some("0".into()), ..Sources::default() };
    let error = load_with("name = \"-\"", sources, &[("MEMORY", "2 bananas"), ("CPUS", "2")]).unwrap_err();
    assert_snapshot!(error);
}

#[test]
fn broken_syntax_is_located_and_the_rest_is_still_checked() {
    assert_snapshot!(load("name = \nprovider = \"kvm\"\n[nodes\n[network]\npods = \"10.0.0.0\"\n").unwrap_err());
}

#[test]
fn wrong_shapes_are_named() {
    assert_snapshot!(
        load("nodes = []\nkubernetes = \"1.37.2\"\nname = 1979-05-27\n[[machine]]\n[[runtime]]\n").unwrap_err()
    );
    assert_snapshot!(
        load("[nodes]\ncpus = 4\n[network]\nmachines = [\"a\"]\n[benchmark]\nusers = 99999999999999999999\n")
            .unwrap_err()
    );
}

#[test]
fn rules_between_fields_are_kept() {
    let text = "[[nodes]]\nrole = \"worker\"\ncount = 2\n[runtime]\nmanager = \"crio\"\n[mirrors]\nregistries = \"docker.io=https://mirror.example\"\n[network]\nservices = \"10.244.0.0/20\"\n";
    assert_snapshot!(load(text).unwrap_err());
    // More control planes than etcd's majority makes use of, and addresses for fewer nodes than wanted.
    let text = "[[nodes]]\ncount = 2\n[[nodes]]\nrole = \"worker\"\ncount = 4\n[network]\nmachines = \"192.168.157.0/28\"\npods = \"10.244.0.0/23\"\n";
    assert_snapshot!(load(text).unwrap_err());
}

#[test]
fn a_named_box_is_named_whole() {
    let sha256 = "0".repeat(64);
    let named = format!("[machine]\nbox_version = \"13.1\"\nbox_sha256 = \"{sha256}\"");
    load(&format!("box = \"debian/trixie64\"\n{named}")).unwrap();
    insta::assert_snapshot!(load("box = \"debian/trixie64\"").unwrap_err());
    insta::assert_snapshot!(load(&named).unwrap_err());
    insta::assert_snapshot!(load(&format!("provider = \"virtualbox\"\nbox = \"a/b\"\n{named}")).unwrap_err());
    insta::assert_snapshot!(
        load("box = \"debian\"\n[machine]\nbox_sha256 = \"AB\"\nbox_url = \"ftp://x\"").unwrap_err()
    );
}

#[test]
fn the_profiles_that_come_with_it_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let nodes = |name: &str| {
        let sources = Sources { file: Some(folder.join(name)), ..Sources::default() };
        let profile = profile::load(&sources, &|_| None).unwrap().profile;
        let nodes: Vec<String> =
            profile.nodes().iter().map(|node| format!("{} {}", node.name, node.role.name())).collect();
        (profile.api_address().to_string(), nodes.join(", "))
    };
    assert_eq!(nodes("lab.toml"), ("192.168.159.11".into(), "node1 control-plane, node2 worker, node3 worker".into()));
    assert_eq!(
        nodes("ha.toml"),
        ("192.168.160.10".into(), "node1 control-plane, node2 control-plane, node3 control-plane".into())
    );
}

#[test]
fn a_rule_is_silent_about_values_that_are_themselves_refused() {
    let error = load("[network]\nservices = \"10.244.0.0/33\"\n[[nodes]]\ncount = 1000\n").unwrap_err();
    assert_eq!(error.matches("allowed:").count(), 2, "{error}");
}

#[test]
fn columns_count_characters_and_a_file_with_windows_line_ends_is_read() {
    let error = load("name = \"lab\"\r\nbenchmark = { emulated = { users = 1 }, \"ü\" = 2, b = 3 }\r\n").unwrap_err();
    assert!(error.contains("lab.toml:2:41: unknown field benchmark.ü"), "{error}");
    assert!(error.contains("lab.toml:2:50: unknown field benchmark.b"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let sources = Sources { file: Some(PathBuf::from("no-such.toml")), ..Sources::default() };
    assert_snapshot!(profile::load(&sources, &|_| None).unwrap_err().to_string());
}

#[test]
fn the_versions_offered_are_the_ones_pinned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for version in profile::types::KUBERNETES_VERSIONS {
        let (line, _) = version.rsplit_once('.').unwrap();
        let module = format!("modules/kubernetes/{line}/go.mod");
        let text = std::fs::read_to_string(root.join(&module)).unwrap();
        assert!(text.contains(&format!("k8s.io/kubernetes v{version}")), "{version} is not in {module}");
    }
}

#[test]
fn the_schema_for_editors_is_up_to_date() {
    let defaults: serde_json::Value = toml::from_str(profile::DEFAULT).unwrap();
    let mut current = serde_json::to_string_pretty(&schema::published(&defaults)).unwrap();
    current.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profile.schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == current, "config/profile.schema.json is out of date; run: UPDATE=1 cargo test --test profile");
}

#[test]
fn a_proxy_s_password_is_never_shown() {
    let loaded = load_with("", Sources::default(), &[("https_proxy", "me:s3cret@proxy.example:3128")]).unwrap();
    assert_eq!(loaded.profile.network.proxy.https, "http://me:s3cret@proxy.example:3128");
    let shown = explained(&loaded);
    assert!(shown.contains("@proxy.example:3128 environment https_proxy") && !shown.contains("s3cret"), "{shown}");
    let text = "[network]\nproxy = { http = \"ftp://me:s3cret@proxy.example\" }";
    let refused = load_with(text, Sources::default(), &[]).unwrap_err();
    assert!(refused.contains("network.proxy.http") && !refused.contains("s3cret"), "{refused}");
}

#[test]
fn a_proxy_of_the_environment_that_we_cannot_read_is_left_to_those_who_can() {
    let odd = [("http_proxy", "quic://proxy.example"), ("https_proxy", "socks5://proxy.example:1080")];
    let proxy = load_with("", Sources::default(), &odd).unwrap().profile.network.proxy;
    assert_eq!((proxy.http.as_str(), proxy.https.as_str()), ("", "socks5://proxy.example:1080"));
}

#[test]
fn a_profile_s_own_proxy_beats_the_environment_s() {
    let text = "[network]\nproxy = { http = \"http://own.example:3128\" }";
    let loaded = load_with(text, Sources::default(), &[("http_proxy", "http://other.example")]).unwrap();
    assert_eq!(loaded.profile.network.proxy.http, "http://own.example:3128");
}
