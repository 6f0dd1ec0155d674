//! The operations the ring driver starts: each owned by its socket's slot until it completes.
#![allow(unsafe_code)]

use std::os::fd::AsRawFd;

use io_uring::{opcode, squeue, types};
use socket2::SockAddr;

use super::message::Message;
use super::socket::Receiving;
use super::submission::{self, Operation, Token};
use super::{Ring, buffers};
use crate::engine::Key;

impl Ring {
    /// What the tasks left to be done before the kernel is entered.
    pub(super) fn prepare(&mut self) {
        for key in self.fresh.drain(..) {
            if let Some(socket) = self.sockets.get_mut(key)
                && std::mem::take(&mut socket.fresh)
            {
                socket.inbox.shrink(&mut self.pool);
            }
        }
        self.buffers.refill(&mut self.pool);
        let mut wanting = std::mem::take(&mut self.wanting);
        for key in wanting.drain(..) {
            if let Some(socket) = self.sockets.get_mut(key)
                && std::mem::take(&mut socket.wanting)
                && socket.may_receive()
            {
                self.receive(key);
            }
        }
        self.wanting = wanting;
        let mut dirty = std::mem::take(&mut self.dirty);
        for key in dirty.drain(..) {
            // A key may have been closed, or given to another socket, since it was noted.
            if let Some(socket) = self.sockets.get_mut(key)
                && std::mem::take(&mut socket.dirty)
                && !socket.closing
                && !socket.sending.outbox.in_flight()
            {
                self.launch(key);
            }
        }
        self.dirty = dirty;
        if !std::mem::replace(&mut self.wake_armed, true) {
            let entry = opcode::PollAdd::new(types::Fd(self.wake.as_raw_fd()), libc::POLLIN as u32);
            let token = Token {
                key: 0,
                generation: 0,
                operation: Operation::Wake,
            };
            // SAFETY: a poll points to nothing.
            unsafe { self.submission.push(entry.multi(true).build(), token) };
        }
    }

    pub(super) fn want(&mut self, key: Key) {
        if !std::mem::replace(&mut self.sockets[key].wanting, true) {
            self.wanting.push(key);
        }
    }

    pub(super) fn note_dirty(&mut self, key: Key) {
        if !std::mem::replace(&mut self.sockets[key].dirty, true) {
            self.dirty.push(key);
        }
    }

    pub(super) fn receive(&mut self, key: Key) {
        let socket = &mut self.sockets[key];
        socket.receiving = Receiving::Armed;
        let total = if self.bounded {
            u32::try_from(socket.receive_room()).unwrap_or(u32::MAX)
        } else {
            0
        };
        let entry = submission::receive(types::Fd(socket.fd.as_raw_fd()), buffers::GROUP, total);
        // SAFETY: the buffers of the group belong to the kernel as long as they are in it.
        unsafe { self.start(key, Operation::Receive, entry) };
    }

    /// Sends what the outbox of a socket holds. As long as its kernel buffer is not known to be full, only the part
    /// that fits at once; where that is all, no completion comes to end the next wait, and [`Self::settle`] acts.
    pub(super) fn launch(&mut self, key: Key) {
        let socket = &mut self.sockets[key];
        if socket.sending.outbox.bytes() == 0 {
            return;
        }
        socket.at_once = !socket.full;
        let (mut flags, mut marks) = (libc::MSG_NOSIGNAL | libc::MSG_WAITALL, squeue::Flags::empty());
        if socket.at_once {
            flags |= libc::MSG_DONTWAIT;
            marks = squeue::Flags::SKIP_SUCCESS;
        }
        let fd = types::Fd(socket.fd.as_raw_fd());
        let (entry, count) = if let Some(one) = socket.sending.outbox.single() {
            let length = u32::try_from(one.len()).unwrap_or(u32::MAX);
            (
                opcode::Send::new(fd, one.as_ptr(), length).flags(flags).build(),
                1,
            )
        } else {
            let message = socket
                .message
                .insert(self.messages.pop().unwrap_or_else(Message::new));
            let count = message.fill(&socket.sending.outbox);
            (
                opcode::SendMsg::new(fd, message.header())
                    .flags(flags as u32)
                    .build(),
                count,
            )
        };
        socket.sending.outbox.launch(count);
        if socket.at_once {
            self.awaited |= socket.sending.is_awaited();
            self.at_once.push(key);
        }
        let entry = entry.flags(marks);
        // SAFETY: the chunks are launched, so the outbox neither moves nor changes nor drops them, and the
        // message is boxed; both are in the slot, which stays until the operation completes.
        unsafe { self.start(key, Operation::Send, entry) };
    }

    /// Waits for readiness beside all receiving: of a listener again and again, of a stream once.
    pub(super) fn poll(&mut self, key: Key, operation: Operation, events: libc::c_short) {
        let fd = self.descriptor(key);
        let repeated = operation == Operation::Acceptable;
        let entry = opcode::PollAdd::new(fd, events as u32).multi(repeated).build();
        // SAFETY: a poll points to nothing.
        unsafe { self.start(key, operation, entry) };
    }

    pub(super) fn start_connect(&mut self, key: Key, to: SockAddr) {
        let fd = self.descriptor(key);
        let socket = &mut self.sockets[key];
        socket.connecting = true;
        let address = socket.address.insert(Box::new(to));
        let entry = opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build();
        // SAFETY: the address is boxed in the slot, which stays until the operation completes.
        unsafe { self.start(key, Operation::Connect, entry) };
    }

    fn descriptor(&self, key: Key) -> types::Fd {
        types::Fd(self.sockets[key].fd.as_raw_fd())
    }

    /// Starts an operation of a socket.
    ///
    /// # Safety
    /// As [`Submission::push`].
    unsafe fn start(&mut self, key: Key, operation: Operation, entry: squeue::Entry) {
        let socket = &mut self.sockets[key];
        socket.operations += 1;
        self.operations += 1;
        let token = Token {
            key,
            generation: socket.generation,
            operation,
        };
        // SAFETY: passed on to the caller.
        unsafe { self.submission.push(entry, token) };
    }

    /// Frees the slot of a closed socket once the kernel has let go of it.
    pub(super) fn forget_if_done(&mut self, key: Key) {
        let socket = &self.sockets[key];
        if socket.closing && socket.operations == 0 {
            self.closing -= 1;
            drop(self.sockets.remove(key));
        }
    }
}
