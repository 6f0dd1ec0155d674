//! The sending side of one socket, whichever driver makes the calls: what is to leave, who waits for it, how it ended.
//!
//! Sends nothing itself: the driver does, moves the outbox on and says so.

use std::io;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use socket2::SockRef;

use crate::outbox::Outbox;
use crate::pool::Pool;
use crate::waiter::Waiter;

#[derive(Default)]
pub(crate) struct Sending {
    pub(crate) outbox: Outbox,
    /// Waits for bytes to leave, and before that for the connect.
    pub(crate) writer: Waiter,
    /// Why nothing can be sent any more.
    pub(crate) error: Option<i32>,
    /// FIN is to follow the last byte.
    shutdown_pending: bool,
    /// The unsent bytes its writer waits for.
    below: usize,
}

impl Sending {
    /// Queues `chunk` from `start`. False when nothing can be sent any more.
    pub(crate) fn push(&mut self, chunk: Vec<u8>, start: usize, pool: &mut Pool) -> bool {
        if self.error.is_some() {
            pool.give(chunk);
            return false;
        }
        self.outbox.push(chunk, start, pool);
        true
    }

    /// Ready once at most `below` bytes are unsent.
    pub(crate) fn poll(&mut self, cx: &Context<'_>, below: usize) -> Poll<io::Result<()>> {
        if let Some(code) = self.error {
            return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
        }
        if self.outbox.bytes() <= below {
            return Poll::Ready(Ok(()));
        }
        self.below = below;
        self.writer.wait(cx);
        Poll::Pending
    }

    /// Whether something is to happen as soon as what is on its way has left: a task waits, FIN follows, or more bytes.
    pub(crate) fn is_awaited(&self) -> bool {
        self.writer.is_waiting() || self.shutdown_pending || self.outbox.has_more()
    }

    /// Has FIN follow the last byte.
    pub(crate) fn shutdown(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if self.outbox.bytes() > 0 {
            self.shutdown_pending = true;
            return Ok(());
        }
        SockRef::from(&fd).shutdown(Shutdown::Write)
    }

    /// The kernel refused a send for good.
    pub(crate) fn fail(&mut self, code: i32, pool: &mut Pool) {
        self.error = Some(code);
        self.outbox.clear(pool);
    }

    /// The kernel took what it would, or all was given up.
    pub(crate) fn moved(&mut self, fd: BorrowedFd<'_>) {
        if self.outbox.bytes() == 0 && std::mem::take(&mut self.shutdown_pending) {
            // An error says that the connection has gone, which the next receive says too.
            let _ = SockRef::from(&fd).shutdown(Shutdown::Write);
        }
        if self.outbox.bytes() <= self.below {
            self.writer.wake();
        }
    }

    /// The socket closes: nobody waits, and what the kernel is not reading is given up.
    pub(crate) fn close(&mut self, pool: &mut Pool) {
        self.writer.forget();
        if !self.outbox.in_flight() {
            self.outbox.clear(pool);
        }
    }
}
