//! Servers to load, and the generator as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use loadgen::result::Report;

/// A right answer.
pub const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

/// Serves each connection on a thread of its own, after its request's head has
/// come; counts the connections. Lives as long as the test.
pub fn serve(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (answer, connections) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let counter = connections.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counter.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            thread::spawn(move || {
                if read_head(&mut stream) {
                    answer(stream);
                }
            });
        }
    });
    (url, connections)
}

/// Reads a request's head; false if it ends before.
pub fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Runs the generator.
pub fn loadgen(url: &str, options: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--url", url])
        .args(options.split_whitespace())
        .output()
        .expect("run loadgen")
}

/// What it printed.
pub fn report(output: &Output) -> Report {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Runs the generator; some of its requests must succeed.
pub fn load(url: &str, options: &str) -> Report {
    let output = loadgen(url, options);
    assert!(output.status.success(), "{output:?}");
    report(&output)
}

/// A server that takes requests and never answers.
pub fn serve_never() -> String {
    serve(|stream| {
        thread::sleep(Duration::from_secs(60));
        drop(stream);
    })
    .0
}

/// A server that answers after that time, one thread per connection.
pub fn serve_late(by: Duration) -> String {
    serve(move |mut stream| {
        thread::sleep(by);
        stream.write_all(GOOD).unwrap();
    })
    .0
}

/// The null server as a child process; ends with this value.
pub struct NullServer {
    /// The process.
    pub child: Child,
    /// `ADDRESS:PORT`.
    pub address: String,
    /// Its root.
    pub url: String,
}

impl NullServer {
    /// Starts one at a free port.
    pub fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args(["--null-server", "127.0.0.1:0", "--seconds", "120"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("null server listening on ").expect(&line).trim_end().to_owned();
        Self { url: format!("http://{address}/"), child, address }
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
