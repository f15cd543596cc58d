//! A server that does nothing but answer: what the generator reaches against
//! it is the generator's own limit.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use httparse::{ParserConfig, Status};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::exchange::Ready;
use crate::process;

/// The answer's body.
pub const BODY: &str = "hello from provision\n";

const LISTENER: Token = Token(usize::MAX);
/// Most connections at once; the system may allow less.
const MAX_CONNECTIONS: u64 = 12_000;
/// A request's head must fit into this many bytes, and have so many lines.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
const REFUSAL: &str = "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

struct Connection {
    stream: TcpStream,
    /// A request's head while a part of it is missing.
    head: Vec<u8>,
}

/// Reads requests and makes answers; one for all connections.
struct Answerer {
    chunk: Box<[u8]>,
    out: Vec<u8>,
    keep: String,
    close: String,
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answerer: Answerer,
}

/// Serves at `address` for `time`, on this thread; calls `listening` with the
/// real address as soon as connections are taken.
pub fn serve(
    address: SocketAddr,
    time: Duration,
    listening: impl FnOnce(SocketAddr) -> Result<(), String>,
) -> Result<(), String> {
    let until = Instant::now() + time;
    process::raise_open_files(MAX_CONNECTIONS);
    let bind = |fault: io::Error| format!("listen on {address}: {fault}");
    let mut listener = TcpListener::bind(address).map_err(bind)?;
    let poll = Poll::new().map_err(bind)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(bind)?;
    listening(listener.local_addr().map_err(bind)?)?;
    let mut server = Server { poll, listener, connections: Vec::new(), free: Vec::new(), answerer: Answerer::new() };
    server.go(until).map_err(|fault| format!("serve: {fault}"))
}

impl Server {
    fn go(&mut self, until: Instant) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match self.poll.poll(&mut events, Some(left)) {
                Ok(()) => {}
                Err(fault) if fault.kind() == ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault),
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.answer(event.token().0, Ready::from(event));
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(Connection { stream, head: Vec::new() })?,
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(fault) if matches!(fault.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // Going on without the connection would make the generator wait for it.
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Answers at once what has come with the connection: one that carries no
    /// other request is never registered.
    fn admit(&mut self, mut connection: Connection) -> io::Result<()> {
        if !self.answerer.answer(&mut connection, Ready::default()) {
            return Ok(());
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.poll.registry().register(&mut connection.stream, Token(index), Interest::READABLE)?;
        self.connections[index] = Some(connection);
        Ok(())
    }

    fn answer(&mut self, index: usize, ready: Ready) {
        let Some(connection) = &mut self.connections[index] else { return };
        if !self.answerer.answer(connection, ready) {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Answerer {
    fn new() -> Self {
        let answer = |connection: &str| {
            let length = BODY.len();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{BODY}"
            )
        };
        let (chunk, out) = (vec![0; MAX_HEAD].into(), Vec::with_capacity(1024));
        Self { chunk, out, keep: answer("keep-alive"), close: answer("close") }
    }

    /// Reads what has come and answers it; false if the connection is to end.
    fn answer(&mut self, connection: &mut Connection, ready: Ready) -> bool {
        loop {
            match connection.stream.read(&mut self.chunk) {
                Ok(0) => return false,
                Ok(length) => {
                    let goes_on = self.take(&mut connection.head, length);
                    // A client that does not read its answers is not waited for.
                    let written = self.out.is_empty()
                        || connection.stream.write(&self.out).is_ok_and(|written| written == self.out.len());
                    if !goes_on || !written {
                        return false;
                    }
                    // A short read has emptied the socket, but may hide the connection's end.
                    if length < self.chunk.len() && !ready.ended {
                        return true;
                    }
                }
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return true,
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Takes the first `length` bytes of the chunk behind `head`; leaves the
    /// answers in `out` and in `head` what belongs to a request still to come.
    fn take(&mut self, head: &mut Vec<u8>, length: usize) -> bool {
        self.out.clear();
        let earlier = std::mem::take(head);
        let joined = if earlier.is_empty() { None } else { Some([earlier.as_slice(), &self.chunk[..length]].concat()) };
        let mut rest = joined.as_deref().unwrap_or(&self.chunk[..length]);
        while !rest.is_empty() {
            let mut headers = [MaybeUninit::uninit(); MAX_HEADERS];
            let mut request = httparse::Request::new(&mut []);
            let parser = ParserConfig::default();
            match parser.parse_request_with_uninit_headers(&mut request, rest, &mut headers) {
                Ok(Status::Complete(end)) => {
                    if request.method != Some("GET") {
                        self.out.extend_from_slice(REFUSAL.as_bytes());
                        return false;
                    }
                    if closes(&request) {
                        self.out.extend_from_slice(self.close.as_bytes());
                        return false;
                    }
                    self.out.extend_from_slice(self.keep.as_bytes());
                    rest = &rest[end..];
                }
                Ok(Status::Partial) if rest.len() <= MAX_HEAD => {
                    head.extend_from_slice(rest);
                    return true;
                }
                Ok(Status::Partial) | Err(_) => return false,
            }
        }
        true
    }
}

/// Whether the client will not use the connection again.
fn closes(request: &httparse::Request) -> bool {
    let says = |word: &[u8]| {
        let mut headers = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection"));
        headers.any(|header| header.value.trim_ascii().eq_ignore_ascii_case(word))
    };
    says(b"close") || (request.version != Some(1) && !says(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered to these pieces, and whether the connection goes on.
    fn answers(pieces: &[&str]) -> (String, bool, Vec<u8>) {
        let (mut answerer, mut head, mut all, mut goes_on) = (Answerer::new(), Vec::new(), Vec::new(), true);
        for piece in pieces {
            assert!(goes_on, "nothing is read after the end");
            answerer.chunk[..piece.len()].copy_from_slice(piece.as_bytes());
            goes_on = answerer.take(&mut head, piece.len());
            all.extend_from_slice(&answerer.out);
        }
        (String::from_utf8(all).unwrap(), goes_on, head)
    }

    #[test]
    fn every_get_is_answered_however_it_comes() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let one = answers(&[get]);
        assert!(one.0.starts_with("HTTP/1.1 200 OK\r\n") && one.0.ends_with(BODY) && one.1, "{one:?}");
        assert!(one.0.contains("\r\nContent-Length: 21\r\n") && one.0.contains("Connection: keep-alive"));
        for cut in 1..get.len() {
            assert_eq!(answers(&[&get[..cut], &get[cut..]]), one, "{cut}");
        }
        let two = format!("{get}{get}");
        assert_eq!(answers(&[&two]).0, one.0.repeat(2), "pipelined");
        let (text, goes_on, rest) = answers(&[&two[..get.len() + 5]]);
        assert_eq!((text, goes_on, rest), (one.0, true, b"GET /".to_vec()));
    }

    #[test]
    fn a_connection_ends_when_either_side_says_so() {
        let close = answers(&["GET /x HTTP/1.1\r\nConnection: Close\r\n\r\n"]);
        assert!(close.0.contains("Connection: close\r\n") && close.0.ends_with(BODY) && !close.1);
        assert!(!answers(&["GET / HTTP/1.0\r\n\r\n"]).1);
        assert!(answers(&["GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"]).1);
        let post = answers(&["POST / HTTP/1.1\r\n\r\n"]);
        assert!(post.0.starts_with("HTTP/1.1 405") && !post.1);
        assert_eq!(answers(&["\u{1}\u{2}\r\n\r\n"]), (String::new(), false, Vec::new()));
    }
}
