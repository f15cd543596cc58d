//! The server over real sockets.
//!
//! `WORKLOAD_COMMAND` runs the same tests against another build, for example
//! `wasmedge target/wasm32-wasip1/release/workload.wasm`; the address to
//! listen on is appended.
#![expect(clippy::unwrap_used, reason = "a test ends at the first fault")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

const HELLO: &str = "hello from provision\n";
/// The SHA-256 of the body of `/body`, as another program made it.
const BODY_DIGEST: &str = "d23548b3de02e9b8f2869043d6393ef970569b04466615fa40d58d5db48081bb";

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let text = std::env::var("WORKLOAD_COMMAND").unwrap_or_else(|_| env!("CARGO_BIN_EXE_workload").to_owned());
        let mut words = text.split_whitespace();
        Self::spawn(Command::new(words.next().unwrap()).args(words).arg("127.0.0.1:0"))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("start the server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().expect("an address in the first line");
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, target: &str) -> String {
        self.exchange(format!("GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn body(answer: &str) -> &str {
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1
}

/// One answer from a connection that stays open.
fn read_one(reader: &mut impl BufRead) -> String {
    let mut length = 0;
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "closed within the head");
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn assert_is_the_64_kib(body: &str) {
    assert_eq!(body.len(), 65_536);
    assert!(body.starts_with(HELLO));
    let digest: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, BODY_DIGEST);
}

#[test]
fn every_route_answers() {
    let server = Server::start();
    assert_eq!(body(&server.get("/")), HELLO);
    // `printf provision | sha256sum`
    assert_eq!(
        body(&server.get("/compute?n=1")),
        "267d294ad2fe2618846a5755ed3bb39d60fc70850dcdefa7f210d9c2f760fd35 1\n"
    );
    assert_eq!(body(&server.get("/alloc")), "9fe4e4b7dfa946fb 1000\n");
    let json = server.get("/json?n=2");
    assert!(json.contains("Content-Type: application/json\r\n"), "{json}");
    assert!(body(&json).contains(r#""orders":2,"lines":44,"pieces":128,"fragile":10,"net":298228,"#), "{json}");
    let info = server.get("/info");
    assert!(body(&info).contains("\"service\":\"provision-workload\""), "{info}");
    let head = server.exchange(b"HEAD / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    assert!(head.contains(&format!("Content-Length: {}\r\n", HELLO.len())) && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn bad_requests_get_their_status_and_nothing_else_suffers() {
    let server = Server::start();
    let huge = format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    for (request, status) in [
        ("nonsense\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET /compute?n=zero HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "400"),
        ("GET /json?n=1001 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "400"),
        ("GET /alloc?n HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "400"),
        ("GET /missing HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc", "405"),
        (huge.as_str(), "431"),
    ] {
        let answer = server.exchange(request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        assert_eq!(body(&server.get("/")), HELLO);
    }
}

#[test]
fn a_connection_serves_many_requests_also_pipelined_and_in_pieces() {
    let server = Server::start();
    let stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..100 {
        (&stream).write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        assert_eq!(read_one(&mut reader), HELLO);
    }
    (&stream).write_all(&b"GET / HTTP/1.1\r\nHost: t\r\n\r\n".repeat(50)).unwrap();
    for _ in 0..50 {
        assert_eq!(read_one(&mut reader), HELLO);
    }
    for byte in b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" {
        (&stream).write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(read_one(&mut reader), HELLO);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "closed once the peer has ended");
}

#[test]
fn large_bodies_come_whole_whether_the_connection_stays_or_closes() {
    let server = Server::start();
    for _ in 0..10 {
        assert_is_the_64_kib(body(&server.get("/body")));
    }
    let stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..50 {
        (&stream).write_all(b"GET /body HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        assert_is_the_64_kib(&read_one(&mut reader));
        (&stream).write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        assert_eq!(read_one(&mut reader), HELLO);
    }
    let head = server.exchange(b"HEAD /body HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    assert!(head.contains("Content-Length: 65536\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn readers_that_are_slow_hold_nobody_up_and_get_all() {
    /// Twelve megabytes of answers: more than the kernel holds for a peer that does not read.
    const REQUESTS: usize = 200;
    let server = Server::start();
    let slow: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for stream in &slow {
        let mut stream = stream;
        stream.write_all(&b"GET /body HTTP/1.1\r\nHost: t\r\n\r\n".repeat(REQUESTS)).unwrap();
    }
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(body(&server.get("/")), HELLO);
        assert_is_the_64_kib(body(&server.get("/body")));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    std::thread::scope(|scope| {
        for stream in &slow {
            scope.spawn(move || {
                let mut reader = BufReader::new(stream);
                let first = read_one(&mut reader);
                assert_is_the_64_kib(&first);
                for _ in 1..REQUESTS {
                    assert!(read_one(&mut reader) == first, "another body than the first");
                }
            });
        }
    });
}

#[test]
fn silent_connections_hold_nobody_up() {
    let server = Server::start();
    let silent: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for stream in silent.iter().take(100) {
        let mut stream = stream;
        stream.write_all(b"GET / HT").unwrap();
    }
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(body(&server.get("/")), HELLO);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for stream in silent.iter().take(100) {
        let mut stream = stream;
        stream.write_all(b"TP/1.1\r\nHost: t\r\n\r\n").unwrap();
    }
    for stream in silent.iter().take(100) {
        assert_eq!(read_one(&mut BufReader::new(stream)), HELLO);
    }
}

#[test]
fn hundreds_at_once_are_all_served() {
    let server = Server::start();
    let streams: Vec<TcpStream> = (0..400)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /compute?n=50 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(body(&answer).ends_with(" 50\n"));
    }
}

#[test]
fn peers_that_leave_or_reset_end_only_their_own_connection() {
    let server = Server::start();
    for round in 0..50 {
        let mut stream = server.connect();
        let request = b"GET /compute?n=2000 HTTP/1.1\r\nHost: t\r\n\r\n".repeat(1 + round % 20);
        stream.write_all(&request).unwrap();
        // Answers that nobody has read make the kernel reset the connection.
        std::thread::sleep(Duration::from_millis(round as u64 % 5));
        drop(stream);
    }
    assert_eq!(body(&server.get("/")), HELLO);
}

#[cfg(unix)]
#[test]
fn sigterm_ends_the_native_server() {
    if std::env::var_os("WORKLOAD_COMMAND").is_some() {
        return; // WasmEdge has no signals for its guest.
    }
    let mut server = Server::start();
    assert!(Command::new("kill").arg(server.child.id().to_string()).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn the_environment_sets_port_and_faults_are_told() {
    if std::env::var_os("WORKLOAD_COMMAND").is_some() {
        return; // The environment reaches WasmEdge's guest by another way.
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_workload"));
    let server = Server::spawn(command.env("HOST", "127.0.0.1").env("PORT", "0"));
    assert!(server.address.ip().is_loopback());
    assert_eq!(body(&server.get("/")), HELLO);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let workload = |port: &str| {
        Command::new(env!("CARGO_BIN_EXE_workload")).env("HOST", "127.0.0.1").env("PORT", port).output().unwrap()
    };
    let output = workload(&port);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("in use"), "{said}");
    assert_eq!(workload("many").status.code(), Some(2));
}
