//! The face of a driver over another runtime: sockets by key, as with the drivers of our own.
//!
//! A receive is polled by whoever waits for it; sends are made by a job of each socket, so that they go on without
//! anybody waiting. A slot stays until both are done.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use slab::Slab;
use socket2::{SockAddr, SockRef};

use super::base::{Spawner, Transport};
use super::jobs;
use super::readiness::Readiness;
use super::socket::{Link, Socket};
use crate::engine::Key;
use crate::executor::Executor;
use crate::options::{Options, StartError};
use crate::pool::Pool;
use crate::runtime::Inner;
use crate::sys;

pub(crate) struct Driver {
    pub(super) sockets: Slab<Socket>,
    pub(super) readiness: Readiness,
    pub(super) spawner: Rc<Spawner>,
    /// For the jobs; set once it is made.
    pub(super) inner: Weak<Inner>,
    pub(super) generation: u32,
    pub(super) closing: usize,
    pub(super) operations: usize,
    /// There is a job that looks at the readiness.
    pub(super) is_looked_at: bool,
    /// The loop never runs again.
    pub(super) finished: bool,
    pub(super) pool: Pool,
}

impl Driver {
    pub(super) fn new(
        options: &Options,
        executor: &Executor,
        spawner: Rc<Spawner>,
    ) -> Result<Self, StartError> {
        let failed = StartError::of(spawner.kind(), "epoll_create1");
        let readiness = executor.event().and_then(Readiness::new).map_err(failed)?;
        Ok(Self {
            sockets: Slab::new(),
            readiness,
            spawner,
            inner: Weak::new(),
            generation: 0,
            closing: 0,
            operations: 0,
            is_looked_at: false,
            finished: false,
            pool: Pool::new(options.receive_buffer_bytes as usize, options.spare_buffers),
        })
    }

    /// Tells it whose driver it is.
    pub(crate) fn join(&mut self, inner: &Rc<Inner>) {
        self.inner = Rc::downgrade(inner);
    }

    /// Has the tasks that did their share go on after a look at the sockets.
    pub(crate) fn signal(&self) {
        self.readiness.signal();
    }

    pub(crate) fn attach(&mut self, fd: OwnedFd, receive_limit: usize, _eager: bool) -> io::Result<Key> {
        let transport = Transport::new(self.spawner.kind(), fd)?;
        let key = self.insert(Link::Connected(Rc::new(transport)), receive_limit);
        self.sockets[key].ready = true;
        Ok(key)
    }

    pub(crate) fn connect(&mut self, fd: OwnedFd, to: SocketAddr, receive_limit: usize) -> io::Result<Key> {
        match SockRef::from(&fd).connect(&SockAddr::from(to)) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let transport = Transport::new(self.spawner.kind(), fd)?;
        let key = self.insert(Link::Connected(Rc::new(transport)), receive_limit);
        self.watch_or_remove(key, libc::EPOLLOUT)
    }

    pub(crate) fn poll_connected(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.sockets[key];
        if !socket.ready {
            socket.sending.writer.wait(cx);
            return Poll::Pending;
        }
        if std::mem::take(&mut socket.watched) {
            self.readiness.forget(socket.fd());
        }
        Poll::Ready(
            sys::take_error(socket.fd()).map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code))),
        )
    }

    pub(crate) fn listen(&mut self, fd: OwnedFd) -> io::Result<Key> {
        let key = self.insert(Link::Bare(fd), 0);
        self.sockets[key].ready = true;
        self.watch_or_remove(key, libc::EPOLLIN)
    }

    pub(crate) fn poll_acceptable(&mut self, key: Key, cx: &Context<'_>) -> Poll<()> {
        let socket = &mut self.sockets[key];
        if socket.ready {
            return Poll::Ready(());
        }
        socket.reader.wait(cx);
        Poll::Pending
    }

    pub(crate) fn accepted_all(&mut self, key: Key) {
        self.sockets[key].ready = false;
    }

    pub(crate) fn poll_receive(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        loop {
            let socket = &mut self.sockets[key];
            if let Some(buffer) = socket.inbox.pop() {
                return Poll::Ready(Ok(buffer));
            }
            if let Some(end) = socket.end {
                return Poll::Ready(end.map(|()| Vec::new()).map_err(io::Error::from_raw_os_error));
            }
            socket.reader.wait(cx);
            self.start_receiving(key);
            if !self.advance_receiving(key, cx) {
                return Poll::Pending;
            }
        }
    }

    pub(crate) fn poll_closed(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let socket = &mut self.sockets[key];
            if let Some(end) = socket.end {
                return Poll::Ready(end.map_err(io::Error::from_raw_os_error));
            }
            if socket.hangup {
                return Poll::Ready(Ok(()));
            }
            socket.reader.wait(cx);
            let full = socket.inbox.bytes() >= socket.receive_limit;
            if full && socket.receiving.is_none() {
                if !socket.watched {
                    self.watch(key, libc::EPOLLRDHUP)?;
                }
                return Poll::Pending;
            }
            self.start_receiving(key);
            if !self.advance_receiving(key, cx) {
                self.sockets[key].inbox.shrink(&mut self.pool);
                return Poll::Pending;
            }
        }
    }

    pub(crate) fn is_readable(&mut self, key: Key) -> bool {
        let socket = &self.sockets[key];
        if socket.receiving.is_some() {
            let waker = socket.reader.waker().clone();
            self.advance_receiving(key, &mut Context::from_waker(&waker));
        }
        let socket = &self.sockets[key];
        // A receive on its way may not have been told yet of what has come.
        socket.inbox.bytes() > 0 || socket.end.is_some() || socket.hangup || sys::is_readable(socket.fd())
    }

    pub(crate) fn send(&mut self, key: Key, chunk: Vec<u8>, start: usize) {
        let socket = &mut self.sockets[key];
        if self.finished {
            socket.sending.error.get_or_insert(libc::ENOTCONN);
        }
        if !socket.sending.push(chunk, start, &mut self.pool) {
            return;
        }
        socket.sender.wake();
        if !std::mem::replace(&mut socket.has_sender, true) {
            let name = self.name(key);
            self.launch(|inner| jobs::send(inner, name));
        }
    }

    /// Never: their receives are not to be taken back.
    pub(crate) fn poll_splice_in(
        &mut self,
        _: Key,
        _: BorrowedFd<'_>,
        _: usize,
        _: &Context<'_>,
    ) -> Poll<usize> {
        Poll::Ready(0)
    }

    pub(crate) fn poll_splice_out(
        &mut self,
        _: Key,
        _: BorrowedFd<'_>,
        _: usize,
        _: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    pub(crate) fn unsent(&self, key: Key) -> usize {
        self.sockets[key].sending.outbox.bytes()
    }

    pub(crate) fn poll_sent(&mut self, key: Key, cx: &Context<'_>, below: usize) -> Poll<io::Result<()>> {
        self.sockets[key].sending.poll(cx, below)
    }

    pub(crate) fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        self.sockets[key].shutdown_write()
    }

    pub(crate) fn fd(&self, key: Key) -> BorrowedFd<'_> {
        self.sockets[key].fd()
    }

    pub(crate) fn close(&mut self, key: Key) {
        let socket = &mut self.sockets[key];
        socket.closing = true;
        self.closing += 1;
        socket.reader.forget();
        socket.inbox.clear(&mut self.pool);
        socket.sending.close(&mut self.pool);
        if socket.is_busy() {
            self.interrupt(key);
        }
        self.forget_if_done(key);
    }

    pub(crate) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Nothing to do: the jobs send as soon as they run.
    pub(crate) fn flush(&mut self) {}

    /// The host waits, never the driver.
    pub(crate) fn enter(&mut self, _wait: Option<Duration>) -> io::Result<bool> {
        Ok(false)
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
