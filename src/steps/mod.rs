//! The steps that turn bare machines into a proved lab: one visible list,
//! [`all`], and the engine that checks and runs it.
//!
//! A step says what it would change (`check`, read-only) before it changes it
//! (`run`): a plan is "check all, run none", a second `up` is all skips.

use anyhow::{Result, anyhow, bail};

use crate::interrupt;
use crate::ui::Task;

mod context;
mod create_runtime_class;
mod fetch_kubeconfig;
mod install_files;
mod node_files;
mod on_node;
mod prove_runtime;
mod run_smoke_benchmark;

pub use context::Context;
pub use node_files::{NodeFiles, NodeValues};
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
        Box::new(on_node::PREPARE_SYSTEM),
        Box::new(on_node::INSTALL_RUNTIME),
        Box::new(on_node::CONFIGURE_NETWORK),
        Box::new(on_node::INIT_CONTROL_PLANE),
        Box::new(fetch_kubeconfig::FetchKubeconfig),
        Box::new(on_node::START_ADDONS),
        Box::new(create_runtime_class::CreateRuntimeClass),
        Box::new(prove_runtime::ProveRuntime),
        Box::new(run_smoke_benchmark::RunSmokeBenchmark),
    ]
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
    let mut summary = Summary::default();
    for (index, step) in steps.iter().enumerate() {
        interrupt::check()?;
        let task = cx.ui.task(step.name(), step.title());
        let before = match step.check(cx) {
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
        let result = step.run(cx, &task).and_then(|()| {
            cx.forget_checks();
            match step.check(cx)? {
                Check::Done => Ok(()),
                Check::Pending(left) => bail!("it ran, and still wants to: {}", left.join("; ")),
            }
        });
        task.close(result).map_err(|error| next_command(step.as_ref(), error))?;
        summary.ran.push(step.name());
    }
    Ok(summary)
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
    let mut planned = Vec::new();
    let mut blocked = false;
    for step in steps {
        let check = if blocked { Check::pending("after the steps before it") } else { step.check(cx)? };
        blocked |= check != Check::Done;
        planned.push((step.name(), step.title(), check));
    }
    Ok(planned)
}

#[cfg(test)]
mod tests;
