//! What a session's lab is made of: built, released or bundled, and how the
//! outside is reached for it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::Session;
use crate::artifacts::bundle::Inventory;
use crate::artifacts::cache::Cache;
use crate::artifacts::choose::{self, Choice, Origin};
use crate::artifacts::set::{BoxForm, Set, Spec};
use crate::artifacts::unbundle;
use crate::outside::Outside;
use crate::paths;
use crate::profile::Provider;
use crate::profile::types::RuntimeManager;

impl Session {
    /// Everything that is made for this profile.
    pub fn artifacts(&self) -> Result<Set> {
        if let Some(contents) = self.bundled()? {
            return Set::bundled(&contents, self.box_form());
        }
        Set::of(&self.spec(self.choice()?.origin.clone())?)
    }

    /// What the bundle held that the lab was started from, if it was.
    fn bundled(&self) -> Result<Option<Inventory>> {
        let path = self.lab.bundle();
        if !path.is_file() {
            return Ok(None);
        }
        let contents: Inventory =
            serde_json::from_str(&paths::read(&path)?).with_context(|| format!("read {}", path.display()))?;
        let wanted = &self.profile().kubernetes.version;
        ensure!(
            contents.kubernetes == *wanted,
            "lab `{}` was started from a bundle with Kubernetes {}, and the profile asks for {wanted}\n  take it down first: provision down",
            self.lab.name(),
            contents.kubernetes
        );
        Ok(Some(contents))
    }

    /// Puts what a bundle holds into the cache; from then on the lab is made of it.
    pub fn unpack(&self, bundle: &Path) -> Result<()> {
        ensure!(
            self.profile().runtime.manager == RuntimeManager::Containerd,
            "a bundle holds no CRI-O, whose packages each node fetches from a network; allowed: runtime.manager = \"containerd\""
        );
        let task = self.ui.task("bundle", format!("Unpack {}", bundle.display()));
        let kubernetes = &self.profile().kubernetes.version;
        let unpacked = unbundle::unpack(bundle, kubernetes, &Cache::of_user()?, &|text| task.say(text));
        let contents = task.close(unpacked)?;
        paths::write_atomic(&self.lab.bundle(), &serde_json::to_vec_pretty(&contents)?, 0o644)
    }

    /// Where Kubernetes comes from, decided once.
    pub fn choice(&self) -> Result<&Choice> {
        if let Some(choice) = self.choice.get() {
            return Ok(choice);
        }
        let cached = |origin: &Origin| Ok(Set::of(&self.spec(origin.clone())?)?.made()?.is_some());
        let choice = choose::choose(self.profile(), &self.pins_file(), &self.outside()?, &cached)?;
        Ok(self.choice.get_or_init(|| choice))
    }

    /// Where Kubernetes comes from, if that was decided here and not by the profile.
    #[must_use]
    pub fn choice_made(&self) -> Option<&Choice> {
        self.choice.get().filter(|choice| !choice.why.is_empty())
    }

    /// What the profile asks for and nobody has seen working.
    #[must_use]
    pub fn untried(&self) -> Option<&'static str> {
        (self.profile().runtime.manager == RuntimeManager::Crio).then_some(
            "runtime.manager = \"crio\" is untried: its packages were never seen, and no lab was made with it",
        )
    }

    /// Where the profile's file is: what it names without a folder lies there too.
    fn beside(&self) -> &Path {
        self.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// The file with the releases' digests.
    #[must_use]
    pub fn pins_file(&self) -> PathBuf {
        self.beside().join(&self.profile().kubernetes.pins)
    }

    /// How the outside is reached.
    pub fn outside(&self) -> Result<Outside> {
        Outside::of(self.profile(), self.beside())
    }

    fn box_form(&self) -> BoxForm {
        match self.profile().provider {
            Provider::Libvirt if self.has_plain_machines() => BoxForm::Payload,
            Provider::Libvirt => BoxForm::Libvirt,
            Provider::Virtualbox => BoxForm::Virtualbox,
            Provider::Hosts => BoxForm::Payload,
        }
    }

    fn spec(&self, origin: Origin) -> Result<Spec> {
        Ok(Spec {
            kubernetes_version: self.profile().kubernetes.version.clone(),
            origin,
            debian_mirror: self.debian_mirror(),
            outside: self.outside()?,
            form: self.box_form(),
            archive: self.profile().runtime.manager == RuntimeManager::Crio,
        })
    }

    /// Where Debian comes from, if the user says so.
    #[must_use]
    pub fn debian_mirror(&self) -> Option<String> {
        Some(self.profile().mirrors.debian.clone()).filter(|mirror| !mirror.is_empty())
    }
}
