//! A connection as sessions see it, plain or secure: bytes received and not consumed, bytes written and not sent.
//!
//! Owns the one match between both. A plain one is the TCP stream itself; what a secure one needs stands in its box.

mod secure;

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use rustls_pki_types::ServerName;
use sluice_io::TcpStream;

use crate::{ClientContext, Failure, ServerContext, Transport};
use secure::Secure;

/// A connection of one worker. It has the face of [`TcpStream`], and means the same where nothing else is said; all bytes
/// are plaintext.
///
/// The end of a secure stream is the peer's close_notify: one that ends without it is broken, so that nobody takes what
/// was cut short for the whole (RFC 8446 6.1).
#[derive(Debug)]
pub enum Stream {
    /// As it goes over the wire.
    Plain(TcpStream),
    /// Sealed on the wire.
    Secure(Box<Secure>),
}

macro_rules! each {
    ($self:expr, $stream:ident => $does:expr) => {
        match $self {
            Self::Plain($stream) => $does,
            Self::Secure($stream) => $does,
        }
    };
}

/// What only a secure stream has.
impl Stream {
    /// Ends TLS for a client on `stream`. The handshake is still to come: [`Stream::poll_handshake`].
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn accept(stream: TcpStream, context: &ServerContext) -> io::Result<Self> {
        Secure::accept(stream, context).map(|secure| Self::Secure(Box::new(secure)))
    }

    /// Starts TLS on `stream`, to the backend called `host`, a DNS name or an address. The handshake is still to come:
    /// [`Stream::poll_handshake`].
    ///
    /// # Errors
    /// When `host` is neither, or there is no randomness.
    pub fn connect(stream: TcpStream, context: &ClientContext, host: &str) -> io::Result<Self> {
        let host = ServerName::try_from(host).map_err(io::Error::other)?.to_owned();
        Secure::connect(stream, context, host).map(|secure| Self::Secure(Box::new(secure)))
    }

    /// Waits until the handshake is done; a plain stream has none. Nothing is to be read or written before.
    ///
    /// # Errors
    /// Why it failed. The alert that tells the peer is queued and begins to be sent.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Secure(secure) => secure.poll_handshake(cx),
        }
    }

    /// After a handshake that failed: sends the alert and FIN, and reads and drops what comes, so that no reset overtakes
    /// the alert. Ready when the peer has closed or sent more than a handshake.
    pub fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(_) => Poll::Ready(()),
            Self::Secure(secure) => secure.poll_refused(cx),
        }
    }

    /// Whether the handshake went by a ticket of an earlier one.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(secure) => secure.is_resumed(),
        }
    }

    /// Who is at the other end, and what for.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        match self {
            Self::Plain(_) => &Transport::PLAIN,
            Self::Secure(secure) => secure.transport(),
        }
    }

    /// What both sides agreed to speak (ALPN, RFC 7301), where they did.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Secure(secure) => secure.alpn(),
        }
    }

    /// The certificates the peer showed, in DER, its own first.
    pub fn peer_chain(&self) -> impl Iterator<Item = &[u8]> {
        let chain = match self {
            Self::Plain(_) => &[],
            Self::Secure(secure) => secure.peer_chain(),
        };
        chain.iter().map(AsRef::as_ref)
    }

    /// Queues the end of the stream behind what is written, where ending the connection alone does not say that all was
    /// sent. Nothing is to be written after.
    pub fn end(&mut self) {
        match self {
            Self::Plain(_) => {}
            Self::Secure(secure) => secure.end(),
        }
    }
}

/// As [`TcpStream`]'s.
impl Stream {
    /// The bytes received and not consumed.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        each!(self, stream => stream.received())
    }

    /// The bytes received and not consumed, as soon as there are any; empty at the end.
    ///
    /// # Errors
    /// How the connection ended, if not well.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        each!(self, stream => stream.poll_fill(cx))
    }

    /// Waits for bytes beyond those not consumed and gives how many came; 0 at the end.
    ///
    /// # Errors
    /// How the connection ended, if not well; what was received before stays.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_more(cx))
    }

    /// Forgets the first `count` bytes of [`Self::received`].
    ///
    /// # Panics
    /// When there are fewer.
    pub fn consume(&mut self, count: usize) {
        each!(self, stream => stream.consume(count));
    }

    /// The bytes written and not yet given on; append here. They go out with the next flush.
    pub fn out(&mut self) -> &mut Vec<u8> {
        each!(self, stream => stream.out())
    }

    /// Appends to the out-queue. Sends nothing by itself.
    pub fn write(&mut self, bytes: &[u8]) {
        self.out().extend_from_slice(bytes);
    }

    /// Moves the first `count` received bytes of `from` to this stream's out-queue and starts to send; without copying
    /// where it can.
    ///
    /// # Panics
    /// When `from` has fewer.
    pub fn forward(&mut self, from: &mut Self, count: usize) {
        match (self, from) {
            (Self::Plain(to), Self::Plain(from)) => to.forward(from, count),
            (Self::Plain(to), Self::Secure(from)) => from.forward_to(to, count),
            (Self::Secure(to), from) => {
                to.send(&from.received()[..count]);
                from.consume(count);
            }
        }
    }

    /// Moves what has come on `from` to this stream inside the kernel, as [`TcpStream::poll_splice`] does; never where
    /// either is secure, for what is sealed has to be seen.
    ///
    /// # Errors
    /// How this connection ended.
    pub fn poll_splice(
        &mut self,
        from: &mut Self,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match (self, from) {
            (Self::Plain(to), Self::Plain(from)) => to.poll_splice(from, most, cx),
            _ => Poll::Ready(Ok(0)),
        }
    }

    /// Waits until what was moved inside the kernel has left.
    ///
    /// # Errors
    /// How the connection ended.
    pub fn poll_spliced(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_spliced(cx),
            Self::Secure(_) => Poll::Ready(Ok(())),
        }
    }

    /// Bytes written and not yet taken by the kernel; sealed ones count as they are on the wire.
    #[must_use]
    pub fn queued(&self) -> usize {
        each!(self, stream => stream.queued())
    }

    /// Starts to send what is written, without waiting.
    pub fn start_flush(&mut self) {
        each!(self, stream => stream.start_flush());
    }

    /// Starts to send, and waits until the kernel has taken everything.
    ///
    /// # Errors
    /// How the connection ended, from then on.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx, 0)
    }

    /// Starts to send, and waits until at most `below` bytes are [queued](Self::queued).
    ///
    /// # Errors
    /// As [`Self::poll_flush`].
    pub fn poll_drained(&mut self, cx: &mut Context<'_>, below: usize) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_drained(cx, below))
    }

    /// Ready once the peer has sent FIN or RST, even behind bytes that nobody has read.
    ///
    /// # Errors
    /// How the connection ended, unless by FIN.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_closed(cx))
    }

    /// Whether plaintext, an end or an error have come and were not consumed. What a secure peer sends of its own, such
    /// as tickets, is taken in first.
    pub fn is_readable_or_closed(&mut self) -> bool {
        each!(self, stream => stream.is_readable_or_closed())
    }

    /// Ends this side after everything written so far: close_notify where there is one, then FIN.
    ///
    /// # Errors
    /// When the connection has already ended.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        each!(self, stream => stream.shutdown_write())
    }

    /// Closes with RST, so that the peer cannot take what it got for the whole.
    pub fn abort(self) {
        each!(&self, stream => stream.reset_on_close());
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        each!(self, stream => stream.peer_address())
    }

    /// This end, by a system call.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        each!(self, stream => stream.local_address())
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}
