//! The epoll driver: edge-triggered readiness, plain non-blocking calls.
//!
//! A socket holds no memory while idle: bytes stay in the kernel until a task asks for them. Sends wait for the
//! end of the turn, so that they gather as they do with the ring driver.

mod socket;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use slab::Slab;
use socket2::{SockAddr, SockRef};

use crate::engine::Key;
use crate::executor::Executor;
use crate::options::{Options, StartError};
use crate::pool::Pool;
use crate::sys;
use socket::Socket;

/// Events taken by one wait. More stay in the kernel for the next.
const EVENTS: usize = 512;
/// The token of the eventfd; no socket has it, for keys are 32 bits wide.
const WAKE: u64 = u64::MAX;

pub(crate) struct Epoll {
    epoll: OwnedFd,
    wake: File,
    events: Vec<libc::epoll_event>,
    sockets: Slab<Socket>,
    /// Sockets with something new to send.
    dirty: Vec<Key>,
    generation: u32,
    pool: Pool,
}

impl Epoll {
    pub(crate) fn new(options: &Options, executor: &Executor) -> Result<Self, StartError> {
        let epoll = sys::epoll().map_err(StartError::epoll("epoll_create1"))?;
        let wake = executor.event().map_err(StartError::epoll("eventfd"))?;
        sys::epoll_add(&epoll, wake.as_fd(), libc::EPOLLIN, WAKE).map_err(StartError::epoll("epoll_ctl"))?;
        Ok(Self {
            epoll,
            wake,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
            sockets: Slab::new(),
            dirty: Vec::new(),
            generation: 0,
            pool: Pool::new(options.receive_buffer_bytes as usize, options.spare_buffers),
        })
    }

    pub(crate) fn attach(&mut self, fd: OwnedFd, receive_limit: usize, eager: bool) -> io::Result<Key> {
        let key = self.add(fd, libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP)?;
        let socket = &mut self.sockets[key];
        (socket.readable, socket.writable) = (eager, true);
        socket.receive_limit = receive_limit.max(1);
        Ok(key)
    }

    pub(crate) fn connect(&mut self, fd: OwnedFd, to: SocketAddr, receive_limit: usize) -> io::Result<Key> {
        match SockRef::from(&fd).connect(&SockAddr::from(to)) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let key = self.attach(fd, receive_limit, false)?;
        self.sockets[key].writable = false;
        Ok(key)
    }

    pub(crate) fn poll_connected(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.sockets[key];
        if !socket.writable && !socket.hangup {
            socket.sending.writer.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(
            sys::take_error(&socket.fd).map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code))),
        )
    }

    pub(crate) fn listen(&mut self, fd: OwnedFd) -> io::Result<Key> {
        let key = self.add(fd, libc::EPOLLIN)?;
        let socket = &mut self.sockets[key];
        (socket.readable, socket.listening) = (true, true);
        Ok(key)
    }

    pub(crate) fn poll_acceptable(&mut self, key: Key, cx: &Context<'_>) -> Poll<()> {
        let socket = &mut self.sockets[key];
        if socket.readable {
            return Poll::Ready(());
        }
        socket.reader.wait(cx);
        Poll::Pending
    }

    pub(crate) fn accepted_all(&mut self, key: Key) {
        self.sockets[key].readable = false;
    }

    pub(crate) fn poll_receive(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        self.sockets[key].poll_receive(cx, &mut self.pool)
    }

    pub(crate) fn poll_closed(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.sockets[key].poll_closed(cx)
    }

    pub(crate) fn is_readable(&mut self, key: Key) -> bool {
        self.sockets[key].is_readable()
    }

    pub(crate) fn send(&mut self, key: Key, chunk: Vec<u8>, start: usize) {
        let socket = &mut self.sockets[key];
        if !socket.sending.push(chunk, start, &mut self.pool) {
            return;
        }
        if socket.writable && !std::mem::replace(&mut socket.dirty, true) {
            self.dirty.push(key);
        }
    }

    pub(crate) fn unsent(&self, key: Key) -> usize {
        self.sockets[key].sending.outbox.bytes()
    }

    pub(crate) fn poll_sent(&mut self, key: Key, cx: &Context<'_>, below: usize) -> Poll<io::Result<()>> {
        self.sockets[key].sending.poll(cx, below)
    }

    pub(crate) fn poll_splice_in(
        &mut self,
        key: Key,
        pipe: BorrowedFd<'_>,
        most: usize,
        cx: &Context<'_>,
    ) -> Poll<usize> {
        self.sockets[key].poll_splice_in(pipe, most, cx)
    }

    pub(crate) fn poll_splice_out(
        &mut self,
        key: Key,
        pipe: BorrowedFd<'_>,
        held: usize,
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.sockets[key].poll_splice_out(pipe, held, cx, &mut self.pool)
    }

    pub(crate) fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        let socket = &mut self.sockets[key];
        socket.sending.shutdown(socket.fd.as_fd())
    }

    pub(crate) fn fd(&self, key: Key) -> BorrowedFd<'_> {
        self.sockets[key].fd.as_fd()
    }

    pub(crate) fn close(&mut self, key: Key) {
        let mut socket = self.sockets.remove(key);
        socket.sending.outbox.clear(&mut self.pool);
        if socket.listening {
            // Another process may hold the same listener, and then closing alone would leave it watched.
            let _ = sys::epoll_remove(&self.epoll, socket.fd.as_fd());
        }
    }

    pub(crate) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    pub(crate) fn flush(&mut self) {
        for key in self.dirty.drain(..) {
            // A key may have been closed, or given to another socket, since it was noted.
            if let Some(socket) = self.sockets.get_mut(key)
                && std::mem::take(&mut socket.dirty)
            {
                socket.flush(&mut self.pool);
            }
        }
    }

    pub(crate) fn enter(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        let count = match sys::epoll_wait(&self.epoll, &mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            outcome => outcome?,
        };
        let mut signalled = false;
        for event in &self.events[..count] {
            let (token, events) = (event.u64, event.events as i32);
            if token == WAKE {
                sys::unsignal(&self.wake);
                signalled = true;
            } else if let Some(socket) = self.sockets.get_mut(token as u32 as usize)
                && socket.generation == (token >> 32) as u32
            {
                socket.on_events(events, &mut self.pool);
            }
        }
        Ok(signalled)
    }

    pub(crate) fn sockets(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) fn operations(&self) -> usize {
        0
    }

    pub(crate) fn closing(&self) -> usize {
        0
    }

    fn add(&mut self, fd: OwnedFd, events: i32) -> io::Result<Key> {
        // Only 31 bits, so that no token is WAKE.
        self.generation = self.generation.wrapping_add(1) & (u32::MAX >> 1);
        let entry = self.sockets.vacant_entry();
        let key = entry.key();
        let token = u64::from(self.generation) << 32 | key as u64;
        sys::epoll_add(&self.epoll, fd.as_fd(), events, token)?;
        entry.insert(Socket::new(fd, self.generation));
        Ok(key)
    }
}
