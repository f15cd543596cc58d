//! The order in which machines are paused, saved and put back, and what is left
//! where one of them refuses.

use std::sync::Mutex;

use super::*;

/// Machines made of nothing: what was asked of them, and what they have.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<String>>,
    has: Mutex<Vec<(String, String)>>,
    /// What is refused, `VERB MACHINE`.
    refuses: &'static str,
}

impl Fake {
    fn ask(&self, verb: &str, machine: &str) -> Result<()> {
        let line = format!("{verb} {machine}");
        if line == self.refuses {
            bail!("no: {line}");
        }
        self.asked.lock().unwrap().push(line);
        Ok(())
    }

    fn asked(&self) -> String {
        std::mem::take(&mut *self.asked.lock().unwrap()).join(", ")
    }

    fn machines(&self, states: [MachineState; 2]) -> Machines<'_> {
        let list = ["a", "b"].map(str::to_owned).into_iter().zip(states).collect();
        Machines { power: self, list }
    }

    fn running(&self) -> Machines<'_> {
        self.machines([MachineState::Running; 2])
    }
}

impl Power for Fake {
    fn cut(&self, machine: &str) -> Result<()> {
        self.ask("cut", machine)
    }
    fn pause(&self, machine: &str) -> Result<()> {
        self.ask("pause", machine)
    }
    fn resume(&self, machine: &str) -> Result<()> {
        self.ask("resume", machine)
    }
    fn snapshots(&self, machine: &str) -> Result<Vec<String>> {
        let has = self.has.lock().unwrap();
        Ok(has.iter().filter(|(of, _)| of == machine).map(|(_, name)| name.clone()).collect())
    }
    fn save(&self, machine: &str, snapshot: &str) -> Result<()> {
        self.ask("save", machine)?;
        self.has.lock().unwrap().push((machine.into(), snapshot.into()));
        Ok(())
    }
    fn restore(&self, machine: &str, _: &str) -> Result<()> {
        self.ask("restore", machine)
    }
    fn delete(&self, machine: &str, snapshot: &str) -> Result<()> {
        self.ask("delete", machine)?;
        self.has.lock().unwrap().retain(|(of, name)| of != machine || name != snapshot);
        Ok(())
    }
}

#[test]
fn no_machine_runs_on_before_the_last_was_saved_or_put_back() {
    let fake = Fake::default();
    fake.running().save("s").unwrap();
    assert_eq!(fake.asked(), "pause a, pause b, save a, save b, resume a, resume b");
    fake.running().restore("s").unwrap();
    assert_eq!(fake.asked(), "pause a, pause b, restore a, restore b, resume a, resume b");
    fake.machines([MachineState::Off, MachineState::Paused]).restore("s").unwrap();
    assert_eq!(fake.asked(), "restore a, restore b, resume a, resume b");
}

#[test]
fn of_a_save_that_failed_nothing_is_left_and_the_machines_run_on() {
    let fake = Fake { refuses: "save b", ..Fake::default() };
    assert_eq!(fake.running().save("s").unwrap_err().to_string(), "no: save b");
    assert_eq!(fake.asked(), "pause a, pause b, save a, resume a, resume b, delete a");
    assert!(fake.has.lock().unwrap().is_empty());
}

#[test]
fn what_a_save_that_was_cut_off_left_is_deleted_first() {
    let fake =
        Fake { has: Mutex::new(vec![("a".into(), "s".into()), ("a".into(), "other".into())]), ..Fake::default() };
    fake.running().save("s").unwrap();
    assert!(fake.asked().starts_with("delete a, pause a"));
    assert_eq!(fake.snapshots("a").unwrap(), ["other", "s"]);
}

#[test]
fn where_one_cannot_be_put_back_none_runs_on() {
    let fake = Fake { refuses: "restore a", ..Fake::default() };
    assert_eq!(fake.running().restore("s").unwrap_err().to_string(), "no: restore a");
    assert_eq!(fake.asked(), "pause a, pause b, restore b");
}

#[test]
fn a_machine_without_it_is_named() {
    let fake = Fake { has: Mutex::new(vec![("a".into(), "s".into())]), ..Fake::default() };
    let error = fake.running().must_have("s").unwrap_err().to_string();
    assert_eq!(error, "b has no snapshot `s` (any more)\n  forget it: provision snapshot delete s");
}

#[test]
fn a_record_is_found_by_its_name_and_others_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::below(dir.path(), "t");
    let find = |name: &str| Snapshot::find(&lab, name).map(|snapshot| snapshot.machines);
    assert_eq!(find("s").unwrap_err().to_string(), "lab `t` has no snapshot `s`; there are: none");
    let machines = BTreeMap::from([("node1".to_owned(), "uuid".to_owned())]);
    Snapshot::now("s", machines.clone(), None).write(&lab).unwrap();
    assert_eq!(find("s").unwrap(), machines);
    assert_eq!(find("x").unwrap_err().to_string(), "lab `t` has no snapshot `x`; there are: s");
    Snapshot::find(&lab, "s").unwrap().forget(&lab).unwrap();
    assert!(Snapshot::all(&lab).unwrap().is_empty());
}

#[test]
fn a_name_is_a_file_and_a_word_everywhere() {
    assert!(["a", "clean-1", "0"].iter().all(|name| parse_name(name).is_ok()));
    assert!(["", "-a", "../a", "a b", "A", "--all", "a.json"].iter().all(|name| parse_name(name).is_err()));
}
