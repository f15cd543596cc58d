use std::os::unix::fs::symlink;

use super::*;
use crate::artifacts::bundle::{mode_of, write};
use crate::artifacts::engine::Entry;
use crate::artifacts::manifest::{Manifest, describe};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A cache with one artifact of two files and a link, as an engine leaves it.
fn made(dir: &Path) -> (Cache, BTreeMap<String, Entry>) {
    let cache = Cache::at(dir);
    let at = cache.entry("kubernetes", KEY);
    fs::create_dir_all(&at).unwrap();
    fs::write(at.join("kubernetes"), "program".repeat(10_000)).unwrap();
    fs::set_permissions(at.join("kubernetes"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(at.join("notes"), "").unwrap();
    symlink("kubernetes", at.join("kubectl")).unwrap();
    let manifest = Manifest {
        name: "kubernetes".into(),
        key: KEY.into(),
        inputs: Vec::new(),
        needs: BTreeMap::new(),
        made: String::new(),
        seconds: 1.0,
        bytes: 0,
        products: describe(&at, None).unwrap(),
        facts: BTreeMap::new(),
    };
    manifest.write(&at).unwrap();
    (cache, BTreeMap::from([("kubernetes".to_owned(), Entry { dir: at, manifest })]))
}

fn bundle(dir: &Path) -> PathBuf {
    let (_, entries) = made(&dir.join("here"));
    let file = dir.join("lab.bundle");
    write(&Inventory::of("1.37.2", &entries, None), &entries, &file, &|_| {}).unwrap();
    file
}

fn unpacked(file: &Path, cache: &Cache) -> Result<Inventory> {
    unpack(file, "1.37.2", cache, &|_| {})
}

/// Nothing but locks is in the cache.
fn is_untouched(cache: &Cache) -> bool {
    crate::paths::folders(&cache.artifacts()).unwrap().is_empty()
        && crate::paths::folders(&cache.dir().join("tmp")).unwrap().is_empty()
}

#[test]
fn what_is_unpacked_is_as_good_as_what_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = bundle(dir.path());
    let there = Cache::at(dir.path().join("there"));
    unpacked(&file, &there).unwrap();
    let State::Present(manifest) = there.state("kubernetes", KEY, Depth::Full).unwrap() else { panic!("not there") };
    assert_eq!(manifest.products.len(), 3);
    let at = there.entry("kubernetes", KEY);
    assert_eq!(fs::read_link(at.join("kubectl")).unwrap(), Path::new("kubernetes"));
    assert_eq!(mode_of(&File::open(at.join("kubernetes")).unwrap()).unwrap(), 0o755);
    // Again it only looks.
    unpacked(&file, &there).unwrap();
}

#[test]
fn a_bundle_cut_off_anywhere_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = bundle(dir.path());
    let whole = fs::read(&file).unwrap();
    for part in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..part]).unwrap();
        let there = Cache::at(dir.path().join(format!("there-{part}")));
        let error = format!("{:#}", unpacked(&file, &there).unwrap_err());
        assert!(error.contains("lab.bundle"), "{part}: {error}");
        assert!(error.contains("truncated or damaged") || error.contains("no bundle"), "{part}: {error}");
        assert!(is_untouched(&there), "{part}");
    }
}

#[test]
fn a_bundle_of_another_version_or_with_another_kubernetes_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, entries) = made(&dir.path().join("here"));
    let mut contents = Inventory::of("1.36.3", &entries, None);
    let file = dir.path().join("lab.bundle");
    write(&contents, &entries, &file, &|_| {}).unwrap();
    let error = unpacked(&file, &cache).unwrap_err().to_string();
    assert!(error.contains("holds Kubernetes 1.36.3, and the profile asks for 1.37.2"), "{error}");
    contents.provision = "9.9.9".into();
    write(&contents, &entries, &file, &|_| {}).unwrap();
    let error = unpacked(&file, &cache).unwrap_err().to_string();
    assert!(error.contains("was written by provision 9.9.9"), "{error}");
}

#[test]
fn a_bundle_whose_files_are_not_those_of_its_list_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, entries) = made(&dir.path().join("here"));
    let contents = Inventory::of("1.37.2", &entries, None);
    let kubernetes = entries["kubernetes"].dir.join("kubernetes");
    fs::write(&kubernetes, "PROGRAM".repeat(10_000)).unwrap();
    let file = dir.path().join("lab.bundle");
    write(&contents, &entries, &file, &|_| {}).unwrap();
    let there = Cache::at(dir.path().join("there"));
    let error = unpacked(&file, &there).unwrap_err().to_string();
    assert!(error.contains("kubernetes/kubernetes has another SHA-256"), "{error}");
    assert!(is_untouched(&there));
}

#[test]
fn a_bundle_that_would_write_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, entries) = made(&dir.path().join("here"));
    let file = dir.path().join("lab.bundle");
    let there = Cache::at(dir.path().join("there"));
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let mut contents = Inventory::of("1.37.2", &entries, None);
        change(&mut contents.artifacts[0]);
        write(&contents, &entries, &file, &|_| {}).unwrap();
        let error = format!("{:#}", unpacked(&file, &there).unwrap_err());
        assert!(error.contains("is no bundle of provision") && error.contains("it names"), "{error}");
        assert!(is_untouched(&there));
    };
    refused(&|manifest| manifest.name = "../kubernetes".into());
    refused(&|manifest| manifest.key = "/etc".into());
    refused(&|manifest| {
        manifest.products.push(Product::Link { path: "a".into(), target: "/etc".into() });
    });
    refused(&|manifest| {
        manifest.products.push(Product::Link { path: "../a".into(), target: "kubernetes".into() });
    });
}
