//! Where servers run: the engine sees this trait, not containers, pods or SSH.

use anyhow::{Context, Result};

use super::run::{Compared, Cost, Environment, Lane, PlaceKind, Start};
use super::{figures, loadgen, merge};
use crate::arms::Arm;
use crate::proof::Evidence;

pub mod cluster;
pub mod local;
pub mod procfs;

/// A place that can run every arm.
pub trait Place {
    /// What it is, as results say it.
    fn kind(&self) -> PlaceKind;

    /// What it runs on.
    fn environment(&self) -> Result<Environment>;

    /// What an arm is made of: digest, and bytes of all its layers.
    fn image(&self, arm: &dyn Arm) -> Result<(String, u64)>;

    /// Brings up a fresh server and waits for its first answer.
    fn start(&self, lane: &Lane, arm: &dyn Arm) -> Result<Box<dyn Server + '_>>;

    /// Brings up the generator's null server: it answers and does nothing else.
    fn start_null(&self) -> Result<Box<dyn Server + '_>>;

    /// Whether a load begins at once here: then a round's servers all run and
    /// each load goes round them, so that what is compared was measured within
    /// seconds. Otherwise a server gets all its loads in one go.
    fn side_by_side(&self) -> bool {
        false
    }

    /// Generators that load a server together.
    fn generators(&self) -> u32 {
        1
    }

    /// Loads with so many generators from now on; false where the place has no
    /// room for them, and nothing changes.
    fn scale_to(&self, generators: u32) -> bool {
        generators == self.generators()
    }

    /// Runs `count` servers of an arm side by side: what one more costs.
    fn replicas(&self, arm: &dyn Arm, count: u32) -> Result<Cost>;
}

/// A server that answers; dropping it ends it.
pub trait Server {
    /// How it came up.
    fn start(&self) -> Start;

    /// What the kernel and the runtime say of its process.
    fn evidence(&self) -> Result<Evidence>;

    /// Memory that it holds now and the most it ever held, KiB.
    fn memory(&self) -> Result<(u64, u64)>;

    /// Its process on this host, where it has one here.
    fn pid(&self) -> Option<u32> {
        None
    }

    /// Loads it, one ask after the other.
    fn measure(&mut self, asks: &[Ask]) -> Result<Vec<Taken>>;
}

/// One load.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The path with its query.
    pub path: String,
    /// What the body must contain.
    pub expect: String,
    /// Whether connections are used again.
    pub keep_alive: bool,
    /// How requests come.
    pub shape: Shape,
    /// Seconds before that do not count.
    pub warmup_seconds: f64,
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// So many requests, one after the other.
    Count(u32),
    /// Users that each wait for their answer, for so many seconds.
    Closed {
        /// Users.
        users: u32,
        /// Seconds.
        seconds: f64,
    },
    /// A Poisson schedule.
    Open {
        /// Requests per second.
        rate: f64,
        /// Most requests under way at once.
        connections: u32,
        /// Seconds.
        seconds: f64,
        /// Decides the schedule.
        seed: u64,
    },
}

/// What came of an [`Ask`].
#[derive(Debug, Clone)]
pub struct Taken {
    /// What the generator measured.
    pub report: loadgen::Report,
    /// CPU time that the server used meanwhile, microseconds.
    pub cpu_us: f64,
    /// How long that was, seconds.
    pub seconds: f64,
    /// Share of CPU time that the hypervisor gave to others, 0 to 1.
    pub steal: f64,
    /// How often the server was throttled.
    pub throttled: u64,
    /// The parts that it was taken in, where there are several.
    pub parts: Vec<Compared>,
}

impl Taken {
    /// Parts of one load, taken one after the other, as one.
    pub fn in_turn(parts: Vec<Self>) -> Result<Self> {
        let (mut cpu_us, mut seconds, mut stolen, mut throttled) = (0.0, 0.0, 0.0, 0);
        for part in &parts {
            cpu_us += part.cpu_us;
            seconds += part.seconds;
            stolen += part.steal * part.seconds;
            throttled += part.throttled;
        }
        let compared = parts.iter().map(|part| figures::compared(&part.report, part.cpu_us)).collect();
        let report = merge::in_turn(parts.into_iter().map(|part| part.report).collect())?;
        let steal = if seconds > 0.0 { stolen / seconds } else { 0.0 };
        Ok(Self { report, cpu_us, seconds, steal, throttled, parts: compared })
    }
}

/// What a local machine says of itself; versions and digests are the place's.
pub fn machine() -> Result<Environment> {
    let memory = crate::paths::read(std::path::Path::new("/proc/meminfo"))?;
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let kernel = crate::paths::read(std::path::Path::new("/proc/sys/kernel/osrelease"))?;
    let flags = procfs::cpuinfo("flags")?.unwrap_or_default();
    Ok(Environment {
        emulated: false,
        virtualised: flags.split(' ').any(|flag| flag == "hypervisor"),
        cpu: crate::host::cpu_model()?,
        cpus: u32::try_from(std::thread::available_parallelism().context("count the CPUs")?.get())?,
        memory_mib: total.unwrap_or(0_u64) / 1024,
        kernel: kernel.trim().to_owned(),
        ..Environment::default()
    })
}
