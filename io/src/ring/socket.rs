//! One socket of the ring driver: what arrived and nobody took, what is to be sent, which operations are on
//! their way. Owns all memory the kernel uses for it, until the last of them completes.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use socket2::{SockAddr, SockRef};

use super::message::Message;
use crate::outbox::Outbox;
use crate::pool::Pool;
use crate::waiter::Waiter;

/// A received chunk of at most its buffer's capacity divided by this does not keep a whole buffer.
const SMALL_CHUNK: usize = 4;

pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) generation: u32,
    /// Operations the kernel has not completed.
    pub(super) operations: u32,
    pub(super) listening: bool,
    pub(super) closing: bool,

    pub(super) receiving: Receiving,
    /// Noted as wanting to receive; as having received; as having something new to send.
    pub(super) wanting: bool,
    pub(super) fresh: bool,
    pub(super) dirty: bool,
    received: VecDeque<Vec<u8>>,
    pub(super) received_bytes: usize,
    receive_limit: usize,
    /// How all receiving ended, after what is received.
    pub(super) end: Option<Result<(), i32>>,
    /// The peer's FIN or RST was seen beside the receiving.
    pub(super) hangup: bool,
    pub(super) hangup_armed: bool,

    /// A listener may have a connection; a connect is done.
    pub(super) ready: bool,
    pub(super) acceptable_armed: bool,
    pub(super) connecting: bool,
    pub(super) connect_error: Option<i32>,
    pub(super) address: Option<Box<SockAddr>>,

    pub(super) reader: Waiter,
    pub(super) writer: Waiter,
    pub(super) outbox: Outbox,
    pub(super) message: Option<Box<Message>>,
    pub(super) send_error: Option<i32>,
    pub(super) shutdown_pending: bool,
    /// The unsent bytes its writer waits for.
    below: usize,
}

/// Whether a multishot receive is with the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiving {
    Idle,
    Armed,
    Cancelling,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd, generation: u32, receive_limit: usize) -> Self {
        Self {
            fd,
            generation,
            operations: 0,
            listening: false,
            closing: false,
            receiving: Receiving::Idle,
            wanting: false,
            fresh: false,
            dirty: false,
            received: VecDeque::new(),
            received_bytes: 0,
            receive_limit: receive_limit.max(1),
            end: None,
            hangup: false,
            hangup_armed: false,
            ready: false,
            acceptable_armed: false,
            connecting: false,
            connect_error: None,
            address: None,
            reader: Waiter::default(),
            writer: Waiter::default(),
            outbox: Outbox::default(),
            message: None,
            send_error: None,
            shutdown_pending: false,
            below: 0,
        }
    }

    /// How many more bytes may wait for the task.
    pub(super) fn receive_room(&self) -> usize {
        self.receive_limit.saturating_sub(self.received_bytes)
    }

    /// Whether to start receiving again: only with half of the limit free, so that a slow reader does not cost
    /// an operation for each read.
    pub(super) fn may_receive(&self) -> bool {
        self.receiving == Receiving::Idle
            && self.end.is_none()
            && !self.closing
            && self.received_bytes <= self.receive_limit / 2
    }

    /// Keeps what arrived; small pieces join.
    pub(super) fn push_received(&mut self, buffer: Vec<u8>, pool: &mut Pool) {
        self.received_bytes += buffer.len();
        match self.received.back_mut() {
            Some(last) if last.capacity() - last.len() >= buffer.len() => {
                last.extend_from_slice(&buffer);
                pool.give(buffer);
            }
            _ => self.received.push_back(buffer),
        }
    }

    pub(super) fn pop_received(&mut self) -> Option<Vec<u8>> {
        let buffer = self.received.pop_front()?;
        self.received_bytes -= buffer.len();
        Some(buffer)
    }

    /// At the end of the turn: what nobody took does not keep a buffer it hardly fills.
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
        SockRef::from(&self.fd).shutdown(Shutdown::Write)
    }

    /// A send completed: what follows from it but the next send.
    pub(super) fn sent(&mut self, result: Result<usize, i32>, pool: &mut Pool) {
        self.outbox.landed();
        match result {
            Ok(count) => self.outbox.advance(count, pool),
            Err(libc::EAGAIN | libc::EINTR) => {}
            Err(code) => {
                self.send_error = Some(code);
                self.outbox.clear(pool);
            }
        }
        if self.closing {
            return self.outbox.clear(pool);
        }
        if self.outbox.bytes() == 0 && std::mem::take(&mut self.shutdown_pending) {
            // An error says that the connection has gone, which the next receive says too.
            let _ = SockRef::from(&self.fd).shutdown(Shutdown::Write);
        }
        if self.outbox.bytes() <= self.below {
            self.writer.wake();
        }
    }
}
