//! What users do: begin a request, go on with it, end it.

use std::cmp::Reverse;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::{Interest, Token};

use super::{MAX_LINGERING, Run, Timer};
use crate::exchange::{Exchange, Failure, Kind, Progress, Ready, Wire};
use crate::phases::Sample;

/// How long a user of a closed loop waits after a failure, so that a refusing
/// server is not asked as fast as the machine can.
const AFTER_FAILURE: Duration = Duration::from_millis(10);
/// How long an answered connection is kept for the server to close it first:
/// whoever closes first keeps the port in TIME_WAIT, and the generator's ports run out.
const LINGER: Duration = Duration::from_millis(100);

impl Run<'_> {
    /// Begins a user's request, which was due at `due_at`.
    pub(super) fn begin(&mut self, user: usize, due_at: Instant) {
        let now = self.clock.last();
        self.busy += 1;
        self.users[user].due_at = due_at;
        match self.users[user].idle.take() {
            Some(stream) => {
                self.users[user].exchange = Some(Exchange::reuse(stream, now, self.config.expect.as_bytes()));
                // A fresh edge for writing does not come: the socket has been writable all along.
                self.go_on(user, Ready::default(), now);
            }
            None => self.connect(user, now),
        }
        if !self.users[user].watched && self.users[user].exchange.is_some() {
            self.users[user].watched = true;
            self.timers.push(Reverse((due_at + self.config.timeout, Timer::Late(user))));
        }
    }

    fn connect(&mut self, user: usize, wanted_at: Instant) {
        match Exchange::connect(self.address, wanted_at, self.config.expect.as_bytes(), &mut self.clock) {
            Ok(exchange) => {
                self.users[user].exchange = Some(exchange);
                // On one node the handshake is done when connect(2) returns. To leave that to
                // the next wake-up would count the generator's own queue as connecting.
                let connected_at = self.clock.last();
                self.go_on(user, Ready::default(), connected_at);
                self.register(user);
            }
            Err(failure) => self.failed(user, failure),
        }
    }

    /// Registers a new connection, once: behind the first try to write, which
    /// tells whether writing needs to be waited for.
    fn register(&mut self, user: usize) {
        let Some(exchange) = &mut self.users[user].exchange else { return };
        let interest =
            if exchange.is_sent() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        if let Err(fault) = self.poll.registry().register(exchange.stream(), Token(user), interest) {
            self.failed(user, Failure::new(Kind::Connect, fault));
        }
    }

    /// Takes what an event said of a user's connection.
    pub(super) fn event(&mut self, user: usize, ready: Ready, woken_at: Instant) {
        if self.users[user].exchange.is_some() {
            self.go_on(user, ready, woken_at);
        } else if ready.readable {
            // Between two requests that is the connection's end, or what nobody asked for.
            self.users[user].idle = None;
        }
    }

    fn go_on(&mut self, user: usize, ready: Ready, woken_at: Instant) {
        let Some(exchange) = &mut self.users[user].exchange else { return };
        let mut wire = Wire {
            request: &self.request,
            expect: self.config.expect.as_bytes(),
            chunk: &mut self.chunk,
            clock: &mut self.clock,
            woken_at,
        };
        match exchange.go_on(&mut wire, ready) {
            Progress::Waiting if exchange.is_reused() && !exchange.is_sent() => {
                // No room for a request at once: rare enough for a registration of its own.
                let both = Interest::READABLE | Interest::WRITABLE;
                if let Err(fault) = self.poll.registry().reregister(exchange.stream(), Token(user), both) {
                    self.failed(user, Failure::new(Kind::Reset, fault));
                }
            }
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
        let at = self.clock.last();
        let counted = self.counts(user, at);
        let Some(exchange) = self.users[user].exchange.take() else { return };
        self.busy -= 1;
        let late = exchange.wanted_at().saturating_duration_since(self.users[user].due_at);
        let ended = exchange.is_ended();
        let (response, mut stream) = exchange.into_parts();
        if counted {
            self.tally.answer(self.config, &response, sample, late, at);
        }
        if ended {
            drop(stream);
        } else if self.config.keep_alive && response.reusable() {
            self.users[user].idle = Some(stream);
        } else {
            let _ = self.poll.registry().deregister(&mut stream);
            if self.lingering.len() >= MAX_LINGERING {
                self.lingering.pop_front();
            }
            self.lingering.push_back((at + LINGER, stream));
        }
        match &mut self.open {
            Some(open) => open.free(user),
            None => self.start(user),
        }
    }

    /// Ends a user's request without an answer.
    pub(super) fn failed(&mut self, user: usize, failure: Failure) {
        self.busy -= 1;
        if let Some(exchange) = self.users[user].exchange.take() {
            // Ends what a server may still be working on; dropping alone would leave it half open.
            let (_, stream) = exchange.into_parts();
            let _ = stream.shutdown(Shutdown::Both);
        }
        let now = self.clock.read();
        if self.counts(user, now) {
            self.tally.failure(failure, now);
        }
        if let Some(open) = &mut self.open {
            open.free(user);
        } else if self.left > 0 && now < self.times.stop_at {
            // Counts as busy, so that the loop goes on.
            self.busy += 1;
            self.timers.push(Reverse((now + AFTER_FAILURE, Timer::Retry(user))));
        }
    }

    /// Whether a user's request that ends at `at` is no longer warm-up: an open
    /// loop's schedule is cut where requests are due, so that none is lost.
    fn counts(&self, user: usize, at: Instant) -> bool {
        let of = if self.open.is_some() { self.users[user].due_at } else { at };
        of >= self.times.counted_from
    }
}
