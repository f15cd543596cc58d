//! The command line: parse, run, print the error once, exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::bench::verdict::Invalid;
use crate::commands::{self, Session};
use crate::interrupt::{self, Interrupted};
use crate::lab::Busy;
use crate::profile::{Faults, Sources};
use crate::ui::{Mode, Ui};

/// One command: a Kubernetes lab with WebAssembly, proved to be what it says.
///
/// Exit codes: 0 fine, 1 failed, 2 wrong usage or profile, 3 measured but invalid, 75 another
/// process is working on the lab (try again later), 130 interrupted.
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
    /// What runs the machines: libvirt or virtualbox [env: PROVIDER]
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
    Ssh(commands::ssh::Ssh),
    Kubeconfig(commands::kubeconfig::Kubeconfig),
    Lock(commands::lock::LockCommand),
    Sbom(commands::sbom::Sbom),
    Logs(commands::logs::Logs),
    Render(commands::render::Render),
    Down(commands::down::Down),
    Clean(commands::clean::Clean),
    Completions(commands::shell::Completions),
    Man(commands::shell::Man),
}

/// Runs the program on its command line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match interrupt::install().and_then(|()| run(cli)) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            let (text, code) = tell(&error);
            // Where standard error is closed there is nobody to tell.
            writeln!(std::io::stderr(), "{text}").unwrap_or(());
            ExitCode::from(code)
        }
    }
}

fn run(cli: Cli) -> Result<i32> {
    let ui = Ui::new(Mode::detect(cli.global.json));
    let sources = Sources {
        file: cli.global.profile,
        provider: cli.global.provider,
        cpus: cli.global.cpus,
        memory: cli.global.memory,
    };
    // These need no profile that is whole.
    match &cli.command {
        Command::Doctor(command) => return command.run(&sources, &ui),
        Command::Init(command) => return command.run(&sources, &ui).map(|()| 0),
        Command::Completions(command) => {
            command.run(Cli::command());
            return Ok(0);
        }
        Command::Man(command) => return command.run(Cli::command()).map(|()| 0),
        _ => {}
    }
    let session = Session::open(&sources, &ui)?;
    match cli.command {
        Command::Doctor(_) | Command::Init(_) | Command::Completions(_) | Command::Man(_) => {}
        Command::Up(command) => command.run(&session)?,
        Command::Plan(command) => command.run(&session)?,
        Command::Status(command) => command.run(&session)?,
        Command::Bench(command) => command.run(&session)?,
        Command::Report(command) => command.run(&session)?,
        Command::Compare(command) => command.run(&session)?,
        Command::History(command) => command.run(&session)?,
        Command::Ssh(command) => return command.run(&session),
        Command::Kubeconfig(command) => command.run(&session)?,
        Command::Lock(command) => command.run(&session)?,
        Command::Sbom(command) => command.run(&session)?,
        Command::Logs(command) => command.run(&session)?,
        Command::Render(command) => command.run(&session)?,
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
