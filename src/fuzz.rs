//! Readers of what others wrote, or what a crash has left, fed with damaged
//! documents: they may refuse, they must not panic. `PROPTEST_CASES` sets how
//! many each gets; `ci/fuzz` gives them a million.

use std::path::PathBuf;

use proptest::prelude::*;

use crate::events::{self, Event};
use crate::failure::story;
use crate::profile::{self, Sources};
use crate::proof::Evidence;
use crate::report::synthetic;
use crate::{bench, console, journal, lockfile, secrets};

/// A good document with damage: bytes changed, pieces cut out, doubled, moved,
/// and words put in that mean something to a reader.
#[derive(Debug, Clone)]
struct Damage {
    at: usize,
    length: usize,
    kind: u8,
    byte: u8,
    word: &'static str,
}

const WORDS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    "\0",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "]]",
    "=",
    ":",
    ",",
    "#",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "99999999999999999999999",
    "-0.0",
    "nan",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\\u0000",
    "\\ud800",
    "\"\"\"",
    "a.b.c",
    "[nodes]",
    "[[nodes]]",
    "name",
    "format",
    "provision.event/1",
    "1979-05-27T07:32:00Z",
    "-----BEGIN RSA PRIVATE KEY-----",
    "password=",
    "://a:b@",
    "abcdef.0123456789abcdef",
];

fn damage() -> impl Strategy<Value = Damage> {
    let word = proptest::sample::select(WORDS);
    (any::<usize>(), 0..40usize, 0..6u8, any::<u8>(), word).prop_map(|(at, length, kind, byte, word)| Damage {
        at,
        length,
        kind,
        byte,
        word,
    })
}

/// `document`, damaged.
fn damaged(document: &[u8], all: &[Damage]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for damage in all {
        let at = damage.at % (bytes.len() + 1);
        let end = (at + damage.length).min(bytes.len());
        match damage.kind {
            0 if at < bytes.len() => bytes[at] = damage.byte,
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.truncate(at),
            4 => {
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                let to = (damage.at / 7) % (bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            _ => drop(bytes.splice(at..at, damage.word.bytes())),
        }
    }
    bytes
}

fn documents(good: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let random = proptest::collection::vec(any::<u8>(), 0..200);
    let words =
        proptest::collection::vec(proptest::sample::select(WORDS), 0..40).prop_map(|all| all.concat().into_bytes());
    let near = (proptest::sample::select(good), proptest::collection::vec(damage(), 1..6))
        .prop_map(|(good, all)| damaged(good.as_bytes(), &all));
    prop_oneof![1 => random, 1 => words, 8 => near]
}

fn config() -> ProptestConfig {
    // The input is printed; nothing is written into the tree.
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn check(good: Vec<String>, test: impl Fn(&[u8]) -> Result<(), TestCaseError>) {
    let mut runner = proptest::test_runner::TestRunner::new(config());
    let result = runner.run(&documents(good), |bytes| test(&bytes));
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// A folder in memory where there is one: a million files go through it.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

#[test]
fn profiles() {
    let good = vec![
        include_str!("../config/default.toml").to_owned(),
        include_str!("../tests/cmd/plan.in/laptop.toml").to_owned(),
        include_str!("../tests/cmd/profile.in/lab.toml").to_owned(),
    ];
    let dir = scratch();
    let path = dir.path().join("p.toml");
    let sources = Sources { file: Some(path.clone()), ..Sources::default() };
    check(good, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        if let Err(faults) = profile::load(&sources, &|_| None) {
            prop_assert!(!faults.to_string().is_empty());
        }
        Ok(())
    });
}

fn event(line: &str) -> String {
    format!("{line}\n")
}

fn stream() -> String {
    [
        r#"{"format":"provision.event/1","time":"2026-01-01T00:00:00Z","run":"r-1","event":"begun","text":"x","command":"up","version":"1"}"#,
        r#"{"format":"provision.event/1","time":"2026-01-01T00:00:01Z","run":"r-1","event":"started","task":"a","text":"Do a"}"#,
        r#"{"format":"provision.event/1","time":"2026-01-01T00:00:02Z","run":"r-1","event":"failed","task":"a","title":"Do a","text":"no","seconds":1.5,"failure":{"kind":"command","command":"sh -c 'x'","status":1,"message":"no"}}"#,
        r#"{"format":"provision.event/1","time":"2026-01-01T00:00:02Z","run":"r-1","event":"ended","text":"no","seconds":2.5,"code":1}"#,
    ]
    .map(event)
    .concat()
}

#[test]
fn event_streams_and_their_stories() {
    check(vec![stream()], |bytes| {
        let read = events::read_from(bytes).unwrap();
        if let Some(story) = story::Story::from_events(&read.events, Some(1)) {
            prop_assert!(!story::to_text(&story).is_empty());
        }
        // What was read is written as it can be read again.
        for event in &read.events {
            let line = serde_json::to_string(event).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Event>(&line).unwrap(), event);
        }
        Ok(())
    });
}

#[test]
fn journals() {
    let entry = |event: &str| format!(r#"{{"time":"2026-01-01T00:00:00Z","pid":1,{event}}}"#);
    let good = [
        r#""event":"command","line":"provision up""#,
        r#""event":"machine","node":"node1","machine":"m","run":"1","boot":"b""#,
        r#""event":"began","step":"a","on":"node1","inputs":"1""#,
        r#""event":"done","step":"a","on":"node1""#,
        r#""event":"failed","step":"a","why":"no""#,
    ];
    let good = good.map(entry).join("\n");
    let dir = scratch();
    let path = dir.path().join("j.jsonl");
    check(vec![good], |bytes| {
        prop_assert!(journal::parse(bytes).len() <= bytes.len());
        std::fs::write(&path, bytes).unwrap();
        let inputs = std::collections::BTreeMap::from([("node1".to_owned(), "1".to_owned())]);
        let state = journal::Journal::at(path.clone()).state().unwrap();
        prop_assert!(state.again("a", &inputs).len() <= 1);
        Ok(())
    });
}

#[test]
fn lock_files() {
    let one = "\"a/b\" = \"sha256:0011\"\n";
    let tables =
        ["tools", "images", "programs.x", "packages.node-root", "modules.etcd", "crates.workload", "this_build"];
    let good = format!("version = 1\n{}", tables.map(|table| format!("[{table}]\n{one}")).concat());
    lockfile::Lock::parse(&good).unwrap();
    check(vec![good], |bytes| {
        if let Ok(lock) = lockfile::Lock::parse(&String::from_utf8_lossy(bytes)) {
            prop_assert!(lock.text().is_ok());
        }
        Ok(())
    });
}

#[test]
fn results() {
    // A smaller one: what counts is its shape.
    let mut run = synthetic::quick();
    run.blocks.truncate(2);
    let good =
        vec![serde_json::to_string(&run).unwrap(), serde_json::to_string(&synthetic::invalid().verdict).unwrap()];
    let dir = scratch();
    let path = dir.path().join("r.json");
    check(good, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        if let Ok(run) = bench::store::load(&path) {
            // One that is accepted can be shown.
            prop_assert!(!crate::report::terminal(&run).is_empty());
        }
        Ok(())
    });
}

#[test]
fn texts_with_secrets() {
    let good = vec![
        "kubeadm join h:1 --token abcdef.0123456789abcdef\nhttp_proxy=http://a:b@c:1/ password: \"x\" bearer abcdefghij".to_owned(),
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\neyJhbGciOiJS.eyJpc3Mi.c2ln".to_owned(),
    ];
    check(good, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let once = secrets::redact(&text).into_owned();
        // Clean text stays as it is: what is redacted twice does not rot.
        let twice = secrets::redact(&once);
        prop_assert!(twice.matches(secrets::MARK).count() >= once.matches(secrets::MARK).count().min(1));
        Ok(())
    });
}

#[test]
fn what_scripts_and_vagrant_print() {
    let good = vec![
        "@ a 0\nwould x\n@ b 10\n".to_owned(),
        "running=1\npid=3\ncomm=wasmedge\nrss_kib=1\nanonymous_executable=1\n".to_owned(),
        "1700000000,node1,ui,info,a%!(VAGRANT_COMMA) b\\nc\n1700000000,,error-exit,Vagrant::Errors::X,no\n".to_owned(),
        "/usr/lib/a.rb:7:in `create': Call failed: no KVM (Libvirt::Error)\n\tfrom /usr/lib/b.rb:7\n".to_owned(),
    ];
    check(good, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        crate::steps::read_checks(&text).ok();
        crate::provider::vagrant::read_output(&text);
        prop_assert!(Evidence::parse(&text).comm.len() <= text.len());
        Ok(())
    });
}

#[test]
fn consoles() {
    let good = vec![
        "[ 1.0] provision-host-key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\r\n"
            .to_owned(),
    ];
    check(good, |bytes| {
        if let Some(key) = console::host_key(&String::from_utf8_lossy(bytes)) {
            prop_assert!(key.starts_with("ssh-"));
        }
        Ok(())
    });
}
