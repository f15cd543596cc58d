//! The watch over a running child: an interruption or its time-out ends the
//! whole tree of processes below it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt;

/// How long a child may take to end after SIGTERM before SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// Ends a child's process group when the user interrupts or time is up.
pub(super) struct Watch {
    groups: Vec<u32>,
    deadline: Option<Instant>,
    finished: AtomicBool,
    interrupted: AtomicBool,
    timed_out: AtomicBool,
}

impl Watch {
    /// Of the process groups `groups`; `timeout` counts from now.
    pub(super) fn start(groups: Vec<u32>, timeout: Option<Duration>) -> Self {
        Self {
            groups,
            deadline: timeout.map(|limit| Instant::now() + limit),
            finished: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
        }
    }

    /// The child has ended: the guard may go.
    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::SeqCst);
    }

    /// Runs beside the child, until it has ended or was ended.
    pub(super) fn guard(&self) {
        let mut terminated: Option<Instant> = None;
        // Short first, since most commands take milliseconds.
        let mut pause = Duration::from_millis(1);
        while !self.finished.load(Ordering::SeqCst) {
            match terminated {
                None => {
                    let interrupted = interrupt::requested();
                    if interrupted || self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
                        (if interrupted { &self.interrupted } else { &self.timed_out }).store(true, Ordering::SeqCst);
                        self.signal(Signal::SIGTERM);
                        terminated = Some(Instant::now());
                    }
                }
                Some(since) if since.elapsed() > GRACE => {
                    self.signal(Signal::SIGKILL);
                    return;
                }
                Some(_) => {}
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Whether the child was ended because it ran too long.
    pub(super) fn timed_out(&self) -> bool {
        self.timed_out.load(Ordering::SeqCst)
    }

    /// Whether the child was ended because the user interrupted.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    fn signal(&self, signal: Signal) {
        for group in self.groups.iter().filter_map(|&id| i32::try_from(id).ok()) {
            // A group that has just ended is what we want: nothing to report.
            killpg(Pid::from_raw(group), signal).ok();
        }
    }
}
