//! One request on one socket: connect, send, wait, receive, each with its time.
//!
//! System calls are what a generator is made of, so none is made to ask what
//! the next one tells anyway. Whether the connection stands, the first write
//! says. Events are edges: after one, what has come is read until a read is
//! short; only what comes later brings another. The connection's end alone may
//! hide behind a short read: where the event said that it is there, reading
//! goes on until it shows.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::event::Event;
use mio::net::TcpStream;

use crate::clock::Clock;
use crate::phases::Sample;
use crate::response::Response;

/// How a request ended that did not bring a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// See [`crate::result::Errors::connect`].
    Connect,
    /// See [`crate::result::Errors::timeout`].
    Timeout,
    /// See [`crate::result::Errors::reset`].
    Reset,
    /// See [`crate::result::Errors::protocol`].
    Protocol,
    /// See [`crate::result::Errors::status`].
    Status,
    /// See [`crate::result::Errors::body`].
    Body,
}

/// A failed request.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// What happened.
    pub message: String,
}

impl Failure {
    /// A failure of that kind.
    pub fn new(kind: Kind, message: impl ToString) -> Self {
        Self { kind, message: message.to_string() }
    }
}

/// What has come of a request.
#[derive(Debug)]
pub enum Progress {
    /// It waits for the socket.
    Waiting,
    /// The whole answer is here.
    Answered(Sample),
    /// The connection was used before and the server had closed it: to be sent again on a new one.
    Stale,
    /// It failed.
    Failed(Failure),
}

/// What all requests of a run share.
pub struct Wire<'a> {
    /// The request's bytes.
    pub request: &'a [u8],
    /// What the answer's body must contain; may be empty.
    pub expect: &'a [u8],
    /// Room for what is read; what it holds is of no account.
    pub chunk: &'a mut [u8],
    /// The clock.
    pub clock: &'a mut Clock,
    /// When the kernel reported sockets ready: what happened, happened by then.
    pub woken_at: Instant,
}

/// What an event said of a socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ready {
    /// Something can be read, if only the end.
    pub readable: bool,
    /// The other side has ended the connection.
    pub ended: bool,
}

impl From<&Event> for Ready {
    fn from(event: &Event) -> Self {
        let ended = event.is_read_closed() || event.is_error();
        Self { readable: event.is_readable() || ended, ended }
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Exchange {
    stream: TcpStream,
    response: Response,
    wanted_at: Instant,
    connecting_since: Instant,
    reused: bool,
    connected: bool,
    ready: Ready,
    written: usize,
    sending_since: Option<Instant>,
    sent_at: Option<Instant>,
    receiving_since: Option<Instant>,
    sample: Sample,
}

impl Exchange {
    /// Starts to connect; the user has wanted this since `wanted_at`.
    pub fn connect(address: SocketAddr, wanted_at: Instant, expect: &[u8], clock: &mut Clock) -> Result<Self, Failure> {
        let connecting_since = clock.read();
        let stream = TcpStream::connect(address).map_err(|fault| Failure::new(Kind::Connect, fault))?;
        clock.read();
        Ok(Self::on(stream, wanted_at, connecting_since, false, expect))
    }

    /// Goes on with a connection that has carried an answer already.
    pub fn reuse(stream: TcpStream, wanted_at: Instant, expect: &[u8]) -> Self {
        Self::on(stream, wanted_at, wanted_at, true, expect)
    }

    fn on(stream: TcpStream, wanted_at: Instant, connecting_since: Instant, reused: bool, expect: &[u8]) -> Self {
        Self {
            stream,
            response: Response::new(expect),
            wanted_at,
            connecting_since,
            reused,
            connected: reused,
            ready: Ready::default(),
            written: 0,
            sending_since: None,
            sent_at: None,
            receiving_since: None,
            sample: Sample::default(),
        }
    }

    /// The socket, to be registered for reading, and for writing too where
    /// [`Exchange::is_sent`] says no.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// When the user wanted this.
    pub fn wanted_at(&self) -> Instant {
        self.wanted_at
    }

    /// Whether the whole request is out.
    pub fn is_sent(&self) -> bool {
        self.sent_at.is_some()
    }

    /// Whether the connection had carried an answer before.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Whether the other side is known to have ended the connection.
    pub fn is_ended(&self) -> bool {
        self.ready.ended
    }

    /// The answer, and the socket to use again or to close.
    pub fn into_parts(self) -> (Response, TcpStream) {
        (self.response, self.stream)
    }

    /// Where it stands, for the message of a time-out.
    pub fn phase(&self) -> &'static str {
        match (self.connected, self.sent_at, self.receiving_since) {
            (false, _, _) => "connecting",
            (true, None, _) => "sending",
            (true, Some(_), None) => "waiting",
            (true, Some(_), Some(_)) => "receiving",
        }
    }

    /// Goes on as far as the socket lets it.
    pub fn go_on(&mut self, wire: &mut Wire, ready: Ready) -> Progress {
        // An edge that comes before the request is out still counts.
        self.ready.readable |= ready.readable;
        self.ready.ended |= ready.ended;
        match self.steps(wire) {
            Ok(true) => Progress::Answered(self.sample),
            Ok(false) => Progress::Waiting,
            Err(failure) if failure.kind == Kind::Reset && self.reused && self.response.is_empty() => Progress::Stale,
            Err(failure) => Progress::Failed(failure),
        }
    }

    /// True once the whole answer is here.
    fn steps(&mut self, wire: &mut Wire) -> Result<bool, Failure> {
        if self.sent_at.is_none() && !self.send(wire)? {
            return Ok(false);
        }
        if self.ready.readable { self.receive(wire) } else { Ok(false) }
    }

    fn send(&mut self, wire: &mut Wire) -> Result<bool, Failure> {
        let before = wire.clock.last();
        while self.written < wire.request.len() {
            match self.stream.write(&wire.request[self.written..]) {
                Ok(0) => return Err(Failure::new(Kind::Reset, "the connection takes no bytes")),
                Ok(length) => {
                    self.connected(wire.woken_at);
                    self.sending_since.get_or_insert(before);
                    self.written += length;
                }
                // Not connected yet, or no room.
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(self.cannot_send(&fault)),
            }
        }
        let now = wire.clock.read();
        self.sent_at = Some(now);
        self.sample.sending = now - self.sending_since.unwrap_or(before);
        Ok(true)
    }

    fn connected(&mut self, at: Instant) {
        if !self.connected {
            self.connected = true;
            self.sample.connecting = at.saturating_duration_since(self.connecting_since);
            self.sample.blocked = at.saturating_duration_since(self.wanted_at).max(self.sample.connecting);
        }
    }

    /// Whether the connection failed or ended: before the first byte, only the error tells.
    fn cannot_send(&self, fault: &io::Error) -> Failure {
        let ended = matches!(fault.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        Failure::new(if self.connected || ended { Kind::Reset } else { Kind::Connect }, fault)
    }

    fn receive(&mut self, wire: &mut Wire) -> Result<bool, Failure> {
        let before = wire.clock.last();
        loop {
            match self.stream.read(wire.chunk) {
                Ok(0) => {
                    self.ready.ended = true;
                    if self.response.end() {
                        self.received(wire.clock.read());
                        return Ok(true);
                    }
                    return Err(Failure::new(Kind::Reset, "closed before the whole answer came"));
                }
                Ok(length) => {
                    if self.receiving_since.is_none() {
                        self.receiving_since = Some(before);
                        let waited = self.sent_at.map(|sent| wire.woken_at.saturating_duration_since(sent));
                        self.sample.waiting = waited.unwrap_or_default();
                    }
                    let whole = self.response.push(&wire.chunk[..length], wire.expect);
                    if whole.map_err(|fault| Failure::new(Kind::Protocol, fault))? {
                        self.received(wire.clock.read());
                        return Ok(true);
                    }
                    if length < wire.chunk.len() && !self.ready.ended {
                        self.ready.readable = false;
                        return Ok(false);
                    }
                }
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => {
                    // Also where the event was about a socket that is closed by now.
                    self.ready = Ready::default();
                    return Ok(false);
                }
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(Failure::new(Kind::Reset, fault)),
            }
        }
    }

    fn received(&mut self, at: Instant) {
        self.sample.receiving = self.receiving_since.map(|since| at - since).unwrap_or_default();
    }
}
