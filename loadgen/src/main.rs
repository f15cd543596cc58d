//! The program: arguments in, one JSON document out.
//!
//! Exit codes: 0 measured (failed requests are data), 1 nothing to measure
//! (not one request succeeded, or the run could not start), 2 usage.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use loadgen::args::{self, Asked, HELP};
use loadgen::run;

fn main() -> ExitCode {
    let config = match args::parse(std::env::args_os()) {
        Ok(Asked::Run(config)) => config,
        Ok(Asked::Help) => return print(HELP),
        Ok(Asked::Version) => return print(concat!("loadgen ", env!("CARGO_PKG_VERSION"))),
        Err(fault) => return fail(2, &format!("{fault}\n`loadgen --help` lists the options")),
    };
    // As process 1 of a container the signals would otherwise be ignored.
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let always = Arc::new(AtomicBool::new(true));
        if let Err(fault) = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always) {
            return fail(1, &format!("handle signal {signal}: {fault}"));
        }
    }
    let report = match run::run(&config) {
        Ok(report) => report,
        Err(fault) => return fail(1, &fault.to_string()),
    };
    let json = match serde_json::to_string(&report) {
        Ok(json) => json,
        Err(fault) => return fail(1, &format!("write the result: {fault}")),
    };
    let printed = print(&json);
    if report.succeeded == 0 {
        let first = report.error_examples.first().map_or("no request ended", |example| example.message.as_str());
        return fail(1, &format!("no request to {} succeeded: {first}", report.url));
    }
    printed
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fail(1, &format!("write to standard output: {fault}")),
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    // Nothing is left to do if even this cannot be written.
    let _ = writeln!(io::stderr(), "loadgen: {message}");
    ExitCode::from(code)
}
