//! The generator on loopback, as a program.
#![expect(clippy::unwrap_used, reason = "a test ends at the first fault")]

mod closed;
mod null_server;
mod open;
mod plan;
mod servers;
mod stall;
