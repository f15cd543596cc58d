//! Stories told from events that a run, a kill and a later run leave.

use super::*;
use crate::interrupt::Interrupted;
use crate::node::ScriptFailed;
use crate::ui::{Mode, Ui};

fn lab() -> (tempfile::TempDir, Lab) {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::below(dir.path(), "t");
    (dir, lab)
}

/// A run of `command` that does `what` and ends with `code`, if it ends.
fn run(lab: &Lab, name: &str, code: Option<(u8, Option<anyhow::Error>)>, what: impl FnOnce(&Ui)) {
    let ui = Ui::of(Mode::Plain, name);
    ui.record_to(&lab.events()).unwrap();
    what(&ui);
    if let Some((code, error)) = code {
        ui.end(code, error.as_ref().map(Failure::of), None);
    }
}

/// Times, versions and folders that differ from run to run.
fn steady(text: &str, lab: &Lab) -> String {
    let text = text.replace(&lab.dir().display().to_string(), "LAB");
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let digits = regex::Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d+\.\d s").unwrap();
    digits.replace_all(&text, "TIME").into_owned()
}

fn script_failed(lab: &Lab) -> anyhow::Error {
    let log = lab.log("node1-init_control_plane");
    crate::paths::write_atomic(
        &log,
        b"[init] x\nrunning with swap on is not supported\ntoken abcdef.0123456789abcdef\n",
        0o600,
    )
    .unwrap();
    let command = "bash /opt/provision/steps/init_control_plane.sh run 2>&1".to_owned();
    let (node, step) = ("node1".to_owned(), "init_control_plane".to_owned());
    ScriptFailed { node, step, command, status: 1, tail: "x".into(), log }.into()
}

#[test]
fn a_failed_step_is_told_with_its_cause_and_the_end_of_its_log() {
    let (_dir, lab) = lab();
    run(&lab, "up", Some((1, Some(script_failed(&lab)))), |ui| {
        ui.task("machines", "Start node1").done("");
        ui.task("install_files", "Put files").skip("already done");
        ui.task("init_control_plane", "Initialise the control plane").fail(&script_failed(&lab));
    });
    insta::assert_snapshot!(steady(&to_text(&Story::of(&lab).unwrap().unwrap()), &lab));
}

#[test]
fn a_run_that_was_killed_is_told_with_the_task_it_was_in_and_what_mended_it() {
    let (_dir, lab) = lab();
    run(&lab, "up", None, |ui| {
        ui.task("machines", "Start node1").done("");
        let task = ui.task("install_runtime", "Set up the runtime");
        task.say("node1");
        // As a kill leaves it: no end.
        std::mem::forget(task);
    });
    let story = Story::of(&lab).unwrap().unwrap();
    assert_eq!((story.end, story.mended.clone()), (End::Cut, None));
    insta::assert_snapshot!(steady(&to_text(&story), &lab));
}

#[test]
fn a_down_that_failed_is_to_be_typed_again() {
    let (_dir, lab) = lab();
    run(&lab, "down", Some((1, Some(anyhow::anyhow!("domain x is not this lab's")))), |_| {});
    let text = to_text(&Story::of(&lab).unwrap().unwrap());
    assert!(text.contains("next     provision down\n"), "{text}");
}

#[test]
fn runs_are_told_apart_and_the_last_failure_is_told() {
    let event = |run: &str, event: Kind, code: Option<u8>| Event {
        format: events::FORMAT.into(),
        time: format!("2026-01-0{}T00:00:00Z", &run[1..2]),
        run: run.into(),
        event,
        task: None,
        title: None,
        text: String::new(),
        seconds: None,
        command: (event == Kind::Begun).then(|| "up".into()),
        version: None,
        code,
        failure: (code == Some(130)).then(|| Failure::of(&anyhow::Error::new(Interrupted))),
        known: None,
    };
    let begun = |run| event(run, Kind::Begun, None);
    let ended = |run, code| event(run, Kind::Ended, Some(code));
    let all = [begun("r1-7"), ended("r1-7", 130), begun("r2-8"), ended("r2-8", 0), begun("r3-9")];
    let story = Story::from_events(&all, Some(9)).unwrap();
    assert_eq!((story.end, story.mended.as_deref()), (End::Interrupted, Some("2026-01-02T00:00:00Z")));
    assert_eq!(Story::from_events(&all, None).unwrap().end, End::Cut, "nobody runs: the third was cut off");
    assert_eq!(Story::from_events(&all[2..4], None), None);
    let slower = [begun("r4-10"), ended("r4-10", 11)];
    assert_eq!(Story::from_events(&slower, None), None, "a verdict is no failure");
}
