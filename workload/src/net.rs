//! The only place where the two targets differ: sockets, waiting and signals.
//!
//! Both sides offer the same names: `Listener`, `Stream` (non-blocking, `Read`
//! and `Write`), `wait`, `end_on_signals`, `process_id`, `TARGET`.
//!
//! No side sets `TCP_NODELAY`, since WasmEdge's sockets cannot; every answer is
//! one gathering write, so Nagle's algorithm has nothing to hold back.

#[cfg(not(target_os = "wasi"))]
mod native;
#[cfg(target_os = "wasi")]
mod wasm;

#[cfg(not(target_os = "wasi"))]
pub use native::*;
#[cfg(target_os = "wasi")]
pub use wasm::*;

/// How many not yet accepted connections the kernel keeps (it caps this at
/// `net.core.somaxconn`). The same for both targets: the standard library's
/// 128 made two thousand users wait a second for a connection.
const BACKLOG: i32 = 4096;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes from the peer, or its end.
    Read,
    /// Room for more bytes to the peer.
    Write,
}

/// One source to wait for, with the number by which `wait` reports it.
pub struct Source<'a> {
    /// Reported when the source is ready.
    pub id: usize,
    /// The socket.
    pub socket: Socket<'a>,
    /// What to wait for.
    pub interest: Interest,
}

/// A socket of either kind.
pub enum Socket<'a> {
    /// Ready to read when a connection can be accepted.
    Listener(&'a Listener),
    /// A connection.
    Stream(&'a Stream),
}
