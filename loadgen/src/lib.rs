//! A closed-loop HTTP load generator for the inside of a lab.
//!
//! Each of N users sends a request, waits for the whole answer and sends the
//! next. All users live in one event loop on one thread: a hundred threads on
//! the two CPUs that also run the server would measure the scheduler.
//!
//! The sockets are raw because the phases demand it: an HTTP client library
//! hides when the connection stood, when the request was out and when the
//! first byte came.
//!
//! What waits for the generator itself is not billed to the server: events
//! count from the moment the kernel reported them, not from when their turn
//! came among the other users' events.

pub mod args;
mod dns;
pub mod exchange;
pub mod phases;
pub mod response;
pub mod result;
pub mod run;
pub mod target;
