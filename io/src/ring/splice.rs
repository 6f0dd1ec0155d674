//! Moving bytes between sockets with the plain system call: the ring's own splice always goes to another thread. The
//! ring tells when it may go on.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use super::Ring;
use super::socket::Receiving;
use super::submission::Operation;
use crate::engine::Key;
use crate::sys::{self, Splice};

impl Ring {
    pub(crate) fn receive_by_hand(&mut self, key: Key) {
        self.sockets[key].by_hand = true;
    }

    pub(crate) fn poll_splice_in(
        &mut self,
        key: Key,
        pipe: BorrowedFd<'_>,
        most: usize,
        cx: &Context<'_>,
    ) -> Poll<usize> {
        let socket = &mut self.sockets[key];
        if socket.inbox.bytes() > 0 || socket.end.is_some() {
            return Poll::Ready(0);
        }
        if socket.receiving == Receiving::Armed {
            self.stop_receiving(key);
        } else if socket.receiving == Receiving::Idle && !socket.readable_armed {
            match sys::splice(socket.fd.as_fd(), pipe, most) {
                Splice::Moved(count) => return Poll::Ready(count),
                Splice::Refused => return Poll::Ready(0),
                Splice::Broken(code) => {
                    socket.end = Some(Err(code));
                    return Poll::Ready(0);
                }
                Splice::NotNow => {
                    socket.readable_armed = true;
                    self.poll(key, Operation::Readable, libc::POLLIN);
                }
            }
        }
        self.sockets[key].reader.wait(cx);
        Poll::Pending
    }

    pub(crate) fn poll_splice_out(
        &mut self,
        key: Key,
        pipe: BorrowedFd<'_>,
        held: usize,
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let socket = &mut self.sockets[key];
        if let Some(code) = socket.sending.error {
            return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
        }
        if !socket.writable_armed {
            match sys::splice(pipe, socket.fd.as_fd(), held) {
                Splice::Moved(count) => return Poll::Ready(Ok(count)),
                Splice::Refused => return Poll::Ready(Err(ErrorKind::Unsupported.into())),
                Splice::Broken(code) => {
                    socket.sending.fail(code, &mut self.pool);
                    return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
                }
                Splice::NotNow => {
                    socket.writable_armed = true;
                    self.poll(key, Operation::Writable, libc::POLLOUT);
                }
            }
        }
        self.sockets[key].sending.writer.wait(cx);
        Poll::Pending
    }
}
