//! Wakes the event loop when the next request is due.
//!
//! epoll's own time-out will not do: it has whole milliseconds, and the kernel
//! lets it come 50 us late besides (timer slack). A timerfd has nanoseconds
//! and no slack, and is one more thing that epoll waits for; an idle machine
//! wakes up some ten microseconds after it. Spinning would be more exact still,
//! but on a node's few CPUs it takes time from the server that is measured.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// A timer in the event loop.
#[derive(Debug)]
pub struct Pacer {
    timer: OwnedFd,
    set_to: Option<Instant>,
}

impl Pacer {
    /// A timer that wakes `registry` with `token`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        // The clock that `Instant` reads.
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, set_to: None })
    }

    /// Wakes the loop at `at`, which is after `now`, the time just read. The
    /// timer is never read: each time it fires is a fresh edge, and setting it
    /// anew takes back an edge that was not seen yet.
    pub fn set(&mut self, at: Instant, now: Instant) -> io::Result<()> {
        if self.set_to == Some(at) {
            return Ok(());
        }
        let wait = at.saturating_duration_since(now).max(Duration::from_nanos(1));
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let setting = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        self.set_to = Some(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_wakes_each_time_and_never_early() {
        let mut poll = mio::Poll::new().unwrap();
        let mut pacer = Pacer::new(poll.registry(), Token(7)).unwrap();
        let mut events = mio::Events::with_capacity(4);
        for us in [1, 300, 2000] {
            let now = Instant::now();
            let at = now + Duration::from_micros(us);
            pacer.set(at, now).unwrap();
            pacer.set(at, now).unwrap();
            loop {
                poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
                if let Some(event) = events.iter().next() {
                    assert_eq!(event.token(), Token(7));
                    break;
                }
            }
            assert!(Instant::now() >= at, "{us}");
        }
    }
}
