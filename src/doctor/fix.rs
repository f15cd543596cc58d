//! `--fix`: carries out the remedies, in rounds, because what is installed in
//! one can be started in the next.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Asked, Chapter, Host, Remedy, look};
use crate::host::as_root::{self, AsRoot};
use crate::host::packages::Consent;
use crate::host::{daemons, installer};
use crate::ui::Ui;

/// Install, start, and what then comes to light.
const ROUNDS: usize = 3;

/// One round: what is to be done, by kind.
#[derive(Default)]
struct Round {
    packages: Vec<&'static str>,
    install: Vec<AsRoot>,
    run: Vec<AsRoot>,
    start: Vec<AsRoot>,
}

impl Round {
    fn of(chapters: &[Chapter], host: &Host) -> Self {
        let mut round = Self::default();
        for remedy in chapters.iter().flat_map(|chapter| &chapter.findings).filter_map(|it| it.remedy.as_ref()) {
            match remedy {
                Remedy::Install(need) => round.packages.push(need.package),
                Remedy::StartLibvirt(commands) => round.start.clone_from(commands),
                Remedy::Run(commands) => {
                    for command in commands {
                        if !round.run.contains(command) {
                            round.run.push(command.clone());
                        }
                    }
                }
            }
        }
        if !round.packages.is_empty() {
            round.install = host.installer.commands(&round.packages);
        }
        round
    }

    fn commands(&self) -> Vec<AsRoot> {
        self.install.iter().chain(&self.run).chain(&self.start).cloned().collect()
    }

    fn carry_out(&self, ui: &Ui, log: &Path) -> Result<()> {
        as_root::authorise(&self.commands())?;
        if !self.install.is_empty() {
            installer::install(ui, &self.packages, &self.install, log)?;
        }
        for command in &self.run {
            let task = ui.task("fix", format!("Run {}", command.line()));
            let done = as_root::run(std::slice::from_ref(command), log, |line| task.say(line));
            task.close(done)?;
        }
        if self.start.is_empty() { Ok(()) } else { daemons::start_libvirt(ui, &self.start) }
    }
}

/// Mends what can be mended, if the user agrees, and says what is found then.
/// With nothing to mend it changes nothing.
pub fn fix(ui: &Ui, asked: &Asked, host: Host, consent: Consent, log: &Path) -> Result<Vec<Chapter>> {
    let mut host = host;
    let mut chapters = look(asked, &host);
    let mut before: Vec<AsRoot> = Vec::new();
    for round in 0..ROUNDS {
        let todo = Round::of(&chapters, &host);
        let commands = todo.commands();
        if commands.is_empty() {
            if round == 0 {
                ui.note("nothing here can be mended by commands");
            }
            break;
        }
        let lines = as_root::lines(&commands);
        if commands == before {
            bail!("these commands were run and have not mended it:{lines}\n  full log: {}", log.display());
        }
        ui.note(&format!("to do:{lines}"));
        if !consent.agreed(ui, "Run that now?")? {
            bail!("nothing was changed; give --yes to have it done, or type:{lines}");
        }
        todo.carry_out(ui, log)?;
        before = commands;
        host = Host::of_this()?;
        chapters = look(asked, &host);
    }
    Ok(chapters)
}
