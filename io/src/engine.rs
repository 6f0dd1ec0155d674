//! The two drivers behind one face, chosen once and dispatched without a vtable.
//!
//! A driver knows sockets by key. It owns their descriptors, what they received and nobody took, and what they
//! have to send. It never blocks but in `enter`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::epoll::Epoll;
use crate::executor::Executor;
use crate::options::{Driver, DriverChoice, DriverKind, Options, StartError};
use crate::pool::Pool;
use crate::ring::Ring;

/// A socket's place in its driver; valid until `close`.
pub(crate) type Key = usize;

pub(crate) enum Engine {
    Ring(Box<Ring>),
    Epoll(Box<Epoll>),
    /// Sockets on another runtime, which [`crate::hosted::start`] makes.
    #[cfg(feature = "hosted")]
    Hosted(Box<crate::hosted::Driver>),
}

/// Calls the same method of whichever driver runs.
macro_rules! each {
    ($engine:expr, $driver:ident => $call:expr) => {
        match $engine {
            Engine::Ring($driver) => $call,
            Engine::Epoll($driver) => $call,
            #[cfg(feature = "hosted")]
            Engine::Hosted($driver) => $call,
        }
    };
}

impl Engine {
    pub(crate) fn new(options: &Options, executor: &Executor) -> Result<(Self, Driver), StartError> {
        let mut fallback_reason = None;
        if options.driver != DriverChoice::Epoll {
            match Ring::new(options, executor) {
                Ok(ring) => {
                    let driver = Driver {
                        kind: DriverKind::Uring,
                        fallback_reason: None,
                    };
                    return Ok((Self::Ring(Box::new(ring)), driver));
                }
                Err(error) if options.driver == DriverChoice::Uring => return Err(error),
                Err(error) => fallback_reason = Some(format!("{}: {}", error.step, error.source)),
            }
        }
        let epoll = Epoll::new(options, executor)?;
        Ok((
            Self::Epoll(Box::new(epoll)),
            Driver {
                kind: DriverKind::Epoll,
                fallback_reason,
            },
        ))
    }

    /// Takes over a connected socket. `eager` says that its peer speaks first.
    pub(crate) fn attach(&mut self, fd: OwnedFd, receive_limit: usize, eager: bool) -> io::Result<Key> {
        each!(self, driver => driver.attach(fd, receive_limit, eager))
    }

    /// Starts to connect; then `poll_connected` until ready, or `close`.
    pub(crate) fn connect(&mut self, fd: OwnedFd, to: SocketAddr, receive_limit: usize) -> io::Result<Key> {
        each!(self, driver => driver.connect(fd, to, receive_limit))
    }

    pub(crate) fn poll_connected(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        each!(self, driver => driver.poll_connected(key, cx))
    }

    /// Takes over a listening socket.
    pub(crate) fn listen(&mut self, fd: OwnedFd) -> io::Result<Key> {
        each!(self, driver => driver.listen(fd))
    }

    /// Ready while the queue of a listener may hold a connection.
    pub(crate) fn poll_acceptable(&mut self, key: Key, cx: &Context<'_>) -> Poll<()> {
        each!(self, driver => driver.poll_acceptable(key, cx))
    }

    /// The queue of a listener was found empty.
    pub(crate) fn accepted_all(&mut self, key: Key) {
        each!(self, driver => driver.accepted_all(key))
    }

    /// One lent buffer of received bytes, in order; empty at the peer's FIN.
    pub(crate) fn poll_receive(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        each!(self, driver => driver.poll_receive(key, cx))
    }

    /// Ready once the peer has sent FIN or RST.
    pub(crate) fn poll_closed(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, driver => driver.poll_closed(key, cx))
    }

    /// Whether bytes, FIN or an error are known to have come.
    pub(crate) fn is_readable(&mut self, key: Key) -> bool {
        each!(self, driver => driver.is_readable(key))
    }

    /// Queues a lent buffer, from `start`, to be sent at the end of the turn.
    pub(crate) fn send(&mut self, key: Key, chunk: Vec<u8>, start: usize) {
        each!(self, driver => driver.send(key, chunk, start))
    }

    /// Bytes queued and not yet taken by the kernel.
    pub(crate) fn unsent(&self, key: Key) -> usize {
        each!(self, driver => driver.unsent(key))
    }

    /// Ready once at most `below` bytes are unsent.
    pub(crate) fn poll_sent(&mut self, key: Key, cx: &Context<'_>, below: usize) -> Poll<io::Result<()>> {
        each!(self, driver => driver.poll_sent(key, cx, below))
    }

    /// Leaves what comes from now on in the kernel, until a task waits in `poll_receive`.
    pub(crate) fn receive_by_hand(&mut self, key: Key) {
        if let Self::Ring(ring) = self {
            ring.receive_by_hand(key);
        }
    }

    /// Moves received bytes that nobody asked for into an empty pipe; 0 when that cannot be done, for which
    /// `poll_receive` is the way.
    pub(crate) fn poll_splice_in(
        &mut self,
        key: Key,
        pipe: BorrowedFd<'_>,
        most: usize,
        cx: &Context<'_>,
    ) -> Poll<usize> {
        each!(self, driver => driver.poll_splice_in(key, pipe, most, cx))
    }

    /// Sends bytes that a pipe holds, when nothing is queued before them.
    pub(crate) fn poll_splice_out(
        &mut self,
        key: Key,
        pipe: BorrowedFd<'_>,
        held: usize,
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        each!(self, driver => driver.poll_splice_out(key, pipe, held, cx))
    }

    /// FIN, after what is queued.
    pub(crate) fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        each!(self, driver => driver.shutdown_write(key))
    }

    pub(crate) fn fd(&self, key: Key) -> BorrowedFd<'_> {
        each!(self, driver => driver.fd(key))
    }

    /// Gives the socket up. Its descriptor closes as soon as the kernel uses none of its memory.
    pub(crate) fn close(&mut self, key: Key) {
        each!(self, driver => driver.close(key))
    }

    pub(crate) fn pool(&mut self) -> &mut Pool {
        each!(self, driver => driver.pool())
    }

    /// Starts sending what the tasks of this turn queued.
    pub(crate) fn flush(&mut self) {
        each!(self, driver => driver.flush())
    }

    /// Waits at most `wait` (for ever without one) and wakes the tasks whose sockets moved. True when another
    /// thread woke a task.
    pub(crate) fn enter(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        each!(self, driver => driver.enter(wait))
    }

    /// Sockets whose descriptor is open.
    pub(crate) fn sockets(&self) -> usize {
        each!(self, driver => driver.sockets())
    }

    /// Operations of sockets the kernel has not completed.
    pub(crate) fn operations(&self) -> usize {
        each!(self, driver => driver.operations())
    }

    /// Sockets given up whose descriptor is still open.
    pub(crate) fn closing(&self) -> usize {
        each!(self, driver => driver.closing())
    }
}
