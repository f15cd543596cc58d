//! One process per lab, through the program itself: a second one says who has
//! the lab, and what only reads is not held up.

use provision::lab::{Busy, Lab};
use provision::process::Cmd;

#[test]
fn a_second_process_says_who_has_the_lab_and_readers_go_on() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let root = env!("CARGO_MANIFEST_DIR");
    let provision = |args: &[&str]| {
        Cmd::new(env!("CARGO_BIN_EXE_provision"))
            .args(args)
            .env("PATH", format!("{root}/tests/cmd/programs:/usr/bin:/bin"))
            .env("PROVISION_STATE", &state)
            .env("PROVISION_CACHE", home.path().join("cache"))
            .output()
            .unwrap()
    };
    let held = Lab::below(&state, "lab").lock().unwrap();
    for command in [&["up"][..], &["down"], &["bench", "--local"], &["render"]] {
        let second = provision(command);
        assert_eq!(second.status.code(), Some(i32::from(Busy::EXIT_CODE)), "{command:?}: {}", second.stderr);
        let who = format!("lab `lab` is being worked on by process {}: ", std::process::id());
        assert!(second.stderr.contains(&who) && second.stderr.contains(", since 2"), "{}", second.stderr);
    }
    let status = provision(&["status"]);
    assert!(status.status.success(), "{}", status.stderr);
    assert!(status.stdout.contains(&format!("work     process {}", std::process::id())), "{}", status.stdout);
    assert!(provision(&["plan", "--changes-only"]).status.success());
    drop(held);
    assert!(provision(&["render"]).status.success());
    assert!(!provision(&["status"]).stdout.contains("work "));
}
