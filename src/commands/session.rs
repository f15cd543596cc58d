//! What every command begins with: the profile, the lab's folder, the voice.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::artifacts::choose::Choice;
use crate::artifacts::made::{Archive, Made};
use crate::host::acceleration::{self, Verdict};
use crate::journal::{Entry, Journal};
use crate::kubectl::Kubectl;
use crate::lab::{Lab, LabLock};
use crate::lockfile::Lock;
use crate::node::Node;
use crate::profile::{self, BoxSource, Loaded, NodeSpec, Profile, Role, Sources, Sudo, compat};
use crate::provider::hosts::{self, Hosts};
use crate::provider::libvirt::orphans;
use crate::provider::vagrant::{self, VagrantLibvirt, VagrantVirtualbox};
use crate::provider::{BootFiles, DirectBoot, MachineState, Provider, virtualbox};
use crate::ssh::{Key, Password, Root, SshNode, Target};
use crate::steps::machines::{self, Change};
use crate::steps::{self, Context, NodeFiles, NodeValues, Payload, Reach, Route};
use crate::ui::Ui;
use crate::{console, lockfile, paths, secrets, templates, terminal};

/// A command's profile and lab.
pub struct Session {
    /// The checked profile and where each value came from.
    pub loaded: Loaded,
    /// Its folder.
    pub lab: Lab,
    /// Its nodes, in order.
    pub nodes: Vec<NodeSpec>,
    /// What was begun in it and what ended.
    pub journal: Journal,
    /// What it is built from, if the user wrote that down.
    pub lock_file: PathBuf,
    /// The profile's file, if one was named.
    pub file: Option<PathBuf>,
    /// Where progress goes.
    pub ui: Ui,
    /// What sudo asks on machines that are not ours, once the user has typed it.
    password: Arc<Password>,
    /// Where Kubernetes comes from, once that was asked.
    pub(super) choice: OnceCell<Choice>,
}

impl Session {
    /// Reads the profile; touches nothing.
    pub fn open(sources: &Sources, ui: &Ui) -> Result<Self> {
        Self::of(profile::load(sources, &|name| std::env::var(name).ok())?, sources.file.as_deref(), ui)
    }

    /// Of a profile that was read, from `file` if from one.
    pub fn of(loaded: Loaded, file: Option<&Path>, ui: &Ui) -> Result<Self> {
        let lab = Lab::open(&loaded.profile.name)?;
        let nodes = loaded.profile.nodes();
        let journal = Journal::at(lab.journal());
        let lock_file = lockfile::path(file, lab.dir());
        Ok(Self {
            loaded,
            lab,
            nodes,
            journal,
            lock_file,
            file: file.map(Into::into),
            ui: ui.clone(),
            password: Arc::default(),
            choice: OnceCell::new(),
        })
    }

    /// Takes the lab for this process, and says what a dead one had left running.
    pub fn lock(&self) -> Result<LabLock> {
        let lock = self.lab.lock()?;
        for line in lock.leftovers() {
            self.ui.warn(&format!("ended what an earlier provision, which died, had left running: {line}"));
        }
        self.journal
            .write(Entry::Command { line: secrets::redact(&shell_words::join(std::env::args())).into_owned() })?;
        Ok(lock)
    }

    /// The checked profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.loaded.profile
    }

    /// How this host will run the machines, and why.
    pub fn acceleration(&self) -> Result<Verdict> {
        let wanted = self.profile().machine.acceleration;
        match self.profile().provider {
            profile::Provider::Libvirt => acceleration::decide(wanted, &acceleration::probe()?),
            profile::Provider::Virtualbox => {
                Ok(Verdict { emulated: false, reason: "VirtualBox, which emulates none".into() })
            }
            profile::Provider::Hosts => hosts::acceleration(wanted, &self.ssh_nodes()?),
        }
    }

    /// What became of each machine since the journal last saw it, in order.
    pub fn changes(&self, provider: &dyn Provider, states: &[MachineState]) -> Result<Vec<Change>> {
        let known = self.journal.state()?;
        let change = |(node, state): (&NodeSpec, &MachineState)| {
            let there = match state {
                // One that is not ours is there all the same, or cannot be asked.
                MachineState::Off if node.access.is_some() => return Ok(Change::Same),
                MachineState::Absent if node.access.is_none() => None,
                _ => Some(provider.identity(&self.lab, &node.name)?),
            };
            Ok(machines::change(&known, &node.name, there.as_ref(), None))
        };
        self.nodes.iter().zip(states).map(change).collect()
    }

    /// Whether the machines' system comes without what a node needs.
    pub(super) fn has_plain_machines(&self) -> bool {
        self.nodes.iter().any(|node| node.plain)
    }

    /// Whether the machines are the lab's own.
    #[must_use]
    pub fn owns_machines(&self) -> bool {
        self.profile().provider != profile::Provider::Hosts
    }

    /// Names of the nodes, in order.
    #[must_use]
    pub fn node_names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// The provider that the profile names.
    pub fn provider(&self) -> Result<Box<dyn Provider>> {
        match self.profile().provider {
            profile::Provider::Libvirt => Ok(Box::new(VagrantLibvirt {
                network_name: network_name(&self.lab),
                network_xml: self.network_xml()?,
                nodes: self.node_names(),
            })),
            profile::Provider::Virtualbox => Ok(Box::new(VagrantVirtualbox {
                network: self.profile().network.machines,
                gateway: self.profile().gateway(),
                nodes: self.node_names(),
            })),
            profile::Provider::Hosts => {
                let addresses = self.nodes.iter().map(|node| node.ip).collect();
                Ok(Box::new(Hosts::new(self.ssh_nodes()?, addresses)))
            }
        }
    }

    fn network_xml(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Values<'a> {
            network_name: String,
            lab: &'a str,
            folder_record: &'a str,
            folder: String,
            gateway: String,
            netmask: String,
            nodes: Vec<NodeView<'a>>,
        }
        let values = Values {
            network_name: network_name(&self.lab),
            lab: self.lab.name(),
            folder_record: orphans::FOLDER_RECORD,
            folder: orphans::encode(self.lab.dir()),
            gateway: self.profile().gateway().to_string(),
            netmask: self.profile().network.machines.netmask().to_string(),
            nodes: self.nodes.iter().map(NodeView::of).collect(),
        };
        templates::render("network.xml", include_str!("../../templates/network.xml.tera"), &values)
    }

    /// The Vagrantfile of this profile.
    pub fn vagrantfile(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Values<'a> {
            lab: &'a str,
            lab_prefix: String,
            provider: &'a str,
            network_name: String,
            network: String,
            netmask: String,
            prefix: u8,
            firmware: &'a str,
            firmware_device: &'a str,
            plain: bool,
            prepare: String,
            nodes: Vec<MachineView<'a>>,
        }
        let network = self.profile().network.machines;
        let (firmware, firmware_device) = virtualbox::firmware(self.profile().machine.firmware);
        let values = Values {
            lab: self.lab.name(),
            lab_prefix: self.lab.machine(""),
            provider: self.profile().provider.name(),
            network_name: network_name(&self.lab),
            network: network.to_string(),
            netmask: network.netmask().to_string(),
            prefix: network.prefix_len(),
            firmware,
            firmware_device,
            plain: self.has_plain_machines(),
            prepare: self.prepare_command(),
            nodes: self.nodes.iter().map(|node| MachineView::of(node, &self.nodes)).collect(),
        };
        templates::render("Vagrantfile", include_str!("../../templates/Vagrantfile.tera"), &values)
    }

    /// What makes all that Vagrant alone needs of this profile.
    #[must_use]
    pub fn prepare_command(&self) -> String {
        let file = self.file.as_ref().map(|file| format!(" --profile {}", shell_words::quote(&file.to_string_lossy())));
        format!("provision up --prepare{}", file.unwrap_or_default())
    }

    /// How the nodes reach the outside.
    fn reach(&self) -> Result<Reach> {
        let (network, outside) = (&self.profile().network, self.outside()?);
        let own = [network.machines, network.pods, network.services].map(|range| range.to_string());
        let proxies = outside.for_nodes(&own);
        Ok(Reach {
            proxy_http: proxies.http,
            proxy_https: proxies.https,
            proxy_none: proxies.none,
            registry_mirrors: self.profile().mirrors.registries.replace(',', " "),
            authorities: outside.authorities,
        })
    }

    /// The files of each node, in order.
    pub fn node_files(&self, emulated: bool) -> Result<Vec<NodeFiles>> {
        let profile = self.profile();
        let reach = self.reach()?;
        let row = compat::table().kubernetes(&profile.kubernetes.version);
        let pause_image = row.context("this Kubernetes is not in the table of compatibility")?.pause_image();
        let several = profile.control_planes() > 1;
        (0u32..)
            .zip(&self.nodes)
            .map(|(index, node)| {
                let others = || self.nodes.iter().filter(|other| other.name != node.name);
                let peers = others().filter(|other| several && other.role == Role::ControlPlane);
                NodeFiles::render(&NodeValues {
                    lab: self.lab.name().into(),
                    node_name: node.name.clone(),
                    node_role: node.role.name().into(),
                    first: index == 0,
                    node_ip: node.ip.to_string(),
                    machine_cidr: profile.network.machines.to_string(),
                    nameserver: match profile.provider {
                        profile::Provider::Libvirt => profile.gateway().to_string(),
                        // Theirs stays what it is.
                        profile::Provider::Hosts => String::new(),
                        profile::Provider::Virtualbox => virtualbox::NAT_NAMESERVER.to_string(),
                    },
                    node_pods: node.pods.to_string(),
                    routes: others()
                        .map(|other| Route { pods: other.pods.to_string(), via: other.ip.to_string() })
                        .collect(),
                    api_address: profile.api_address().to_string(),
                    control_plane_peers: peers.map(|peer| peer.ip.to_string()).collect(),
                    api_priority: 200 - index.min(100),
                    own: self.owns_machines(),
                    plain: node.plain,
                    emulated,
                    single_node: self.nodes.len() == 1,
                    pod_cidr: profile.network.pods.to_string(),
                    service_cidr: profile.network.services.to_string(),
                    cluster_dns: profile.cluster_dns().to_string(),
                    kubernetes_version: profile.kubernetes.version.clone(),
                    reach: reach.clone(),
                    runtime_manager: node.manager.name().into(),
                    cri_socket: node.manager.socket().into(),
                    crio_repository: profile.crio_repository(),
                    pause_image: pause_image.clone(),
                })
            })
            .collect()
    }

    /// Writes the Vagrantfile and the node files below `dir`.
    pub fn render_to(&self, dir: &Path, emulated: bool) -> Result<()> {
        if self.profile().provider != profile::Provider::Hosts {
            paths::write_atomic(&dir.join("Vagrantfile"), self.vagrantfile()?.as_bytes(), 0o644)?;
        }
        for (node, files) in self.nodes.iter().zip(self.node_files(emulated)?) {
            files.write_to(&dir.join("node").join(&node.name))?;
        }
        Ok(())
    }

    /// The nodes over SSH; nothing is connected yet. Asks for sudo's password
    /// where the profile says that sudo does, the first time.
    pub fn ssh_nodes(&self) -> Result<Vec<Box<dyn Node>>> {
        let access = self.nodes.iter().filter_map(|node| node.access.as_ref());
        let users: BTreeSet<&str> =
            access.filter(|access| access.sudo == Sudo::Password).map(|access| access.user.as_str()).collect();
        if !users.is_empty() && !self.password.is_set() {
            let users: Vec<&str> = users.into_iter().collect();
            let asked = terminal::ask_hidden(&format!("password for sudo of {}: ", users.join(", ")))?;
            self.password.set(asked.context(
                "sudo asks for a password (nodes.ssh.sudo), and there is no terminal to ask for it on\n  run it on a \
                 terminal, or let sudo ask for none and say so: nodes.ssh.sudo = \"free\"",
            )?);
        }
        Ok(self.nodes.iter().map(|node| Box::new(SshNode::new(self.ssh_target(node))) as Box<dyn Node>).collect())
    }

    /// Whether host keys were pinned, where that is ours to do.
    #[must_use]
    pub fn knows_hosts(&self) -> bool {
        self.nodes.iter().all(|node| node.access.is_some()) || self.lab.known_hosts().is_file()
    }

    /// Pins the host keys that the machines print on their consoles, or at first
    /// sight those of a box that prints none; those of machines that are not
    /// ours are the user's to know.
    pub fn pin_host_keys(&self) -> Result<()> {
        let ours = self.nodes.iter().filter(|node| node.access.is_none());
        ours.into_iter().try_for_each(|node| match node.plain {
            true => vagrant::pin(&self.ssh_target(node), &self.lab),
            false => console::pin(&self.lab, node),
        })
    }

    /// Forgets the host keys of machines of ours that others have replaced:
    /// those say theirs on their consoles.
    pub fn forget_replaced(&self, changes: &[Change]) -> Result<()> {
        let ours = self.nodes.iter().zip(changes).filter(|(node, _)| node.access.is_none());
        let mut replaced = ours.filter(|(_, change)| **change == Change::Replaced);
        replaced.try_for_each(|(node, _)| console::forget_key(&self.lab, node))
    }

    /// Waits at most `limit` for the machines, which run, to answer, and writes
    /// down which ones they are.
    pub fn meet(&self, provider: &dyn Provider, cx: &Context, limit: Duration) -> Result<()> {
        let names = self.node_names();
        cx.wait_for_nodes(limit).map_err(|error| console::with_tails(&self.lab, &names, error))?;
        let met: Result<Vec<_>> = names.iter().map(|node| provider.identity(&self.lab, node)).collect();
        machines::meet(cx, met?)
    }

    /// How a node is reached.
    #[must_use]
    pub fn ssh_target(&self, node: &NodeSpec) -> Target {
        let address = SocketAddr::new(IpAddr::V4(node.ip), node.port);
        let Some(access) = &node.access else {
            return Target {
                name: node.name.clone(),
                address,
                user: if node.plain { vagrant::USER } else { "root" }.into(),
                key: Key::File(if node.plain { vagrant::key(&self.lab, &node.name) } else { self.lab.ssh_key() }),
                root: if node.plain { Root::Free } else { Root::Login },
                jump: None,
                known_hosts: vec![self.lab.known_hosts()],
                patience: Duration::from_secs(60),
                replaced: "provision down && provision up".into(),
            };
        };
        Target {
            name: node.name.clone(),
            address,
            user: access.user.clone(),
            key: match access.key.as_str() {
                "agent" => Key::Agent,
                path => Key::File(paths::expand_home(path)),
            },
            root: match access.sudo {
                Sudo::No => Root::Login,
                Sudo::Free => Root::Free,
                Sudo::Password => Root::Password(Arc::clone(&self.password)),
            },
            jump: Some(access.jump.clone()).filter(|jump| jump != "none"),
            known_hosts: vec![
                self.lab.known_hosts(),
                paths::expand_home("~/.ssh/known_hosts"),
                "/etc/ssh/ssh_known_hosts".into(),
            ],
            patience: Duration::from_secs(20),
            replaced: "ssh-keygen -R '{host}' -f {file}".into(),
        }
    }

    /// The node called `name`, or the first one.
    pub fn node(&self, name: Option<&str>) -> Result<&NodeSpec> {
        let Some(name) = name else { return self.nodes.first().context("the profile has no node") };
        self.nodes.iter().find(|node| node.name == name).with_context(|| {
            format!(
                "there is no node `{name}` in lab `{}`; its nodes: {}",
                self.lab.name(),
                self.node_names().join(", ")
            )
        })
    }

    /// The cluster's API, spoken by the kubectl that was made with the box.
    #[must_use]
    pub fn kubectl(&self, made: &Made) -> Kubectl {
        Kubectl::new(made.kubectl.clone(), self.lab.kubeconfig())
    }
}

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

/// The lab's network at libvirt.
#[must_use]
pub fn network_name(lab: &Lab) -> String {
    format!("provision-{}", lab.name())
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

/// A node as the templates see it.
#[derive(Serialize)]
struct NodeView<'a> {
    name: &'a str,
    ip: String,
    mac: &'a str,
    cpus: u32,
    memory_mib: u64,
    disk_gib: u64,
}

impl<'a> NodeView<'a> {
    fn of(node: &'a NodeSpec) -> Self {
        Self {
            name: &node.name,
            ip: node.ip.to_string(),
            mac: &node.mac,
            cpus: node.cpus,
            memory_mib: node.memory_mib,
            disk_gib: node.disk_gib,
        }
    }
}

/// A node as the Vagrantfile sees it.
#[derive(Serialize)]
struct MachineView<'a> {
    #[serde(flatten)]
    node: NodeView<'a>,
    /// Names of the scripts that make it a node, with blanks between.
    steps: String,
}

impl<'a> MachineView<'a> {
    fn of(node: &'a NodeSpec, nodes: &[NodeSpec]) -> Self {
        Self { node: NodeView::of(node), steps: steps::scripts_of(node, nodes).join(" ") }
    }
}

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile;
