//! Archives written and parsed back.

use std::fs;

use super::*;
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};

struct Parsed(BTreeMap<String, Vec<u8>>);

impl Parsed {
    fn read(tar: impl Read) -> Self {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(tar).entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let path = entry.path().unwrap().display().to_string();
            assert!(files.insert(path.clone(), bytes).is_none(), "{path} is there twice");
        }
        Self(files)
    }

    fn blob(&self, descriptor: &Descriptor) -> &[u8] {
        let digest = descriptor.digest().to_string();
        let bytes = &self.0[&format!("blobs/{}", digest.replace(':', "/"))];
        assert_eq!(format!("sha256:{}", of_bytes(bytes)), digest);
        assert_eq!(bytes.len() as u64, descriptor.size());
        bytes
    }
}

fn build(dir: &Path) -> (PathBuf, BTreeMap<String, String>) {
    let program = dir.join("program");
    fs::write(&program, "#!").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.join("data"), "x").unwrap();
    let base = BTreeMap::from([
        ("usr/local/bin/program".to_owned(), Content::File(program)),
        ("usr/local/bin/other".to_owned(), Content::Link("program".into())),
    ]);
    let base = Layer::write(&base, dir.join("base")).unwrap();
    let top = BTreeMap::from([("data".to_owned(), Content::File(dir.join("data")))]);
    let top = Layer::write(&top, dir.join("top")).unwrap();
    let image = |name: &str, layers, entrypoint: &str| Image {
        name: name.into(),
        layers,
        entrypoint: entrypoint.split_whitespace().map(str::to_owned).collect(),
        user: "",
    };
    let images = [image("x/a:1", vec![&base], ""), image("x/b:1", vec![&base, &top], "/data")];
    let file = dir.join("images.tar");
    let digests = write_archive(&images, None, "amd64", &file).unwrap();
    (file, digests)
}

#[test]
fn what_is_written_parses_back_with_true_digests_and_shared_layers() {
    let dir = tempfile::tempdir().unwrap();
    let (file, digests) = build(dir.path());
    let parsed = Parsed::read(File::open(file).unwrap());
    let index = ImageIndex::from_reader(&parsed.0["index.json"][..]).unwrap();
    assert_eq!(index.manifests().len(), 2);
    for (manifest, name) in index.manifests().iter().zip(["x/a:1", "x/b:1"]) {
        assert_eq!(manifest.annotations().as_ref().unwrap()[NAME], name);
        assert_eq!(digests[name], manifest.digest().to_string());
        let image = ImageManifest::from_reader(parsed.blob(manifest)).unwrap();
        let config = ImageConfiguration::from_reader(parsed.blob(image.config())).unwrap();
        let layers: Vec<String> =
            image.layers().iter().map(|layer| format!("sha256:{}", of_bytes(parsed.blob(layer)))).collect();
        assert_eq!(config.rootfs().diff_ids(), &layers);
    }
    // Two manifests, two configurations, two layers, the index and the layout.
    assert_eq!(parsed.0.len(), 8);
}

#[test]
fn a_layer_has_its_folders_links_and_modes() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let mut tar = tar::Archive::new(File::open(dir.path().join("base")).unwrap());
    let list: Vec<String> = tar
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let link = entry.link_name().unwrap().map(|to| format!(" -> {}", to.display())).unwrap_or_default();
            format!("{:o} {}{link}", entry.header().mode().unwrap(), entry.path().unwrap().display())
        })
        .collect();
    assert_eq!(
        list,
        [
            "755 usr",
            "755 usr/local",
            "755 usr/local/bin",
            "777 usr/local/bin/other -> program",
            "755 usr/local/bin/program"
        ]
    );
}

#[test]
fn the_same_files_give_the_same_archive() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (build(one.path()), build(two.path()));
    assert_eq!(a.1, b.1);
    assert_eq!(fs::read(a.0).unwrap(), fs::read(b.0).unwrap());
}
