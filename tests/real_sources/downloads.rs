//! Large files from servers that misbehave.

use std::path::Path;
use std::time::{Duration, Instant};

use provision::artifacts::download::{Downloads, Wanted};
use provision::http::{Client, Patience};
use provision::outside::Outside;

use crate::servers::{Files, Manner};

/// 1 MB that no two places of are alike.
fn content(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(1 << 20).collect()
}

fn impatient() -> Client {
    let limit = Duration::from_millis(500);
    Client::new(&Outside::default(), Patience { connect: limit, answer: limit, stall: limit }).unwrap()
}

fn fetch(all: &[Wanted], dir: &Path) -> Result<(), String> {
    let client = impatient();
    let mut downloads = Downloads::new(&client, dir.join("downloads"));
    downloads.pause = Duration::from_millis(10);
    downloads.slow = (4096, Duration::from_millis(500));
    downloads.fetch(all, &|_| {}).map_err(|error| format!("{error:#}"))
}

fn wanted(files: &Files, path: &str, sha256: &str, dir: &Path) -> Wanted {
    let url = format!("{}/{path}", files.url);
    Wanted { url, sha256: sha256.to_owned(), accept: "*/*", to: dir.join("made").join(path) }
}

fn parts(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("downloads")).map_or(0, Iterator::count)
}

#[test]
fn a_connection_that_breaks_is_gone_on_with_where_it_broke() {
    let (files, dir) = (Files::start(), tempfile::tempdir().unwrap());
    let sha256 = files.put("file", &content(1), Manner::Dies(150_000));
    fetch(&[wanted(&files, "file", &sha256, dir.path())], dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("made/file")).unwrap(), content(1));
    // Seven parts of 150,000 bytes: nothing came twice.
    assert_eq!(files.asked("file"), 7);
    assert_eq!(parts(dir.path()), 0);
}

#[test]
fn a_server_without_ranges_that_dies_is_given_up_and_what_came_is_kept() {
    let (files, dir) = (Files::start(), tempfile::tempdir().unwrap());
    let sha256 = files.put("file", &content(2), Manner::DiesWithoutRanges(100_000));
    let error = fetch(&[wanted(&files, "file", &sha256, dir.path())], dir.path()).unwrap_err();
    assert!(
        error.contains("ends after 100000 of 1048576 bytes") && error.contains("given up after 5 tries"),
        "{error}"
    );
    assert!(!dir.path().join("made/file").exists());
    // A later run, the server mended, goes on from there.
    files.put("file", &content(2), Manner::Well);
    fetch(&[wanted(&files, "file", &sha256, dir.path())], dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("made/file")).unwrap(), content(2));
}

#[test]
fn a_file_that_is_not_what_is_pinned_is_never_seen() {
    let (files, dir) = (Files::start(), tempfile::tempdir().unwrap());
    files.put("file", &content(3), Manner::Well);
    let error = fetch(&[wanted(&files, "file", &"0".repeat(64), dir.path())], dir.path()).unwrap_err();
    assert!(error.contains("is not the file that is pinned") && error.contains(&files.url), "{error}");
    assert!(!dir.path().join("made/file").exists());
    assert_eq!(parts(dir.path()), 0);
}

#[test]
fn a_file_that_is_shorter_at_the_server_is_not_the_pinned_one() {
    let (files, dir) = (Files::start(), tempfile::tempdir().unwrap());
    let sha256 = files.put("file", &content(4), Manner::Well);
    files.put("file", &content(4)[..500_000], Manner::Well);
    let error = fetch(&[wanted(&files, "file", &sha256, dir.path())], dir.path()).unwrap_err();
    assert!(error.contains("is not the file that is pinned: 500.00 kB"), "{error}");
}

#[test]
fn what_stalls_and_what_trickles_ends_in_bounded_time() {
    let (files, dir) = (Files::start(), tempfile::tempdir().unwrap());
    for (name, manner) in [("stalls", Manner::Stalls), ("trickles", Manner::Trickles)] {
        let sha256 = files.put(name, &content(5)[..40_000], manner);
        let started = Instant::now();
        let error = fetch(&[wanted(&files, name, &sha256, dir.path())], dir.path()).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(15), "{name}: {:?}", started.elapsed());
        assert!(error.contains("given up after 5 tries"), "{name}: {error}");
        assert!(!dir.path().join("made").join(name).exists());
    }
}

#[test]
fn a_busy_server_is_asked_again_and_a_missing_file_is_not() {
    let (files, dir) = (Files::start(), tempfile::tempdir().unwrap());
    let sha256 = files.put("busy", &content(6), Manner::Busy(3));
    fetch(&[wanted(&files, "busy", &sha256, dir.path())], dir.path()).unwrap();
    assert_eq!(files.asked("busy"), 4);
    let error = fetch(&[wanted(&files, "none", &sha256, dir.path())], dir.path()).unwrap_err();
    assert!(error.contains("/none answers with status 404"), "{error}");
    let gone = Wanted { url: "http://127.0.0.1:1/file".into(), ..wanted(&files, "gone", &sha256, dir.path()) };
    let error = fetch(&[gone], dir.path()).unwrap_err();
    assert!(error.contains("http://127.0.0.1:1/file") && error.contains("given up"), "{error}");
}

#[test]
fn several_files_come_at_once_and_one_that_fails_is_named() {
    let (files, dir) = (Files::start(), tempfile::tempdir().unwrap());
    let names: Vec<String> = (0..8).map(|number| format!("file{number}")).collect();
    let mut all: Vec<Wanted> = names
        .iter()
        .map(|name| {
            let sha256 = files.put(name, &content(7)[..60_000], Manner::Well);
            wanted(&files, name, &sha256, dir.path())
        })
        .collect();
    // Slow enough that others begin meanwhile.
    let slow = files.put("slow", &content(8)[..8], Manner::Trickles);
    all.insert(0, wanted(&files, "slow", &slow, dir.path()));
    fetch(&all, dir.path()).unwrap();
    assert!(files.most_at_once.load(std::sync::atomic::Ordering::SeqCst) >= 2);
    all[3].sha256 = "1".repeat(64);
    std::fs::remove_file(&all[3].to).unwrap();
    let error = fetch(&all, dir.path()).unwrap_err();
    assert!(error.contains("file2 is not the file that is pinned"), "{error}");
}
