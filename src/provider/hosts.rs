//! Machines that exist already: nothing is made and nothing is started. They
//! must answer, run a system that the node's packages are for, and be fit to be
//! a node; what the steps put on them is taken away again.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};

use super::{BootFiles, Identity, MachineState, Provider};
use crate::host::acceleration::Verdict;
use crate::interrupt::Interrupted;
use crate::lab::Lab;
use crate::node::{self, Node};
use crate::profile::Acceleration;
use crate::ssh::Forward;
use crate::ui::{Task, Ui};

/// How long a machine may take to say what it is.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the control plane's API port may take to say yes or no.
const API_ANSWER: Duration = Duration::from_secs(5);
const API_PORT: u16 = 6443;
/// Which machine it is, and the lab whose steps have put something on it.
const KNOW: &str = "echo \"$(cat /etc/machine-id 2>/dev/null)\"; sed -n s/^LAB=//p /opt/provision/node.env 2>/dev/null";
/// Says whether a machine can become a node; see the script.
const SURVEY: &str = include_str!("../../templates/node/survey.sh");
/// Takes away what the steps have put on a machine, and says what stays.
const REMOVE: &str = include_str!("../../templates/node/remove.sh");
/// How its lines about what stays begin.
const LEFT: &str = "left";

/// Machines reached by SSH.
pub struct Hosts {
    /// All of them, in the profile's order.
    nodes: Vec<Box<dyn Node>>,
    /// The address that each is to have.
    addresses: Vec<Ipv4Addr>,
    /// The way to the API, where a jump host is between.
    detour: Option<Forward>,
    /// The machine id of each that answered, or why it did not, by its place.
    asked: Mutex<BTreeMap<usize, Result<String, String>>>,
}

impl Provider for Hosts {
    fn name(&self) -> &'static str {
        "hosts"
    }

    /// They know it themselves. A machine that does not answer is told about later.
    fn acceleration(&self, wanted: Acceleration) -> Result<Verdict> {
        if wanted == Acceleration::Emulated {
            return Ok(Verdict { emulated: true, reason: "emulated: the profile asks for it".into() });
        }
        let kinds =
            node::fan_out(&self.nodes, |_, node| match node.exec_within("systemd-detect-virt --vm", b"", ANSWER) {
                Err(error) if error.is::<Interrupted>() => Err(error),
                answer => Ok(answer.map(|output| output.stdout.trim().to_owned()).ok()),
            })?;
        // QEMU with KVM says "kvm".
        if let Some(at) = kinds.iter().position(|kind| kind.as_deref() == Some("qemu")) {
            let name = self.nodes[at].name();
            if wanted == Acceleration::Kvm {
                bail!("{name} is emulated (QEMU without KVM), and the profile wants machine.acceleration = \"kvm\"");
            }
            return Ok(Verdict {
                emulated: true,
                reason: format!("emulated: {name} is a machine of QEMU without KVM"),
            });
        }
        let reason = match kinds.iter().any(Option::is_some) {
            true => "existing machines, none of them emulated",
            false => "existing machines, none of which answers",
        };
        Ok(Verdict { emulated: false, reason: reason.into() })
    }

    /// One that answers and has nothing of this lab is as good as absent.
    fn states(&self, lab: &Lab, _: &[String]) -> Result<Vec<MachineState>> {
        node::fan_out(&self.nodes, |index, node| {
            let (state, asked) = match node.exec_within(KNOW, b"", ANSWER) {
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) => (MachineState::Off, Err(format!("{error:#}"))),
                Ok(said) => {
                    let mut lines = said.stdout.lines().map(|line| line.trim().to_owned());
                    let id = lines.next().unwrap_or_default();
                    let ours = lines.next().is_some_and(|name| name == lab.name());
                    (if ours { MachineState::Running } else { MachineState::Absent }, Ok(id))
                }
            };
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(index, asked);
            Ok(state)
        })
    }

    /// By what [`Provider::states`] was told: it must have asked before.
    fn identity(&self, _: &Lab, node: &str) -> Result<Identity> {
        let index = self.nodes.iter().position(|known| known.name() == node);
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = index.and_then(|index| asked.get(&index)?.as_ref().ok().cloned());
        Ok(Identity { machine: machine.unwrap_or_default(), run: String::new() })
    }

    fn why(&self, node: usize) -> Option<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).get(&node)?.as_ref().err().cloned()
    }

    fn prepare(&self, _: &Lab, _: &BootFiles, _: &Ui) -> Result<()> {
        Ok(())
    }

    fn up(&self, lab: &Lab, ui: &Ui) -> Result<()> {
        let task = ui.task("machines", format!("Look at {} by SSH", self.count()));
        let surveyed = self.survey(lab, &task);
        task.close(surveyed)
    }

    fn destroy(&self, lab: &Lab, _: &[String], ui: &Ui) -> Result<Vec<String>> {
        let task = ui.task("remove", format!("Take what was put there from {}", self.count()));
        let said = task.close(node::fan_out(&self.nodes, |_, node| {
            let said = node.read(&format!("bash -s -- {}", lab.name()), REMOVE.as_bytes())?;
            Ok(said.lines().map(|line| (node.name().to_owned(), line.to_owned())).collect::<Vec<_>>())
        }))?;
        let (left, removed): (Vec<_>, Vec<_>) =
            said.into_iter().flatten().partition(|(_, line)| line.starts_with(LEFT));
        for (node, line) in left {
            ui.note(&format!("{node}: {line}"));
        }
        Ok(removed.into_iter().map(|(node, line)| format!("{line} from {node}")).collect())
    }
}

impl Hosts {
    /// These machines; nothing is connected yet.
    #[must_use]
    pub fn new(nodes: Vec<Box<dyn Node>>, addresses: Vec<Ipv4Addr>) -> Self {
        Self { nodes, addresses, detour: None, asked: Mutex::default() }
    }

    /// The same, with an API that is reached by this way, if by one.
    #[must_use]
    pub fn with_detour(self, detour: Option<Forward>) -> Self {
        Self { detour, ..self }
    }

    /// Names every machine that does not answer or cannot be a node.
    fn survey(&self, lab: &Lab, task: &Task) -> Result<()> {
        node::fan_out(&self.nodes, |index, node| {
            let command = format!("bash -s -- {} {} {}", self.addresses[index], std::env::consts::ARCH, lab.name());
            let said = node.exec_within(&command, SURVEY.as_bytes(), ANSWER)?;
            if said.status != 0 {
                bail!("{} ({}): {}", node.name(), self.addresses[index], said.stderr.trim());
            }
            task.say(&format!("{}: {}", node.name(), said.stdout.trim()));
            if index == 0 { self.api_can_be_reached(node.name()) } else { Ok(()) }
        })
        .map(drop)
    }

    /// kubectl and the steps speak with the API from this host: a port that is
    /// closed still says so, one that nothing leads to does not.
    fn api_can_be_reached(&self, name: &str) -> Result<()> {
        if let Some(detour) = &self.detour {
            return detour.try_out();
        }
        let api = SocketAddr::new(IpAddr::V4(self.addresses[0]), API_PORT);
        match TcpStream::connect_timeout(&api, API_ANSWER) {
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => bail!(
                "{name}: this host does not reach {api}, where its API will be: {error}\n    open the way (firewall, \
                 route, VPN), or name a machine that leads there in nodes.ssh.jump"
            ),
            _ => Ok(()),
        }
    }

    fn count(&self) -> String {
        match self.nodes.as_slice() {
            [one] => one.name().to_owned(),
            many => format!("{} machines", many.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::node::Output;

    /// A machine that says this, or nothing at all.
    struct Fake(&'static str, Option<&'static str>);

    impl Node for Fake {
        fn name(&self) -> &str {
            self.0
        }
        fn exec(&self, _: &str, _: &[u8]) -> Result<Output> {
            let stdout = self.1.ok_or_else(|| anyhow::anyhow!("it is away"))?.to_owned();
            Ok(Output { status: 0, stdout, stderr: String::new() })
        }
    }

    #[test]
    fn a_machine_is_known_by_its_id_and_ours_only_with_this_labs_files() {
        let fakes = [
            Fake("node1", Some("id1\nmine\n")),
            Fake("node2", Some("id2\n")),
            Fake("node3", Some("id3\nanother\n")),
            Fake("node4", None),
        ];
        let hosts = Hosts::new(fakes.map(|fake| Box::new(fake) as Box<dyn Node>).into(), Vec::new());
        let lab = Lab::below(Path::new("/nowhere"), "mine");
        use MachineState::{Absent, Off, Running};
        assert_eq!(hosts.states(&lab, &[]).unwrap(), [Running, Absent, Absent, Off]);
        assert_eq!(hosts.identity(&lab, "node3").unwrap().machine, "id3");
        assert_eq!(hosts.identity(&lab, "node4").unwrap().machine, "");
        assert_eq!((hosts.why(0), hosts.why(3)), (None, Some("it is away".to_owned())));
    }

    #[test]
    fn an_api_that_nothing_leads_to_is_told_before_anything_is_put_there() {
        let reach = |address: Ipv4Addr| Hosts::new(Vec::new(), vec![address]).api_can_be_reached("node1");
        assert!(reach(Ipv4Addr::LOCALHOST).is_ok());
        // TCP goes to no broadcast address.
        let error = reach(Ipv4Addr::BROADCAST).unwrap_err().to_string();
        assert!(error.starts_with("node1: this host does not reach 255.255.255.255:6443"), "{error}");
    }
}
