//! What this host is fit for: one file a topic, each asking only; what it finds
//! has a level, the next command to type and, where we can, a remedy.
//!
//! Knowledge is not kept here but in `host`, where `up` uses it too.

mod certificates;
mod finding;
mod fix;
mod leftovers;
mod permissions;
mod processor;
mod programs;
mod proxy;
mod room;
mod system;
mod versions;

use anyhow::Result;
use serde::Serialize;

pub use finding::{Finding, Level, Remedy};
pub use fix::fix;

use crate::artifacts::set::Set;
use crate::host::acceleration::Probe;
use crate::host::installer::Installer;
use crate::host::known_good::Installed;
use crate::host::preflight::Misfits;
use crate::profile::{Faults, Profile, Provider};

/// Every provider that is looked at, whichever the profile names.
pub const PROVIDERS: &[Provider] = &[Provider::Libvirt, Provider::Virtualbox, Provider::Hosts];

/// What the host is looked at for.
pub struct Asked<'a> {
    /// The profile, or the built-in one where the user's has faults.
    pub profile: &'a Profile,
    /// What is wrong with the user's profile.
    pub faults: Option<&'a Faults>,
    /// What would be made for it.
    pub artifacts: &'a Set,
    /// Whether its machines fit this host, as `up` asks before it starts them:
    /// what does not fit is the inner error, the rest are warnings.
    pub fit: &'a dyn Fn() -> Result<Result<Vec<String>, Misfits>>,
}

/// What several topics want to know of the host, asked once.
pub struct Host {
    /// How packages are installed.
    pub installer: Installer,
    /// Versions of what is installed.
    pub installed: Installed,
    /// The CPU and KVM.
    pub acceleration: Probe,
}

impl Host {
    /// Asks.
    pub fn of_this() -> Result<Self> {
        Ok(Self {
            installer: Installer::of_host()?,
            installed: Installed::on_host(),
            acceleration: crate::host::acceleration::probe()?,
        })
    }
}

/// One subject that the doctor looks into.
trait Topic {
    /// Its heading.
    fn title(&self, asked: &Asked) -> String;
    /// Looks; changes nothing.
    fn look(&self, asked: &Asked, host: &Host) -> Result<Vec<Finding>>;
}

/// All topics, in the order in which they are told.
fn topics() -> Vec<Box<dyn Topic>> {
    let programs = PROVIDERS.iter().map(|&provider| Box::new(programs::Programs(provider)) as Box<dyn Topic>);
    let mut topics: Vec<Box<dyn Topic>> = vec![Box::new(system::System)];
    topics.extend(programs);
    topics.push(Box::new(versions::Versions));
    topics.push(Box::new(processor::Processor));
    topics.push(Box::new(room::Room));
    topics.push(Box::new(leftovers::Leftovers));
    topics.push(Box::new(permissions::Permissions));
    topics.push(Box::new(proxy::Proxies));
    topics.push(Box::new(certificates::Certificates));
    topics
}

/// A topic with what was found.
#[derive(Debug, Serialize)]
pub struct Chapter {
    /// The topic's heading.
    pub title: String,
    /// What was found, in order.
    pub findings: Vec<Finding>,
}

/// Looks into every topic. One that cannot be looked into is a note.
#[must_use]
pub fn look(asked: &Asked, host: &Host) -> Vec<Chapter> {
    let chapter = |topic: Box<dyn Topic>| Chapter {
        title: topic.title(asked),
        findings: topic
            .look(asked, host)
            .unwrap_or_else(|error| vec![Finding::note(format!("this could not be looked into: {error:#}"))]),
    };
    topics().into_iter().map(chapter).collect()
}

/// How many findings have this level.
#[must_use]
pub fn count(chapters: &[Chapter], level: Level) -> usize {
    chapters.iter().flat_map(|chapter| &chapter.findings).filter(|finding| finding.level == level).count()
}
