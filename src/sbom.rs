//! What a node consists of, as a CycloneDX 1.5 document: by the OWASP
//! foundation's own library, which also validates it.

use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail};
use cyclonedx_bom::external_models::uri::Purl;
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::prelude::{Bom, NormalizedString, SpecVersion, UrnUuid, Validate as _};

use crate::artifacts::contents::Contents;
use crate::artifacts::root;
use purl::GenericPurlBuilder;

/// The document, pretty JSON with a newline. `box_name` names the node's box.
pub fn document(contents: &Contents, box_name: &str) -> Result<String> {
    let mut components = Vec::new();
    let packages = contents.packages.get(root::BOOTABLE).or_else(|| contents.packages.get(root::NODE));
    for (name, version) in
        packages.context("the packages of machines that exist already are their own systems': ask dpkg there")?
    {
        components.push(component(Classification::Library, "deb", &format!("debian/{name}"), version, None)?);
    }
    for (artifact, modules) in &contents.modules {
        for (path, text) in modules {
            // `version h1:…`, or `replacement version h1:…`.
            let words: Vec<&str> = text.split(' ').filter(|word| !word.starts_with("h1:")).collect();
            let (name, version) = match words[..] {
                [replacement, version] => (replacement, version),
                [version] => (path.as_str(), version),
                _ => bail!("module {path} of {artifact} is `{text}`"),
            };
            components.push(component(Classification::Library, "golang", name, version, Some(artifact))?);
        }
    }
    for (artifact, crates) in &contents.crates {
        for (krate, digest) in crates {
            let (name, version) = krate.split_once(' ').with_context(|| format!("crate {krate} has no version"))?;
            let mut one = component(Classification::Library, "cargo", name, version, Some(artifact))?;
            one.hashes = Some(sha256(digest));
            components.push(one);
        }
    }
    for (artifact, files) in &contents.programs {
        for (file, digest) in files {
            let mut one = Component::new(Classification::Application, file, "", None);
            one.version = None;
            one.hashes = Some(sha256(digest));
            one.properties = Some(Properties(vec![Property::new("provision:artifact", artifact)]));
            one.bom_ref = Some(format!("program:{artifact}/{file}"));
            components.push(one);
        }
    }
    for (image, digest) in &contents.images {
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, ""));
        let mut one = Component::new(Classification::Container, name, tag, Some(format!("image:{image}")));
        one.hashes = Some(sha256(digest));
        components.push(one);
    }
    // A module that several programs hold is one component.
    components.sort_by(|a, b| a.bom_ref.cmp(&b.bom_ref));
    components.dedup_by(|a, b| a.bom_ref == b.bom_ref);
    let node = Component::new(Classification::OperatingSystem, "provision-node", box_name, Some("node".into()));
    let bom = Bom {
        serial_number: Some(UrnUuid::generate()),
        metadata: Some(Metadata { component: Some(node), ..Metadata::new().context("read the clock")? }),
        components: Some(Components(components)),
        spec_version: SpecVersion::V1_5,
        ..Bom::default()
    };
    let checked = bom.validate_version(SpecVersion::V1_5);
    if !checked.passed() {
        bail!("the bill of materials is not valid CycloneDX: {checked:?}");
    }
    let mut out = Vec::new();
    bom.output_as_json_v1_5(&mut out).context("write the bill of materials")?;
    out.push(b'\n');
    String::from_utf8(out).context("write the bill of materials")
}

fn component(kind: Classification, purl: &str, name: &str, version: &str, part_of: Option<&str>) -> Result<Component> {
    let (namespace, last) = name.rsplit_once('/').unwrap_or(("", name));
    let url = GenericPurlBuilder::new(purl.to_owned(), last).with_namespace(namespace).with_version(version).build();
    let url = url.with_context(|| format!("name {name} {version} as a package URL"))?.to_string();
    let plain = name.strip_prefix("debian/").unwrap_or(name);
    let mut component = Component::new(kind, plain, version, Some(format!("{purl}:{name}@{version}")));
    component.purl = Purl::from_str(&url).ok();
    component.properties = part_of.map(|artifact| Properties(vec![Property::new("provision:artifact", artifact)]));
    component.name = NormalizedString::new(plain);
    Ok(component)
}

fn sha256(digest: &str) -> Hashes {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content: HashValue(hex.to_owned()) }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::contents::Names;

    #[test]
    fn a_bill_is_valid_and_names_each_part_once() {
        let names = |pairs: &[(&str, &str)]| -> Names {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        let modules = names(&[("a.b/c", "v1.0.0 h1:x="), ("d.e/f", "g.h/i v2.0.0 h1:y=")]);
        let contents = Contents {
            packages: [(root::NODE.to_owned(), names(&[("crun", "1.21-1"), ("libc++", "1:2+b1~x")]))].into(),
            modules: [("etcd".to_owned(), modules.clone()), ("coredns".to_owned(), modules)].into(),
            crates: [("loadgen".to_owned(), names(&[("libc 0.2.1", &digest)]))].into(),
            programs: [("etcd".to_owned(), names(&[("etcd", &digest)]))].into(),
            images: names(&[("r.io/etcd:3", &digest)]),
            ..Contents::default()
        };
        let text = document(&contents, "provision-node-1").unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["bomFormat"].as_str(), value["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
        let purls: Vec<&str> =
            value["components"].as_array().unwrap().iter().filter_map(|part| part["purl"].as_str()).collect();
        insta::assert_snapshot!(purls.join("\n"));
        Bom::parse_from_json_v1_5(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_node_that_boots_from_its_disk_is_described_by_its_own_tree() {
        let tree = |name: &str, package: &str| (name.to_owned(), Names::from([(package.to_owned(), "1".to_owned())]));
        let packages = [tree(root::NODE, "linux-image-cloud-amd64"), tree(root::BOOTABLE, "linux-image-amd64")].into();
        let text = document(&Contents { packages, ..Contents::default() }, "x").unwrap();
        assert!(text.contains("linux-image-amd64") && !text.contains("cloud"), "{text}");
    }

    #[test]
    fn without_a_node_there_is_no_bill() {
        assert!(document(&Contents::default(), "x").is_err());
    }
}
