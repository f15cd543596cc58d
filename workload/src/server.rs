//! The event loop: waits for all connections at once and gives each that is ready one turn.
//!
//! One turn is at most one request, and new connections are accepted in every
//! round, so that nobody waits for another's connection to end. (A loop that
//! accepts, answers and closes one connection after the other measures its own
//! queue instead of the server.)

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::conn::{Conn, Next};
use crate::net::{self, Interest, Listener, Socket, Source};

/// Most connections at once; more wait in the kernel's queue. Below the usual
/// limit of 1024 open files.
const MAX_CONNECTIONS: usize = 1000;
/// Most connections accepted between two waits.
const MAX_ACCEPTS: usize = 64;
/// How long to accept nothing after an accept failed (no memory, no descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The listener's id; connections have their index.
const LISTENER: usize = MAX_CONNECTIONS;

struct Server<'a> {
    listener: &'a Listener,
    /// As long as the highest one taken needs: each round looks at all of them.
    slots: Vec<Option<Conn>>,
    /// The lowest is taken first, so that the slots stay few after a crowd has left.
    free: BTreeSet<usize>,
    /// Connections that have a turn without waiting.
    again: Vec<usize>,
    paused_until: Option<Instant>,
}

/// Serves for ever; returns only if waiting itself fails.
pub fn run(listener: &Listener) -> io::Result<()> {
    let mut server = Server::new(listener);
    let mut ready = Vec::new();
    loop {
        server.round(&mut ready)?;
    }
}

impl<'a> Server<'a> {
    fn new(listener: &'a Listener) -> Self {
        let free = (0..MAX_CONNECTIONS).collect();
        Self { listener, slots: Vec::new(), free, again: Vec::new(), paused_until: None }
    }

    fn round(&mut self, ready: &mut Vec<usize>) -> io::Result<()> {
        ready.clear();
        let earliest = self.wait(ready)?;
        // Taken before the turns: whoever was not ready by now and is late has
        // really been silent, however long the others' turns take.
        let now = Instant::now();
        for id in std::mem::take(&mut self.again) {
            if !ready.contains(&id) {
                ready.push(id);
            }
        }
        for &id in ready.iter() {
            if id != LISTENER {
                self.turn(id);
            }
        }
        if ready.contains(&LISTENER) {
            self.accept(now);
        }
        self.paused_until = self.paused_until.filter(|until| *until > now);
        // Whatever deadlines the turns have set are later than `now`.
        if earliest.is_some_and(|earliest| earliest <= now) {
            for id in 0..self.slots.len() {
                if self.slots[id].as_ref().is_some_and(|conn| conn.deadline() <= now) {
                    self.close(id);
                }
            }
        }
        while matches!(self.slots.last(), Some(None)) {
            self.slots.pop();
        }
        Ok(())
    }

    /// Waits for the sources and for the earliest deadline, which it returns.
    fn wait(&self, ready: &mut Vec<usize>) -> io::Result<Option<Instant>> {
        let mut sources = Vec::with_capacity(self.slots.len() + 1);
        let mut earliest = self.paused_until;
        if self.paused_until.is_none() && !self.free.is_empty() {
            sources.push(Source { id: LISTENER, socket: Socket::Listener(self.listener), interest: Interest::Read });
        }
        for (id, conn) in self.slots.iter().enumerate().filter_map(|(id, slot)| Some((id, slot.as_ref()?))) {
            sources.push(Source { id, socket: Socket::Stream(conn.stream()), interest: conn.interest() });
            earliest = Some(earliest.map_or(conn.deadline(), |earliest| earliest.min(conn.deadline())));
        }
        // Without connections there is nothing to wake up for but the listener.
        let timeout = if self.again.is_empty() {
            earliest.map(|earliest| earliest.saturating_duration_since(Instant::now()))
        } else {
            Some(Duration::ZERO)
        };
        net::wait(&sources, timeout, ready)?;
        Ok(earliest)
    }

    fn turn(&mut self, id: usize) {
        let Some(Some(conn)) = self.slots.get_mut(id) else { return };
        match conn.turn() {
            Next::Wait => {}
            Next::Again => self.again.push(id),
            Next::Close => self.close(id),
        }
    }

    fn close(&mut self, id: usize) {
        self.slots[id] = None;
        self.free.insert(id);
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..MAX_ACCEPTS {
            let Some(id) = self.free.pop_first() else { return };
            match self.listener.accept() {
                Ok(stream) => {
                    if self.slots.len() <= id {
                        self.slots.resize_with(id + 1, || None);
                    }
                    self.slots[id] = Some(Conn::new(stream));
                    // Its request has mostly come along with it.
                    self.turn(id);
                }
                Err(fault) => {
                    self.free.insert(id);
                    match fault.kind() {
                        ErrorKind::WouldBlock => return,
                        // The peer has gone before it was accepted.
                        ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                        _ => {
                            self.paused_until = Some(now + ACCEPT_PAUSE);
                            return;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn slots_are_as_many_as_connections_after_a_crowd_has_left() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let connect = || TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let mut server = Server::new(&listener);
        let mut ready = Vec::new();
        let mut rounds_until = |slots: usize, free: usize| {
            for _ in 0..100 {
                server.round(&mut ready).unwrap();
                if server.slots.len() == slots && server.free.len() == free {
                    return;
                }
            }
            panic!("{} slots, {} free", server.slots.len(), server.free.len());
        };
        let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
        rounds_until(100, MAX_CONNECTIONS - 100);
        // The last to come stays, and with it the slots below.
        crowd.drain(..99);
        rounds_until(100, MAX_CONNECTIONS - 1);
        crowd.push(connect());
        rounds_until(100, MAX_CONNECTIONS - 2);
        crowd.remove(0);
        rounds_until(1, MAX_CONNECTIONS - 1);
    }
}
