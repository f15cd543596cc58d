//! The command line: parse, run, print the error once, exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::bench::verdict::Invalid;
use crate::commands::{self, Session};
use crate::failure::{Failure, Kind, known};
use crate::interrupt::{self, Interrupted};
use crate::lab::{Busy, Lab};
use crate::profile::{Faults, Sources};
use crate::ui::{Mode, Ui};

/// One command: a Kubernetes lab with WebAssembly, proved to be what it says.
///
/// Exit codes: 0 fine, 1 failed, 2 wrong usage or profile, 3 measured but invalid, 10 to 14
/// verdicts (of `verdict` and `rebuild`), 75 another process is working on the lab (try again
/// later), 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The lab's profile [default: the built-in one, config/default.toml]
    #[arg(long, global = true, value_name = "FILE", env = "PROVISION_PROFILE")]
    profile: Option<PathBuf>,
    /// What runs the machines: libvirt, virtualbox or hosts [env: PROVIDER]
    #[arg(long, global = true, value_name = "NAME")]
    provider: Option<String>,
    /// CPUs of every node [env: CPUS]
    #[arg(long, global = true, value_name = "NUMBER")]
    cpus: Option<String>,
    /// Memory of every node, in MiB or with a unit (4GiB) [env: MEMORY]
    #[arg(long, global = true, value_name = "SIZE")]
    memory: Option<String>,
    /// Print JSON for programs: events as lines, answers as documents
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Doctor(commands::doctor::Doctor),
    Init(commands::init::Init),
    Up(commands::up::Up),
    Plan(commands::plan::Plan),
    Status(commands::status::Status),
    Bench(commands::bench::Bench),
    Report(commands::report::Report),
    Compare(commands::compare::Compare),
    History(commands::history::History),
    Verdict(commands::verdict::Verdict),
    Accept(commands::accept::Accept),
    Rebuild(commands::rebuild::Rebuild),
    Ssh(commands::ssh::Ssh),
    Kubectl(commands::kubectl::Kubectl),
    Kubeconfig(commands::kubeconfig::Kubeconfig),
    Lock(commands::lock::LockCommand),
    Sbom(commands::sbom::Sbom),
    Logs(commands::logs::Logs),
    Explain(commands::explain::Explain),
    Support(commands::support::Support),
    Render(commands::render::Render),
    Halt(commands::halt::Halt),
    Snapshot(commands::snapshot::SnapshotCommand),
    Pin(commands::pin::Pin),
    Bundle(commands::bundle::Bundle),
    Down(commands::down::Down),
    Clean(commands::clean::Clean),
    Completions(commands::shell::Completions),
    Man(commands::shell::Man),
}

/// Runs the program on its command line.
#[must_use]
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let command = matches.subcommand_name().unwrap_or_default().to_owned();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let ui = Ui::of(Mode::detect(cli.global.json), &command);
    let mut lab = None;
    match interrupt::install().and_then(|()| run(cli, &ui, &mut lab)) {
        Ok(code) => {
            let code = u8::try_from(code).unwrap_or(1);
            ui.end(code, None, None);
            ExitCode::from(code)
        }
        Err(error) => {
            let (mut text, code) = tell(&error);
            if ui.records() {
                text.push_str(&decode(&error, code, &ui, lab.as_ref()));
            }
            // Where standard error is closed there is nobody to tell.
            writeln!(std::io::stderr(), "{text}").unwrap_or(());
            ExitCode::from(code)
        }
    }
}

/// Ends the recorded run, and what to say under the error: the cause and the
/// next command if the failure is a known one.
fn decode(error: &anyhow::Error, code: u8, ui: &Ui, lab: Option<&Lab>) -> String {
    let mut failure = Failure::of(error);
    if code == interrupt::EXIT_CODE {
        failure.kind = Kind::Interrupted;
    }
    let task = ui.failed_task();
    let known = lab
        .filter(|_| failure.kind != Kind::Interrupted)
        // Not to know a failure is no failure of its own.
        .and_then(|lab| known::find(&failure, task.as_deref(), lab).unwrap_or_default());
    ui.end(code, Some(failure), known.as_ref().map(|known| known.name.as_str()));
    match known {
        Some(known) => format!("\ncause: {}\nnext:  {}\nthe whole story: provision explain", known.cause, known.next),
        None if code == 1 => "\nthe whole story: provision explain".to_owned(),
        None => String::new(),
    }
}

fn run(cli: Cli, ui: &Ui, lab: &mut Option<Lab>) -> Result<i32> {
    let sources = Sources {
        file: cli.global.profile,
        provider: cli.global.provider,
        cpus: cli.global.cpus,
        memory: cli.global.memory,
    };
    // These need no profile that is whole.
    match &cli.command {
        Command::Doctor(command) => return command.run(&sources, ui),
        Command::Init(command) => return command.run(&sources, ui).map(|()| 0),
        Command::Completions(command) => {
            command.run(Cli::command());
            return Ok(0);
        }
        Command::Man(command) => return command.run(Cli::command()).map(|()| 0),
        _ => {}
    }
    let session = Session::open(&sources, ui)?;
    *lab = Some(session.lab.clone());
    match cli.command {
        Command::Doctor(_) | Command::Init(_) | Command::Completions(_) | Command::Man(_) => {}
        Command::Up(command) => command.run(&session)?,
        Command::Plan(command) => command.run(&session)?,
        Command::Status(command) => command.run(&session)?,
        Command::Bench(command) => command.run(&session)?,
        Command::Report(command) => command.run(&session)?,
        Command::Compare(command) => command.run(&session)?,
        Command::History(command) => command.run(&session)?,
        Command::Verdict(command) => return command.run(&session),
        Command::Accept(command) => command.run(&session)?,
        Command::Rebuild(command) => return command.run(&session),
        Command::Ssh(command) => return command.run(&session),
        Command::Kubectl(command) => return command.run(&session),
        Command::Kubeconfig(command) => command.run(&session)?,
        Command::Lock(command) => command.run(&session)?,
        Command::Sbom(command) => command.run(&session)?,
        Command::Logs(command) => command.run(&session)?,
        Command::Explain(command) => command.run(&session)?,
        Command::Support(command) => command.run(&session)?,
        Command::Render(command) => command.run(&session)?,
        Command::Halt(command) => command.run(&session)?,
        Command::Snapshot(command) => command.run(&session)?,
        Command::Pin(command) => command.run(&session)?,
        Command::Bundle(command) => command.run(&session)?,
        Command::Down(command) => command.run(&session)?,
        Command::Clean(command) => command.run(&session)?,
    }
    Ok(0)
}

/// What to print of an error, and the exit code.
fn tell(error: &anyhow::Error) -> (String, u8) {
    if error.is::<Interrupted>() || interrupt::requested() {
        let text = "interrupted; what was finished is kept, go on by running the same command again";
        return (text.into(), interrupt::EXIT_CODE);
    }
    let code = match error {
        error if error.is::<Faults>() => 2,
        error if error.is::<Invalid>() => 3,
        error if error.is::<Busy>() => Busy::EXIT_CODE,
        _ => 1,
    };
    (format!("error: {error:#}"), code)
}
