//! Everything that steps and providers are handed.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::Result;

use super::Session;
use crate::artifacts::made::{Archive, Made};
use crate::kubectl::Kubectl;
use crate::lockfile::Lock;
use crate::node::Node;
use crate::profile::{BoxSource, Profile};
use crate::provider::{BootFiles, DirectBoot, vagrant};
use crate::steps::{Context, NodeFiles, Payload};

/// Everything that a [`Context`] borrows.
pub struct Parts {
    nodes: Vec<Box<dyn Node>>,
    files: Vec<NodeFiles>,
    kubectl: Kubectl,
    emulated: bool,
    lock: String,
    images: BTreeMap<String, String>,
    archive: Option<Archive>,
    sizes: BTreeMap<String, u64>,
    payload: Option<Payload>,
}

impl Parts {
    /// For a lab whose machines run.
    pub fn of(session: &Session, made: &Made, emulated: bool) -> Result<Self> {
        Ok(Self {
            nodes: session.ssh_nodes()?,
            files: session.node_files(emulated)?,
            kubectl: session.kubectl(made),
            emulated,
            lock: Lock::read(&session.lock_file)?.map(|lock| lock.hash()).transpose()?.unwrap_or_default(),
            images: made.images.clone(),
            archive: made.archive.clone(),
            sizes: made.image_bytes(),
            payload: session
                .has_plain_machines()
                .then(|| Payload { file: made.box_file.clone(), sha256: made.box_sha256.clone() }),
        })
    }

    /// What steps work with.
    #[must_use]
    pub fn context<'a>(&'a self, session: &'a Session) -> Context<'a> {
        Context {
            profile: session.profile(),
            lab: &session.lab,
            specs: &session.nodes,
            nodes: &self.nodes,
            files: &self.files,
            kubectl: &self.kubectl,
            emulated: self.emulated,
            lock: &self.lock,
            images: &self.images,
            archive: self.archive.as_ref(),
            sizes: &self.sizes,
            payload: self.payload.as_ref(),
            ui: &session.ui,
            journal: &session.journal,
            checks: Mutex::new(None),
            cluster: Mutex::new(None),
        }
    }
}

/// The box's files, as a provider needs them.
#[must_use]
pub fn boot_files(profile: &Profile, made: &Made) -> BootFiles {
    if let BoxSource::Named(name) = &profile.box_source {
        let machine = &profile.machine;
        let url = Some(&machine.box_url).filter(|url| !url.is_empty()).cloned();
        return BootFiles {
            box_name: name.clone(),
            box_version: machine.box_version.clone(),
            box_url: url.unwrap_or_else(|| vagrant::registry_url(name, &machine.box_version, profile.provider.name())),
            box_sha256: machine.box_sha256.clone(),
            direct: None,
        };
    }
    BootFiles {
        box_name: made.box_name.clone(),
        box_version: vagrant::BOX_VERSION.into(),
        box_url: format!("file://{}", made.box_file.display()),
        box_sha256: made.box_sha256.clone(),
        direct: made.direct.as_ref().map(|direct| DirectBoot {
            disk: direct.disk.clone(),
            disk_gib: direct.disk_gib,
            kernel: direct.kernel.clone(),
            initrd: direct.initrd.clone(),
        }),
    }
}
