//! One socket on another runtime: what arrived and nobody took, what is to be sent, and the receive on its way.

use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;

use super::base::Transport;
use crate::inbox::Inbox;
use crate::pool::Pool;
use crate::sending::Sending;
use crate::sys;
use crate::waiter::Waiter;

/// A receive on its way, with its buffer. Never dropped before it is ready.
pub(super) type Receiving = Pin<Box<dyn Future<Output = (io::Result<usize>, Vec<u8>)>>>;

pub(super) enum Link {
    /// A listener, or a socket that is connecting.
    Bare(OwnedFd),
    Connected(Rc<Transport>),
}

pub(super) struct Socket {
    pub(super) link: Link,
    pub(super) generation: u32,
    pub(super) closing: bool,
    /// A listener may have a connection; a connect is done.
    pub(super) ready: bool,
    /// Known to the readiness of the driver.
    pub(super) watched: bool,
    pub(super) receiving: Option<Receiving>,
    /// Its receive was given to a job, which ends it.
    pub(super) ending: bool,
    pub(super) inbox: Inbox,
    pub(super) receive_limit: usize,
    /// How all receiving ended, after what is received.
    pub(super) end: Option<Result<(), i32>>,
    /// The peer's FIN or RST was seen beside the receiving.
    pub(super) hangup: bool,
    pub(super) reader: Waiter,
    pub(super) sending: Sending,
    /// The job that sends waits here; there is one once something was sent.
    pub(super) sender: Waiter,
    pub(super) has_sender: bool,
}

impl Link {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Bare(fd) => fd.as_fd(),
            Self::Connected(transport) => transport.as_fd(),
        }
    }
}

impl Socket {
    pub(super) fn new(link: Link, generation: u32, receive_limit: usize) -> Self {
        Self {
            link,
            generation,
            closing: false,
            ready: false,
            watched: false,
            receiving: None,
            ending: false,
            inbox: Inbox::default(),
            receive_limit,
            end: None,
            hangup: false,
            reader: Waiter::default(),
            sending: Sending::default(),
            sender: Waiter::default(),
            has_sender: false,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.link.fd()
    }

    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        let Self { link, sending, .. } = self;
        sending.shutdown(link.fd())
    }

    /// Whether the kernel works on a receive or a send of it.
    pub(super) fn is_busy(&self) -> bool {
        self.receiving.is_some() || self.ending || self.sending.outbox.in_flight()
    }

    /// Keeps what a receive gave; small pieces join.
    pub(super) fn arrived(&mut self, result: io::Result<usize>, buffer: Vec<u8>, pool: &mut Pool) {
        pool.lend();
        match result {
            Ok(count) if count > 0 && !self.closing => {
                self.inbox.push(buffer, pool);
                return;
            }
            // The error of a reset is told once, and a send may have been told.
            Ok(_) => {
                self.end = Some(
                    self.sending
                        .error
                        .filter(|code| *code == libc::ECONNRESET)
                        .map_or(Ok(()), Err),
                )
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            Err(error) => self.end = Some(Err(error.raw_os_error().unwrap_or(libc::EIO))),
        }
        pool.give(buffer);
    }

    /// A send is done, and `chunk` is back.
    pub(super) fn sent(&mut self, result: io::Result<usize>, chunk: Vec<u8>, pool: &mut Pool) {
        self.sending.outbox.restore(chunk);
        match result {
            Ok(count) if count > 0 => self.sending.outbox.advance(count, pool),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            outcome => {
                let code = outcome.err().and_then(|error| error.raw_os_error());
                self.sending.fail(code.unwrap_or(libc::EIO), pool);
            }
        }
        if self.closing {
            return self.sending.outbox.clear(pool);
        }
        let Self { link, sending, .. } = self;
        sending.moved(link.fd());
    }

    /// Makes the kernel complete what it works on.
    pub(super) fn interrupt(&self) {
        let fd = self.fd();
        let socket = SockRef::from(&fd);
        // Whoever wants RST must get no FIN before it; disconnecting sends one at once. An error of either call
        // says that the connection has gone, and then everything has completed.
        let _ = match socket.linger() {
            Ok(Some(Duration::ZERO)) => sys::disconnect(fd),
            _ => socket.shutdown(Shutdown::Both),
        };
    }
}
