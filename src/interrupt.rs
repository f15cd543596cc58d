//! Ctrl-C, SIGTERM and SIGHUP: the first asks everything to stop cleanly, the
//! second ends the process at once with exit code 130.
//!
//! Signals belong to the whole process, hence the one static of this program.

use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};

static SIGNALS: AtomicU8 = AtomicU8::new(0);

/// Exit code of an interrupted run (128 + SIGINT), as shells use it.
pub const EXIT_CODE: u8 = 130;

/// Work was stopped because the user asked for it. Callers branch on this type
/// to tell an interruption (exit code 130) from a failure (exit code 1).
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Installs the handler; call once, before any child is started.
pub fn install() -> Result<()> {
    ctrlc::set_handler(|| {
        if SIGNALS.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(EXIT_CODE.into());
        }
    })
    .context("install the handler for Ctrl-C")
}

/// Whether the user asked to stop.
#[must_use]
pub fn requested() -> bool {
    SIGNALS.load(Ordering::SeqCst) > 0
}

/// An [`Interrupted`] error if the user asked to stop; call it in every loop
/// that waits and before every piece of work that can be left out.
pub fn check() -> Result<(), Interrupted> {
    if requested() { Err(Interrupted) } else { Ok(()) }
}
