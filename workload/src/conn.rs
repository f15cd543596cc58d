//! One connection: reads a request, writes the answer, over and over, without blocking.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use crate::http::{self, MAX_HEAD, Received};
use crate::net::{self, Interest, Stream};

/// How long a connection may wait for a whole request, or for its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a refused peer may go on sending before the connection is cut.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
/// How much a refused peer may go on sending before the connection is cut.
const DRAIN_LIMIT: usize = 256 * 1024;

/// What the server does with a connection after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Waits for the socket.
    Wait,
    /// Gives it another turn after the others: a request is already here.
    Again,
    /// Closes it.
    Close,
}

enum State {
    Reading,
    Writing {
        close: bool,
    },
    /// The answer is out and the peer may still send. Closing now would reset
    /// the connection and take the answer away from it.
    Draining {
        left: usize,
    },
}

/// A connection and its buffers, which never grow beyond two heads and one answer's body.
pub struct Conn {
    stream: Stream,
    state: State,
    input: Vec<u8>,
    /// The answer's head.
    head: Vec<u8>,
    /// The answer's body: not copied behind its head, it may be large and not ours.
    body: Cow<'static, [u8]>,
    /// How much of both is out.
    written: usize,
    deadline: Instant,
}

impl Conn {
    /// Takes over a stream that does not block.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            state: State::Reading,
            input: Vec::new(),
            head: Vec::new(),
            body: Cow::default(),
            written: 0,
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// The socket.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What it waits for.
    pub fn interest(&self) -> Interest {
        if matches!(self.state, State::Writing { .. }) { Interest::Write } else { Interest::Read }
    }

    /// When it has waited for too long.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Goes on as far as it can without blocking, at most by one request.
    pub fn turn(&mut self) -> Next {
        let outcome = match self.state {
            State::Reading => self.read(),
            State::Writing { close } => self.write(close),
            State::Draining { left } => self.drain(left),
        };
        match outcome {
            Ok(next) => next,
            Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Next::Wait,
            Err(_) => Next::Close,
        }
    }

    fn read(&mut self) -> io::Result<Next> {
        // After `Again` a whole request may be here already, and the peer silent.
        if self.input.is_empty() || http::receive(&self.input) == Received::Partial {
            let mut chunk = [0; MAX_HEAD];
            let room = MAX_HEAD - self.input.len();
            let length = self.stream.read(&mut chunk[..room])?;
            if length == 0 {
                return Ok(Next::Close);
            }
            self.input.extend_from_slice(&chunk[..length]);
        }
        let close = match http::receive(&self.input) {
            Received::Partial => return Ok(Next::Wait),
            Received::Request { length, request } => {
                self.body = http::answer(&request, &mut self.head);
                let close = request.close;
                self.input.drain(..length);
                close
            }
            Received::Bad(status, fault) => {
                self.body = http::refuse(status, fault, &mut self.head);
                true
            }
        };
        self.state = State::Writing { close };
        self.deadline = Instant::now() + PATIENCE;
        self.write(close)
    }

    fn write(&mut self, close: bool) -> io::Result<Next> {
        while self.written < self.head.len() + self.body.len() {
            let head = &self.head[self.written.min(self.head.len())..];
            let body = &self.body[self.written.saturating_sub(self.head.len())..];
            match self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])? {
                0 => return Err(ErrorKind::WriteZero.into()),
                length => self.written += length,
            }
        }
        self.head.clear();
        self.body = Cow::default();
        self.written = 0;
        if !close {
            self.state = State::Reading;
            return Ok(if self.input.is_empty() { Next::Wait } else { Next::Again });
        }
        if self.input.is_empty() {
            return Ok(Next::Close);
        }
        net::end_writing(&self.stream)?;
        self.state = State::Draining { left: DRAIN_LIMIT };
        self.deadline = Instant::now() + DRAIN_PATIENCE;
        self.drain(DRAIN_LIMIT)
    }

    fn drain(&mut self, left: usize) -> io::Result<Next> {
        let mut chunk = [0; MAX_HEAD];
        let length = self.stream.read(&mut chunk)?;
        if length == 0 || length >= left {
            return Ok(Next::Close);
        }
        self.state = State::Draining { left: left - length };
        Ok(Next::Wait)
    }
}
