//! One socket of the epoll driver: what is known of its readiness, and the calls made on it.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use socket2::SockRef;

use crate::outbox::GATHER;
use crate::pool::Pool;
use crate::sending::Sending;
use crate::sys::{self, Splice};
use crate::waiter::Waiter;

pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
    pub(crate) generation: u32,
    pub(crate) listening: bool,
    /// A receive (or accept) may succeed.
    pub(crate) readable: bool,
    /// A send may succeed.
    pub(crate) writable: bool,
    /// The peer's FIN or RST has come, perhaps behind unread bytes.
    pub(crate) hangup: bool,
    /// Noted as having something new to send.
    pub(crate) dirty: bool,
    pub(crate) reader: Waiter,
    pub(crate) sending: Sending,
    /// Most bytes of one receive.
    pub(crate) receive_limit: usize,
    /// How all receiving ended.
    end: Option<Result<(), i32>>,
    /// An error fetched from the socket by `poll_closed`, which then no longer says it itself.
    reset: Option<i32>,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, generation: u32) -> Self {
        Self {
            fd,
            generation,
            listening: false,
            readable: false,
            writable: false,
            hangup: false,
            dirty: false,
            reader: Waiter::default(),
            sending: Sending::default(),
            receive_limit: usize::MAX,
            end: None,
            reset: None,
        }
    }

    pub(crate) fn poll_receive(&mut self, cx: &Context<'_>, pool: &mut Pool) -> Poll<io::Result<Vec<u8>>> {
        if let Some(end) = self.end {
            return Poll::Ready(end.map(|()| Vec::new()).map_err(io::Error::from_raw_os_error));
        }
        if !self.readable {
            self.reader.wait(cx);
            return Poll::Pending;
        }
        let mut buffer = pool.take();
        let outcome = self.receive(&mut buffer, pool.buffer_bytes().min(self.receive_limit));
        match outcome {
            Ok(count) if count > 0 => return Poll::Ready(Ok(buffer)),
            _ => pool.give(buffer),
        }
        match outcome {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                self.reader.wait(cx);
                return Poll::Pending;
            }
            Err(error) => self.end = Some(Err(error.raw_os_error().unwrap_or(libc::EIO))),
            Ok(_) => self.end = Some(self.reset.map_or(Ok(()), Err)),
        }
        self.poll_receive(cx, pool)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        loop {
            match sys::receive(self.fd.as_fd(), buffer, limit) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(count) => {
                    // A short receive emptied the kernel's queue; what comes later is a new edge. FIN is no
                    // new edge once it was reported.
                    self.readable = count == limit || self.hangup;
                    return Ok(count);
                }
                error => return error,
            }
        }
    }

    pub(crate) fn poll_splice_in(
        &mut self,
        pipe: BorrowedFd<'_>,
        most: usize,
        cx: &Context<'_>,
    ) -> Poll<usize> {
        if self.end.is_some() {
            return Poll::Ready(0);
        }
        if self.readable {
            match sys::splice(self.fd.as_fd(), pipe, most) {
                Splice::Moved(count) => return Poll::Ready(count),
                Splice::Refused => return Poll::Ready(0),
                Splice::Broken(code) => {
                    self.end = Some(Err(code));
                    return Poll::Ready(0);
                }
                Splice::NotNow => self.readable = false,
            }
        }
        self.reader.wait(cx);
        Poll::Pending
    }

    pub(crate) fn poll_splice_out(
        &mut self,
        pipe: BorrowedFd<'_>,
        held: usize,
        cx: &Context<'_>,
        pool: &mut Pool,
    ) -> Poll<io::Result<usize>> {
        if let Some(code) = self.sending.error {
            return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
        }
        if self.writable {
            match sys::splice(pipe, self.fd.as_fd(), held) {
                Splice::Moved(count) => return Poll::Ready(Ok(count)),
                Splice::Refused => return Poll::Ready(Err(ErrorKind::Unsupported.into())),
                Splice::Broken(code) => {
                    self.sending.fail(code, pool);
                    return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
                }
                Splice::NotNow => self.writable = false,
            }
        }
        self.sending.writer.wait(cx);
        Poll::Pending
    }

    pub(crate) fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if let Some(end) = self.end {
            return Poll::Ready(end.map_err(io::Error::from_raw_os_error));
        }
        if !self.hangup {
            self.reader.wait(cx);
            return Poll::Pending;
        }
        self.reset = self.reset.or_else(|| sys::take_error(&self.fd));
        Poll::Ready(
            self.reset
                .map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code))),
        )
    }

    /// As of the last time readiness was fetched: what came since this turn began is not known, as with the ring.
    pub(crate) fn is_readable(&self) -> bool {
        // A receive that filled its buffer to the last byte says nothing about more: then the socket is asked.
        self.end.is_some() || self.hangup || (self.readable && sys::is_readable(self.fd.as_fd()))
    }

    /// Sends until nothing is left or the kernel takes no more.
    pub(crate) fn flush(&mut self, pool: &mut Pool) {
        while self.writable && self.sending.outbox.bytes() > 0 {
            let socket = SockRef::from(&self.fd);
            let sent = if let Some(one) = self.sending.outbox.single() {
                socket.send_with_flags(one, libc::MSG_NOSIGNAL)
            } else {
                let mut slices = [IoSlice::new(&[]); GATHER];
                let count = self.sending.outbox.gather(&mut slices);
                socket.send_vectored_with_flags(&slices[..count], libc::MSG_NOSIGNAL)
            };
            match sent {
                Ok(count) => self.sending.outbox.advance(count, pool),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) => self.sending.fail(error.raw_os_error().unwrap_or(libc::EIO), pool),
            }
        }
        self.sending.moved(self.fd.as_fd());
    }

    pub(crate) fn on_events(&mut self, events: i32, pool: &mut Pool) {
        if events & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) != 0 {
            self.hangup = true;
        }
        if events & libc::EPOLLIN != 0 || self.hangup {
            self.readable = true;
            self.reader.wake();
        }
        if events & (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) != 0 {
            let was = std::mem::replace(&mut self.writable, true);
            if self.sending.outbox.bytes() > 0 {
                self.flush(pool);
            } else if !was {
                self.sending.writer.wake();
            }
        }
    }
}
