//! The users of an open loop: which are free, and what is due for them.

use std::io;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use crate::config::Open;
use crate::pacer::Pacer;
use crate::schedule::Schedule;
use crate::tally::Tally;

/// A request begun later than this after it was due is counted as late.
const LATE: Duration = Duration::from_millis(1);

/// The schedule and who may serve it.
pub struct OpenUsers {
    schedule: Schedule,
    pacer: Pacer,
    begin: Instant,
    /// Who came free last is first, as in a client's connection pool: a server
    /// that keeps up sees few connections, not all of them in turn.
    free: Vec<usize>,
}

/// A request that is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// Who sends it.
    pub user: usize,
    /// When it was due.
    pub at: Instant,
}

impl OpenUsers {
    /// `count` free users and a schedule until `end`, of at most `most`
    /// requests. The pacer's token is `count`.
    pub fn new(open: &Open, count: usize, end: Duration, most: u64, registry: &Registry) -> io::Result<Self> {
        Ok(Self {
            schedule: Schedule::new(open.arrivals, open.rate, open.seed, end, most),
            pacer: Pacer::new(registry, Token(count))?,
            begin: Instant::now(),
            free: (0..count).rev().collect(),
        })
    }

    /// The schedule begins at this time.
    pub fn begin(&mut self, at: Instant) {
        self.begin = at;
    }

    /// Whether nothing is or will be due.
    pub fn is_exhausted(&self) -> bool {
        self.schedule.due().is_none()
    }

    /// A user is free.
    pub fn free(&mut self, user: usize) {
        self.free.push(user);
    }

    /// Takes the next request if it is due at `now` and a user is free for it.
    /// What has waited longer than `timeout` is counted as unsent on the way.
    pub fn take(&mut self, now: Instant, timeout: Duration, counted_from: Instant, tally: &mut Tally) -> Option<Due> {
        let user = *self.free.last()?;
        loop {
            let at = self.begin + self.schedule.due()?;
            let late = now.checked_duration_since(at)?;
            self.schedule.advance();
            let counted = u64::from(at >= counted_from);
            tally.scheduled += counted;
            if late > timeout {
                tally.unsent += counted;
                continue;
            }
            if late > LATE {
                tally.late_starts += counted;
            }
            self.free.pop();
            return Some(Due { user, at });
        }
    }

    /// Sets the pacer for the next request that a user is free for; false if
    /// that is due already.
    pub fn set_pacer(&mut self, now: Instant) -> io::Result<bool> {
        let (false, Some(due)) = (self.free.is_empty(), self.schedule.due()) else { return Ok(true) };
        let at = self.begin + due;
        if at <= now {
            return Ok(false);
        }
        self.pacer.set(at, now)?;
        Ok(true)
    }

    /// Counts all that is left as unsent.
    pub fn drop_rest(&mut self, counted_from: Instant, tally: &mut Tally) {
        while let Some(due) = self.schedule.due() {
            self.schedule.advance();
            let counted = u64::from(self.begin + due >= counted_from);
            tally.scheduled += counted;
            tally.unsent += counted;
        }
    }
}
