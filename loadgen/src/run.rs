//! The event loop: all users, their time-outs and the end of the run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::{Config, Length, MAX_SECONDS};
use crate::exchange::{Exchange, Failure, Kind, Progress};
use crate::phases::{Recorder, Sample};
use crate::response::Response;
use crate::result::{ErrorExample, Errors, FORMAT, Report};

/// How long a user waits after a failure, so that a refusing server is not
/// asked as fast as the machine can.
const AFTER_FAILURE: Duration = Duration::from_millis(10);
/// How long an answered connection is kept for the server to close it first:
/// whoever closes first keeps the port in TIME_WAIT, and the generator's ports run out.
const LINGER: Duration = Duration::from_millis(100);
/// Most connections kept so at once.
const MAX_LINGERING: usize = 512;

/// One user; at most one request at a time.
#[derive(Default)]
struct User {
    exchange: Option<Exchange>,
    /// A connection to use again.
    idle: Option<TcpStream>,
    /// When the request under way is given up.
    deadline: Option<Instant>,
}

/// What is to be done at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Look whether that user's request is late. Each user has one at most in the heap.
    Late(usize),
    /// That user tries again.
    Retry(usize),
}

struct Run<'a> {
    config: &'a Config,
    address: SocketAddr,
    request: Vec<u8>,
    poll: Poll,
    users: Vec<User>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    watched: Vec<bool>,
    lingering: VecDeque<(Instant, TcpStream)>,
    /// Requests that may still be started.
    left: u64,
    /// Users with a request under way or about to try again.
    busy: usize,
    counted_from: Instant,
    stop_at: Instant,
    /// Time spent waiting for sockets since `counted_from`.
    waited: Duration,
    tally: Tally,
}

struct Tally {
    recorder: Recorder,
    requests: u64,
    succeeded: u64,
    body_bytes: u64,
    errors: Errors,
    examples: BTreeMap<Kind, String>,
    last_end: Instant,
    last_success: Instant,
}

/// Loads the server as `config` says; an error means that nothing was measured.
pub fn run(config: &Config) -> Result<Report, String> {
    let address = config.target.resolve()?;
    raise_open_files(config.users);
    let begin = Instant::now();
    let counted_from = begin + config.warmup;
    let (left, time) = match config.length {
        Length::Time(time) => (u64::MAX, time),
        Length::Requests(requests) => (requests, Duration::from_secs_f64(MAX_SECONDS)),
    };
    let count = config.users as usize;
    let mut run = Run {
        config,
        address,
        request: config.target.request(config.keep_alive),
        poll: Poll::new().map_err(|fault| format!("make an event queue: {fault}"))?,
        users: (0..count).map(|_| User::default()).collect(),
        timers: BinaryHeap::new(),
        watched: vec![false; count],
        lingering: VecDeque::new(),
        left,
        busy: 0,
        counted_from,
        stop_at: counted_from + time,
        waited: Duration::ZERO,
        tally: Tally {
            recorder: Recorder::new()?,
            requests: 0,
            succeeded: 0,
            body_bytes: 0,
            errors: Errors::default(),
            examples: BTreeMap::new(),
            last_end: counted_from,
            last_success: counted_from,
        },
    };
    run.go().map_err(|fault| format!("wait for sockets: {fault}"))?;
    run.report()
}

impl Run<'_> {
    fn go(&mut self) -> io::Result<()> {
        for user in 0..self.users.len() {
            self.start(user);
        }
        let mut events = Events::with_capacity(self.users.len().clamp(16, 1024));
        while self.busy > 0 {
            let now = Instant::now();
            let next = self.timers.peek().map(|Reverse((at, _))| at.saturating_duration_since(now));
            match self.poll.poll(&mut events, next) {
                Ok(()) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault),
            }
            let woken_at = Instant::now();
            self.waited += woken_at.saturating_duration_since(now.max(self.counted_from));
            for event in &events {
                let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                self.go_on(event.token().0, readable, woken_at);
            }
            self.fire_timers(woken_at);
            while self.lingering.front().is_some_and(|(until, _)| *until <= woken_at) {
                self.lingering.pop_front();
            }
        }
        Ok(())
    }

    /// Starts a user's next request, unless the run is over.
    fn start(&mut self, user: usize) {
        let now = Instant::now();
        if self.left == 0 || now >= self.stop_at {
            return;
        }
        self.left -= 1;
        self.busy += 1;
        self.users[user].deadline = Some(now + self.config.timeout);
        match self.users[user].idle.take() {
            Some(stream) => {
                self.users[user].exchange = Some(Exchange::reuse(stream, now, self.config.expect.as_deref()));
                // A fresh edge for writing does not come: the socket has been writable all along.
                self.go_on(user, false, now);
            }
            None => self.connect(user, now),
        }
        if !self.watched[user] && self.users[user].exchange.is_some() {
            self.watched[user] = true;
            self.timers.push(Reverse((now + self.config.timeout, Timer::Late(user))));
        }
    }

    fn connect(&mut self, user: usize, wanted_at: Instant) {
        let begun =
            Exchange::connect(self.address, wanted_at, self.config.expect.as_deref()).and_then(|mut exchange| {
                self.poll
                    .registry()
                    .register(exchange.stream(), Token(user), Interest::READABLE | Interest::WRITABLE)
                    .map_err(|fault| Failure::new(Kind::Connect, fault))?;
                Ok(exchange)
            });
        match begun {
            Ok(exchange) => {
                self.users[user].exchange = Some(exchange);
                // On one node the handshake is done when connect(2) returns. To leave that to
                // the next wake-up would count the generator's own queue as connecting.
                self.go_on(user, false, Instant::now());
            }
            Err(failure) => self.failed(user, failure),
        }
    }

    fn go_on(&mut self, user: usize, readable: bool, woken_at: Instant) {
        let Some(exchange) = self.users[user].exchange.as_mut() else { return };
        match exchange.go_on(&self.request, readable, woken_at) {
            Progress::Waiting => {}
            Progress::Answered(sample) => self.answered(user, &sample),
            Progress::Stale => {
                let wanted_at = exchange.wanted_at();
                self.users[user].exchange = None;
                self.connect(user, wanted_at);
            }
            Progress::Failed(failure) => self.failed(user, failure),
        }
    }

    fn answered(&mut self, user: usize, sample: &Sample) {
        let Some(exchange) = self.users[user].exchange.take() else { return };
        self.busy -= 1;
        let (response, mut stream) = exchange.into_parts();
        let counted = self.tally.count(self.counted_from);
        if self.config.keep_alive && response.reusable() {
            self.users[user].idle = Some(stream);
        } else {
            let _ = self.poll.registry().deregister(&mut stream);
            self.linger(stream);
        }
        match verdict(&response, self.config) {
            Ok(()) if counted => {
                self.tally.succeeded += 1;
                self.tally.body_bytes += response.body_bytes();
                self.tally.last_success = self.tally.last_end;
                self.tally.recorder.record(sample);
            }
            Ok(()) => {}
            Err(failure) if counted => self.tally.failure(failure),
            Err(_) => {}
        }
        self.start(user);
    }

    fn linger(&mut self, stream: TcpStream) {
        if self.lingering.len() >= MAX_LINGERING {
            self.lingering.pop_front();
        }
        self.lingering.push_back((Instant::now() + LINGER, stream));
    }

    fn failed(&mut self, user: usize, failure: Failure) {
        self.busy -= 1;
        if let Some(exchange) = self.users[user].exchange.take() {
            // Ends what a server may still be working on; dropping alone would leave it half open.
            let (_, stream) = exchange.into_parts();
            let _ = stream.shutdown(Shutdown::Both);
        }
        if self.tally.count(self.counted_from) {
            self.tally.failure(failure);
        }
        let now = Instant::now();
        if self.left > 0 && now < self.stop_at {
            // Counts as busy, so that the loop goes on.
            self.busy += 1;
            self.timers.push(Reverse((now + AFTER_FAILURE, Timer::Retry(user))));
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, _))) = self.timers.peek() {
            if *at > now {
                return;
            }
            let Some(Reverse((_, timer))) = self.timers.pop() else { return };
            match timer {
                Timer::Retry(user) => {
                    self.busy -= 1;
                    self.start(user);
                }
                Timer::Late(user) => self.look(user, now),
            }
        }
    }

    /// Gives up a user's request if it is late, and looks again when it could be.
    fn look(&mut self, user: usize, now: Instant) {
        self.watched[user] = false;
        let User { exchange: Some(exchange), deadline: Some(deadline), .. } = &self.users[user] else { return };
        if *deadline > now {
            self.watched[user] = true;
            self.timers.push(Reverse((*deadline, Timer::Late(user))));
            return;
        }
        let message = format!("not answered within {} s ({})", self.config.timeout.as_secs_f64(), exchange.phase());
        self.failed(user, Failure::new(Kind::Timeout, message));
    }

    fn report(&self) -> Result<Report, String> {
        let Tally { requests, succeeded, body_bytes, errors, .. } = self.tally;
        let (end, seconds, requests_wanted) = match self.config.length {
            // Time-outs after the end say nothing about what was achieved in it.
            Length::Time(time) => (self.stop_at.max(self.tally.last_success), Some(time.as_secs_f64()), None),
            Length::Requests(requests) => (self.tally.last_end, None, Some(requests)),
        };
        let seconds_measured = (end - self.counted_from).as_secs_f64();
        let whole = self.counted_from.elapsed().as_secs_f64();
        Ok(Report {
            format: FORMAT.into(),
            generator: env!("CARGO_PKG_VERSION").into(),
            url: self.config.target.url(),
            address: self.address.to_string(),
            users: self.config.users,
            seconds,
            requests_wanted,
            warmup_seconds: self.config.warmup.as_secs_f64(),
            timeout_seconds: self.config.timeout.as_secs_f64(),
            keep_alive: self.config.keep_alive,
            seconds_measured,
            requests,
            succeeded,
            requests_per_second: if seconds_measured > 0.0 { succeeded as f64 / seconds_measured } else { 0.0 },
            generator_busy: (1.0 - self.waited.as_secs_f64() / whole).clamp(0.0, 1.0),
            errors,
            error_examples: self.tally.examples.iter().map(example).collect(),
            body_bytes,
            phases: self.tally.recorder.report()?,
        })
    }
}

impl Tally {
    /// Counts a request that ends now; false if it belongs to the warm-up.
    fn count(&mut self, counted_from: Instant) -> bool {
        let now = Instant::now();
        if now < counted_from {
            return false;
        }
        self.last_end = now;
        self.requests += 1;
        true
    }

    fn failure(&mut self, failure: Failure) {
        *match failure.kind {
            Kind::Connect => &mut self.errors.connect,
            Kind::Timeout => &mut self.errors.timeout,
            Kind::Reset => &mut self.errors.reset,
            Kind::Protocol => &mut self.errors.protocol,
            Kind::Status => &mut self.errors.status,
            Kind::Body => &mut self.errors.body,
        } += 1;
        self.examples.entry(failure.kind).or_insert(failure.message);
    }
}

fn verdict(response: &Response, config: &Config) -> Result<(), Failure> {
    let status = response.status().unwrap_or_default();
    if status != config.status {
        return Err(Failure::new(Kind::Status, format!("status {status} instead of {}", config.status)));
    }
    if !response.found() {
        let expected = config.expect.as_deref().unwrap_or_default();
        return Err(Failure::new(Kind::Body, format!("no {expected:?} in the body")));
    }
    Ok(())
}

fn example((kind, message): (&Kind, &String)) -> ErrorExample {
    ErrorExample { kind: format!("{kind:?}").to_lowercase(), message: message.clone() }
}

/// Many systems allow 1024 open files at first and more on request. Where it
/// is refused, the connections that it costs are reported as errors.
fn raise_open_files(users: u32) {
    let wanted = u64::from(users) + MAX_LINGERING as u64 + 32;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum });
    }
}
