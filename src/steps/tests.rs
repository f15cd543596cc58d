//! The engine, driven by steps and nodes made of nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;
use crate::journal::Journal;
use crate::kubectl::Kubectl;
use crate::lab::Lab;
use crate::node::{Node, Output};
use crate::profile::types::RuntimeManager;
use crate::profile::{self, Role};
use crate::ui::{Mode, Ui};

mod several;

/// Done once it has run, unless it never gets there.
struct Fake {
    name: &'static str,
    log: Arc<Mutex<Vec<String>>>,
    done: Mutex<bool>,
    heals: bool,
}

impl Fake {
    fn boxed(name: &'static str, done: bool, log: &Arc<Mutex<Vec<String>>>) -> Box<dyn Step> {
        Box::new(Self { name, log: Arc::clone(log), done: Mutex::new(done), heals: true })
    }
}

impl Step for Fake {
    fn name(&self) -> &'static str {
        self.name
    }
    fn title(&self) -> &'static str {
        self.name
    }
    fn check(&self, _: &Context) -> Result<Check> {
        let done = *self.done.lock().unwrap();
        Ok(if done { Check::Done } else { Check::pending(format!("{} would change", self.name)) })
    }
    fn run(&self, _: &Context, _: &Task) -> Result<()> {
        self.log.lock().unwrap().push(self.name.to_owned());
        *self.done.lock().unwrap() = self.heals;
        Ok(())
    }
}

/// A node that answers the same to everything.
struct Silent(&'static str);

impl Node for Silent {
    fn name(&self) -> &str {
        self.0
    }
    fn exec(&self, _: &str, _: &[u8]) -> Result<Output> {
        if self.0 == "broken" {
            bail!("connection lost");
        }
        Ok(Output { status: 0, stdout: "@ a 10\n".into(), stderr: String::new() })
    }
}

pub(crate) fn values(emulated: bool) -> NodeValues {
    NodeValues {
        lab: "t".into(),
        node_name: "node1".into(),
        node_role: "control-plane".into(),
        first: true,
        node_pods: "10.244.0.0/24".into(),
        routes: Vec::new(),
        api_address: "192.168.157.11".into(),
        control_plane_peers: Vec::new(),
        api_priority: 200,
        node_ip: "192.168.157.11".into(),
        machine_cidr: "192.168.157.0/24".into(),
        nameserver: "192.168.157.1".into(),
        own: true,
        plain: false,
        emulated,
        single_node: true,
        pod_cidr: "10.244.0.0/16".into(),
        service_cidr: "10.96.0.0/12".into(),
        cluster_dns: "10.96.0.10".into(),
        reach: Reach::default(),
        runtime_manager: "containerd".into(),
        cri_socket: "unix:///run/containerd/containerd.sock".into(),
        crio_repository: "https://crio.example/v1.37/deb".into(),
        pause_image: "registry.k8s.io/pause:3.10.2".into(),
        kubernetes_version: "1.37.2".into(),
    }
}

fn with_context(nodes: &[Box<dyn Node>], test: impl FnOnce(&Context)) {
    let profile = profile::default_profile();
    let lab = Lab::open("steps-test").unwrap();
    let first = profile.nodes().remove(0);
    let worker = |number| NodeSpec { name: format!("node{number}"), role: Role::Worker, ..first.clone() };
    let specs: Vec<NodeSpec> =
        std::iter::once(first.clone()).chain((2..).map(worker).take(nodes.len().saturating_sub(1))).collect();
    let files: Vec<NodeFiles> = nodes.iter().map(|_| NodeFiles::render(&values(true)).unwrap()).collect();
    let kubectl = Kubectl::new(PathBuf::from("kubectl"), PathBuf::from("kubeconfig"));
    let ui = Ui::new(Mode::Plain);
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::at(dir.path().join("journal.jsonl"));
    test(&Context {
        profile: &profile,
        lab: &lab,
        specs: &specs,
        nodes,
        files: &files,
        kubectl: &kubectl,
        emulated: true,
        lock: "",
        images: &BTreeMap::new(),
        archive: None,
        sizes: &BTreeMap::new(),
        payload: None,
        ui: &ui,
        journal: &journal,
        checks: Mutex::new(None),
        cluster: Mutex::new(None),
    });
}

#[test]
fn nothing_is_tuned_where_kvm_runs_the_machines() {
    let (tuned, plain) = (NodeFiles::render(&values(true)).unwrap(), NodeFiles::render(&values(false)).unwrap());
    for (file, setting) in [
        ("files/go.env", "GOGC"),
        ("files/containerd.toml", "default_runtime_name = 'crun'"),
        ("files/containerd.toml", "stats_collect_period"),
        ("files/kubeadm.yaml", "unsafe-no-fsync"),
        ("files/kubeadm.yaml", "skipPhases"),
        ("files/patches/etcd.yaml", "startupProbe"),
        ("files/patches/corednsdeployment.yaml", "livenessProbe"),
    ] {
        assert!(tuned.get(file).unwrap().contains(setting), "{file}: {setting}");
        assert!(!plain.get(file).unwrap().contains(setting), "{file}: {setting}");
    }
    let reasons: Vec<&str> = plain.texts().filter(|text| text.contains("# Emulated: ")).collect();
    assert_eq!(reasons, Vec::<&str>::new());
}

#[test]
fn a_plan_changes_nothing_and_a_second_run_is_all_skips() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let steps = vec![Fake::boxed("a", true, &log), Fake::boxed("b", false, &log), Fake::boxed("c", false, &log)];
    with_context(&[], |cx| {
        let planned: Vec<bool> =
            plan(&steps, cx).unwrap().into_iter().map(|(_, _, check)| check == Check::Done).collect();
        assert_eq!(planned, [true, false, false]);
        assert!(log.lock().unwrap().is_empty());
        assert_eq!(run(&steps, &Selection::All, cx).unwrap(), Summary { ran: vec!["b", "c"], skipped: vec!["a"] });
        assert_eq!(run(&steps, &Selection::All, cx).unwrap().ran, Vec::<&str>::new());
    });
}

#[test]
fn selections_force_one_step_and_name_the_unknown() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let steps = vec![Fake::boxed("a", true, &log), Fake::boxed("b", true, &log), Fake::boxed("c", false, &log)];
    with_context(&[], |cx| {
        assert_eq!(run(&steps, &Selection::Only("b".into()), cx).unwrap().ran, ["b"]);
        assert_eq!(run(&steps, &Selection::From("b".into()), cx).unwrap().ran, ["b", "c"]);
        let error = run(&steps, &Selection::Only("x".into()), cx).unwrap_err().to_string();
        assert_eq!(error, "there is no step `x`; the steps are: a, b, c");
    });
}

#[test]
fn a_step_that_ran_and_is_still_pending_has_failed() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let steps: Vec<Box<dyn Step>> = vec![Box::new(Fake { name: "a", log, done: Mutex::new(false), heals: false })];
    with_context(&[], |cx| {
        let error = format!("{:#}", run(&steps, &Selection::All, cx).unwrap_err());
        assert!(error.contains("step `a` failed") && error.contains("still wants to: a would change"), "{error}");
    });
}

#[test]
fn one_node_failing_does_not_keep_the_others_from_finishing() {
    let nodes: Vec<Box<dyn Node>> = vec![Box::new(Silent("broken")), Box::new(Silent("node2"))];
    with_context(&nodes, |cx| {
        let seen = Mutex::new(Vec::new());
        let error = cx
            .on_each_node(|node, _| {
                node.exec("true", b"")?;
                seen.lock().unwrap().push(node.name().to_owned());
                Ok(())
            })
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "broken: connection lost");
        assert_eq!(*seen.lock().unwrap(), ["node2"]);
    });
}

#[test]
fn the_rendered_env_file_is_what_scripts_expect() {
    with_context(&[Box::new(Silent("node1"))], |cx| {
        insta::assert_snapshot!(
            cx.files[0]
                .get("node.env")
                .unwrap()
                .lines()
                .filter(|l| !l.starts_with("INPUTS_HASH"))
                .collect::<Vec<_>>()
                .join("\n")
        );
    });
}

#[test]
fn a_node_is_configured_for_the_manager_that_it_has() {
    let own = NodeFiles::render(&values(false)).unwrap();
    assert_eq!(own.get("files/crio.conf"), None);
    let values = NodeValues {
        runtime_manager: "crio".into(),
        cri_socket: RuntimeManager::Crio.socket().into(),
        ..values(false)
    };
    let files = NodeFiles::render(&values).unwrap();
    let crio: toml::Table = files.get("files/crio.conf").unwrap().parse().unwrap();
    let handlers = &crio["crio"]["runtime"]["runtimes"];
    assert_eq!(handlers["crun"]["runtime_path"].as_str(), Some("/usr/bin/crun"));
    assert_eq!(crio["crio"]["image"]["pause_image"].as_str(), Some(values.pause_image.as_str()));
    let kubeadm = files.get("files/kubeadm.yaml").unwrap();
    assert_eq!(kubeadm.matches("unix:///var/run/crio/crio.sock").count(), 2);
    assert!(!kubeadm.contains("unix:///run/containerd"));
}

#[test]
fn a_system_that_is_not_ours_gets_a_crun_of_its_own() {
    for manager in [RuntimeManager::Containerd, RuntimeManager::Crio] {
        let values = |plain| NodeValues { runtime_manager: manager.name().into(), plain, ..values(false) };
        let file = if manager == RuntimeManager::Crio { "files/crio.conf" } else { "files/containerd.toml" };
        let text = |plain| NodeFiles::render(&values(plain)).unwrap().get(file).unwrap().to_owned();
        let (ours, other) = ("/usr/bin/crun", "/usr/local/bin/crun");
        assert!(text(false).contains(ours) && !text(false).contains(other));
        assert!(text(true).contains(other) && !text(true).contains(ours));
    }
}

#[test]
fn only_one_manager_is_set_up() {
    let steps = all();
    let concerned = |manager| {
        let mut profile = profile::default_profile();
        profile.runtime.manager = manager;
        let nodes = profile.nodes();
        let names = steps.iter().filter(|step| step.concerns(&nodes)).map(|step| step.name());
        names.filter(|name| ["install_runtime", "install_crio", "load_images"].contains(name)).collect::<Vec<_>>()
    };
    assert_eq!(concerned(RuntimeManager::Containerd), ["install_runtime"]);
    assert_eq!(concerned(RuntimeManager::Crio), ["install_crio", "load_images"]);
}

#[test]
fn a_step_that_was_cut_off_or_has_other_inputs_runs_again() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let steps = vec![Fake::boxed("a", true, &log), Fake::boxed("b", true, &log)];
    with_context(&[], |cx| {
        let lab = |inputs: &str| BTreeMap::from([(LAB.to_owned(), inputs.to_owned())]);
        cx.journal.began("a", &lab("")).unwrap();
        cx.journal.began("b", &lab("old")).unwrap();
        cx.journal.done("b", &lab("old")).unwrap();
        let planned = plan(&steps, cx).unwrap();
        assert!(matches!(&planned[0].2, Check::Pending(why) if why[0].contains("never ended")), "{planned:?}");
        assert_eq!(run(&steps, &Selection::All, cx).unwrap().ran, ["a", "b"]);
        assert_eq!(run(&steps, &Selection::All, cx).unwrap().ran, Vec::<&str>::new());
    });
}

#[test]
fn a_step_that_failed_runs_again_even_if_its_check_is_content() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let steps: Vec<Box<dyn Step>> =
        vec![Box::new(Fake { name: "a", log: Arc::clone(&log), done: Mutex::new(false), heals: false })];
    with_context(&[], |cx| {
        run(&steps, &Selection::All, cx).unwrap_err();
        let healed = vec![Fake::boxed("a", true, &log)];
        assert_eq!(run(&healed, &Selection::All, cx).unwrap().ran, ["a"]);
    });
}

#[test]
fn a_script_runs_again_for_its_own_files_and_no_others() {
    let files = NodeFiles::render(&values(true)).unwrap();
    let other = NodeFiles::render(&NodeValues { pod_cidr: "10.9.0.0/16".into(), ..values(true) }).unwrap();
    let plain = NodeFiles::render(&values(true)).unwrap();
    assert_eq!(files.hash_of("install_runtime"), plain.hash_of("install_runtime"));
    assert_ne!(files.hash_of("install_runtime"), files.hash_of("configure_network"));
    assert_ne!(files.hash_of("configure_network"), other.hash_of("configure_network"));
}

#[test]
fn every_node_that_fails_is_named() {
    let nodes: Vec<Box<dyn Node>> =
        vec![Box::new(Silent("broken")), Box::new(Silent("node2")), Box::new(Silent("broken"))];
    with_context(&nodes, |cx| {
        let error = cx.on_each_node(|node, _| node.exec("true", b"")).unwrap_err();
        assert_eq!(format!("{error:#}"), "2 of 3 nodes failed:\nbroken: connection lost\nbroken: connection lost");
    });
}
