//! The benchmark for real, on this host: every arm under crun and runc, and
//! each gate made to fire by a fault that is really there. Needs root and the
//! artifacts that `provision bench --local` makes.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use provision::arms::{Arm, Content, Mode};
use provision::artifacts::set::{LocalParts, Set};
use provision::bench::design::{Choice, Design, Load, Rate};
use provision::bench::place::local::Local;
use provision::bench::place::{Ask, Place, Server, Taken};
use provision::bench::run::{Cost, Environment, Gate, Lane, PlaceKind, Run, Start};
use provision::bench::{engine, store};
use provision::outside::Outside;
use provision::process::{Cmd, Running};
use provision::profile::Size;
use provision::proof::Evidence;
use provision::ui::{Mode as Voice, Ui};

/// One benchmark at a time: two would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parts() -> LocalParts {
    Set::ensure_local(None, &Outside::default(), &Ui::new(Voice::Plain)).unwrap()
}

fn design(arms: &[&str], rounds: u32) -> Design {
    let choice = Choice {
        arms: arms.iter().map(|name| (*name).to_owned()).collect(),
        rounds: Some(rounds),
        users: 20,
        seconds: 1,
        seed: 7,
        ..Choice::default()
    };
    let mut design = Design::of(Size::Quick, false, &choice).unwrap();
    design.replicas = 0;
    for measure in &mut design.measures {
        measure.seconds = 0.4;
        measure.warmup_seconds = 0.1;
    }
    design
}

fn run_at(place: &dyn Place, design: &Design) -> Result<Run> {
    let task = Ui::new(Voice::Plain).task("test", "Measure");
    let run = engine::run(design, place, "test", &task);
    task.close(run)
}

fn run(design: &Design, parts: LocalParts) -> Result<Run> {
    let dir = tempfile::tempdir().unwrap();
    let local = Local::prepare(parts, &design.arms, dir.path()).unwrap();
    run_at(&local, design)
}

fn gate<'a>(run: &'a Run, name: &str) -> &'a Gate {
    run.gates.iter().find(|gate| gate.name == name).unwrap()
}

#[test]
fn every_arm_serves_in_its_mode_and_the_document_follows_its_schema() {
    let _alone = alone();
    let mut design = design(&[], 1);
    design.replicas = 2;
    let run = run(&design, parts()).unwrap();
    let lanes: Vec<&str> = run.lanes.iter().map(|lane| lane.name.as_str()).collect();
    assert_eq!(lanes, ["native", "native-again", "native-debian", "native-runc", "wasm-aot", "wasm-interpreter"]);
    for name in ["mode", "canary", "errors"] {
        assert!(gate(&run, name).passed, "{:?}", gate(&run, name));
    }
    for block in &run.blocks {
        assert_eq!(block.figures.len(), design.measures.len());
        assert!(block.start.container_ms > 0.0 && block.idle_kib > 0 && block.peak_kib >= block.idle_kib, "{block:?}");
        assert!(block.figures.iter().all(|figures| figures.cpu_us_per_request > 0.0), "{block:?}");
    }
    assert!(run.costs.values().all(|cost| cost.replica_kib.is_some_and(|kib| kib > 0.0)), "{:?}", run.costs);
    // Documents are what others read: the published schema holds them.
    let schema: serde_json::Value = serde_json::from_str(include_str!("../config/result.schema.json")).unwrap();
    let document = serde_json::to_value(&run).unwrap();
    let faults: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&document).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    // And they come back as they were.
    let dir = tempfile::tempdir().unwrap();
    let path = store::Store::at(dir.path().into()).save(&run, &[]).unwrap();
    assert_eq!(serde_json::to_value(store::load(&path).unwrap()).unwrap(), document);
}

/// Claims compiled code; its module's compiled part is of another WasmEdge.
struct Ignored;

impl Arm for Ignored {
    fn name(&self) -> &'static str {
        "wasm-aot"
    }
    fn title(&self) -> &'static str {
        "Wasm (AOT)"
    }
    fn mode(&self) -> Mode {
        Mode::Aot
    }
    fn content(&self) -> Content {
        Content { base: None, file: "workload-ignored.wasm", path: "/workload.wasm", tag: "wasm-aot" }
    }
    fn annotations(&self) -> &'static [(&'static str, &'static str)] {
        &[("module.wasm.image/variant", "compat-smart")]
    }
}

/// The folder of programs with one more: `edit` of the compiled module.
fn with_program(
    parts: &LocalParts,
    name: &str,
    from: &str,
    edit: impl Fn(&mut Vec<u8>),
) -> (tempfile::TempDir, LocalParts) {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&parts.workload).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let mut bytes = std::fs::read(parts.workload.join(from)).unwrap();
    edit(&mut bytes);
    std::fs::write(dir.path().join(name), bytes).unwrap();
    let parts = LocalParts { workload: PathBuf::from(dir.path()), ..parts.clone() };
    (dir, parts)
}

#[test]
fn a_compiled_module_that_wasmedge_ignores_is_never_a_figure() {
    let _alone = alone();
    let real = parts();
    // The section `wasmedge` begins with the version of its format; one that
    // this WasmEdge does not know is passed over without a word.
    let (_dir, parts) = with_program(&real, "workload-ignored.wasm", "workload-aot.wasm", |bytes| {
        let name = b"\x08wasmedge";
        let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + name.len();
        bytes[at] ^= 0x55;
    });
    let mut design = design(&["wasm-aot"], 1);
    design.arms[1] = &Ignored;
    let run = run(&design, parts).unwrap();
    assert!(!run.verdict.valid);
    assert!(run.verdict.sentence.starts_with("invalid, because"), "{}", run.verdict.sentence);
    assert!(gate(&run, "mode").detail.contains("is interpreted"), "{:?}", gate(&run, "mode"));
    assert!(gate(&run, "canary").detail.contains("looks interpreted"), "{:?}", gate(&run, "canary"));
}

#[test]
fn a_module_that_traps_and_a_server_that_dies_end_the_run_with_their_own_words() {
    let _alone = alone();
    let real = parts();
    // Not a module at all.
    let (_dir, broken) = with_program(&real, "workload-ignored.wasm", "workload.wasm", |bytes| bytes.truncate(100));
    let mut wanted = design(&["wasm-aot"], 1);
    wanted.arms[1] = &Ignored;
    let error = format!("{:#}", run(&wanted, broken).unwrap_err());
    assert!(error.contains("wasm-aot") && error.contains("ended"), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let wanted = design(&["wasm-aot"], 1);
    let local = Local::prepare(real, &wanted.arms, dir.path()).unwrap();
    let killed = Faulty { place: &local, fault: Fault::Kill };
    let error = format!("{:#}", run_at(&killed, &wanted).unwrap_err());
    assert!(error.contains("ended while its route"), "{error}");
}

#[test]
fn requests_that_fail_too_few_requests_and_a_twin_that_differs_are_invalid() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();

    let mut wanted = design(&["wasm-aot"], 1);
    wanted.measures[0].path = "/none".into();
    let local = Local::prepare(parts(), &wanted.arms, dir.path()).unwrap();
    let run = run_at(&local, &wanted).unwrap();
    assert!(!run.verdict.valid && !gate(&run, "errors").passed, "{:?}", run.gates);
    assert!(gate(&run, "errors").detail.contains("status 404"), "{:?}", gate(&run, "errors"));

    let mut wanted = design(&["wasm-aot"], 1);
    for measure in &mut wanted.measures {
        if let Load::Open { rate, .. } = &mut measure.load {
            *rate = Rate::Fixed(20.0);
        }
    }
    let run = run_at(&local, &wanted).unwrap();
    assert!(!run.verdict.valid && gate(&run, "samples").detail.contains("too few"), "{:?}", run.gates);

    // The twin shares its CPU with somebody busy.
    let wanted = design(&["wasm-aot"], 6);
    let run = run_at(&Faulty { place: &local, fault: Fault::SlowTwin }, &wanted).unwrap();
    let same = gate(&run, "a/a");
    assert!(!run.verdict.valid && same.detail.contains("differs from itself"), "{same:?}");
}

#[test]
fn a_generator_that_is_held_up_is_never_a_servers_figure() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = design(&["wasm-aot"], 1);
    // So little to compute that a server waits for the generator.
    for measure in wanted.measures.iter_mut().filter(|measure| measure.route == "compute") {
        (measure.path, measure.expect) = ("/compute?n=1".into(), " 1\n".into());
    }
    let local = Local::prepare(parts(), &wanted.arms, dir.path()).unwrap();
    let run = run_at(&Faulty { place: &local, fault: Fault::SlowGenerator }, &wanted).unwrap();
    let saturation = gate(&run, "saturation");
    assert!(!run.verdict.valid && saturation.detail.contains("the generator is what was measured"), "{saturation:?}");
}

/// What goes wrong.
enum Fault {
    /// The server is killed under load.
    Kill,
    /// Somebody else is busy on the twin's CPU.
    SlowTwin,
    /// Several others are busy on the generator's CPU.
    SlowGenerator,
}

/// A place at which something goes wrong.
struct Faulty<'a> {
    place: &'a Local,
    fault: Fault,
}

impl Place for Faulty<'_> {
    fn kind(&self) -> PlaceKind {
        self.place.kind()
    }
    fn environment(&self) -> Result<Environment> {
        self.place.environment()
    }
    fn side_by_side(&self) -> bool {
        // A fault of one lane is not to be the others'.
        false
    }
    fn image(&self, arm: &dyn Arm) -> Result<(String, u64)> {
        self.place.image(arm)
    }
    fn start(&self, lane: &Lane, arm: &dyn Arm) -> Result<Box<dyn Server + '_>> {
        let server = self.place.start(lane, arm)?;
        let busy = |command: Cmd| command.args(["-c", "while :; do :; done"]).start();
        let pinning = self.place.pinning();
        let beside = match self.fault {
            Fault::SlowTwin if lane.twin_of.is_some() => vec![busy(pinning.server("sh"))?],
            Fault::SlowGenerator => (0..6).map(|_| busy(pinning.generator("sh"))).collect::<Result<_>>()?,
            _ => Vec::new(),
        };
        let kill = matches!(self.fault, Fault::Kill) && !lane.name.ends_with("-pilot");
        Ok(Box::new(FaultyServer { server, kill, _beside: beside }))
    }
    fn start_null(&self) -> Result<Box<dyn Server + '_>> {
        self.place.start_null()
    }
    fn replicas(&self, arm: &dyn Arm, count: u32) -> Result<Cost> {
        self.place.replicas(arm, count)
    }
}

struct FaultyServer<'a> {
    server: Box<dyn Server + 'a>,
    kill: bool,
    _beside: Vec<Running>,
}

impl Server for FaultyServer<'_> {
    fn start(&self) -> Start {
        self.server.start()
    }
    fn evidence(&self) -> Result<Evidence> {
        self.server.evidence()
    }
    fn memory(&self) -> Result<(u64, u64)> {
        self.server.memory()
    }
    fn measure(&mut self, asks: &[Ask]) -> Result<Vec<Taken>> {
        if !self.kill {
            return self.server.measure(asks);
        }
        // In the middle of the load, by the kernel, as the OOM killer would.
        let pid = self.server.pid().unwrap();
        let killer = Cmd::new("sh").args(["-c", &format!("sleep 1.2; kill -KILL {pid}; sleep 60")]).start()?;
        let result = self.server.measure(asks);
        drop(killer);
        result
    }
    fn pid(&self) -> Option<u32> {
        self.server.pid()
    }
}
