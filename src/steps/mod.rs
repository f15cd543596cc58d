//! The steps that turn bare machines into a proved lab: one visible list,
//! [`all`], and the engine that checks and runs it.
//!
//! A step says what it would change (`check`, read-only) before it changes it
//! (`run`): a plan is "check all, run none", a second `up` is all skips.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};

use crate::interrupt;
use crate::journal::{Entry, LAB, State};
use crate::profile::NodeSpec;
use crate::ui::Task;

mod context;
mod create_runtime_class;
mod deliver_programs;
mod fetch_kubeconfig;
mod install_files;
mod join_cluster;
mod join_token;
mod load_images;
pub mod machines;
mod node_files;
mod on_node;
mod pod_network;
mod prove_runtime;
mod run_smoke_benchmark;

pub use context::{Context, Payload};
pub use node_files::{NodeFiles, NodeValues, Reach, Route};
pub use prove_runtime::Proof;
pub use run_smoke_benchmark::{measure, seed};

/// What a step found when it looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Nothing to do.
    Done,
    /// It would change this, a line each.
    Pending(Vec<String>),
}

impl Check {
    /// Pending with one line.
    pub fn pending(change: impl Into<String>) -> Self {
        Self::Pending(vec![change.into()])
    }
}

/// One piece of the way to a lab.
pub trait Step: Send + Sync {
    /// Stable name for `--step` and `--from`, snake_case.
    fn name(&self) -> &'static str;
    /// What it does, as an imperative.
    fn title(&self) -> &'static str;
    /// Hashes of all it depends on, by node, or of the lab as a whole: another
    /// one than when it last ran makes it run again. Empty where the check
    /// compares all of it.
    fn inputs(&self, _cx: &Context) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::from([(LAB.to_owned(), String::new())]))
    }
    /// Whether a check that finds it done may be believed after a run that was
    /// cut off: it may where the very last thing that `run` does is what
    /// `check` looks for.
    fn seen_whole(&self) -> bool {
        false
    }
    /// Whether a lab of these nodes needs it at all.
    fn concerns(&self, _nodes: &[NodeSpec]) -> bool {
        true
    }
    /// The script that it is on this node, if it is one and this node has a use for it.
    fn script(&self, _spec: &NodeSpec, _nodes: &[NodeSpec]) -> Option<&'static str> {
        None
    }
    /// What it would change; changes nothing itself.
    fn check(&self, cx: &Context) -> Result<Check>;
    /// Makes it so; safe to run twice.
    fn run(&self, cx: &Context, task: &Task) -> Result<()>;
}

/// All steps, in order.
#[must_use]
pub fn all() -> Vec<Box<dyn Step>> {
    vec![
        Box::new(install_files::InstallFiles),
        Box::new(on_node::REACH_OUTSIDE),
        Box::new(on_node::INSTALL_PACKAGES),
        Box::new(deliver_programs::DeliverPrograms),
        Box::new(on_node::PREPARE_SYSTEM),
        Box::new(on_node::INSTALL_RUNTIME),
        Box::new(on_node::INSTALL_CRIO),
        Box::new(load_images::LoadImages),
        Box::new(on_node::CONFIGURE_NETWORK),
        Box::new(on_node::SHARE_API_ADDRESS),
        Box::new(on_node::INIT_CONTROL_PLANE),
        Box::new(fetch_kubeconfig::FetchKubeconfig),
        Box::new(join_cluster::CONTROL_PLANES),
        Box::new(join_cluster::WORKERS),
        Box::new(on_node::START_ADDONS),
        Box::new(create_runtime_class::CreateRuntimeClass),
        Box::new(prove_runtime::ProveRuntime),
        Box::new(run_smoke_benchmark::RunSmokeBenchmark),
    ]
}

/// The scripts, in order, that make this one of `nodes` a node without this
/// host: all of the first one, and of the others what comes before they join.
#[must_use]
pub fn scripts_of(spec: &NodeSpec, nodes: &[NodeSpec]) -> Vec<&'static str> {
    let first = nodes.first().is_some_and(|first| first.name == spec.name);
    let begins = on_node::INIT_CONTROL_PLANE.name();
    let steps = all();
    let alone = steps.iter().take_while(|step| first || step.name() != begins);
    alone.filter_map(|step| step.script(spec, nodes)).collect()
}

/// Which of the steps to look at, and which of these to run in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// All that are not done.
    #[default]
    All,
    /// This one only, even if it is done.
    Only(String),
    /// This one, even if it is done, and those after it that are not.
    From(String),
}

impl Selection {
    /// The chosen part of `steps` and how many of its first ones are forced;
    /// an error that lists the names if it names none of them.
    pub fn of<'a>(&self, steps: &'a [Box<dyn Step>]) -> Result<(&'a [Box<dyn Step>], usize)> {
        let find = |name: &str| {
            steps.iter().position(|step| step.name() == name).ok_or_else(|| {
                let names: Vec<&str> = steps.iter().map(|step| step.name()).collect();
                anyhow!("there is no step `{name}`; the steps are: {}", names.join(", "))
            })
        };
        Ok(match self {
            Self::All => (steps, 0),
            Self::Only(name) => {
                let at = find(name)?;
                (&steps[at..=at], 1)
            }
            Self::From(name) => (&steps[find(name)?..], 1),
        })
    }
}

/// How a run of the steps went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Names of the steps that ran.
    pub ran: Vec<&'static str>,
    /// Names of the steps that had nothing to do.
    pub skipped: Vec<&'static str>,
}

/// Runs `steps` in order: each is checked, run if it is pending, and checked
/// again, so that "done" is what was seen and not what was hoped.
pub fn run(steps: &[Box<dyn Step>], selection: &Selection, cx: &Context) -> Result<Summary> {
    let (steps, forced) = selection.of(steps)?;
    let state = cx.journal.state()?;
    let mut summary = Summary::default();
    for (index, step) in steps.iter().enumerate() {
        interrupt::check()?;
        if !step.concerns(cx.specs) {
            continue;
        }
        let task = cx.ui.task(step.name(), step.title());
        let before = match look(step.as_ref(), cx, &state) {
            Ok(check) => check,
            Err(error) => {
                task.fail(&error);
                return Err(next_command(step.as_ref(), error));
            }
        };
        if before == Check::Done && index >= forced {
            task.skip("already done");
            summary.skipped.push(step.name());
            continue;
        }
        let result = journaled(step.as_ref(), cx, &task);
        task.close(result).map_err(|error| next_command(step.as_ref(), error))?;
        summary.ran.push(step.name());
    }
    Ok(summary)
}

/// Runs a step and sees that it is done; begin and end go into the journal.
fn journaled(step: &dyn Step, cx: &Context, task: &Task) -> Result<()> {
    let inputs = step.inputs(cx)?;
    cx.journal.began(step.name(), &inputs)?;
    let result = step.run(cx, task).and_then(|()| {
        cx.forget_checks();
        match step.check(cx)? {
            Check::Done => cx.journal.done(step.name(), &inputs),
            Check::Pending(left) => bail!("it ran, and still wants to: {}", left.join("; ")),
        }
    });
    if let Err(error) = &result {
        let why = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
        cx.journal.write(Entry::Failed { step: step.name().into(), why })?;
    }
    result
}

/// What a step would change: what its check sees, and what the journal knows
/// and no check can see.
fn look(step: &dyn Step, cx: &Context, state: &State) -> Result<Check> {
    let check = step.check(cx)?;
    if check != Check::Done || step.seen_whole() {
        return Ok(check);
    }
    let again = state.again(step.name(), &step.inputs(cx)?);
    Ok(if again.is_empty() { Check::Done } else { Check::Pending(again) })
}

fn next_command(step: &dyn Step, error: anyhow::Error) -> anyhow::Error {
    if error.is::<interrupt::Interrupted>() {
        return error;
    }
    error.context(format!("step `{}` failed (when it is mended, go on by: provision up)", step.name()))
}

/// What each step would change, in order. Steps behind one that is pending
/// cannot be looked at yet when they need what it makes: they count as pending.
pub fn plan(steps: &[Box<dyn Step>], cx: &Context) -> Result<Vec<(&'static str, &'static str, Check)>> {
    let state = cx.journal.state()?;
    let mut planned = Vec::new();
    let mut blocked = false;
    for step in steps.iter().filter(|step| step.concerns(cx.specs)) {
        let check =
            if blocked { Check::pending("after the steps before it") } else { look(step.as_ref(), cx, &state)? };
        blocked |= check != Check::Done;
        planned.push((step.name(), step.title(), check));
    }
    Ok(planned)
}

#[cfg(test)]
pub(crate) use on_node::parse_checks as read_checks;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::values as test_values;
