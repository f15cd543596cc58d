//! The published schema of events is that of the types, and real events keep to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::Path;

use provision::events::Event;
use provision::process::Cmd;

fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Event)).unwrap() + "\n"
}

#[test]
fn the_schema_of_events_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/event.schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == schema(), "config/event.schema.json is out of date; run: UPDATE=1 cargo test --test event");
}

#[test]
fn an_up_that_fails_says_so_in_events_of_the_schema_and_explain_tells_it() {
    let home = tempfile::tempdir().unwrap();
    let provision = |arguments: &[&str]| {
        let run = Cmd::new(env!("CARGO_BIN_EXE_provision")).args(arguments);
        let plain = ["PROVISION_PROFILE", "PROVIDER", "CPUS", "MEMORY"].into_iter().fold(run, Cmd::env_remove);
        // Nothing is on PATH: `up` lacks its programs.
        plain.env("PATH", "/nowhere").env("PROVISION_STATE", home.path()).output().unwrap()
    };
    let up = provision(&["up", "--json"]);
    assert_eq!(up.status.code(), Some(1), "{}", up.stderr);
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema()).unwrap()).unwrap();
    let file = std::fs::read_to_string(home.path().join("lab/logs/events.jsonl")).unwrap();
    for line in file.lines() {
        let event = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&event), "{line}");
    }
    assert_eq!(up.stdout, file, "standard output and the file hear the same events");
    let last: Event = serde_json::from_str(file.lines().last().unwrap()).unwrap();
    assert_eq!(last.code, Some(1));
    assert!(last.failure.unwrap().message.contains("this host lacks"));
    let story = provision(&["explain"]).stdout;
    assert!(story.contains("`provision up`") && story.contains("| this host lacks"), "{story}");
    let story: serde_json::Value = serde_json::from_str(&provision(&["explain", "--json"]).stdout).unwrap();
    assert_eq!((&story["command"], &story["end"]), (&"up".into(), &"failed".into()));
}
