//! `provision status`: how the lab is, in a fraction of a second.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::Session;
use crate::lab::Holder;
use crate::profile::Role;
use crate::provider::MachineState;
use crate::steps::Proof;
use crate::steps::machines::Change;

/// Show how the lab is: machines, API, proof, newest result.
#[derive(Debug, Args)]
pub struct Status {}

#[derive(Serialize)]
struct Report {
    /// `provision.status/1`.
    format: &'static str,
    lab: String,
    provider: &'static str,
    machines: Vec<Machine>,
    /// Whether the API server's port takes connections.
    api: bool,
    /// By arm: the mode it was proved in, and its computing time over native's.
    proof: Option<Vec<ProvedArm>>,
    newest_result: Option<PathBuf>,
    /// The process that is changing the lab right now.
    worked_on_by: Option<Holder>,
}

#[derive(Serialize)]
struct Machine {
    node: String,
    machine: String,
    role: &'static str,
    state: MachineState,
    /// What became of it since the last `up`: `same`, `new`, `restarted`, `stopped`, `replaced` or `vanished`.
    change: Change,
    ip: String,
    cpus: u32,
    memory_mib: u64,
    /// Why it does not run, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct ProvedArm {
    arm: String,
    mode: crate::arms::Mode,
    compute_ratio: f64,
}

impl Status {
    /// Asks libvirt and the lab's folder, not Vagrant.
    pub fn run(&self, session: &Session) -> Result<()> {
        let lab = &session.lab;
        let provider = session.provider()?;
        let states = provider.states(lab, &session.node_names())?;
        let changes = session.changes(provider.as_ref(), &states)?;
        let machines: Vec<Machine> = session
            .nodes
            .iter()
            .zip(states)
            .zip(changes)
            .enumerate()
            .map(|(index, ((node, state), change))| Machine {
                node: node.name.clone(),
                machine: lab.machine(&node.name),
                role: node.role.name(),
                state,
                change,
                ip: node.ip.to_string(),
                cpus: node.cpus,
                memory_mib: node.memory_mib,
                why: provider.why(index),
            })
            .collect();
        let running = |role: Role| {
            let mut all = session.nodes.iter().zip(&machines);
            all.any(|(node, machine)| node.role == role && machine.state == MachineState::Running)
        };
        let api = running(Role::ControlPlane) && session.api_answers();
        // A proof holds for the machines on which it was made, as long as they run.
        let there = machines.iter().all(|machine| matches!(machine.change, Change::Same | Change::New));
        let proof = Proof::load(lab).filter(|_| there).map(|proof| {
            proof
                .arms
                .into_iter()
                .map(|(arm, proved)| ProvedArm { arm, mode: proved.mode, compute_ratio: proved.compute_ratio })
                .collect()
        });
        let report = Report {
            format: "provision.status/1",
            lab: lab.name().into(),
            provider: session.profile().provider.name(),
            machines,
            api,
            proof,
            newest_result: lab.newest_result()?,
            worked_on_by: lab.holder(),
        };
        let text = if session.ui.is_json() { json(&report)? } else { plain(&report) };
        std::io::stdout().write_all(text.as_bytes()).context("print the status")
    }
}

fn json(report: &Report) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(report).context("write the status as JSON")?))
}

fn plain(report: &Report) -> String {
    let mut text = format!("lab {} ({})\n", report.lab, report.provider);
    for machine in &report.machines {
        let state = format!("{:?}", machine.state).to_lowercase();
        // What a machine that is not ours has, the profile does not know.
        let size = match report.provider {
            "hosts" => String::new(),
            _ => format!(", {} CPUs, {} MiB", machine.cpus, machine.memory_mib),
        };
        let told = machine.change.told().map(|told| format!("  ({told})")).unwrap_or_default();
        text.push_str(&format!("  {:8} {:8} {}  {}{size}{told}\n", machine.node, state, machine.ip, machine.role));
        if let Some(why) = &machine.why {
            text.push_str(&format!("    {}\n", why.replace('\n', "\n    ")));
        }
    }
    text.push_str(&format!("  api      {}\n", if report.api { "answers" } else { "silent" }));
    match &report.proof {
        None => text.push_str("  proof    none\n"),
        Some(arms) => {
            for arm in arms {
                let ratio = arm.compute_ratio;
                text.push_str(&format!("  proved   {} (computing takes {ratio:.1} x native's time)\n", arm.arm));
            }
        }
    }
    if let Some(holder) = &report.worked_on_by {
        text.push_str(&format!("  work     process {}: {}, since {}\n", holder.pid, holder.command, holder.since));
    }
    if let Some(path) = &report.newest_result {
        text.push_str(&format!("  result   {}\n", path.display()));
    }
    text
}
