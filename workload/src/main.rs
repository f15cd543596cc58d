//! The server under test: a small HTTP/1.1 server on one thread.
//!
//! The same source is built as a static native binary and as `wasm32-wasip1`
//! for WasmEdge, so that a difference in the figures is one of the targets and
//! not of two programs; only the socket types in [`net`] differ.
//!
//! A panic aborts: the process ends (or, under WasmEdge, traps) with its
//! message on standard error and Kubernetes starts it anew, instead of serving
//! on in a state nobody has thought about. No request can cause one.

mod conn;
mod http;
mod net;
mod routes;
mod server;

use std::env;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

const USAGE: &str = "usage: workload [PORT | ADDRESS:PORT]
Serves HTTP; PORT and HOST from the environment are the defaults (1234, 0.0.0.0).";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return if writeln!(io::stdout(), "{USAGE}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let address = match address(&arguments, env::var("HOST").ok(), env::var("PORT").ok()) {
        Ok(address) => address,
        Err(fault) => {
            let _ = writeln!(io::stderr(), "workload: {fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = writeln!(io::stderr(), "workload: {address}: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: SocketAddr) -> io::Result<()> {
    net::end_on_signals()?;
    let listener = net::Listener::bind(address)?;
    // Nobody reads this line in a benchmark, so a closed stdout must not end the server.
    let _ = writeln!(
        io::stdout(),
        "workload {} ({}) listening on {}",
        env!("CARGO_PKG_VERSION"),
        net::TARGET,
        listener.local_address().unwrap_or(address)
    );
    let _ = io::stdout().flush();
    server::run(&listener)
}

/// Where to listen: the argument before the environment before the defaults.
fn address(arguments: &[String], host: Option<String>, port: Option<String>) -> Result<SocketAddr, String> {
    let host = host.unwrap_or_else(|| "0.0.0.0".into());
    let host: IpAddr = host.parse().map_err(|_| format!("HOST {host:?} is no IP address"))?;
    let text = match arguments {
        [] => port.unwrap_or_else(|| "1234".into()),
        [argument] => argument.clone(),
        _ => return Err(format!("one argument at most, got {}", arguments.len())),
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let port: u16 = text.parse().map_err(|_| format!("{text:?} is neither a port nor ADDRESS:PORT"))?;
    Ok(SocketAddr::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str], host: Option<&str>, port: Option<&str>) -> Result<String, String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        address(&arguments, host.map(Into::into), port.map(Into::into)).map(|address| address.to_string())
    }

    #[test]
    fn the_argument_wins_over_the_environment_over_the_default() {
        assert_eq!(of(&[], None, None).unwrap(), "0.0.0.0:1234");
        assert_eq!(of(&[], Some("127.0.0.1"), Some("8080")).unwrap(), "127.0.0.1:8080");
        assert_eq!(of(&["9000"], Some("127.0.0.1"), Some("8080")).unwrap(), "127.0.0.1:9000");
        assert_eq!(of(&["127.0.0.2:9000"], Some("127.0.0.1"), None).unwrap(), "127.0.0.2:9000");
    }

    #[test]
    fn nonsense_is_named() {
        assert!(of(&["http"], None, None).unwrap_err().contains("\"http\""));
        assert!(of(&[], None, Some("70000")).unwrap_err().contains("\"70000\""));
        assert!(of(&[], Some("localhost"), None).unwrap_err().contains("HOST"));
        assert!(of(&["1", "2"], None, None).is_err());
    }
}
