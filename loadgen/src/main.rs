//! The program: arguments in, one line of JSON per run out.
//!
//! Exit codes: 0 measured (failed requests are data), 1 nothing to measure
//! (in some run not one request succeeded, or one could not start), 2 usage.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use loadgen::args::{self, Asked, HELP, Plan};
use loadgen::{null_server, run};

fn main() -> ExitCode {
    let asked = match args::parse(std::env::args_os()) {
        Ok(asked) => asked,
        Err(fault) => return end(2, Err(format!("{fault}\n`loadgen --help` lists the options"))),
    };
    // As process 1 of a container the signals would otherwise be ignored.
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let always = Arc::new(AtomicBool::new(true));
        if let Err(fault) = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always) {
            return end(1, Err(format!("handle signal {signal}: {fault}")));
        }
    }
    end(
        1,
        match asked {
            Asked::Help => print(HELP),
            Asked::Version => print(concat!("loadgen ", env!("CARGO_PKG_VERSION"))),
            Asked::NullServer(address, time) => {
                null_server::serve(address, time, |at| print(&format!("null server listening on {at}")))
            }
            Asked::Load(plan) => load(&plan),
        },
    )
}

fn load(plan: &Plan) -> Result<(), String> {
    // A name that is unknown is to be known before the first run, not after it.
    let addresses: Vec<_> = plan.runs.iter().map(|config| config.target.resolve()).collect::<Result<_, _>>()?;
    let mut failed = Vec::new();
    for (index, (config, address)) in plan.runs.iter().zip(addresses).enumerate() {
        let first = index == 0;
        if !first {
            std::thread::sleep(plan.gap);
        }
        let report = run::run(config, address, plan.start_at.filter(|_| first))?;
        print(&serde_json::to_string(&report).map_err(|fault| format!("write the result: {fault}"))?)?;
        // Of a slow schedule nothing may be due in the time that counts.
        let due = report.open_loop.as_ref().is_none_or(|open| open.scheduled > 0);
        if due && report.succeeded == 0 {
            let why = report.error_examples.first().map_or("no request ended", |example| example.message.as_str());
            failed.push(format!("no request to {} succeeded: {why}", report.url));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|fault| format!("write to standard output: {fault}"))
}

/// Exit code 0, or `code` with the reason on standard error.
fn end(code: u8, result: Result<(), String>) -> ExitCode {
    let Err(message) = result else { return ExitCode::SUCCESS };
    // Nothing is left to do if even this cannot be written.
    let _ = writeln!(io::stderr(), "loadgen: {message}");
    ExitCode::from(code)
}
