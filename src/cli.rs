//! The command line: parse, run, print the error once, exit code.

use std::process::ExitCode;

/// Runs the program on its command line.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
