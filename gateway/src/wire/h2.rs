//! One stream of an HTTP/2 connection, whichever side it faces.
//!
//! Owns the join of the `h2` crate's stream with our heads and bodies, and flow control: what it hands over never exceeds
//! the receiver's window, so all that waits is counted here; what it has taken gives its sender room again. The
//! connection itself is driven by another task, over a [`Socket`].

mod asking;
mod meter;
mod socket;

use std::{
    io, mem,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{
    Error, Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
    server::SendResponse,
};
use hyper::http::HeaderMap;
use sluice_tls::Transport;

use super::{BodyError, Unanswered};
use crate::http::{
    BadBody, Connection, OutgoingResponse, Reply, ResponseHead, Trailers, h2_interim, h2_reply, h2_response,
    h2_trailers,
};

pub use meter::{Meter, Verdict};
pub use socket::{Link, Socket};

/// What a connection's streams tell of it.
pub struct Facts {
    /// Who is at the other end.
    pub transport: Transport,
    /// Its address.
    pub peer_address: SocketAddr,
    /// This end.
    pub local_address: SocketAddr,
}

/// A stream and where it stands in its messages.
pub struct H2 {
    facts: Rc<Facts>,
    head: Head,
    /// None before the response of a backend has begun.
    receive: Option<RecvStream>,
    /// None before the head that goes out.
    send: Option<SendStream<Bytes>>,
    /// Received and not taken.
    chunk: Bytes,
    has_read_body: bool,
    /// What comes is no body, and nobody's before a tunnel begins.
    holds_back: bool,
    /// What proves to a client of HTTP/1 that the WebSocket it asked for is open; there while the backend is asked.
    proof: Option<Box<str>>,
    trailers: Trailers,
    /// Written and not handed over.
    pending: BytesMut,
    end: End,
    taken: u64,
    written: u64,
}

/// The head that is still to come.
enum Head {
    /// Of the response to a client.
    Answer(SendResponse<Bytes>),
    /// Of the request to a backend.
    Request(Rc<Link>, SendRequest<Bytes>),
    /// Of a request that may go out once the backend has said what it takes.
    Unsettled(Box<asking::Unsettled>),
    /// Of a backend's response.
    Response(ResponseFuture),
    /// None: the request could not be sent.
    Unsent(Unanswered),
    /// None.
    Done,
}

/// How far the message that goes out is from its end.
enum End {
    /// More may come.
    Open,
    /// All is written, with these trailers.
    Written(Option<HeaderMap>),
    /// All is handed over.
    Sent,
}

/// Faces a client.
impl H2 {
    /// The stream of a request that has come, with what answers it.
    #[must_use]
    pub fn accepted(facts: Rc<Facts>, body: RecvStream, answer: SendResponse<Bytes>) -> Self {
        Self::new(facts, Head::Answer(answer), Some(body))
    }

    /// No byte that follows the head is given out before a tunnel begins (CVE-2026-2833).
    pub fn hold_back(&mut self) {
        self.holds_back = true;
    }

    pub(super) fn write_response(&mut self, response: &ResponseHead, outgoing: &OutgoingResponse<'_>) {
        if outgoing.connection == Connection::Upgrade {
            self.holds_back = false;
            return self.answer(h2_response(response, outgoing), false);
        }
        let is_whole = outgoing.framing.is_empty();
        self.answer(h2_response(response, outgoing), is_whole);
    }

    pub(super) fn write_interim(&mut self, response: &ResponseHead) {
        if let Head::Answer(answer) = &mut self.head {
            // A client that has left is noticed where its stream is read.
            let _ = answer.send_informational(h2_interim(response));
        }
    }

    pub(super) fn write_reply<'f>(
        &mut self,
        reply: &Reply<'_>,
        fields: impl Iterator<Item = (&'f str, &'f str)>,
    ) {
        let content = reply.content();
        self.answer(h2_reply(reply, fields), content.is_empty());
        if !content.is_empty() {
            self.append(content);
            self.finish(None);
        }
    }

    fn answer(&mut self, head: hyper::http::Response<()>, is_whole: bool) {
        let Head::Answer(mut answer) = mem::replace(&mut self.head, Head::Done) else {
            return;
        };
        // Where it fails the stream is gone, which whoever writes the body is told.
        self.send = answer.send_response(head, is_whole).ok();
        if is_whole {
            self.end = End::Sent;
        }
    }
}

/// Either side.
impl H2 {
    fn new(facts: Rc<Facts>, head: Head, receive: Option<RecvStream>) -> Self {
        Self {
            facts,
            head,
            has_read_body: receive.as_ref().is_some_and(RecvStream::is_end_stream),
            receive,
            holds_back: false,
            proof: None,
            send: None,
            chunk: Bytes::new(),
            trailers: Trailers::default(),
            pending: BytesMut::new(),
            end: End::Open,
            taken: 0,
            written: 0,
        }
    }

    pub(super) const fn has_read_body(&self) -> bool {
        self.has_read_body || self.holds_back
    }

    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, BodyError>> {
        if self.holds_back {
            return Poll::Ready(Ok(None));
        }
        while self.chunk.is_empty() && !self.has_read_body {
            let Some(receive) = &mut self.receive else {
                return Poll::Pending;
            };
            match ready!(receive.poll_data(cx)) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => return Poll::Ready(Err(body_error(error))),
                None => {
                    if let Some(trailers) = ready!(receive.poll_trailers(cx)).map_err(body_error)? {
                        let fields = trailers.iter();
                        self.trailers
                            .take(fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
                            .map_err(BodyError::Bad)?;
                    }
                    self.has_read_body = true;
                }
            }
        }
        let length = self.chunk.len();
        Poll::Ready(Ok((length > 0).then_some(length)))
    }

    pub(super) const fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    pub(super) fn front(&self, length: usize) -> &[u8] {
        &self.chunk[..length]
    }

    pub(super) fn take(&mut self, length: usize) {
        self.chunk.advance(length);
        self.taken += length as u64;
        if let Some(receive) = &mut self.receive {
            // Fails only where the stream has ended, and then nobody needs room.
            let _ = receive.flow_control().release_capacity(length);
        }
    }

    pub(super) fn write_body(&mut self, data: &[u8]) -> io::Result<()> {
        if self.send.is_none() && !matches!(self.head, Head::Unsent(_) | Head::Unsettled(_)) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.append(data);
        Ok(())
    }

    pub(super) fn end_body(&mut self, trailers: &Trailers) -> io::Result<()> {
        // What asks for a tunnel has no body, and the stream stays open for what the tunnel carries.
        if matches!(self.end, End::Open) && self.proof.is_none() {
            self.finish((!trailers.is_empty()).then(|| h2_trailers(trailers)));
        }
        Ok(())
    }

    fn append(&mut self, data: &[u8]) {
        self.pending.extend_from_slice(data);
        self.written += data.len() as u64;
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.end = End::Written(trailers);
        self.start_flush();
    }

    pub(super) fn start_flush(&mut self) {
        // That the stream is gone is told to whoever waits for it.
        let _ = self.hand_over();
    }

    /// Hands over as much as the receiver's window takes. Whether that was all.
    fn hand_over(&mut self) -> io::Result<bool> {
        let Some(send) = &mut self.send else {
            return Ok(false);
        };
        while !self.pending.is_empty() {
            send.reserve_capacity(self.pending.len());
            let count = send.capacity().min(self.pending.len());
            if count == 0 {
                return Ok(false);
            }
            let piece = self.pending.split_to(count).freeze();
            let is_last = self.pending.is_empty() && matches!(self.end, End::Written(None));
            send.send_data(piece, is_last).map_err(io::Error::other)?;
            if is_last {
                self.end = End::Sent;
            }
        }
        match mem::replace(&mut self.end, End::Sent) {
            End::Open => {
                self.end = End::Open;
                Ok(true)
            }
            End::Written(None) => send
                .send_data(Bytes::new(), true)
                .map_err(io::Error::other)
                .map(|()| true),
            End::Written(Some(trailers)) => send
                .send_trailers(trailers)
                .map_err(io::Error::other)
                .map(|()| true),
            End::Sent => Ok(true),
        }
    }

    pub(super) fn poll_handed_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_room(1, cx)
    }

    pub(super) fn poll_room(&mut self, high_water: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.pending.len() < high_water && matches!(self.end, End::Open | End::Sent) {
                return Poll::Ready(Ok(()));
            }
            if self.hand_over()? {
                continue;
            }
            let Some(send) = &mut self.send else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.pending.len()
    }

    /// A stream has no end of its own that says nothing of the message: it is open, or it was reset.
    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let reset = match (&mut self.head, &mut self.send) {
            (Head::Answer(answer), _) => answer.poll_reset(cx),
            (_, Some(send)) => send.poll_reset(cx),
            _ => return Poll::Pending,
        };
        reset.map(|_| Err(io::ErrorKind::ConnectionReset.into()))
    }

    pub(super) const fn bytes(&self) -> (u64, u64) {
        (self.taken, self.written)
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.facts.transport
    }

    pub(super) fn peer_address(&self) -> SocketAddr {
        self.facts.peer_address
    }

    pub(super) fn local_address(&self) -> SocketAddr {
        self.facts.local_address
    }

    /// Resets the stream, so that its message never looks whole.
    pub(super) fn abort(mut self: Box<Self>) {
        match (&mut self.head, &mut self.send) {
            (Head::Answer(answer), _) => answer.send_reset(Reason::INTERNAL_ERROR),
            (Head::Response(_), Some(send)) => send.send_reset(Reason::CANCEL),
            (_, Some(send)) => send.send_reset(Reason::INTERNAL_ERROR),
            _ => {}
        }
    }
}

/// Why a body ended too soon.
fn body_error(error: Error) -> BodyError {
    if error.is_library() && error.is_reset() {
        BodyError::Bad(BadBody::HTTP2)
    } else {
        BodyError::Broken(io::Error::other(error))
    }
}
