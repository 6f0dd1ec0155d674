//! One socket of the ring driver: what arrived and nobody took, what is to be sent, which operations are on
//! their way. Owns all memory the kernel uses for it, until the last of them completes.

use std::os::fd::{AsFd, OwnedFd};

use socket2::SockAddr;

use super::message::Message;
use crate::inbox::Inbox;
use crate::pool::Pool;
use crate::sending::Sending;
use crate::waiter::Waiter;

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
    pub(super) inbox: Inbox,
    receive_limit: usize,
    /// How all receiving ended, after what is received.
    pub(super) end: Option<Result<(), i32>>,
    /// The peer's FIN or RST was seen beside the receiving.
    pub(super) hangup: bool,
    pub(super) hangup_armed: bool,
    /// What it was seen to be, if no FIN; the socket then no longer says it itself.
    pub(super) reset: Option<i32>,
    /// Its task takes bytes out of the kernel itself.
    pub(super) by_hand: bool,
    pub(super) readable_armed: bool,
    pub(super) writable_armed: bool,

    /// A listener may have a connection; a connect is done.
    pub(super) ready: bool,
    pub(super) acceptable_armed: bool,
    pub(super) connecting: bool,
    pub(super) connect_error: Option<i32>,
    pub(super) address: Option<Box<SockAddr>>,

    pub(super) reader: Waiter,
    pub(super) sending: Sending,
    /// The send on its way completes only if the kernel does not take all of it at once.
    pub(super) at_once: bool,
    /// The last send found no room for all of it in the kernel.
    pub(super) full: bool,
    pub(super) message: Option<Box<Message>>,
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
            inbox: Inbox::default(),
            receive_limit: receive_limit.max(1),
            end: None,
            hangup: false,
            hangup_armed: false,
            reset: None,
            by_hand: false,
            readable_armed: false,
            writable_armed: false,
            ready: false,
            acceptable_armed: false,
            connecting: false,
            connect_error: None,
            address: None,
            reader: Waiter::default(),
            sending: Sending::default(),
            at_once: false,
            full: false,
            message: None,
        }
    }

    /// How many more bytes may wait for the task.
    pub(super) fn receive_room(&self) -> usize {
        self.receive_limit.saturating_sub(self.inbox.bytes())
    }

    /// Whether to start receiving again: only with half of the limit free, so that a slow reader does not cost
    /// an operation for each read.
    pub(super) fn may_receive(&self) -> bool {
        self.receiving == Receiving::Idle
            && self.end.is_none()
            && !self.closing
            && !self.by_hand
            && self.inbox.bytes() <= self.receive_limit / 2
    }

    /// A send completed: what follows from it but the next send.
    pub(super) fn sent(&mut self, result: Result<usize, i32>, pool: &mut Pool) {
        // One that was to go at once completes only because it did not.
        self.full = std::mem::take(&mut self.at_once);
        self.sending.outbox.landed();
        match result {
            Ok(count) => self.sending.outbox.advance(count, pool),
            Err(libc::EAGAIN | libc::EINTR) => {}
            Err(code) => self.sending.fail(code, pool),
        }
        self.moved(pool);
    }

    /// The kernel took at once all that was on its way.
    pub(super) fn sent_at_once(&mut self, pool: &mut Pool) {
        self.sending.outbox.delivered(pool);
        self.moved(pool);
    }

    fn moved(&mut self, pool: &mut Pool) {
        if self.closing {
            return self.sending.outbox.clear(pool);
        }
        self.sending.moved(self.fd.as_fd());
    }
}
