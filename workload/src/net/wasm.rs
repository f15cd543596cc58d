//! Sockets of WasmEdge, and its `poll_oneoff`.
//!
//! Seen with WasmEdge 0.14.1 and `wasmedge_wasi_socket` 0.5.5:
//! - the standard library's sockets must not be touched here: they import
//!   preview 1's three-argument `sock_accept`, WasmEdge has its own of two;
//! - `poll_oneoff` works, with a thousand connections and with absolute
//!   real-time timers as well, and is nearly as quick as poll(2) natively: 100
//!   users with keep-alive got 101 thousand answers a second, natively 121;
//! - `get_local` lets the host write into an immutable buffer, so an optimised
//!   build reads an address of zeros from it; the port it returns is right;
//! - `TcpListener::accept` asks for the peer's address on each call, a host
//!   call that nobody needs: `Socket::accept` does not.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, SystemTime};

use wasmedge_wasi_socket::poll::{Subscription, poll};
use wasmedge_wasi_socket::socket::{AddressFamily, Socket as Raw, SocketOptLevel, SocketOptName, SocketType};

use super::{BACKLOG, Interest, Socket, Source};

/// This target's name in `/info`.
pub const TARGET: &str = "wasm";

/// A connection.
pub struct Stream(Raw);

/// A listening socket, and the address it was asked to listen on.
pub struct Listener(Raw, SocketAddr);

impl Listener {
    /// Listens on `address` without blocking.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Raw::new(AddressFamily::from(&address), SocketType::Stream)?;
        socket.setsockopt(SocketOptLevel::SolSocket, SocketOptName::SoReuseaddr, 1i32)?;
        socket.bind(&address)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket, address))
    }

    /// The address with the port that the kernel chose, where 0 was asked for.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.get_local().map(|local| SocketAddr::new(self.1.ip(), local.port()))
    }

    /// The next waiting connection, non-blocking; `WouldBlock` if there is none.
    pub fn accept(&self) -> io::Result<Stream> {
        self.0.accept(true).map(Stream)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.send(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_vectored(buffers, 0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells the peer that nothing more comes; what it still sends can be read.
pub fn end_writing(stream: &Stream) -> io::Result<()> {
    stream.0.shutdown(Shutdown::Write)
}

/// Waits until a source is ready or the time is over, and puts the ready ones' ids into `ready`.
pub fn wait(sources: &[Source<'_>], timeout: Option<Duration>, ready: &mut Vec<usize>) -> io::Result<()> {
    /// The id of the timer; no connection has it.
    const TIMER: u64 = u64::MAX;
    let mut subscriptions: Vec<Subscription> = Vec::with_capacity(sources.len() + 1);
    for source in sources {
        let (read, write) = (source.interest == Interest::Read, source.interest == Interest::Write);
        let id = source.id as u64;
        subscriptions.push(match &source.socket {
            Socket::Listener(listener) => Subscription::io(id, &listener.0, read, write, None),
            Socket::Stream(stream) => Subscription::io(id, &stream.0, read, write, None),
        });
    }
    if let Some(timeout) = timeout {
        subscriptions.push(Subscription::timeout(TIMER, SystemTime::now() + timeout));
    }
    for event in poll(&subscriptions)? {
        if event.userdata != TIMER {
            ready.push(event.userdata as usize);
        }
    }
    Ok(())
}

/// Nothing to do: WasmEdge has no signals.
pub fn end_on_signals() -> io::Result<()> {
    Ok(())
}

/// None: WasmEdge's guest knows no process number.
pub fn process_id() -> Option<u32> {
    None
}
