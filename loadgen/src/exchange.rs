//! One request on one socket: connect, send, wait, receive, each with its time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;

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

/// A request under way.
#[derive(Debug)]
pub struct Exchange {
    stream: TcpStream,
    response: Response,
    wanted_at: Instant,
    connecting_since: Instant,
    reused: bool,
    connected: bool,
    readable: bool,
    written: usize,
    sending_since: Option<Instant>,
    sent_at: Option<Instant>,
    receiving_since: Option<Instant>,
    sample: Sample,
}

impl Exchange {
    /// Starts to connect; the user has wanted this since `wanted_at`.
    pub fn connect(address: SocketAddr, wanted_at: Instant, expect: Option<&str>) -> Result<Self, Failure> {
        let connecting_since = Instant::now();
        let stream = TcpStream::connect(address).map_err(|fault| Failure::new(Kind::Connect, fault))?;
        Ok(Self::on(stream, wanted_at, connecting_since, false, expect))
    }

    /// Goes on with a connection that has carried an answer already.
    pub fn reuse(stream: TcpStream, wanted_at: Instant, expect: Option<&str>) -> Self {
        Self::on(stream, wanted_at, wanted_at, true, expect)
    }

    fn on(
        stream: TcpStream,
        wanted_at: Instant,
        connecting_since: Instant,
        reused: bool,
        expect: Option<&str>,
    ) -> Self {
        Self {
            stream,
            response: Response::new(expect),
            wanted_at,
            connecting_since,
            reused,
            connected: reused,
            readable: false,
            written: 0,
            sending_since: None,
            sent_at: None,
            receiving_since: None,
            sample: Sample::default(),
        }
    }

    /// The socket, to be registered for both directions.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// When the user wanted this.
    pub fn wanted_at(&self) -> Instant {
        self.wanted_at
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

    /// Goes on as far as the socket lets it. `woken_at` is when the kernel
    /// reported the socket ready: what happened, happened by then.
    pub fn go_on(&mut self, request: &[u8], readable: bool, woken_at: Instant) -> Progress {
        self.readable |= readable;
        match self.steps(request, woken_at) {
            Ok(Some(())) => Progress::Answered(self.sample),
            Ok(None) => Progress::Waiting,
            Err(failure) if failure.kind == Kind::Reset && self.reused && self.response.is_empty() => Progress::Stale,
            Err(failure) => Progress::Failed(failure),
        }
    }

    fn steps(&mut self, request: &[u8], woken_at: Instant) -> Result<Option<()>, Failure> {
        if !self.connected && !self.finish_connecting(woken_at)? {
            return Ok(None);
        }
        if self.sent_at.is_none() && !self.send(request)? {
            return Ok(None);
        }
        // Events are edges: one that came before the request was out still counts.
        if self.readable && self.receive(woken_at)? {
            return Ok(Some(()));
        }
        Ok(None)
    }

    fn finish_connecting(&mut self, woken_at: Instant) -> Result<bool, Failure> {
        let connect = |fault: io::Error| Failure::new(Kind::Connect, fault);
        if let Some(fault) = self.stream.take_error().map_err(connect)? {
            return Err(connect(fault));
        }
        match self.stream.peer_addr() {
            Ok(_) => {}
            Err(fault) if fault.kind() == ErrorKind::NotConnected => return Ok(false),
            Err(fault) => return Err(connect(fault)),
        }
        self.connected = true;
        self.sample.connecting = woken_at.saturating_duration_since(self.connecting_since);
        self.sample.blocked = woken_at.saturating_duration_since(self.wanted_at).max(self.sample.connecting);
        Ok(true)
    }

    fn send(&mut self, request: &[u8]) -> Result<bool, Failure> {
        let since = *self.sending_since.get_or_insert_with(Instant::now);
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(0) => return Err(Failure::new(Kind::Reset, "the connection takes no bytes")),
                Ok(length) => self.written += length,
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(Failure::new(Kind::Reset, fault)),
            }
        }
        let now = Instant::now();
        self.sent_at = Some(now);
        self.sample.sending = now - since;
        Ok(true)
    }

    fn receive(&mut self, woken_at: Instant) -> Result<bool, Failure> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let before = Instant::now();
            match self.stream.read(&mut chunk) {
                Ok(0) if self.response.end() => {
                    self.received();
                    return Ok(true);
                }
                Ok(0) => return Err(Failure::new(Kind::Reset, "closed before the whole answer came")),
                Ok(length) => {
                    if self.receiving_since.is_none() {
                        self.receiving_since = Some(before);
                        self.sample.waiting =
                            self.sent_at.map_or(Default::default(), |sent| woken_at.saturating_duration_since(sent));
                    }
                    let whole =
                        self.response.push(&chunk[..length]).map_err(|fault| Failure::new(Kind::Protocol, fault))?;
                    if whole {
                        self.received();
                        return Ok(true);
                    }
                }
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(false);
                }
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(Failure::new(Kind::Reset, fault)),
            }
        }
    }

    fn received(&mut self) {
        self.sample.receiving = self.receiving_since.map(|since| since.elapsed()).unwrap_or_default();
    }
}
