//! What is built in, held to `deny.toml` on every `cargo test`: where each
//! crate comes from, that its bytes are pinned, and its licence. `ci/deny` asks
//! cargo-deny itself, and the advisory database, where they can be reached.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::{Path, PathBuf};

use provision::process::Cmd;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn toml(path: &Path) -> toml::Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The manifests whose programs are given away or run on nodes.
fn manifests() -> [PathBuf; 3] {
    ["Cargo.toml", "workload/Cargo.toml", "loadgen/Cargo.toml"].map(|name| root().join(name))
}

/// Whether an SPDX expression is met by allowed licences alone.
fn allowed(expression: &str, list: &[&str]) -> bool {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    // No crate nests deeper than `(A OR B) AND C`.
    expression
        .split(" AND ")
        .all(|all| all.trim().trim_matches(['(', ')']).split(" OR ").any(|one| list.contains(&one.trim())))
}

#[test]
fn every_crate_comes_from_the_registry_with_a_checksum() {
    for manifest in manifests() {
        let lock = toml(&manifest.with_file_name("Cargo.lock"));
        for package in lock["package"].as_array().unwrap() {
            let Some(source) = package.get("source") else { continue };
            let name = package["name"].as_str().unwrap();
            assert_eq!(source.as_str().unwrap(), "registry+https://github.com/rust-lang/crates.io-index", "{name}");
            assert_eq!(package["checksum"].as_str().unwrap().len(), 64, "{name}");
        }
    }
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let deny = toml(&root().join("deny.toml"));
    let list: Vec<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(allowed("(MIT OR X) AND Unicode-3.0", &list) && !allowed("MIT AND X", &list) && !allowed("", &list));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let text = Cmd::new(cargo)
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .read()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{} packages", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(allowed(licence, &list), "{}: licence `{licence}`", package["name"]);
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    for manifest in manifests() {
        let lints = &toml(&manifest)["lints"]["rust"]["unsafe_code"];
        assert_eq!(lints.as_str(), Some("forbid"), "{}", manifest.display());
    }
}
