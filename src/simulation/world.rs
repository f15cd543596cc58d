//! The world in which it happens: machines with disks and memory, and faults
//! that strike when the piece of work comes that they wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Result, anyhow};

use super::schedule::{Actor, Fault, What};
use crate::interrupt::Interrupted;
use crate::node::{NotReached, Obstacle};
use crate::provider::MachineState;

/// A machine's disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Disk {
    /// Which disk it is: another one after the machine was made anew.
    pub id: u64,
    /// `/opt/provision/hash`.
    pub hash: Option<String>,
    /// Steps whose work is on the disk.
    pub done: BTreeSet<String>,
    /// Those of them that are only half done, which no check sees.
    pub half: BTreeSet<String>,
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Whether it is there and runs.
    pub state: MachineState,
    /// Its disk.
    pub disk: Disk,
    /// The disk before what it wrote last.
    before: Disk,
    /// Steps whose work is in memory and goes with a restart.
    pub memory: BTreeSet<String>,
    /// How often it was started.
    pub boots: u64,
    /// Whether its file system is full.
    pub full: bool,
}

impl Machine {
    fn new() -> Self {
        Self {
            state: MachineState::Absent,
            disk: Disk::default(),
            before: Disk::default(),
            memory: BTreeSet::new(),
            boots: 0,
            full: false,
        }
    }

    /// Changes the disk; what is written is lost if power is cut right after.
    pub fn write(&mut self, change: impl FnOnce(&mut Disk)) {
        self.before = self.disk.clone();
        change(&mut self.disk);
    }

    fn off(&mut self, state: MachineState) {
        self.state = state;
        self.memory.clear();
    }

    /// Switches it on.
    pub fn boot(&mut self) {
        self.state = MachineState::Running;
        self.memory.clear();
        self.boots += 1;
    }
}

/// Everything outside `provision`.
pub struct World {
    inside: Mutex<Inside>,
}

struct Inside {
    machines: Vec<Machine>,
    disks: u64,
    faults: Vec<Fault>,
    worked: BTreeMap<String, usize>,
    struck: usize,
    killed: bool,
    host_full: bool,
    damage: bool,
    /// The host's files as the kill left them.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Inside {
    /// `provision` is no more from here on: what it would write stays unwritten.
    fn kill(&mut self) {
        self.killed = true;
        for (path, bytes) in &mut self.files {
            *bytes = std::fs::read(&*path).unwrap_or_default();
        }
    }
}

/// What a piece of work comes to.
pub enum Work {
    /// It is done as usual.
    Done,
    /// It fails with an exit status.
    Fails,
    /// It seems done and is not kept.
    Lost,
    /// It is cut off in the middle, and seems done.
    Half,
}

impl World {
    /// With `nodes` machines that are not there yet.
    pub fn new(nodes: usize) -> Self {
        let machines = (0..nodes).map(|_| Machine::new()).collect();
        Self {
            inside: Mutex::new(Inside {
                machines,
                disks: 0,
                faults: Vec::new(),
                worked: BTreeMap::new(),
                struck: 0,
                killed: false,
                files: Vec::new(),
                host_full: false,
                damage: false,
            }),
        }
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// The faults of the next `up`; what was full has room again.
    pub fn plan(&self, faults: Vec<Fault>) {
        let mut inside = self.inside();
        inside.faults = faults;
        inside.worked.clear();
        inside.killed = false;
        inside.host_full = false;
        inside.machines.iter_mut().for_each(|machine| machine.full = false);
    }

    /// Files of the host that a kill leaves as they are at that moment.
    pub fn keep(&self, paths: Vec<PathBuf>) {
        self.inside().files = paths.into_iter().map(|path| (path, Vec::new())).collect();
    }

    /// Puts the files back into the state in which the kill left them, each
    /// with a line that was not written to its end.
    pub fn restore(&self) {
        for (path, bytes) in &self.inside().files {
            std::fs::write(path, [bytes.as_slice(), b"{\"time\":\"20"].concat()).unwrap();
        }
    }

    /// How many faults have struck since the last time.
    pub fn settle(&self) -> usize {
        std::mem::take(&mut self.inside().struck)
    }

    /// Whether `provision` was killed in this `up`.
    pub fn killed(&self) -> bool {
        self.inside().killed
    }

    /// Whether the host's file system is full.
    pub fn host_full(&self) -> bool {
        self.inside().host_full
    }

    /// Whether an artifact is to be damaged now.
    pub fn take_damage(&self) -> bool {
        std::mem::take(&mut self.inside().damage)
    }

    /// A look at the machine of this number, which costs nothing.
    pub fn machine<T>(&self, number: usize, look: impl FnOnce(&mut Machine) -> T) -> T {
        look(&mut self.inside().machines[number])
    }

    /// The number of the next new disk.
    pub fn new_disk(&self) -> u64 {
        let mut inside = self.inside();
        inside.disks += 1;
        inside.disks
    }

    /// A piece of work of `actor`: what strikes before it, `work` itself unless
    /// it does not come to that, what strikes after it.
    pub fn work<T>(&self, actor: Actor, work: impl FnOnce(Work) -> Result<T>) -> Result<T> {
        let fault = self.strike(actor)?;
        let node = |text: &str| lost(actor, text);
        match fault {
            None => work(Work::Done),
            Some(What::Fails) => work(Work::Fails),
            Some(What::LostWrite) => work(Work::Lost),
            Some(What::Kill { after: true }) => {
                work(Work::Done)?;
                self.inside().kill();
                Err(anyhow!("killed"))
            }
            Some(What::Middle) => {
                work(Work::Half)?;
                self.inside().kill();
                Err(anyhow!("killed"))
            }
            Some(What::Cut { after: true }) => {
                work(Work::Done)?;
                Err(node("the connection broke"))
            }
            Some(_) => work(Work::Done),
        }
    }

    /// Finds the fault that waits for this piece of work; what strikes before
    /// the work ends it.
    fn strike(&self, actor: Actor) -> Result<Option<What>> {
        let mut inside = self.inside();
        if inside.killed {
            return Err(anyhow!("killed"));
        }
        let count = inside.worked.entry(format!("{actor:?}")).or_default();
        let at = *count;
        *count += 1;
        let found = inside.faults.iter().find(|fault| fault.actor == actor && fault.at == at).map(|fault| fault.what);
        if let Actor::Node(number) = actor
            && inside.machines[number].state != MachineState::Running
        {
            return Err(lost(actor, "nothing answers"));
        }
        let Some(what) = found else { return Ok(None) };
        inside.struck += 1;
        let number = if let Actor::Node(number) = actor { number } else { 0 };
        match what {
            What::Kill { after: false } => {
                inside.kill();
                return Err(anyhow!("killed"));
            }
            What::Interrupt => return Err(Interrupted.into()),
            What::Cut { after: false } => return Err(lost(actor, "the connection broke")),
            What::Off => inside.machines[number].off(MachineState::Off),
            What::PowerCut => {
                let machine = &mut inside.machines[number];
                machine.disk = machine.before.clone();
                machine.off(MachineState::Off);
            }
            What::Vanished => {
                let machine = &mut inside.machines[number];
                machine.disk = Disk::default();
                machine.before = Disk::default();
                machine.off(MachineState::Absent);
            }
            What::Reboot => {
                inside.machines[number].boot();
                return Err(lost(actor, "the machine restarts"));
            }
            What::DiskFull if actor == Actor::Artifacts => inside.host_full = true,
            What::DiskFull => inside.machines[number].full = true,
            What::Damage => inside.damage = true,
            What::Kill { after: true } | What::Middle | What::Cut { after: true } | What::Fails | What::LostWrite => {}
        }
        if matches!(what, What::Off | What::PowerCut | What::Vanished) {
            return Err(lost(actor, "the machine is gone"));
        }
        Ok(Some(what))
    }
}

fn lost(actor: Actor, text: &str) -> anyhow::Error {
    let node = format!("{actor:?}");
    NotReached { text: format!("{node}: {text}"), node, how: Obstacle::Lost }.into()
}
