//! Proves the runtime before any figure is taken: each arm's process is shown
//! to be what the arm claims (crun with WasmEdge, compiled or interpreted), by
//! what the kernel maps and by the time a computation takes; and its pods are
//! reached from the lab's other nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Check, Context, Step, pod_network};
use crate::arms::{self, Arm, NAMESPACE, PORT};
use crate::canary;
use crate::failure::{Kind, Told};
use crate::node::Node;
use crate::paths;
use crate::pods::{self, RunningPod};
use crate::proof::{Evidence, judge, judge_time};
use crate::ui::Task;

/// See the module.
pub struct ProveRuntime;

/// How long a pod may take to run; an emulated node starts three in a minute.
const POD_LIMIT: Duration = Duration::from_secs(600);
/// How often the canary is asked where time does not confirm the mode: it may
/// have been the neighbours'.
const CANARY_TRIES: u32 = 5;

/// `proof.json` in the lab's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proof {
    /// `provision.proof/1`.
    pub format: String,
    /// uid of the cluster that it holds for.
    pub cluster: String,
    /// Boot id of the machine that it holds for: a restart ends what was looked at.
    #[serde(default)]
    pub boot: String,
    /// Image digests of the arms that it holds for.
    pub images: BTreeMap<String, String>,
    /// By arm.
    pub arms: BTreeMap<String, ArmProof>,
    /// The other nodes: from each of them a pod there was reached.
    #[serde(default)]
    pub reached_from: Vec<String>,
}

/// What was seen of one arm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArmProof {
    /// The mode it claims and was seen in.
    pub mode: crate::arms::Mode,
    /// What the kernel and the runtime say.
    pub evidence: Evidence,
    /// Best time of the compute route, microseconds.
    pub compute_us: u64,
    /// That time divided by native's.
    pub compute_ratio: f64,
}

const FORMAT: &str = "provision.proof/1";

impl Proof {
    /// The lab's last proof, if there is one that can be read.
    #[must_use]
    pub fn load(lab: &crate::lab::Lab) -> Option<Self> {
        let proof: Self = serde_json::from_str(&paths::read(&lab.proof()).ok()?).ok()?;
        (proof.format == FORMAT).then_some(proof)
    }

    /// Makes `proof` the lab's last one, because its machines are again what
    /// they were when it was made.
    pub fn put_back(lab: &crate::lab::Lab, proof: Option<&Self>) -> Result<()> {
        match proof {
            None => paths::remove_file(&lab.proof()),
            Some(proof) => proof.write(lab),
        }
    }

    fn write(&self, lab: &crate::lab::Lab) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).context("write down the proof")?;
        paths::write_atomic(&lab.proof(), &json, 0o644)
    }
}

impl Step for ProveRuntime {
    fn name(&self) -> &'static str {
        "prove_runtime"
    }

    fn title(&self) -> &'static str {
        "Prove the runtime: WasmEdge under crun, compiled and interpreted"
    }

    fn seen_whole(&self) -> bool {
        true
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let Some(proof) = Proof::load(cx.lab) else {
            return Ok(Check::pending("no proof of this lab's runtime yet"));
        };
        let cluster = cx.cluster()?;
        let (node, _) = cx.bench_node()?;
        if proof.boot != boot_of(cx, node)? {
            return Ok(Check::pending(format!("the proof is of an earlier start of {}", node.name())));
        }
        if proof.cluster != cluster.uid {
            return Ok(Check::pending("the proof is of another cluster"));
        }
        if proof.images != arm_images(cx)? {
            return Ok(Check::pending("the proof is of other images"));
        }
        for arm in arms::smoke() {
            let pod = cluster.pod(NAMESPACE, arm.name()).filter(|pod| pods::running(pod).is_some());
            let Some(pod) = pod else {
                return Ok(Check::pending(format!("pod {NAMESPACE}/{} does not run", arm.name())));
            };
            if pod["spec"]["nodeName"] != node.name() {
                let is = pod["spec"]["nodeName"].as_str().unwrap_or_default();
                let name = arm.name();
                return Ok(Check::pending(format!("pod {NAMESPACE}/{name} is on {is} and belongs on {}", node.name())));
            }
        }
        Ok(Check::Done)
    }

    fn run(&self, cx: &Context, task: &Task) -> Result<()> {
        let (node, _) = cx.bench_node()?;
        let boot = boot_of(cx, node)?;
        let proved_before = Proof::load(cx.lab).is_some_and(|proof| proof.boot == boot);
        paths::remove_file(&cx.lab.proof())?;
        // A pod's fields and image cannot be changed: one that is not well, or
        // that a proof has failed on, is made anew; so is one from before a
        // restart, of which the cluster may not know yet.
        for arm in arms::smoke() {
            let pod = cx.cluster()?.pod(NAMESPACE, arm.name()).cloned();
            let elsewhere = |pod: &serde_json::Value| pod["spec"]["nodeName"] != node.name();
            if pod.is_some_and(|pod| !proved_before || pods::running(&pod).is_none() || elsewhere(&pod)) {
                task.say(&format!("remove pod {}", arm.name()));
                pods::delete(cx.kubectl, "pod", arm.name())?;
            }
        }
        task.say("start the arms");
        let manifests: Result<Vec<String>> =
            arms::smoke().iter().map(|arm| arm.manifest(arm.name(), node.name())).collect();
        cx.kubectl.apply(&manifests?.join("---\n"))?;

        let mut arms = BTreeMap::new();
        let mut native: Option<(RunningPod, Canary)> = None;
        for arm in arms::smoke() {
            task.say(&format!("wait for pod {}", arm.name()));
            let pod = pods::wait_running(cx.kubectl, arm.name(), POD_LIMIT)?;
            task.say(&format!("ask {} and look at its process", arm.name()));
            // Asked first: what has answered has loaded its module, which a process that
            // is there may not have done yet. A link that is missing says more than silence.
            let answered = canary_of(cx, node, arm, &pod);
            let evidence = evidence_of(node, &pod)?;
            judge(arm, &evidence)
                .map_err(|link| Told {
                    kind: Kind::Runtime,
                    reason: link.name().into(),
                    text: link.to_string(),
                    log: None,
                })
                .with_context(|| format!("arm {} is not what it claims", arm.name()))?;
            let mut canary = answered?;
            let (native_pod, native) = native.get_or_insert_with(|| (pod.clone(), canary.clone()));
            if canary.answer != native.answer {
                bail!("arm {}: computes `{}` where native computes `{}`", arm.name(), canary.answer, native.answer);
            }
            // A busy machine makes a time too long, never too short: more tries bring both nearer to the truth.
            let mut tries = 1;
            let ratio = loop {
                match judge_time(arm, canary.best_us, native.best_us) {
                    Ok(ratio) => break ratio,
                    Err(_) if tries < CANARY_TRIES => {
                        tries += 1;
                        task.say(&format!("compute again: {} and native", arm.name()));
                        let again = canary_of(cx, node, arms::smoke()[0], native_pod)?;
                        native.best_us = native.best_us.min(again.best_us);
                        canary.best_us = canary.best_us.min(canary_of(cx, node, arm, &pod)?.best_us);
                    }
                    Err(why) => {
                        return Err(anyhow::Error::msg(why))
                            .with_context(|| format!("arm {} is not what it claims", arm.name()));
                    }
                }
            };
            arms.insert(
                arm.name().to_owned(),
                ArmProof { mode: arm.mode(), evidence, compute_us: canary.best_us, compute_ratio: ratio },
            );
        }
        let reached_from = match &native {
            Some((pod, _)) if cx.specs.len() > 1 => {
                task.say("reach its pods from the other nodes");
                pod_network::reached_from(cx, node, pod)?
            }
            _ => Vec::new(),
        };
        let cluster = cx.cluster()?.uid.clone();
        Proof { format: FORMAT.into(), cluster, boot, images: arm_images(cx)?, arms, reached_from }.write(cx.lab)
    }
}

/// The boot in which a node was met last.
fn boot_of(cx: &Context, node: &dyn Node) -> Result<String> {
    Ok(cx.journal.state()?.machines.remove(node.name()).unwrap_or_default().boot)
}

fn arm_images(cx: &Context) -> Result<BTreeMap<String, String>> {
    arms::smoke()
        .iter()
        .map(|arm| {
            let image = arm.image();
            let digest = cx.images.get(&image).with_context(|| format!("image {image} was not made"))?;
            Ok((image, digest.clone()))
        })
        .collect()
}

fn evidence_of(node: &dyn Node, pod: &RunningPod) -> Result<Evidence> {
    let command = format!("bash /opt/provision/evidence.sh {}", shell_words::quote(&pod.container));
    let evidence = Evidence::parse(&node.read(&command, b"")?);
    if !evidence.running {
        bail!("{}: container {} has no process", node.name(), pod.container);
    }
    Ok(evidence)
}

#[derive(Clone)]
struct Canary {
    best_us: u64,
    answer: String,
}

fn canary_of(cx: &Context, node: &dyn Node, arm: &dyn Arm, pod: &RunningPod) -> Result<Canary> {
    let command = format!(
        "bash /opt/provision/request.sh {} {PORT} '/compute?n={}' {}",
        shell_words::quote(&pod.ip),
        canary::rounds(cx.emulated),
        canary::REQUESTS
    );
    // The process is there before its socket is: the first connections may be refused.
    let mut tries = 0;
    let text = loop {
        tries += 1;
        match node.read(&command, b"") {
            Ok(text) => break text,
            Err(error) if tries == 20 => return Err(error.context(format!("arm {} does not answer", arm.name()))),
            Err(_) => std::thread::sleep(Duration::from_secs(1)),
        }
        crate::interrupt::check()?;
    };
    let mut best: Option<Canary> = None;
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(us), Some(status)) = (words.next().and_then(|us| us.parse::<u64>().ok()), words.next()) else {
            bail!("arm {}: request.sh printed `{line}`", arm.name());
        };
        if status != "200" {
            bail!("arm {}: the compute route answered with status {status}", arm.name());
        }
        let answer = words.next().unwrap_or_default().to_owned();
        if best.as_ref().is_none_or(|best| us < best.best_us) {
            best = Some(Canary { best_us: us, answer });
        }
    }
    best.with_context(|| format!("arm {} gave no answer", arm.name()))
}
