//! A host with a lab on it: `up` as `commands/up.rs` has it, on what is made of
//! nothing, and what makes a lab good and an error honest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::actors::{FakeNode, FakeProvider};
use super::schedule::{Actor, Schedule};
use super::world::{Work, World};
use crate::artifacts::artifact::Artifact;
use crate::artifacts::cache::Cache;
use crate::artifacts::engine;
use crate::artifacts::fake::Fake;
use crate::artifacts::graph::Graph;
use crate::artifacts::manifest::Depth;
use crate::failure::{Failure, Kind};
use crate::journal::Journal;
use crate::kubectl::Kubectl;
use crate::lab::Lab;
use crate::node::Node;
use crate::outside::Outside;
use crate::profile::types::NodeGroup;
use crate::profile::{self, Profile, Role};
use crate::provider::{BootFiles, MachineState, Provider};
use crate::steps::{self, Check, Context, NodeFiles, Selection, Step};
use crate::ui::{Mode, Task, Ui};

/// Steps behind those that are real: in the place of the ones that need a cluster.
const SIMULATED: [&str; 4] = ["join_workers", "create_runtime_class", "prove_runtime", "run_smoke_benchmark"];
/// The name under which the journal keeps the machines' start.
const MACHINES: &str = "machines";
/// The nodes' files, the same for all: what is in them counts for nothing here.
static FILES: LazyLock<NodeFiles> = LazyLock::new(|| NodeFiles::render(&steps::test_values(true)).unwrap());
/// The artifacts: two from nothing, one of both.
const ARTIFACTS: [&str; 3] = ["root", "kubernetes", "box"];

/// A host.
pub struct Host {
    pub world: Arc<World>,
    nodes: usize,
    dir: tempfile::TempDir,
    profile: Profile,
    last_error: Mutex<String>,
    ran: Mutex<usize>,
}

/// A step whose work is one command on each node.
struct Simulated(&'static str);

impl Step for Simulated {
    fn name(&self) -> &'static str {
        self.0
    }
    fn title(&self) -> &'static str {
        self.0
    }
    fn check(&self, cx: &Context) -> Result<Check> {
        let done = cx.on_each_node(|node, _| Ok(node.exec(&format!("simulated? {}", self.0), b"")?.status == 0))?;
        Ok(if done.iter().all(|done| *done) { Check::Done } else { Check::pending(self.0) })
    }
    fn run(&self, cx: &Context, _: &Task) -> Result<()> {
        cx.on_each_node(|node, _| node.read(&format!("simulated {}", self.0), b"").map(drop)).map(drop)
    }
}

impl Host {
    pub fn new(schedule: &Schedule) -> Self {
        Self {
            world: Arc::new(World::new(schedule.nodes)),
            nodes: schedule.nodes,
            dir: crate::fuzz::scratch(),
            profile: of_nodes(schedule.nodes),
            last_error: Mutex::default(),
            ran: Mutex::default(),
        }
    }

    fn lab(&self) -> Lab {
        Lab::below(&self.dir.path().join("state"), "t")
    }

    fn cache(&self) -> Cache {
        Cache::at(self.dir.path().join("cache"))
    }

    fn artifacts(&self) -> Vec<Box<dyn Artifact>> {
        let one = |name: &'static str| {
            let world = Arc::clone(&self.world);
            Fake::new(name).input(name).by(move |into, _| {
                world.work(Actor::Artifacts, |work| {
                    if matches!(work, Work::Fails) {
                        bail!("the compiler fails");
                    }
                    if world.host_full() {
                        return Err(std::io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32).into());
                    }
                    std::fs::write(into.join("more"), "more")?;
                    Ok(())
                })
            })
        };
        vec![one("root").boxed(), one("kubernetes").boxed(), one("box").needs(&["root", "kubernetes"]).boxed()]
    }

    /// `up`, and the state in which a kill leaves the host's files.
    pub fn up(&self) -> Result<()> {
        let result = self.try_up();
        if self.world.killed() {
            self.world.restore();
        }
        if self.world.take_damage() {
            self.damage();
        }
        if let Err(error) = &result {
            *self.last_error.lock().unwrap() = format!("{error:#}");
        }
        // What a killed process says, nobody hears: not an error to judge.
        if self.world.killed() { Err(anyhow!(Killed)) } else { result }
    }

    fn try_up(&self) -> Result<()> {
        let lab = self.lab();
        let _lock = lab.lock()?;
        let ui = Ui::of(Mode::Silent, "up");
        self.world.keep(vec![lab.events(), lab.journal()]);
        ui.record_to(&lab.events())?;
        let journal = Journal::at(lab.journal());
        let provider = FakeProvider { world: Arc::clone(&self.world), nodes: self.nodes };
        let names: Vec<String> = (1..=self.nodes).map(|number| format!("node{number}")).collect();
        let states = provider.states(&lab, &names)?;
        let artifacts = self.artifacts();
        let graph = Graph::of(&artifacts)?;
        let (cache, goals) = (self.cache(), [ARTIFACTS[2]]);
        let verdicts = engine::plan(&cache, &graph, &goals, Depth::Full)?;
        engine::ensure(&cache, &graph, &verdicts, &Outside::default(), &ui)?;
        let machines: BTreeMap<String, String> = names.iter().map(|name| (name.clone(), String::new())).collect();
        let cut_off = !journal.state()?.again(MACHINES, &machines).is_empty();
        if cut_off || states.iter().any(|state| *state != MachineState::Running) {
            journal.began(MACHINES, &machines)?;
            provider.prepare(&lab, &boot_files(), &ui)?;
            provider.up(&lab, &ui)?;
            journal.done(MACHINES, &machines)?;
        }
        let summary = self.with_context(&ui, &journal, |cx| {
            cx.wait_for_nodes(Duration::ZERO)?;
            let met: Result<Vec<_>> = names.iter().map(|name| provider.identity(&lab, name)).collect();
            steps::machines::meet(cx, met?)?;
            steps::run(&self.steps(), &Selection::All, cx)
        })?;
        *self.ran.lock().unwrap() += summary.ran.len();
        Ok(())
    }

    /// The real steps up to those that need a cluster, then simulated ones.
    fn steps(&self) -> Vec<Box<dyn Step>> {
        let real = steps::all().into_iter().filter(|step| !SIMULATED.contains(&step.name()));
        real.chain(SIMULATED.map(|name| Box::new(Simulated(name)) as Box<dyn Step>)).collect()
    }

    fn with_context<T>(&self, ui: &Ui, journal: &Journal, work: impl FnOnce(&Context) -> Result<T>) -> Result<T> {
        let nodes: Vec<Box<dyn Node>> = (0..self.nodes)
            .map(|number| {
                let name = format!("node{}", number + 1);
                Box::new(FakeNode { world: Arc::clone(&self.world), number, name }) as Box<dyn Node>
            })
            .collect();
        let files: Vec<NodeFiles> = nodes.iter().map(|_| FILES.clone()).collect();
        let lab = self.lab();
        work(&Context {
            profile: &self.profile,
            lab: &lab,
            specs: &self.profile.nodes(),
            nodes: &nodes,
            files: &files,
            kubectl: &Kubectl::new(PathBuf::from("/nowhere/kubectl"), lab.kubeconfig()),
            journal,
            lock: "",
            emulated: true,
            images: &BTreeMap::new(),
            archive: None,
            sizes: &BTreeMap::new(),
            payload: None,
            ui,
            checks: Mutex::new(None),
            cluster: Mutex::new(None),
        })
    }

    /// Whether the lab is what an `up` that ended well promises.
    pub fn good(&self) -> Result<(), String> {
        let specs = self.profile.nodes();
        for number in 0..self.nodes {
            let machine = self.world.machine(number, |machine| machine.clone());
            if machine.state != MachineState::Running {
                return Err(format!("node{} is {:?}", number + 1, machine.state));
            }
            for step in self.steps().into_iter().filter(|step| step.concerns(&specs)) {
                let name = step.name();
                let elsewhere = ["install_files", "fetch_kubeconfig"].contains(&name)
                    || (name == "init_control_plane" && number > 0);
                if !elsewhere && !machine.disk.done.contains(name) && !machine.memory.contains(name) {
                    return Err(format!("node{} lacks {name}", number + 1));
                }
            }
            if let Some(name) = machine.disk.half.first() {
                return Err(format!("node{} has {name} half done", number + 1));
            }
            if machine.disk.hash.is_none() {
                return Err(format!("node{} has no files", number + 1));
            }
        }
        let cluster = self.world.machine(0, |machine| format!("cluster of disk {}\n", machine.disk.id));
        let kubeconfig = std::fs::read_to_string(self.lab().kubeconfig()).unwrap_or_default();
        if kubeconfig != cluster {
            return Err(format!("the kubeconfig is of `{}`, the cluster `{}`", kubeconfig.trim(), cluster.trim()));
        }
        let box_key = Graph::of(&self.artifacts()).map_err(|error| error.to_string())?.list[2].key.clone();
        let made = self.cache().entry("box", &box_key);
        if !made.join("box").is_file() {
            return Err("the box is not in the cache".into());
        }
        match std::fs::read_dir(self.cache().dir().join("tmp")).map(Iterator::count) {
            Ok(0) | Err(_) => Ok(()),
            Ok(n) => Err(format!("{n} half-made artifacts are left")),
        }
    }

    /// How many steps have run in all `up`s that ended well.
    pub fn ran(&self) -> usize {
        *self.ran.lock().unwrap()
    }

    pub fn last_error(&self) -> String {
        self.last_error.lock().unwrap().clone()
    }

    /// Adds to a product of every artifact that is there.
    fn damage(&self) {
        for folder in std::fs::read_dir(self.cache().artifacts()).into_iter().flatten().flatten() {
            std::fs::write(folder.path().join("more"), "damaged").unwrap();
        }
    }
}

/// The process was killed: it said nothing.
#[derive(Debug, thiserror::Error)]
#[error("killed")]
struct Killed;

/// Whether an error says what happened: which kind, in words, and after a kill nothing.
pub fn honest(error: &anyhow::Error) -> Result<(), String> {
    if error.is::<Killed>() {
        return Ok(());
    }
    let failure = Failure::of(error);
    let text = format!("{error:#}");
    let says_what = [
        "it broke",
        "broke",
        "answer",
        "gone",
        "restarts",
        "No space left",
        "no network",
        "start",
        "compiler fails",
        "still wants",
        "No such file",
    ]
    .iter()
    .any(|word| text.contains(word));
    match failure.kind {
        Kind::Interrupted => Ok(()),
        _ if text.contains("worker thread panicked") => Err(format!("a thread panicked: {text}")),
        _ if text.contains("does not know") => Err(text),
        _ if !says_what => Err(format!("the error says nothing: {text}")),
        _ => Ok(()),
    }
}

/// A lab of one control plane, and workers behind it.
fn of_nodes(count: usize) -> Profile {
    let mut profile = profile::default_profile();
    if let Some(count) = u32::try_from(count).ok().filter(|count| *count > 1) {
        let workers = NodeGroup { role: Role::Worker, count: count - 1, ..profile.groups[0].clone() };
        profile.groups.push(workers);
    }
    profile
}

fn boot_files() -> BootFiles {
    BootFiles {
        box_name: "provision-node-0".into(),
        box_version: String::new(),
        box_url: String::new(),
        box_sha256: String::new(),
        direct: None,
    }
}
