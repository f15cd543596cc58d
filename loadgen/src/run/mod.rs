//! The event loop of a run: when users begin, their time-outs and the end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpStream;
use mio::{Events, Poll};

use crate::clock::Clock;
use crate::config::{Config, Length, MAX_SECONDS};
use crate::exchange::{Exchange, Failure, Kind, Ready};
use crate::open::{Due, OpenUsers};
use crate::phases::Recorder;
use crate::process;
use crate::result::Report;
use crate::tally::{Tally, Times};

mod users;

/// Most answered connections that wait for the server to close them.
const MAX_LINGERING: usize = 512;
/// How long after the end of an open loop an answer may still come.
const AFTER_OPEN: Duration = Duration::from_secs(2);
/// The same of a closed loop, whose users may all wait in a slow server's queue.
const AFTER_CLOSED: Duration = Duration::from_secs(20);
/// Bytes that are read at once: a larger answer costs more system calls.
const CHUNK: usize = 64 * 1024;

/// One user; at most one request at a time.
struct User {
    exchange: Option<Exchange>,
    /// A connection to use again.
    idle: Option<TcpStream>,
    /// When the request was due; in a closed loop, when it was begun.
    due_at: Instant,
    /// Whether a [`Timer::Late`] of this user is in the heap: one at most is.
    watched: bool,
}

/// What is to be done at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Look whether that user's request is late.
    Late(usize),
    /// That user tries again.
    Retry(usize),
}

struct Run<'a> {
    config: &'a Config,
    address: SocketAddr,
    request: Vec<u8>,
    chunk: Box<[u8]>,
    clock: Clock,
    poll: Poll,
    users: Vec<User>,
    open: Option<OpenUsers>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    lingering: VecDeque<(Instant, TcpStream)>,
    /// Requests that a closed loop may still start.
    left: u64,
    /// Users with a request under way or about to try again.
    busy: usize,
    times: Times,
    /// When a run of a given time ends, whatever is under way.
    give_up_at: Option<Instant>,
    tally: Tally,
}

/// Loads the server at `address` as `config` says, beginning at `start_at` if
/// that is yet to come; an error means that nothing was measured.
pub fn run(config: &Config, address: SocketAddr, start_at: Option<SystemTime>) -> Result<Report, String> {
    let (left, time) = match config.length {
        Length::Time(time) => (u64::MAX, time),
        Length::Requests(requests) => (requests, Duration::from_secs_f64(MAX_SECONDS)),
    };
    let timed = matches!(config.length, Length::Time(_));
    process::raise_open_files(u64::from(config.users) + MAX_LINGERING as u64 + 32);
    let queue = |fault: io::Error| format!("make an event queue: {fault}");
    let poll = Poll::new().map_err(queue)?;
    let count = config.users as usize;
    let mut open = None;
    if let Some(asked) = &config.open {
        let users = OpenUsers::new(asked, count, config.warmup + time, left, poll.registry());
        open = Some(users.map_err(queue)?);
    }
    let now = Instant::now();
    let users = (0..count).map(|_| User { exchange: None, idle: None, due_at: now, watched: false }).collect();
    let recorder = Recorder::new(config.open.is_some())?;
    let started_late = start_at.map(wait_until).unwrap_or_default();

    let clock = Clock::start();
    let counted_from = clock.last() + config.warmup;
    let times = Times {
        counted_from,
        counted_from_wall: SystemTime::now() + config.warmup,
        stop_at: counted_from + time,
        started_late,
    };
    if let Some(open) = &mut open {
        open.begin(clock.last());
    }
    let mut run = Run {
        config,
        address,
        request: config.target.request(config.keep_alive),
        chunk: vec![0_u8; CHUNK].into_boxed_slice(),
        clock,
        poll,
        users,
        give_up_at: timed.then(|| times.stop_at + if open.is_some() { AFTER_OPEN } else { AFTER_CLOSED }),
        open,
        timers: BinaryHeap::new(),
        lingering: VecDeque::new(),
        left,
        busy: 0,
        times,
        tally: Tally::new(recorder, &times),
    };
    run.go().map_err(|fault| format!("wait for sockets: {fault}"))?;
    run.tally.report(config, address, &run.times)
}

/// Waits until `at`; returns how much later than that it is then.
fn wait_until(at: SystemTime) -> Duration {
    std::thread::sleep(at.duration_since(SystemTime::now()).unwrap_or_default());
    SystemTime::now().duration_since(at).unwrap_or_default()
}

impl Run<'_> {
    fn go(&mut self) -> io::Result<()> {
        self.tally.begin_if_due(self.clock.last());
        if self.open.is_none() {
            for user in 0..self.users.len() {
                self.start(user);
            }
        }
        let mut events = Events::with_capacity(self.users.len().clamp(16, 1024));
        loop {
            self.start_due();
            let now = self.clock.read();
            if self.is_over(now) {
                break;
            }
            let wait = self.wait(now)?;
            match self.poll.poll(&mut events, wait) {
                Ok(()) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault),
            }
            let woken_at = self.clock.read();
            self.tally.waited += woken_at.saturating_duration_since(now.max(self.times.counted_from));
            self.tally.begin_if_due(woken_at);
            self.start_due();
            for event in &events {
                // The pacer's token is no user's.
                if event.token().0 < self.users.len() {
                    self.event(event.token().0, Ready::from(event), woken_at);
                    self.start_due();
                }
            }
            self.fire_timers(woken_at);
            while self.lingering.front().is_some_and(|(until, _)| *until <= woken_at) {
                self.lingering.pop_front();
            }
        }
        self.give_up();
        Ok(())
    }

    fn is_over(&self, now: Instant) -> bool {
        if self.give_up_at.is_some_and(|at| now >= at) {
            return true;
        }
        let Some(open) = &self.open else { return self.busy == 0 };
        // The asked time is measured to its end, even where nothing more is due.
        let may_end = self.give_up_at.is_none() || now >= self.times.stop_at;
        may_end && self.busy == 0 && open.is_exhausted()
    }

    /// How long to wait for sockets; sets the pacer for what is sooner.
    fn wait(&mut self, now: Instant) -> io::Result<Option<Duration>> {
        let mut end = self.give_up_at;
        if let Some(open) = &mut self.open {
            if !open.set_pacer(now)? {
                return Ok(Some(Duration::ZERO));
            }
            end = end.map(|at| if now < self.times.stop_at { self.times.stop_at } else { at });
        }
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let next = timer.into_iter().chain(end).min();
        Ok(next.map(|at| at.saturating_duration_since(now)))
    }

    /// Open loop: begins what is due, as far as users are free.
    fn start_due(&mut self) {
        while let Some(due) = self.take_due() {
            self.begin(due.user, due.at);
        }
    }

    fn take_due(&mut self) -> Option<Due> {
        let open = self.open.as_mut()?;
        open.take(self.clock.last(), self.config.timeout, self.times.counted_from, &mut self.tally)
    }

    /// Closed loop: starts a user's next request, unless the run is over.
    fn start(&mut self, user: usize) {
        let now = self.clock.last();
        if self.left == 0 || now >= self.times.stop_at {
            return;
        }
        self.left -= 1;
        self.begin(user, now);
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
        self.users[user].watched = false;
        let User { exchange: Some(exchange), due_at, .. } = &self.users[user] else { return };
        let deadline = *due_at + self.config.timeout;
        if deadline > now {
            self.users[user].watched = true;
            self.timers.push(Reverse((deadline, Timer::Late(user))));
            return;
        }
        let message = format!("not answered within {} s ({})", self.config.timeout.as_secs_f64(), exchange.phase());
        self.failed(user, Failure::new(Kind::Timeout, message));
    }

    /// Counts what is still under way or waits when the time for it is over.
    fn give_up(&mut self) {
        let waited = if self.open.is_some() { AFTER_OPEN } else { AFTER_CLOSED };
        for user in 0..self.users.len() {
            if let Some(exchange) = &self.users[user].exchange {
                let phase = exchange.phase();
                let message = format!("not answered within {} s of the end ({phase})", waited.as_secs());
                self.failed(user, Failure::new(Kind::Timeout, message));
            }
        }
        if let Some(open) = &mut self.open {
            open.drop_rest(self.times.counted_from, &mut self.tally);
        }
    }
}
