//! The benchmark: the arms under load in the cluster, one after the other,
//! generator and server on the same node so that the load stays inside it.

use anyhow::{Context, Result};

use crate::arms;
use crate::kubectl::Kubectl;
use crate::ui::Task;

mod job;
mod result;
mod table;

pub use result::{ArmResult, BenchResult, Environment, FORMAT, Settings};
pub use table::table;

/// The document that the load generator prints.
#[path = "../../loadgen/src/result.rs"]
pub mod loadgen;

/// Loads each arm in turn and returns what the generator measured.
pub fn run(kubectl: &Kubectl, settings: &Settings, task: &Task) -> Result<Vec<ArmResult>> {
    let arms = arms::smoke();
    arms.iter()
        .enumerate()
        .map(|(index, arm)| {
            task.say(&format!("{} ({} of {})", arm.title(), index + 1, arms.len()));
            let report = job::run(kubectl, *arm, settings).with_context(|| format!("measure arm {}", arm.name()))?;
            Ok(ArmResult { arm: arm.name().into(), mode: arm.mode(), load: report })
        })
        .collect()
}
