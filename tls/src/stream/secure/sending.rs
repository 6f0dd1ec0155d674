//! What is written: gathered as plaintext, sealed into the TCP stream's out-queue.

use std::{
    io, mem,
    net::SocketAddr,
    task::{Context, Poll, ready},
};

use sluice_io::TcpStream;

use super::{End, Secure};
use crate::session::{RECORD_OVERHEAD_BYTES, Records as _};

impl Secure {
    pub(in crate::stream) fn out(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = self.tcp.take_buffer();
        }
        &mut self.out
    }

    /// Sends `bytes` behind what is written.
    pub(in crate::stream) fn send(&mut self, bytes: &[u8]) {
        // What is written before, a head say, shares a record with the first of them.
        let first = match self.out.len() {
            0 => 0,
            written => bytes.len().min(PIECE_BYTES - written % PIECE_BYTES),
        };
        let (first, rest) = bytes.split_at(first);
        self.out.extend_from_slice(first);
        self.seal_written();
        self.seal(rest);
        self.tcp.start_flush();
    }

    /// Moves the first `count` received bytes to a plain stream.
    pub(in crate::stream) fn forward_to(&mut self, to: &mut TcpStream, count: usize) {
        if count < self.received().len() {
            to.write(&self.received()[..count]);
            to.start_flush();
            return self.consume(count);
        }
        assert!(count == self.received().len(), "forwarded more than was received");
        to.send(mem::take(&mut self.received), mem::take(&mut self.start));
    }

    pub(in crate::stream) fn queued(&self) -> usize {
        self.out.len() + self.tcp.queued()
    }

    pub(in crate::stream) fn start_flush(&mut self) {
        self.seal_written();
        self.tcp.start_flush();
    }

    fn seal_written(&mut self) {
        if self.out.capacity() == 0 {
            return;
        }
        let out = mem::take(&mut self.out);
        self.seal(&out);
        self.tcp.give_buffer(out);
    }

    /// Seals into the TCP stream's out-queue, a buffer at a time. What cannot be sealed is dropped: the connection has
    /// failed, as whoever reads from it is told.
    fn seal(&mut self, plaintext: &[u8]) {
        if self.closed {
            return;
        }
        for piece in plaintext.chunks(PIECE_BYTES) {
            let out = self.tcp.out();
            if out.capacity() - out.len() < piece.len() + RECORD_OVERHEAD_BYTES && !out.is_empty() {
                self.tcp.start_flush();
            }
            let (received, records) = self.tcp.received_and_out();
            if let Err(error) = self.session.seal(received, piece, records) {
                self.end = End::Broken(Box::new(error));
                self.closed = true;
                return;
            }
        }
    }

    pub(in crate::stream) fn poll_drained(
        &mut self,
        cx: &mut Context<'_>,
        below: usize,
    ) -> Poll<io::Result<()>> {
        self.start_flush();
        if let End::Broken(error) = &self.end {
            // Let the alert go; what was written after it cannot.
            ready!(self.tcp.poll_drained(cx, 0))?;
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, error.clone())));
        }
        let outcome = self.tcp.poll_drained(cx, below);
        if outcome.is_pending() {
            self.tcp.shrink_buffer(&mut self.received, &mut self.start);
        }
        outcome
    }

    pub(in crate::stream) fn end(&mut self) {
        self.seal_written();
        if !self.closed {
            self.closed = true;
            let (received, records) = self.tcp.received_and_out();
            self.session.close(received, records);
        }
    }

    pub(in crate::stream) fn shutdown_write(&mut self) -> io::Result<()> {
        self.end();
        self.tcp.shutdown_write()
    }

    pub(in crate::stream) fn reset_on_close(&self) {
        self.tcp.reset_on_close();
    }

    pub(in crate::stream) fn peer_address(&self) -> SocketAddr {
        self.tcp.peer_address()
    }

    pub(in crate::stream) fn local_address(&self) -> SocketAddr {
        self.tcp.local_address()
    }
}

/// Plaintext of one record. rustls seals each in an allocation of its own, and from 8 KiB on mimalloc hands those out from
/// all over 512 KiB, which no cache near the core holds: sealing costs nearly twice as much then.
const PIECE_BYTES: usize = 8 * 1024 - 64;
