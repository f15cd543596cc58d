//! What goes wrong, when and where: all of it from one seed.

/// Who does something in the simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The provider of machines.
    Provider,
    /// The node of this number.
    Node(usize),
    /// The making of artifacts.
    Artifacts,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `provision` is killed before the work, or after it.
    Kill { after: bool },
    /// `provision` is killed in the middle: the step looks done and is half done.
    Middle,
    /// The user stops it.
    Interrupt,
    /// The connection breaks before the work, or after it.
    Cut { after: bool },
    /// The command fails.
    Fails,
    /// The command says it worked, and nothing was kept.
    LostWrite,
    /// The file system is full until the next `up`.
    DiskFull,
    /// The machine is switched off.
    Off,
    /// The machine is switched off, and what it wrote last is lost.
    PowerCut,
    /// The machine restarts.
    Reboot,
    /// The machine is gone with its disk.
    Vanished,
    /// A finished artifact is damaged.
    Damage,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Whose work it hits.
    pub actor: Actor,
    /// At which piece of its work in this `up`, from 0.
    pub at: usize,
    /// What happens.
    pub what: What,
}

/// All that goes wrong in one simulation.
pub struct Schedule {
    seed: u64,
    /// How many nodes the lab has.
    pub nodes: usize,
}

impl Schedule {
    /// The one of this seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, nodes: if seed.is_multiple_of(3) { 3 } else { 1 } }
    }

    /// The faults of the `up` of this number.
    pub fn faults(&self, up: usize) -> Vec<Fault> {
        let mut random = fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ up as u64);
        let count = [0, 1, 1, 1, 2, 3][random.usize(0..6)];
        (0..count)
            .map(|_| {
                let actor = match random.usize(0..10) {
                    0 => Actor::Artifacts,
                    1 => Actor::Provider,
                    _ => Actor::Node(random.usize(0..self.nodes)),
                };
                let after = random.bool();
                let what = match actor {
                    Actor::Node(_) => match random.usize(0..11) {
                        0 => What::Kill { after },
                        1 => What::Interrupt,
                        2 => What::Cut { after },
                        3 => What::Fails,
                        4 => What::LostWrite,
                        5 => What::DiskFull,
                        6 => What::Off,
                        7 => What::PowerCut,
                        8 => What::Reboot,
                        9 => What::Middle,
                        _ => What::Vanished,
                    },
                    Actor::Provider => [What::Kill { after }, What::Interrupt, What::Fails][random.usize(0..3)],
                    Actor::Artifacts => {
                        [What::Kill { after }, What::Fails, What::DiskFull, What::Damage][random.usize(0..4)]
                    }
                };
                let most = if matches!(actor, Actor::Node(_)) { 30 } else { 4 };
                Fault { actor, at: random.usize(0..most), what }
            })
            .collect()
    }
}
