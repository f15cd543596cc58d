//! Where Kubernetes comes from for a profile: built, released, or whichever is
//! quicker here, with the reason.

use std::path::Path;

use anyhow::{Context, Result};

use crate::artifacts::go::go_arch;
use crate::artifacts::pins::{self, Pins, Release};
use crate::http::{Client, Patience};
use crate::outside::Outside;
use crate::profile::Profile;
use crate::profile::types::{KubernetesSource, Mirrors};

/// Where the programs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built on this host from pinned modules.
    Build,
    /// The projects' releases by pinned digest.
    Release(Box<Release>, Mirrors),
}

/// An [`Origin`] and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where from.
    pub origin: Origin,
    /// In words that follow "because"; empty where the profile says it.
    pub why: String,
}

impl Origin {
    /// For people.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Build => "built from Go modules",
            Self::Release(..) => "the official releases",
        }
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kubernetes: {}", self.origin.words())?;
        if self.why.is_empty() { Ok(()) } else { write!(f, ", because {}", self.why) }
    }
}

/// Decides. `file` holds the pins. `cached` says whether all that an origin gives is in the cache
/// already; the network is asked only for `auto`, and only if nothing is.
pub fn choose(
    profile: &Profile,
    file: &Path,
    outside: &Outside,
    cached: &dyn Fn(&Origin) -> Result<bool>,
) -> Result<Choice> {
    let wanted = profile.kubernetes.source;
    let plain = |origin| Choice { origin, why: String::new() };
    if wanted == KubernetesSource::Build {
        return Ok(plain(Origin::Build));
    }
    let pins = Pins::read(file)?;
    let (kubernetes, containerd) = (&profile.kubernetes.version, &profile.runtime.version);
    let missing = || {
        let arch = go_arch();
        format!(
            "no digests of Kubernetes {kubernetes} with containerd {containerd} ({arch}) are pinned in {}",
            file.display()
        )
    };
    let release = pins.find(kubernetes, containerd, go_arch()).cloned();
    let release = release.map(|release| Origin::Release(Box::new(release), profile.mirrors.clone()));
    if wanted == KubernetesSource::Release {
        let release = release.with_context(|| format!("{}\n  pin them: provision pin", missing()))?;
        return Ok(plain(release));
    }
    let chosen = |origin, why: &str| Ok(Choice { origin, why: why.to_owned() });
    let Some(release) = release else { return chosen(Origin::Build, &missing()) };
    for origin in [&release, &Origin::Build] {
        if cached(origin)? {
            return chosen(origin.clone(), "they are in the cache");
        }
    }
    let Origin::Release(pinned, mirrors) = &release else { return chosen(release, "") };
    match pins::reachable(&Client::new(outside, quick())?, mirrors, pinned) {
        Ok(()) => chosen(release, "its digests are pinned and its hosts answer"),
        Err(trouble) => chosen(Origin::Build, &format!("the releases cannot be reached: {trouble}")),
    }
}

/// For a question whose answer decides nothing but the way.
fn quick() -> Patience {
    let limit = std::time::Duration::from_secs(5);
    Patience { connect: limit, answer: limit, stall: limit }
}
