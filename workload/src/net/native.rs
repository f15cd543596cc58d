//! Sockets of the standard library (but for the listen queue's length), and poll(2).

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{BACKLOG, Interest, Socket, Source};

/// This target's name in `/info`.
pub const TARGET: &str = "native";

/// A connection.
pub type Stream = std::net::TcpStream;

/// A listening socket.
pub struct Listener(TcpListener);

impl Listener {
    /// Listens on `address` without blocking.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        Ok(Self(TcpListener::from(socket)))
    }

    /// The address with the port that the kernel chose, where 0 was asked for.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next waiting connection, non-blocking; `WouldBlock` if there is none.
    pub fn accept(&self) -> io::Result<Stream> {
        let (stream, _) = self.0.accept()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

impl Socket<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Listener(listener) => listener.0.as_fd(),
            Self::Stream(stream) => stream.as_fd(),
        }
    }
}

/// Tells the peer that nothing more comes; what it still sends can be read.
pub fn end_writing(stream: &Stream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)
}

/// Waits until a source is ready or the time is over, and puts the ready ones' ids into `ready`.
pub fn wait(sources: &[Source<'_>], timeout: Option<Duration>, ready: &mut Vec<usize>) -> io::Result<()> {
    let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(sources.len());
    for source in sources {
        let flags = match source.interest {
            Interest::Read => PollFlags::IN,
            Interest::Write => PollFlags::OUT,
        };
        polled.push(PollFd::from_borrowed_fd(source.socket.fd(), flags));
    }
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(()),
        Err(fault) => return Err(fault.into()),
    }
    ready.extend(polled.iter().zip(sources).filter(|(fd, _)| !fd.revents().is_empty()).map(|(_, source)| source.id));
    Ok(())
}

/// Ends the process on SIGTERM and SIGINT: as process 1 of a container it
/// would otherwise never see them, and every pod would take its whole grace
/// period to end.
pub fn end_on_signals() -> io::Result<()> {
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::new(AtomicBool::new(true)))?;
    }
    Ok(())
}

/// The process's number.
pub fn process_id() -> Option<u32> {
    Some(std::process::id())
}
