//! Which artifacts come out bit for bit the same when they are built again, in
//! another folder: what a lock may compare. With GOCACHE set to an empty
//! folder, Go compiles all of it again too.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use provision::artifacts::artifact::Artifact;
use provision::artifacts::cache::Cache;
use provision::artifacts::engine;
use provision::artifacts::graph::Graph;
use provision::artifacts::manifest::{Depth, Product};
use provision::artifacts::root::Root;
use provision::artifacts::source::{Build, Source};
use provision::artifacts::{cargo, root};
use provision::outside::Outside;
use provision::ui::{Mode, Ui};

/// Both use every core.
static ONE: Mutex<()> = Mutex::new(());

/// Builds `goal` in `cache` and returns each file's digest.
fn build(cache: &Cache, all: &[Box<dyn Artifact>], goal: &str) -> Vec<(String, String)> {
    let graph = Graph::of(all).unwrap();
    let verdicts = engine::plan(cache, &graph, &[goal], Depth::Cheap).unwrap();
    let entries = engine::ensure(cache, &graph, &verdicts, &Outside::default(), &Ui::new(Mode::Plain)).unwrap();
    let file = |product: &Product| match product {
        Product::File { path, sha256, .. } => Some((path.clone(), sha256.clone())),
        Product::Link { .. } | Product::Tree { .. } => None,
    };
    entries[goal].manifest.products.iter().filter_map(file).collect()
}

/// The user's build and one in a cache of its own, which shares the builder root.
fn both(all: &[Box<dyn Artifact>], goal: &str, folder: &Path) -> [Vec<(String, String)>; 2] {
    let user = Cache::of_user().unwrap();
    let first = build(&user, all, goal);
    let other = Cache::at(folder);
    let graph = Graph::of(all).unwrap();
    if let Some(at) = graph.at(root::BUILDER) {
        let key = &graph.list[at].key;
        std::fs::create_dir_all(other.artifacts()).unwrap();
        let to = other.entry(root::BUILDER, key);
        if !to.exists() {
            provision::process::Cmd::new("cp").arg("-al").arg(user.entry(root::BUILDER, key)).arg(to).read().unwrap();
        }
    }
    [first, build(&other, all, goal)]
}

#[test]
fn programs_of_our_own_are_built_alike() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir_in(Cache::of_user().unwrap().dir()).unwrap();
    let mirror = std::env::var("PROVISION_DEBIAN_MIRROR").ok();
    let all: Vec<Box<dyn Artifact>> = vec![
        Box::new(Root::builder(mirror)),
        Box::new(cargo::pause()),
        Box::new(cargo::loadgen()),
        Box::new(cargo::workload()),
    ];
    for goal in ["pause", "loadgen", "workload"] {
        let [first, second] = both(&all, goal, folder.path());
        assert!(!first.is_empty());
        assert_eq!(first, second, "{goal}");
    }
}

#[test]
fn coredns_is_built_alike() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir_in(Cache::of_user().unwrap().dir()).unwrap();
    let all = Build { kubernetes: "1.37.2".into() }.artifacts().unwrap();
    let [first, second] = both(&all, "coredns", folder.path());
    assert!(!first.is_empty());
    assert_eq!(first, second);
}
