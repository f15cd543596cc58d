//! The clock, read as seldom as possible: where it is no more than a few
//! nanoseconds old, the last reading is as good as a new one. A request on a
//! kept connection takes two readings, and each wake-up one.

use std::time::Instant;

/// A clock that remembers its last reading.
#[derive(Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Reads the time for the first time.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Reads the time.
    pub fn read(&mut self) -> Instant {
        self.0 = Instant::now();
        self.0
    }

    /// The last reading.
    pub fn last(&self) -> Instant {
        self.0
    }
}
