//! The program's entry: everything lives in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    provision::cli::main()
}
