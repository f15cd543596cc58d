//! The engine on artifacts made of nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::artifacts::artifact::Artifact;
use crate::artifacts::clean;
use crate::artifacts::fake::Fake;
use crate::process::Cmd;
use crate::ui::Mode;

fn quiet() -> Ui {
    Ui::new(Mode::Plain)
}

fn make_all(cache: &Cache, all: &[Box<dyn Artifact>]) -> Result<BTreeMap<String, Entry>> {
    let graph = Graph::of(all)?;
    let goals: Vec<&str> = all.iter().map(|artifact| artifact.name()).collect();
    ensure(cache, &graph, &plan(cache, &graph, &goals, Depth::Full)?, &Outside::default(), &quiet())
}

fn entries(cache: &Cache, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(cache.dir().join(folder))
        .map(|all| all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

fn temporary() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    (dir, cache)
}

#[test]
fn what_is_there_is_not_made_again_and_the_manifest_tells_how_it_was_made() {
    let (_dir, cache) = temporary();
    let made = Arc::new(AtomicUsize::new(0));
    let all = [Fake::new("a").input("one").counted(&made).boxed(), Fake::new("b").needs(&["a"]).boxed()];
    make_all(&cache, &all).unwrap();
    let entries = make_all(&cache, &all).unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 1);
    let a = &entries["a"].manifest;
    assert_eq!((a.facts["told"].as_str(), a.bytes), ("one", 3));
    assert_eq!(a.inputs, [("input".to_owned(), "one".to_owned())]);
    assert_eq!(entries["b"].manifest.needs["a"], a.key);
    assert_eq!(a.sha256("a").unwrap(), crate::artifacts::digest::of_bytes(b"one"));
}

#[test]
fn other_inputs_make_another_entry_beside_the_first() {
    let (_dir, cache) = temporary();
    for input in ["one", "two"] {
        make_all(&cache, &[Fake::new("a").input(input).boxed()]).unwrap();
    }
    assert_eq!(entries(&cache, "artifacts").len(), 2);
    let kept = clean::list(&cache).unwrap();
    assert_eq!(kept.iter().map(|one| (one.name.as_str(), one.bytes)).collect::<Vec<_>>(), [("a", 3), ("a", 3)]);
    assert_eq!(clean::remove(&cache, &kept).unwrap(), 6);
    assert_eq!((entries(&cache, "artifacts").len(), entries(&cache, "tmp").len()), (0, 0));
}

#[test]
fn two_at_the_same_time_make_it_once() {
    let (_dir, cache) = temporary();
    let made = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let slow = Fake::new("a").counted(&made).by(|_, _| {
                    std::thread::sleep(Duration::from_millis(300));
                    Ok(())
                });
                make_all(&cache, &[slow.boxed()]).unwrap();
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[test]
fn a_failure_keeps_what_is_done_and_leaves_nothing_half_made() {
    let (_dir, cache) = temporary();
    let made = Arc::new(AtomicUsize::new(0));
    let all = [
        Fake::new("good").boxed(),
        Fake::new("bad").needs(&["good"]).by(|_, cx| cx.run(&Cmd::new("sh").args(["-c", "echo why; exit 1"]))).boxed(),
        Fake::new("never").needs(&["bad"]).counted(&made).boxed(),
    ];
    let error = format!("{:#}", make_all(&cache, &all).unwrap_err());
    assert!(error.starts_with("make bad: `sh -c 'echo why; exit 1'` failed with exit status 1\n  why"), "{error}");
    assert!(error.ends_with(&format!("full log: {}", cache.log("bad").display())), "{error}");
    assert_eq!(made.load(Ordering::SeqCst), 0);
    assert_eq!(entries(&cache, "artifacts").len(), 1);
    assert_eq!(entries(&cache, "tmp").len(), 0);
}

#[test]
fn what_an_ended_process_left_is_swept_and_what_a_live_one_makes_is_not() {
    let (_dir, cache) = temporary();
    for name in ["dead-0123", "busy-0123"] {
        paths::create_dir(&cache.dir().join("tmp").join(name).join("root")).unwrap();
    }
    let all = [Fake::new("a").boxed()];
    cache.locked("busy", |_| (), || make_all(&cache, &all).map(drop)).unwrap();
    assert_eq!(entries(&cache, "tmp"), ["busy-0123"]);
}

#[test]
fn damage_is_named_and_mended() {
    let (_dir, cache) = temporary();
    let all = [Fake::new("a").input("one").boxed(), Fake::new("b").needs(&["a"]).boxed()];
    let file = make_all(&cache, &all).unwrap()["a"].dir.join("a");
    let fault = |depth| {
        let graph = Graph::of(&all).unwrap();
        match cache.state("a", &graph.list[0].key, depth).unwrap() {
            State::Damaged(how) => how,
            other => panic!("{other:?}"),
        }
    };
    fs::write(&file, "longer").unwrap();
    assert_eq!(fault(Depth::Cheap), "a has 6 bytes instead of 3");
    let graph = Graph::of(&all).unwrap();
    let verdicts = plan(&cache, &graph, &["a"], Depth::Cheap).unwrap();
    assert_eq!(verdicts[0], Verdict::MakeAgain("a has 6 bytes instead of 3".into()));
    make_all(&cache, &all).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "one");

    // The same size and time, other bytes: only the digest tells.
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, "eno").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    assert!(matches!(cache.state("a", &graph.list[0].key, Depth::Cheap).unwrap(), State::Present(_)));
    assert_eq!(fault(Depth::Full), "a has another SHA-256 than when it was made");
    fs::remove_file(&file).unwrap();
    assert_eq!(fault(Depth::Cheap), "a is missing");
}

#[test]
fn only_what_a_missing_goal_is_made_from_is_made() {
    let (_dir, cache) = temporary();
    let all = || [Fake::new("a").boxed(), Fake::new("b").needs(&["a"]).boxed(), Fake::new("c").needs(&["b"]).boxed()];
    let all = all();
    let entry = make_all(&cache, &all).unwrap();
    let graph = Graph::of(&all).unwrap();
    remove_tree(&entry["a"].dir).unwrap();
    let present = Verdict::Present { bytes: 0 };
    assert_eq!(
        plan(&cache, &graph, &["c"], Depth::Cheap).unwrap(),
        [Verdict::NotNeeded, present.clone(), present.clone()]
    );
    remove_tree(&entry["c"].dir).unwrap();
    assert_eq!(plan(&cache, &graph, &["c"], Depth::Cheap).unwrap(), [Verdict::NotNeeded, present, Verdict::Make]);
    remove_tree(&entry["b"].dir).unwrap();
    assert_eq!(plan(&cache, &graph, &["c"], Depth::Cheap).unwrap(), [Verdict::Make, Verdict::Make, Verdict::Make]);
    assert!(!Path::new(&entry["a"].dir).exists(), "a plan changes nothing");
}

#[test]
fn independent_artifacts_are_made_side_by_side() {
    let (_dir, cache) = temporary();
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let meet = |name| {
        let barrier = Arc::clone(&barrier);
        Fake::new(name).by(move |_, _| {
            barrier.wait();
            Ok(())
        })
    };
    // Each waits for the other: one after the other would hang for ever.
    make_all(&cache, &[meet("a").boxed(), meet("b").boxed()]).unwrap();
}

#[test]
fn what_makes_an_artifact_is_told_of_proxies_and_authorities() {
    let (_dir, cache) = temporary();
    let asks = Fake::new("a").by(|into, cx| {
        let print = format!("echo $https_proxy $HTTPS_PROXY $SSL_CERT_FILE >{}/a", into.display());
        cx.run(&Cmd::new("sh").args(["-c", &print]))
    });
    let outside = Outside {
        https_proxy: "http://proxy.example:3128".into(),
        bundle: Some("/authorities.pem".into()),
        ..Outside::default()
    };
    let all = [asks.boxed()];
    let graph = Graph::of(&all).unwrap();
    let verdicts = plan(&cache, &graph, &["a"], Depth::Full).unwrap();
    let entries = ensure(&cache, &graph, &verdicts, &outside, &quiet()).unwrap();
    let told = fs::read_to_string(entries["a"].dir.join("a")).unwrap();
    assert_eq!(told, "http://proxy.example:3128 http://proxy.example:3128 /authorities.pem\n");
}
