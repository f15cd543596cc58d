//! An HTTP load generator for the inside of a lab.
//!
//! Closed loop: each of N users sends a request, waits for the whole answer and
//! sends the next; that finds a server's capacity. Open loop: requests are due
//! at times that no answer can shift, and are measured from there; that finds
//! what users of a server with other users feel. A closed loop cannot: while
//! the server stalls it asks nothing, and so omits just the slow answers.
//!
//! All users live in one event loop on one thread: a hundred threads on the two
//! CPUs that also run the server would measure the scheduler.
//!
//! The sockets are raw because the phases demand it: an HTTP client library
//! hides when the connection stood, when the request was out and when the
//! first byte came.
//!
//! The answers that are ready at one wake-up count from that moment, not from
//! when their turn among them came. What becomes ready while the generator is
//! at work is seen at its next wake-up only, so `waiting` holds a part of the
//! generator's own queue once it has much to do: `generator_busy` in the result
//! tells. On one node, `sending` and `waiting` also flow into one another: the
//! server may answer before the system call that sent the request returns.

pub mod args;
mod clock;
pub mod config;
mod dns;
mod exchange;
pub mod null_server;
mod open;
mod pacer;
pub mod phases;
mod process;
mod response;
pub mod result;
pub mod run;
pub mod schedule;
mod tally;
pub mod target;
