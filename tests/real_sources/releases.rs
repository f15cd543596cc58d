//! A release served from 127.0.0.1: pinned by the real program, pulled from a
//! real registry, and refused where it is not what was pinned.

use std::path::Path;
use std::time::Duration;

use provision::artifacts::choose::{self, Origin};
use provision::artifacts::digest;
use provision::artifacts::download::Downloads;
use provision::artifacts::go::go_arch;
use provision::artifacts::pins::{PinnedImage, Pins};
use provision::artifacts::registry;
use provision::http::{Client, Patience};
use provision::outside::Outside;
use provision::process::Cmd;
use provision::profile::{self, Profile, Sources, compat};

use crate::servers::{Files, Manner, Registry};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Pushes an image for this machine and another as `repository:tag`; returns
/// its index's digest and its layer's hex SHA-256.
fn push(registry: &Registry, repository: &str, tag: &str) -> (String, String) {
    let mut manifests = Vec::new();
    let mut own = String::new();
    for arch in [go_arch(), "s390x"] {
        let layer = format!("{repository} for {arch}").repeat(1000);
        let config = format!(r#"{{"architecture":"{arch}","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}}}"#);
        let (layer_sha256, config_sha256) =
            (registry.push_blob(repository, layer.as_bytes()), registry.push_blob(repository, config.as_bytes()));
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": format!("sha256:{config_sha256}"), "size": config.len()},
            "layers": [{"mediaType": LAYER, "digest": format!("sha256:{layer_sha256}"), "size": layer.len()}],
        })
        .to_string();
        let digest = format!("sha256:{}", digest::of_bytes(manifest.as_bytes()));
        registry.push_manifest(repository, &digest, MANIFEST, &manifest);
        manifests.push(serde_json::json!({
            "mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
            "platform": {"architecture": arch, "os": "linux"},
        }));
        if arch == go_arch() {
            own = layer_sha256;
        }
    }
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string();
    (registry.push_manifest(repository, tag, INDEX, &index), own)
}

fn pull(registry: &Registry, image: &PinnedImage, arch: &str, dir: &Path) -> Result<(), String> {
    let limit = Duration::from_secs(5);
    let patience = Patience { connect: limit, answer: limit, stall: limit };
    let client = Client::new(&Outside::default(), patience).unwrap();
    let mut downloads = Downloads::new(&client, dir.join("downloads"));
    downloads.pause = Duration::from_millis(10);
    let images = std::slice::from_ref(image);
    registry::pull(&downloads, &registry.url, images, arch, &dir.join("made"), &|_| {})
        .map_err(|error| format!("{error:#}"))
}

#[test]
fn an_image_is_pulled_for_this_platform_and_only_as_it_was_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path());
    let (digest, layer) = push(&registry, "coredns/coredns", "v1.14.6");
    let image = PinnedImage { name: "registry.k8s.io/coredns/coredns:v1.14.6".into(), digest };
    pull(&registry, &image, go_arch(), dir.path()).unwrap();
    let made = dir.path().join("made");
    let pulled = registry::pulled(&made).unwrap();
    assert_eq!(pulled[0].name, image.name);
    assert_eq!(pulled[0].blobs[1], layer);
    let text = std::fs::read_to_string(registry::blob(&made, &layer)).unwrap();
    assert!(text.starts_with(&format!("coredns/coredns for {}", go_arch())), "{text:.40}");

    let error = pull(&registry, &image, "riscv64", dir.path()).unwrap_err();
    assert!(
        error.contains("pull image registry.k8s.io/coredns/coredns:v1.14.6: it has no manifest for linux/riscv64"),
        "{error}"
    );
    let other = PinnedImage { digest: format!("sha256:{}", "0".repeat(64)), ..image.clone() };
    let error = pull(&registry, &other, go_arch(), dir.path()).unwrap_err();
    assert!(error.contains("answers with status 404"), "{error}");

    // The registry's own disk has changed under a layer.
    let blob = registry.storage.join(format!("docker/registry/v2/blobs/sha256/{}/{layer}/data", &layer[..2]));
    let mut content = std::fs::read(&blob).unwrap();
    content[0] ^= 1;
    std::fs::write(&blob, content).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let error = pull(&registry, &image, go_arch(), fresh.path()).unwrap_err();
    assert!(error.contains("is not the file that is pinned") && error.contains(&layer), "{error}");
    assert!(!registry::blob(&fresh.path().join("made"), &layer).exists());
}

/// A profile file whose mirrors are these servers.
fn profile_in(dir: &Path, source: &str, files: &str, registry: &str) -> Profile {
    let path = dir.join("lab.toml");
    let pins = dir.join("releases.toml");
    let text = format!(
        "[kubernetes]\nsource = \"{source}\"\npins = \"{}\"\n[mirrors]\nkubernetes = \"{files}\"\ncontainerd = \"{files}\"\nimages = \"{registry}\"\n",
        pins.display()
    );
    std::fs::write(&path, text).unwrap();
    profile::load(&Sources { file: Some(path), ..Sources::default() }, &|_| None).unwrap().profile
}

fn pin(dir: &Path) -> provision::process::Captured {
    let pin = Cmd::new(env!("CARGO_BIN_EXE_provision")).args(["pin", "--profile"]).arg(dir.join("lab.toml"));
    let plain = ["PROVIDER", "CPUS", "MEMORY", "http_proxy", "HTTP_PROXY"].into_iter().fold(pin, Cmd::env_remove);
    plain.env("PROVISION_STATE", dir.join("state")).output().unwrap()
}

#[test]
fn a_release_is_pinned_by_its_publishers_digests_and_then_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let (files, registry) = (Files::start(), Registry::start(dir.path()));
    let row = &compat::table().kubernetes[0];
    let version = row.version.to_string();
    let profile = profile_in(dir.path(), "auto", &files.url, &registry.url);
    let choose = |profile: &Profile| {
        choose::choose(profile, Path::new(&profile.kubernetes.pins), &Outside::default(), &|_| Ok(false)).unwrap()
    };

    // Nothing is pinned: auto builds, and says why; release refuses.
    let choice = choose(&profile);
    assert_eq!(choice.origin, Origin::Build);
    assert!(choice.why.contains(&format!("no digests of Kubernetes {version}")), "{}", choice.why);
    let release = profile_in(dir.path(), "release", &files.url, &registry.url);
    let error = choose::choose(&release, Path::new(&release.kubernetes.pins), &Outside::default(), &|_| Ok(false))
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("pin them: provision pin"), "{error}");

    // A host that lacks a file: nothing is written.
    let failed = pin(dir.path());
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stderr.contains("kubeadm.sha256 answers with status 404"), "{}", failed.stderr);
    assert!(!dir.path().join("releases.toml").exists());

    let arch = go_arch();
    for program in ["kubeadm", "kubectl", "kubelet"] {
        let path = format!("v{version}/bin/linux/{arch}/{program}");
        let sha256 = files.put(&path, program.as_bytes(), Manner::Well);
        files.put(&format!("{path}.sha256"), sha256.as_bytes(), Manner::Well);
    }
    let containerd = &profile.runtime.version;
    let archive = format!("v{containerd}/containerd-{containerd}-linux-{arch}.tar.gz");
    let sha256 = files.put(&archive, b"archive", Manner::Well);
    files.put(&format!("{archive}.sha256sum"), format!("{sha256}  {archive}\n").as_bytes(), Manner::Well);
    for name in provision::artifacts::pins::image_names(row) {
        let (repository, tag) = provision::artifacts::pins::repository_of(&name).unwrap();
        push(&registry, repository, tag);
    }
    let pinned = pin(dir.path());
    assert!(pinned.status.success(), "{}", pinned.stderr);
    assert!(pinned.stderr.contains("4 files and 7 images"), "{}", pinned.stderr);
    let pins = Pins::read(&dir.path().join("releases.toml")).unwrap();
    let release = pins.find(&version, containerd, arch).unwrap();
    assert_eq!(release.files[3].sha256, sha256);

    // Pinned and there: auto takes it. The hosts gone: it builds, and says why.
    let choice = choose(&profile);
    assert!(matches!(choice.origin, Origin::Release(..)), "{}", choice.why);
    assert_eq!(
        choice.to_string(),
        "Kubernetes: the official releases, because its digests are pinned and its hosts answer"
    );
    let gone = profile_in(dir.path(), "auto", "http://127.0.0.1:1", &registry.url);
    let choice = choose(&gone);
    assert_eq!(choice.origin, Origin::Build);
    assert!(choice.why.contains("the releases cannot be reached: http://127.0.0.1:1/"), "{}", choice.why);
    let cached = choose::choose(&gone, Path::new(&gone.kubernetes.pins), &Outside::default(), &|origin| {
        Ok(matches!(origin, Origin::Release(..)))
    })
    .unwrap();
    assert_eq!(cached.why, "they are in the cache");
}
