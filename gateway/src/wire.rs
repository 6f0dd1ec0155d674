//! One side of a message, whichever it faces: a connection of HTTP/1, or a stream of one of HTTP/2. Heads and bodies go
//! through it, and are counted.
//!
//! Owns the one match between both versions. Refuses to decide anything: it neither routes, retries nor answers.

mod fault;
mod h1;
pub mod h2;
pub mod pass;
pub mod proxy_protocol;

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
};

use sluice_tls::{Stream, Transport};

use crate::http::{
    Asked, Framing, HeadLimits, OutgoingRequest, OutgoingResponse, Reply, RequestHead, ResponseHead,
    Trailers, write_interim, write_reply, write_request_head, write_response_head,
};

pub use fault::{BodyError, NoHead, Unanswered};
pub use h1::H1;
pub use h2::H2;

/// A connection or a stream, and where it stands in its messages.
#[expect(
    clippy::large_enum_variant,
    reason = "a connection lies where its session does, which is made for it"
)]
pub enum Wire {
    /// A connection.
    H1(H1),
    /// A stream.
    H2(Box<H2>),
}

macro_rules! each {
    ($self:expr, $wire:ident => $does:expr) => {
        match $self {
            Self::H1($wire) => $does,
            Self::H2($wire) => $does,
        }
    };
}

/// Heads.
impl Wire {
    /// A fresh connection of HTTP/1.
    #[must_use]
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self::H1(H1::new(stream))
    }

    /// The connection, where this is one.
    pub fn as_h1(&mut self) -> Option<&mut H1> {
        match self {
            Self::H1(wire) => Some(wire),
            Self::H2(_) => None,
        }
    }

    /// Writes a request and begins its body. That HTTP/2 cannot be written on is told by [`Self::poll_response`].
    pub fn write_request(&mut self, request: &RequestHead, outgoing: &OutgoingRequest<'_>) {
        match self {
            Self::H1(wire) => {
                wire.append(|out| write_request_head(out, request, outgoing));
                wire.begin_body(outgoing.framing);
            }
            Self::H2(wire) => wire.write_request(request, outgoing),
        }
    }

    /// Reads the head of a response.
    ///
    /// # Errors
    /// Why there is none.
    pub fn poll_response(
        &mut self,
        head: &mut ResponseHead,
        limits: &HeadLimits,
        asked: Asked<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unanswered>> {
        each!(self, wire => wire.poll_response(head, limits, asked, cx))
    }

    /// Writes a final response, or a 101, and begins its body.
    pub fn write_response(&mut self, response: &ResponseHead, outgoing: &OutgoingResponse<'_>) {
        match self {
            Self::H1(wire) => {
                wire.append(|out| write_response_head(out, response, outgoing));
                wire.begin_body(outgoing.framing);
            }
            Self::H2(wire) => wire.write_response(response, outgoing),
        }
    }

    /// Writes an interim response.
    pub fn write_interim(&mut self, response: &ResponseHead) {
        match self {
            Self::H1(wire) => wire.append(|out| write_interim(out, response)),
            Self::H2(wire) => wire.write_interim(response),
        }
    }

    /// Writes an answer of the gateway's own, whole.
    pub fn write_reply<'f>(&mut self, reply: &Reply<'_>, fields: impl Iterator<Item = (&'f str, &'f str)>) {
        match self {
            Self::H1(wire) => {
                wire.append(|out| write_reply(out, reply, fields));
                wire.begin_body(Framing::None);
            }
            Self::H2(wire) => wire.write_reply(reply, fields),
        }
    }
}

/// Bodies.
impl Wire {
    /// A body of this framing comes in next; HTTP/2 tells its end itself.
    pub fn expect_body(&mut self, framing: Framing) {
        if let Self::H1(wire) = self {
            wire.expect_body(framing);
        }
    }

    /// Whether the body that comes in has been read to its end.
    #[must_use]
    pub const fn has_read_body(&self) -> bool {
        each!(self, wire => wire.has_read_body())
    }

    /// Whether the message that goes out looks whole if the connection is closed now: only a reset shows that it is not.
    #[must_use]
    pub const fn ends_with_connection(&self) -> bool {
        match self {
            Self::H1(wire) => wire.ends_with_connection(),
            Self::H2(_) => true,
        }
    }

    /// Waits for bytes of the body: so many are at the front of [`Self::front`], to be taken all together. `None` is
    /// the end of the body.
    ///
    /// # Errors
    /// Why the body is not whole.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, BodyError>> {
        each!(self, wire => wire.poll_body(cx))
    }

    /// Reads the rest of the body and drops it. `false` if that is more than `most` bytes or does not end well.
    pub fn poll_discard_body(&mut self, most: u64, cx: &mut Context<'_>) -> Poll<bool> {
        let before = self.bytes().0;
        loop {
            match ready!(self.poll_body(cx)) {
                Ok(Some(_)) if self.bytes().0 - before > most => return Poll::Ready(false),
                Ok(Some(length)) => self.take(length),
                Ok(None) => return Poll::Ready(true),
                Err(_) => return Poll::Ready(false),
            }
        }
    }

    /// The trailers of the body that has ended.
    #[must_use]
    pub const fn trailers(&self) -> &Trailers {
        each!(self, wire => wire.trailers())
    }

    /// Appends a piece of the body that goes out.
    ///
    /// # Errors
    /// When it cannot be sent, or is more than was announced: the message cannot be ended well.
    pub fn write_body(&mut self, data: &[u8]) -> io::Result<()> {
        each!(self, wire => wire.write_body(data))
    }

    /// Moves the first `length` bytes at the front of `source`, a piece of its body, into the body that goes out.
    ///
    /// # Errors
    /// As of [`Self::write_body`].
    pub fn forward_body(&mut self, source: &mut Self, length: usize) -> io::Result<()> {
        match (self, source) {
            (Self::H1(sink), Self::H1(source)) => sink.forward_body(source, length),
            (sink, source) => {
                sink.write_body(source.front(length))?;
                source.take(length);
                Ok(())
            }
        }
    }

    /// Ends the body that goes out; once more does nothing.
    ///
    /// # Errors
    /// When it is less than was announced.
    pub fn end_body(&mut self, trailers: &Trailers) -> io::Result<()> {
        each!(self, wire => wire.end_body(trailers))
    }

    /// Waits until all of the body that goes out is on its way as far as its receiver's window decides: HTTP/1 has none.
    ///
    /// # Errors
    /// When the stream broke.
    pub fn poll_handed_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::H1(_) => Poll::Ready(Ok(())),
            Self::H2(wire) => wire.poll_handed_over(cx),
        }
    }
}

/// Bytes.
impl Wire {
    /// The first `length` bytes received and not yet taken.
    #[must_use]
    pub fn front(&self, length: usize) -> &[u8] {
        each!(self, wire => wire.front(length))
    }

    /// Takes so many bytes.
    pub fn take(&mut self, length: usize) {
        each!(self, wire => wire.take(length));
    }

    /// Moves the first `length` bytes at the front of `source` to what goes out, as they are.
    ///
    /// # Errors
    /// When they cannot be sent.
    pub fn forward_raw(&mut self, source: &mut Self, length: usize) -> io::Result<()> {
        match (self, source) {
            (Self::H1(sink), Self::H1(source)) => {
                sink.forward_raw(source, length);
                Ok(())
            }
            (Self::H1(sink), Self::H2(source)) => {
                sink.append(|out| out.extend_from_slice(source.front(length)));
                source.take(length);
                Ok(())
            }
            (sink @ Self::H2(_), source) => sink.forward_body(source, length),
        }
    }

    /// Waits for any byte, as a tunnel reads: how many are there, 0 at the end.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::H1(wire) => wire.poll_raw(cx),
            Self::H2(wire) => match ready!(wire.poll_body(cx)) {
                Ok(length) => Poll::Ready(Ok(length.unwrap_or(0))),
                Err(BodyError::Broken(error)) => Poll::Ready(Err(error)),
                Err(BodyError::Bad(bad)) => Poll::Ready(Err(io::Error::other(bad))),
            },
        }
    }

    /// Sends what is queued, without waiting.
    pub fn start_flush(&mut self) {
        each!(self, wire => wire.start_flush());
    }

    /// Waits until all that is queued has been sent.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::H1(wire) => wire.poll_flush(cx),
            Self::H2(wire) => wire.poll_handed_over(cx),
        }
    }

    /// Waits until fewer than `high_water` bytes are queued.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_room(&mut self, high_water: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, wire => wire.poll_room(high_water, cx))
    }

    /// Bytes queued and not sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        each!(self, wire => wire.queued())
    }

    /// Ready once the peer has closed its side, even behind bytes that nobody has read.
    ///
    /// # Errors
    /// When the connection broke, or the stream was reset.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, wire => wire.poll_closed(cx))
    }

    /// Whether the peer is silent and still there, as an idle connection's should be.
    pub fn is_quiet(&mut self) -> bool {
        match self {
            Self::H1(wire) => wire.is_quiet(),
            Self::H2(_) => false,
        }
    }

    /// What tells who is at the other end.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        each!(self, wire => wire.transport())
    }

    /// Sends the end of the stream after all that was queued and flushed.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::H1(wire) => wire.shutdown_write(),
            Self::H2(wire) => wire.end_body(&Trailers::default()),
        }
    }

    /// Resets the connection or the stream.
    pub fn abort(self) {
        match self {
            Self::H1(wire) => wire.abort(),
            Self::H2(wire) => wire.abort(),
        }
    }

    /// Who is at the other end of the connection.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        each!(self, wire => wire.peer_address())
    }

    /// This end.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        each!(self, wire => wire.local_address())
    }

    /// Bytes taken and written since it opened.
    #[must_use]
    pub const fn bytes(&self) -> (u64, u64) {
        each!(self, wire => wire.bytes())
    }

    /// Grows with every byte taken, and with every byte that has left.
    #[must_use]
    pub fn progress(&self) -> u64 {
        let (taken, written) = self.bytes();
        (taken + written).saturating_sub(self.queued() as u64)
    }
}
