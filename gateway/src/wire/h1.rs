//! One HTTP/1 connection, whichever side it faces: heads and bodies over a stream, plain or secure.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
};

use sluice_tls::{Stream, Transport};

use crate::http::{
    Asked, BadRequest, BodyReader, BodyWriter, Framing, HeadLimits, Progress, RequestHead, RequestLimits,
    ResponseHead, Scan, Trailers,
};

use super::{BodyError, NoHead, Unanswered};

/// A connection and where it stands in its messages.
pub struct H1 {
    pub(super) stream: Stream,
    scan: Scan,
    pub(super) reader: BodyReader,
    pub(super) writer: BodyWriter,
    /// The message being written ends with the connection.
    ends_with_connection: bool,
    pub(super) taken: u64,
    pub(super) written: u64,
}

/// Heads.
impl H1 {
    /// A fresh connection.
    #[must_use]
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self {
            stream: stream.into(),
            scan: Scan::default(),
            reader: BodyReader::default(),
            writer: BodyWriter::default(),
            ends_with_connection: false,
            taken: 0,
            written: 0,
        }
    }

    /// Reads a request head.
    ///
    /// # Errors
    /// Why there is none.
    pub fn poll_request(
        &mut self,
        head: &mut RequestHead,
        limits: &RequestLimits,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoHead<BadRequest>>> {
        self.poll_head(|input, scan| head.parse(input, scan, limits), cx)
    }

    /// Reads a response head.
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
        self.poll_head(|input, scan| head.parse(input, scan, limits, asked), cx)
            .map_err(Unanswered::from)
    }

    fn poll_head<B>(
        &mut self,
        mut parse: impl FnMut(&[u8], &mut Scan) -> Result<Progress, B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoHead<B>>> {
        loop {
            let begun = !self.stream.received().is_empty();
            if begun {
                match parse(self.stream.received(), &mut self.scan) {
                    Ok(Progress::Complete { head_bytes }) => {
                        self.take(head_bytes);
                        return Poll::Ready(Ok(()));
                    }
                    Ok(Progress::Incomplete) => {}
                    Err(bad) => return Poll::Ready(Err(NoHead::Bad(bad))),
                }
            }
            match ready!(self.stream.poll_more(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(NoHead::Closed { begun })),
                Ok(_) => {}
            }
        }
    }
}

/// Bodies.
impl H1 {
    /// A body of this framing comes in next.
    pub fn expect_body(&mut self, framing: Framing) {
        self.reader.begin(framing);
    }

    /// A body of this framing goes out next.
    pub fn begin_body(&mut self, framing: Framing) {
        self.ends_with_connection = framing == Framing::UntilClose;
        self.writer = BodyWriter::new(framing);
    }

    /// Whether the body that comes in has been read to its end.
    #[must_use]
    pub const fn has_read_body(&self) -> bool {
        self.reader.is_ended()
    }

    /// Whether only the end of the connection ends the message that goes out.
    #[must_use]
    pub const fn ends_with_connection(&self) -> bool {
        self.ends_with_connection
    }

    /// Waits for bytes of the body: so many are at the front of [`Self::front`], to be taken all together. `None` is
    /// the end of the body.
    ///
    /// # Errors
    /// Why the body is not whole.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, BodyError>> {
        loop {
            let piece = self.reader.next(self.stream.received()).map_err(BodyError::Bad)?;
            self.take(piece.overhead);
            if piece.data > 0 {
                return Poll::Ready(Ok(Some(piece.data)));
            }
            if piece.end {
                return Poll::Ready(Ok(None));
            }
            if piece.overhead > 0 {
                continue;
            }
            match ready!(self.stream.poll_more(cx)) {
                Ok(0) => {
                    self.reader.end_of_input().map_err(BodyError::Bad)?;
                    return Poll::Ready(Ok(None));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(BodyError::Broken(error))),
            }
        }
    }

    /// The trailers of the body that has ended.
    #[must_use]
    pub const fn trailers(&self) -> &Trailers {
        self.reader.trailers()
    }

    /// Appends a piece of the body that goes out.
    ///
    /// # Errors
    /// When it is more than was announced: the message cannot be ended well.
    pub fn write_body(&mut self, data: &[u8]) -> io::Result<()> {
        let writer = &mut self.writer;
        Self::append_to(&mut self.stream, &mut self.written, |out| writer.write(out, data))
            .map_err(io::Error::other)
    }

    /// Moves the first `length` bytes at the front of `source`, a piece of its body, into the body that goes out.
    ///
    /// # Errors
    /// When it is more than was announced: the message cannot be ended well.
    pub fn forward_body(&mut self, source: &mut Self, length: usize) -> io::Result<()> {
        if length < FORWARD_BYTES_MIN {
            self.write_body(source.front(length))?;
            source.take(length);
            return Ok(());
        }
        let writer = &mut self.writer;
        Self::append_to(&mut self.stream, &mut self.written, |out| {
            writer.begin_piece(out, length)
        })
        .map_err(io::Error::other)?;
        self.forward_raw(source, length);
        let writer = &self.writer;
        Self::append_to(&mut self.stream, &mut self.written, |out| writer.end_piece(out));
        Ok(())
    }

    /// Ends the body that goes out.
    ///
    /// # Errors
    /// When it is less than was announced.
    pub fn end_body(&mut self, trailers: &Trailers) -> io::Result<()> {
        let writer = &mut self.writer;
        Self::append_to(&mut self.stream, &mut self.written, |out| {
            writer.end(out, trailers)
        })
        .map_err(io::Error::other)
    }
}

/// Bytes.
impl H1 {
    /// The first `length` bytes received and not yet taken.
    #[must_use]
    pub fn front(&self, length: usize) -> &[u8] {
        &self.stream.received()[..length]
    }

    /// Takes so many bytes.
    pub fn take(&mut self, length: usize) {
        self.stream.consume(length);
        self.taken += length as u64;
    }

    /// Appends whatever `write` writes to what goes out.
    pub fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        Self::append_to(&mut self.stream, &mut self.written, write)
    }

    fn append_to<T>(stream: &mut Stream, written: &mut u64, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let out = stream.out();
        let before = out.len();
        let result = write(out);
        *written += (out.len() - before) as u64;
        result
    }

    /// Moves the first `length` bytes at the front of `source` to what goes out, as they are.
    pub fn forward_raw(&mut self, source: &mut Self, length: usize) {
        self.stream.forward(&mut source.stream, length);
        self.written += length as u64;
        source.taken += length as u64;
    }

    /// Waits for any byte. `false` if the peer closed or the connection broke.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.stream
            .poll_fill(cx)
            .map(|filled| filled.is_ok_and(|bytes| !bytes.is_empty()))
    }

    /// Waits for any byte, as a tunnel reads: how many are there, 0 at the end.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_fill(cx).map_ok(<[u8]>::len)
    }

    /// Reads and drops what comes until the peer closes, or `most` bytes came.
    pub fn poll_discard(&mut self, most: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut dropped = 0;
        while dropped < most {
            match ready!(self.stream.poll_fill(cx)) {
                Ok([]) | Err(_) => break,
                Ok(bytes) => {
                    let length = bytes.len();
                    dropped += length as u64;
                    self.take(length);
                }
            }
        }
        Poll::Ready(())
    }

    /// Sends what is queued, without waiting.
    pub fn start_flush(&mut self) {
        self.stream.start_flush();
    }

    /// Waits until all that is queued has been sent.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    /// Waits until fewer than `high_water` bytes are queued.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_room(&mut self, high_water: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stream.queued() < high_water {
            return Poll::Ready(Ok(()));
        }
        self.stream.poll_drained(cx, high_water / 2)
    }

    /// Bytes queued and not sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.stream.queued()
    }

    /// Ready once the peer has closed its side, even behind bytes that nobody has read.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_closed(cx)
    }

    /// Whether the peer is silent and still there, as an idle connection's should be.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.queued() == 0 && !self.stream.is_readable_or_closed()
    }

    /// Waits until `look` has seen enough: it is shown all that was received and not taken, of which there is more each
    /// time, and says `None` until then. `None` if the peer closed or the connection broke first.
    pub fn poll_look<T>(
        &mut self,
        mut look: impl FnMut(&[u8]) -> Option<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        loop {
            if let Some(seen) = look(self.stream.received()) {
                return Poll::Ready(Some(seen));
            }
            match ready!(self.stream.poll_more(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(None),
                Ok(_) => {}
            }
        }
    }

    /// What tells who is at the other end.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        self.stream.transport()
    }

    /// The connection itself, with what was received and not taken.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// Whether the bytes at the front begin a TLS handshake.
    #[must_use]
    pub fn looks_like_tls(&self) -> bool {
        sluice_tls::begins_handshake(self.stream.received())
    }

    /// Queues what says that all was sent, where the end of the connection alone does not.
    pub fn end(&mut self) {
        self.stream.end();
    }

    /// Sends the end of the stream after all that was queued and flushed.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    /// Resets the connection.
    pub fn abort(self) {
        self.stream.abort();
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.stream.peer_address()
    }

    /// This end, by a system call.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_address()
    }

    /// Bytes taken and written since it opened.
    #[must_use]
    pub const fn bytes(&self) -> (u64, u64) {
        (self.taken, self.written)
    }

    /// Grows with every byte taken, and with every byte that has left.
    #[must_use]
    pub fn progress(&self) -> u64 {
        (self.taken + self.written).saturating_sub(self.stream.queued() as u64)
    }
}

/// Pieces smaller than this are copied: they join what else goes out in one buffer, which costs less than a buffer of
/// their own.
const FORWARD_BYTES_MIN: usize = 2048;
