//! The benchmark: the arms under load in the cluster, one after the other,
//! generator and server on the same node so that the load stays inside it.

use anyhow::{Context, Result};

use crate::arms::{ARMS, Arm};
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
    ARMS.iter()
        .enumerate()
        .map(|(index, arm): (usize, &Arm)| {
            task.say(&format!("{} ({} of {})", arm.title, index + 1, ARMS.len()));
            let report = job::run(kubectl, arm, settings).with_context(|| format!("measure arm {}", arm.name))?;
            Ok(ArmResult { arm: arm.name.into(), mode: arm.mode, load: report })
        })
        .collect()
}
