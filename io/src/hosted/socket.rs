//! One socket on another runtime: what arrived and nobody took, what is to be sent, and the receive on its way.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;

use super::base::Transport;
use crate::outbox::Outbox;
use crate::pool::Pool;
use crate::sys;
use crate::waiter::Waiter;

/// A received chunk of at most its buffer's capacity divided by this does not keep a whole buffer.
const SMALL_CHUNK: usize = 4;

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
    received: VecDeque<Vec<u8>>,
    pub(super) received_bytes: usize,
    pub(super) receive_limit: usize,
    /// How all receiving ended, after what is received.
    pub(super) end: Option<Result<(), i32>>,
    /// The peer's FIN or RST was seen beside the receiving.
    pub(super) hangup: bool,
    pub(super) reader: Waiter,
    pub(super) writer: Waiter,
    pub(super) outbox: Outbox,
    /// The job that sends waits here; there is one once something was sent.
    pub(super) sender: Waiter,
    pub(super) has_sender: bool,
    pub(super) send_error: Option<i32>,
    pub(super) shutdown_pending: bool,
    /// The unsent bytes its writer waits for.
    below: usize,
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
            received: VecDeque::new(),
            received_bytes: 0,
            receive_limit,
            end: None,
            hangup: false,
            reader: Waiter::default(),
            writer: Waiter::default(),
            outbox: Outbox::default(),
            sender: Waiter::default(),
            has_sender: false,
            send_error: None,
            shutdown_pending: false,
            below: 0,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match &self.link {
            Link::Bare(fd) => fd.as_fd(),
            Link::Connected(transport) => transport.as_fd(),
        }
    }

    /// Whether the kernel works on a receive or a send of it.
    pub(super) fn is_busy(&self) -> bool {
        self.receiving.is_some() || self.ending || self.outbox.in_flight()
    }

    /// Keeps what a receive gave; small pieces join.
    pub(super) fn arrived(&mut self, result: io::Result<usize>, buffer: Vec<u8>, pool: &mut Pool) {
        pool.lend();
        match result {
            Ok(count) if count > 0 && !self.closing => {
                self.received_bytes += buffer.len();
                match self.received.back_mut() {
                    Some(last) if last.capacity() - last.len() >= buffer.len() => {
                        last.extend_from_slice(&buffer);
                        pool.give(buffer);
                    }
                    _ => self.received.push_back(buffer),
                }
                return;
            }
            // The error of a reset is told once, and a send may have been told.
            Ok(_) => {
                self.end = Some(
                    self.send_error
                        .filter(|code| *code == libc::ECONNRESET)
                        .map_or(Ok(()), Err),
                )
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            Err(error) => self.end = Some(Err(error.raw_os_error().unwrap_or(libc::EIO))),
        }
        pool.give(buffer);
    }

    pub(super) fn pop_received(&mut self) -> Option<Vec<u8>> {
        let buffer = self.received.pop_front()?;
        self.received_bytes -= buffer.len();
        Some(buffer)
    }

    /// Before a wait: what nobody took does not keep a buffer it hardly fills.
    pub(super) fn shrink_received(&mut self, pool: &mut Pool) {
        if let [only] = self.received.make_contiguous()
            && only.len() <= only.capacity() / SMALL_CHUNK
        {
            let small = only.as_slice().to_vec();
            pool.exchange(std::mem::replace(only, small));
        }
    }

    pub(super) fn drop_received(&mut self, pool: &mut Pool) {
        self.received.drain(..).for_each(|buffer| pool.give(buffer));
        self.received_bytes = 0;
    }

    pub(super) fn poll_sent(&mut self, cx: &Context<'_>, below: usize) -> Poll<io::Result<()>> {
        if let Some(code) = self.send_error {
            return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
        }
        if self.outbox.bytes() <= below {
            return Poll::Ready(Ok(()));
        }
        self.below = below;
        self.writer.wait(cx);
        Poll::Pending
    }

    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        if self.outbox.bytes() > 0 {
            self.shutdown_pending = true;
            return Ok(());
        }
        SockRef::from(&self.fd()).shutdown(Shutdown::Write)
    }

    /// A send is done, and `chunk` is back.
    pub(super) fn sent(&mut self, result: io::Result<usize>, chunk: Vec<u8>, pool: &mut Pool) {
        self.outbox.restore(chunk);
        match result {
            Ok(count) if count > 0 => self.outbox.advance(count, pool),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            outcome => {
                let code = outcome.err().and_then(|error| error.raw_os_error());
                self.send_error = Some(code.unwrap_or(libc::EIO));
                self.outbox.clear(pool);
            }
        }
        if self.closing {
            return self.outbox.clear(pool);
        }
        if self.outbox.bytes() == 0 && std::mem::take(&mut self.shutdown_pending) {
            // An error says that the connection has gone, which the next receive says too.
            let _ = SockRef::from(&self.fd()).shutdown(Shutdown::Write);
        }
        if self.outbox.bytes() <= self.below {
            self.writer.wake();
        }
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
