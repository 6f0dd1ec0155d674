//! The ring driver: operations go to the kernel in one call a turn, results come back as completions.
//!
//! Every socket's slot, and all memory in it, stays until the kernel has completed its last operation; closing
//! cancels them. Receiving goes on by itself, into shared buffers, up to each socket's limit; one send a socket
//! is on its way and what is written meanwhile gathers behind it.
//! Needs Linux 6.1; bounds receiving exactly from 6.17 on, before that to what one turn brings.

mod buffers;
mod completion;
mod message;
mod operations;
mod socket;
mod splice;
mod submission;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use slab::Slab;
use socket2::SockAddr;

use crate::engine::Key;
use crate::executor::Executor;
use crate::options::{Options, StartError};
use crate::pool::Pool;
use crate::sys;
use buffers::Buffers;
use message::Message;
use socket::{Receiving, Socket};
use submission::{Completion, GENERATION_MASK, Operation, Submission, Token};

/// How often the end waits for the kernel, 10 ms each, before it would rather leak than free.
const END_WAITS: u32 = 1000;
/// Headers for gathering sends kept for reuse.
const SPARE_MESSAGES: usize = 64;

pub(crate) struct Ring {
    // First, so that the kernel's side is gone before the memory it used.
    submission: Submission,
    buffers: Buffers,
    sockets: Slab<Socket>,
    /// Sockets that want to receive; that received; that have something new to send.
    wanting: Vec<Key>,
    fresh: Vec<Key>,
    dirty: Vec<Key>,
    /// Sockets whose send says nothing if the kernel takes all of it at once.
    at_once: Vec<Key>,
    /// Somebody waits for one of these sends.
    awaited: bool,
    completions: Vec<Completion>,
    #[expect(
        clippy::vec_box,
        reason = "a message points into itself, and the kernel holds its address"
    )]
    messages: Vec<Box<Message>>,
    wake: File,
    wake_armed: bool,
    generation: u32,
    operations: usize,
    closing: usize,
    /// Whether the kernel knows the bound of a receive; learnt from its first refusal.
    bounded: bool,
    pool: Pool,
}

impl Ring {
    pub(crate) fn new(options: &Options, executor: &Executor) -> Result<Self, StartError> {
        let submission =
            Submission::new(options.ring_entries.max(1)).map_err(StartError::uring("io_uring_setup"))?;
        let count = options.receive_buffers.clamp(1, 1 << 15).next_power_of_two();
        let buffers =
            Buffers::new(submission.uring(), count).map_err(StartError::uring("io_uring_register"))?;
        Ok(Self {
            submission,
            buffers,
            sockets: Slab::new(),
            wanting: Vec::new(),
            fresh: Vec::new(),
            dirty: Vec::new(),
            at_once: Vec::new(),
            awaited: false,
            completions: Vec::new(),
            messages: Vec::new(),
            wake: executor.event().map_err(StartError::uring("eventfd"))?,
            wake_armed: false,
            generation: 0,
            operations: 0,
            closing: 0,
            bounded: true,
            pool: Pool::new(options.receive_buffer_bytes as usize, options.spare_buffers),
        })
    }

    pub(crate) fn attach(&mut self, fd: OwnedFd, receive_limit: usize, _eager: bool) -> io::Result<Key> {
        self.generation = self.generation.wrapping_add(1) & GENERATION_MASK;
        Ok(self
            .sockets
            .insert(Socket::new(fd, self.generation, receive_limit)))
    }

    pub(crate) fn connect(&mut self, fd: OwnedFd, to: SocketAddr, receive_limit: usize) -> io::Result<Key> {
        let key = self.attach(fd, receive_limit, false)?;
        self.start_connect(key, SockAddr::from(to));
        Ok(key)
    }

    pub(crate) fn poll_connected(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.sockets[key];
        if !socket.ready {
            socket.sending.writer.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(
            socket
                .connect_error
                .map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code))),
        )
    }

    pub(crate) fn listen(&mut self, fd: OwnedFd) -> io::Result<Key> {
        let key = self.attach(fd, 1, true)?;
        let socket = &mut self.sockets[key];
        (socket.listening, socket.ready) = (true, true);
        Ok(key)
    }

    pub(crate) fn poll_acceptable(&mut self, key: Key, cx: &Context<'_>) -> Poll<()> {
        let socket = &mut self.sockets[key];
        if socket.ready {
            return Poll::Ready(());
        }
        socket.reader.wait(cx);
        if !std::mem::replace(&mut socket.acceptable_armed, true) {
            self.poll(key, Operation::Acceptable, libc::POLLIN);
        }
        Poll::Pending
    }

    pub(crate) fn accepted_all(&mut self, key: Key) {
        self.sockets[key].ready = false;
    }

    pub(crate) fn poll_receive(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let socket = &mut self.sockets[key];
        let buffer = socket.inbox.pop();
        socket.by_hand &= buffer.is_some();
        let end = socket.end;
        if socket.may_receive() {
            self.want(key);
        }
        match (buffer, end) {
            (Some(buffer), _) => Poll::Ready(Ok(buffer)),
            (None, Some(end)) => Poll::Ready(end.map(|()| Vec::new()).map_err(io::Error::from_raw_os_error)),
            (None, None) => {
                self.sockets[key].reader.wait(cx);
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_closed(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.sockets[key];
        if let Some(end) = socket.end {
            return Poll::Ready(end.map_err(io::Error::from_raw_os_error));
        }
        if socket.hangup {
            return Poll::Ready(
                socket
                    .reset
                    .map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code))),
            );
        }
        socket.reader.wait(cx);
        if socket.may_receive() {
            self.want(key);
        } else if socket.receiving == Receiving::Idle
            && !socket.wanting
            && !std::mem::replace(&mut socket.hangup_armed, true)
        {
            self.poll(key, Operation::Hangup, libc::POLLRDHUP);
        }
        Poll::Pending
    }

    pub(crate) fn is_readable(&mut self, key: Key) -> bool {
        let socket = &self.sockets[key];
        if socket.inbox.bytes() > 0 || socket.end.is_some() || socket.hangup {
            return true;
        }
        // Nothing is being received before the first wait for it.
        socket.receiving == Receiving::Idle && sys::is_readable(socket.fd.as_fd())
    }

    pub(crate) fn send(&mut self, key: Key, chunk: Vec<u8>, start: usize) {
        let socket = &mut self.sockets[key];
        if !socket.sending.push(chunk, start, &mut self.pool) {
            return;
        }
        self.note_dirty(key);
    }

    pub(crate) fn unsent(&self, key: Key) -> usize {
        self.sockets[key].sending.outbox.bytes()
    }

    pub(crate) fn poll_sent(&mut self, key: Key, cx: &Context<'_>, below: usize) -> Poll<io::Result<()>> {
        self.sockets[key].sending.poll(cx, below)
    }

    pub(crate) fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        let socket = &mut self.sockets[key];
        socket.sending.shutdown(socket.fd.as_fd())
    }

    pub(crate) fn fd(&self, key: Key) -> BorrowedFd<'_> {
        self.sockets[key].fd.as_fd()
    }

    pub(crate) fn close(&mut self, key: Key) {
        let socket = &mut self.sockets[key];
        socket.closing = true;
        socket.reader.forget();
        socket.inbox.clear(&mut self.pool);
        socket.sending.close(&mut self.pool);
        self.closing += 1;
        let on_their_way = [
            (socket.receiving == Receiving::Armed, Operation::Receive),
            (socket.sending.outbox.in_flight(), Operation::Send),
            (socket.connecting, Operation::Connect),
            (socket.acceptable_armed, Operation::Acceptable),
            (socket.hangup_armed, Operation::Hangup),
            (socket.readable_armed, Operation::Readable),
            (socket.writable_armed, Operation::Writable),
        ];
        let generation = socket.generation;
        for (_, operation) in on_their_way.into_iter().filter(|(armed, _)| *armed) {
            self.submission.cancel(Token {
                key,
                generation,
                operation,
            });
        }
        self.forget_if_done(key);
    }

    pub(crate) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Nothing: what is to be sent goes with the rest, in one call.
    pub(crate) fn flush(&mut self) {}

    pub(crate) fn enter(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        self.prepare();
        let awaited = std::mem::take(&mut self.awaited);
        self.submission
            .enter(if awaited { Some(Duration::ZERO) } else { wait })?;
        let mut completions = std::mem::take(&mut self.completions);
        self.submission.completions(&mut completions);
        let mut signalled = false;
        for completion in completions.drain(..) {
            signalled |= self.complete(completion);
        }
        self.completions = completions;
        self.settle();
        Ok(signalled)
    }

    pub(crate) fn sockets(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) fn operations(&self) -> usize {
        self.operations
    }

    pub(crate) fn closing(&self) -> usize {
        self.closing
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let open: Vec<Key> = self
            .sockets
            .iter()
            .filter(|(_, socket)| !socket.closing)
            .map(|(key, _)| key)
            .collect();
        open.into_iter().for_each(|key| self.close(key));
        for _ in 0..END_WAITS {
            if self.operations == 0 {
                break;
            }
            let _ = self.enter(Some(Duration::from_millis(10)));
        }
        let unregistered = self
            .submission
            .uring()
            .submitter()
            .unregister_buf_ring(buffers::GROUP);
        if self.operations > 0 || unregistered.is_err() {
            // The kernel may still write to this memory: it stays, whatever else goes wrong.
            std::mem::forget(std::mem::take(&mut self.sockets));
            self.buffers.leak();
        }
    }
}

#[cfg(test)]
mod tests;
