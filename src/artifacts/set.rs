//! Everything a lab's nodes are made of, as one list: what would be made, and
//! making it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::artifacts::artifact::Artifact;
use crate::artifacts::bundle::Inventory;
use crate::artifacts::cache::{Cache, State};
use crate::artifacts::choose::Origin;
use crate::artifacts::contents::Contents;
use crate::artifacts::debian_base::{self, DebianBase};
use crate::artifacts::engine::{self, Entry, Verdict};
use crate::artifacts::graph::{Graph, Planned};
use crate::artifacts::images::{self, Images};
use crate::artifacts::made::Made;
use crate::artifacts::manifest::Depth;
use crate::artifacts::node_box::{self, NodeBox};
use crate::artifacts::payload::{self, Payload};
use crate::artifacts::release::Official;
use crate::artifacts::root::{self, Root};
use crate::artifacts::source::{Build, ControlPlane, Source};
use crate::artifacts::virtualbox_box::{self, VirtualboxBox};
use crate::artifacts::{cargo, preflight};
use crate::outside::Outside;
use crate::ui::Ui;

pub(super) const KUBERNETES: &str = "kubernetes";
const WORKLOAD: &str = "workload";
const LOADGEN: &str = "loadgen";

/// What decides the artifacts of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Kubernetes' version, without `v`.
    pub kubernetes_version: String,
    /// Where its programs come from.
    pub origin: Origin,
    /// Where Debian comes from, as mmdebstrap takes it (a URL, a line or a file
    /// for apt); `None` is its default, the official mirror.
    pub debian_mirror: Option<String>,
    /// How the outside is reached.
    pub outside: Outside,
    /// Which box is made.
    pub form: BoxForm,
    /// Whether the images are wanted in their archive too, besides those in the box.
    pub archive: bool,
}

/// What a box is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxForm {
    /// libvirt: a file system and, beside it, kernel and initrd for a direct boot.
    Libvirt,
    /// `VirtualBox`: a disk that boots by itself.
    Virtualbox,
    /// Machines that have a system already: what is not their distribution's.
    Payload,
}

impl BoxForm {
    /// The artifact's name.
    pub(super) fn artifact(self) -> &'static str {
        match self {
            Self::Libvirt => node_box::NAME,
            Self::Virtualbox => virtualbox_box::NAME,
            Self::Payload => payload::NAME,
        }
    }

    /// The file in it that machines are made with.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Libvirt | Self::Virtualbox => node_box::BOX,
            Self::Payload => payload::ARCHIVE,
        }
    }
}

/// The artifacts of a profile.
pub struct Set {
    cache: Cache,
    all: Vec<Box<dyn Artifact>>,
    form: BoxForm,
    /// What a lab uses itself; all else is made only on the way to these.
    goals: Vec<&'static str>,
    outside: Outside,
    /// Where a bundle brought all that a lab is started from.
    bundled: Option<Bundled>,
}

/// What is known of what a bundle brought.
struct Bundled {
    /// Keys by name.
    keys: BTreeMap<String, String>,
    /// What it consists of, if that was known where the bundle was written.
    contents: Option<Contents>,
}

/// What the arms are run from on this host; all of it lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalParts {
    /// The node's root tree, with crun, runc and WasmEdge.
    pub tree: PathBuf,
    /// The folder with the builds of the workload.
    pub workload: PathBuf,
    /// Debian's base as a tar archive.
    pub base: PathBuf,
    /// The load generator.
    pub loadgen: PathBuf,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanLine {
    /// The artifact's stable name.
    pub name: String,
    /// Its title, an imperative.
    pub title: String,
    /// What would happen to it.
    pub verdict: Verdict,
}

impl Set {
    /// The artifacts of `spec` in the user's cache.
    pub fn of(spec: &Spec) -> Result<Self> {
        Self::in_cache(Cache::of_user()?, spec)
    }

    /// What a bundle brought; nothing can be made of it, only found.
    pub fn bundled(inventory: &Inventory, form: BoxForm) -> Result<Self> {
        let keys: BTreeMap<String, String> =
            inventory.artifacts.iter().map(|it| (it.name.clone(), it.key.clone())).collect();
        let goals = vec![form.artifact(), KUBERNETES];
        let lacking = goals.iter().find(|goal| !keys.contains_key(**goal));
        ensure!(
            lacking.is_none(),
            "the bundle holds no {}: it was written for another provider\n  write one with this profile: provision bundle FILE",
            lacking.unwrap_or(&"")
        );
        let bundled = Bundled { keys, contents: inventory.contents.clone() };
        let (cache, outside) = (Cache::of_user()?, Outside::default());
        Ok(Self { cache, all: Vec::new(), form, goals, outside, bundled: Some(bundled) })
    }

    fn in_cache(cache: Cache, spec: &Spec) -> Result<Self> {
        let source: Box<dyn Source> = match &spec.origin {
            Origin::Build => Box::new(Build { kubernetes: spec.kubernetes_version.clone() }),
            Origin::Release(release, mirrors) => Box::new(Official {
                release: release.as_ref().clone(),
                mirrors: mirrors.clone(),
                outside: spec.outside.clone(),
                downloads: cache.downloads(),
            }),
        };
        let mut all = source.artifacts()?;
        push_own(&mut all, spec.debian_mirror.as_deref());
        if source.control_plane() == ControlPlane::Programs {
            all.push(Box::new(cargo::pause()));
        }
        all.push(Box::new(Images::of(&spec.kubernetes_version, source.control_plane())?));
        match spec.form {
            BoxForm::Libvirt => all.push(Box::new(NodeBox)),
            BoxForm::Virtualbox => {
                all.push(Box::new(Root::bootable(spec.debian_mirror.clone())));
                all.push(Box::new(VirtualboxBox));
            }
            BoxForm::Payload => {
                all.push(Box::new(Root::runtime(spec.debian_mirror.clone())));
                all.push(Box::new(Payload));
            }
        }
        let (form, outside) = (spec.form, spec.outside.clone());
        let archive = spec.archive.then_some(images::NAME);
        let goals = [form.artifact(), KUBERNETES].into_iter().chain(archive).collect();
        Ok(Self { cache, all, form, goals, outside, bundled: None })
    }

    /// Makes what the arms are run from on this host: nothing of Kubernetes.
    pub fn ensure_local(debian_mirror: Option<&str>, outside: &Outside, ui: &Ui) -> Result<LocalParts> {
        let goals = [root::NODE, debian_base::NAME, WORKLOAD, LOADGEN];
        let mut all: Vec<Box<dyn Artifact>> = Vec::new();
        push_own(&mut all, debian_mirror);
        let cache = Cache::of_user()?;
        let graph = Graph::of(&all)?;
        let verdicts = engine::plan(&cache, &graph, &goals, Depth::Full)?;
        preflight::check(&cache, &graph, &verdicts)?;
        let outside = outside.clone().with_bundle(cache.dir())?;
        let entries = engine::ensure(&cache, &graph, &verdicts, &outside, ui)?;
        let dir = |name: &str| {
            entries.get(name).map(|entry| entry.dir.clone()).with_context(|| format!("artifact {name} is not there"))
        };
        Ok(LocalParts {
            tree: dir(root::NODE)?.join(root::TREE),
            workload: dir(WORKLOAD)?,
            base: dir(debian_base::NAME)?.join(debian_base::LAYER),
            loadgen: dir(LOADGEN)?.join(LOADGEN),
        })
    }

    /// What would happen to each artifact; changes nothing.
    pub fn plan(&self) -> Result<Vec<PlanLine>> {
        if let Some(Bundled { keys, .. }) = &self.bundled {
            return keys.iter().map(|(name, key)| self.bundled_line(name, key)).collect();
        }
        let graph = Graph::of(&self.all)?;
        let verdicts = engine::plan(&self.cache, &graph, &self.goals, Depth::Cheap)?;
        let line = |(planned, verdict): (&Planned, Verdict)| PlanLine {
            name: planned.artifact.name().to_owned(),
            title: planned.artifact.title(),
            verdict,
        };
        Ok(graph.list.iter().zip(verdicts).map(line).collect())
    }

    /// A sentence for each disk that is too full for what would be made.
    pub fn short_of_room(&self) -> Result<Vec<String>> {
        let graph = Graph::of(&self.all)?;
        let verdicts = engine::plan(&self.cache, &graph, &self.goals, Depth::Cheap)?;
        preflight::short_of_room(&self.cache, &graph, &verdicts)
    }

    /// Makes what is missing, after looking whether it can be made.
    pub fn ensure(&self, ui: &Ui) -> Result<Made> {
        if self.bundled.is_some() {
            let entries = self.found(Depth::Full)?;
            let entries = entries.context(
                "what the bundle brought is not in the cache any more, or damaged\n  give it again: provision up --bundle FILE",
            )?;
            return Made::of(&entries, self.form);
        }
        let graph = Graph::of(&self.all)?;
        let verdicts = engine::plan(&self.cache, &graph, &self.goals, Depth::Full)?;
        preflight::check(&self.cache, &graph, &verdicts)?;
        let outside = self.outside.clone().with_bundle(self.cache.dir())?;
        Made::of(&engine::ensure(&self.cache, &graph, &verdicts, &outside, ui)?, self.form)
    }

    /// What is made already, if all that a lab is started from is there.
    pub fn made(&self) -> Result<Option<Made>> {
        self.found(Depth::Cheap)?.map(|entries| Made::of(&entries, self.form)).transpose()
    }

    /// All that a lab is started from, which must be there.
    pub fn entries(&self) -> Result<BTreeMap<String, Entry>> {
        self.found(Depth::Cheap)?.context("the artifacts are not made")
    }

    /// All that a lab is started from, if it is there.
    fn found(&self, depth: Depth) -> Result<Option<BTreeMap<String, Entry>>> {
        let mut entries = BTreeMap::new();
        for (name, key) in self.goals()? {
            let State::Present(manifest) = self.cache.state(&name, &key, depth)? else { return Ok(None) };
            let dir = self.cache.entry(&name, &key);
            entries.insert(name, Entry { dir, manifest: *manifest });
        }
        Ok(Some(entries))
    }

    /// What a lab is started from: names with keys.
    fn goals(&self) -> Result<Vec<(String, String)>> {
        if let Some(Bundled { keys, .. }) = &self.bundled {
            return Ok(keys.clone().into_iter().collect());
        }
        let graph = Graph::of(&self.all)?;
        let key = |goal: &str| -> Result<String> {
            Ok(graph.list[graph.at(goal).with_context(|| format!("{goal} is no artifact"))?].key.clone())
        };
        self.goals.iter().map(|&goal| Ok((goal.to_owned(), key(goal)?))).collect()
    }

    fn bundled_line(&self, name: &str, key: &str) -> Result<PlanLine> {
        let verdict = match self.cache.state(name, key, Depth::Cheap)? {
            State::Present(manifest) => Verdict::Present { bytes: manifest.bytes },
            State::Absent | State::Damaged(_) => Verdict::Make,
        };
        Ok(PlanLine { name: name.to_owned(), title: "Unpack it from the bundle again".into(), verdict })
    }

    /// What they consist of, read from those in the cache; one that is missing
    /// is an error.
    pub fn contents(&self) -> Result<Contents> {
        if let Some(bundled) = &self.bundled {
            let known = bundled.contents.clone();
            return known.context(
                "the bundle does not tell what it consists of: it was written where parts of that were missing",
            );
        }
        let graph = Graph::of(&self.all)?;
        let mut entries = BTreeMap::new();
        for planned in &graph.list {
            let name = planned.artifact.name();
            if let State::Present(manifest) = self.cache.state(name, &planned.key, Depth::Cheap)? {
                let dir = self.cache.entry(name, &planned.key);
                entries.insert(name.to_owned(), Entry { dir, manifest: *manifest });
            }
        }
        Contents::of(&entries, self.form.artifact())
    }

    /// The folders of this set's artifacts in the cache, whether there or not.
    pub fn folders(&self) -> Result<Vec<PathBuf>> {
        if let Some(Bundled { keys, .. }) = &self.bundled {
            return Ok(keys.iter().map(|(name, key)| self.cache.entry(name, key)).collect());
        }
        let graph = Graph::of(&self.all)?;
        Ok(graph.list.iter().map(|planned| self.cache.entry(planned.artifact.name(), &planned.key)).collect())
    }
}

/// The root trees and the programs of our own.
fn push_own(all: &mut Vec<Box<dyn Artifact>>, debian_mirror: Option<&str>) {
    let mirror = || debian_mirror.map(str::to_owned);
    all.push(Box::new(Root::builder(mirror())));
    all.push(Box::new(Root::node(mirror())));
    all.push(Box::new(DebianBase { mirror: mirror() }));
    all.push(Box::new(cargo::workload()));
    all.push(Box::new(cargo::loadgen()));
}

impl PlanLine {
    /// Whether `ensure` would make it.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.verdict, Verdict::Make | Verdict::MakeAgain(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_an_empty_cache_everything_is_made_and_nothing_is_changed_by_planning() {
        let dir = tempfile::tempdir().unwrap();
        for (form, name) in
            [(BoxForm::Libvirt, "box"), (BoxForm::Virtualbox, "box-virtualbox"), (BoxForm::Payload, "payload")]
        {
            let spec = Spec {
                kubernetes_version: "1.37.2".into(),
                origin: Origin::Build,
                debian_mirror: None,
                outside: Outside::default(),
                form,
                archive: true,
            };
            let plan = Set::in_cache(Cache::at(dir.path().join("cache")), &spec).unwrap().plan().unwrap();
            assert!(plan.iter().all(|line| line.verdict == Verdict::Make), "{plan:?}");
            assert_eq!(plan.last().map(|line| line.name.as_str()), Some(name));
            assert!(!dir.path().join("cache").exists());
        }
    }
}
