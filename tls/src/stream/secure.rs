//! A secure stream: a TCP stream whose bytes are records.
//!
//! What was received and is not whole yet stays in the TCP stream's buffer, where records are opened in place; what is
//! written gathers as plaintext, so that a flush seals few large records. At rest neither holds a buffer.

mod sending;

use std::{
    fmt, io, mem,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use rustls::{Error, HandshakeKind};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sluice_config::defaults::TLS_HANDSHAKE_BYTES_MAX;
use sluice_io::TcpStream;

use crate::{
    ClientContext, Failure, Peer, Reason, ServerContext, Transport,
    server::Chooser,
    session::{Opened, Records as _, Session, Then},
};

/// See the module.
pub struct Secure {
    tcp: TcpStream,
    session: Session,
    /// Plaintext received.
    received: Vec<u8>,
    /// How much of `received` is consumed.
    start: usize,
    /// Plaintext written and not sealed.
    out: Vec<u8>,
    end: End,
    /// Nothing can be sent any more, or close_notify has been.
    closed: bool,
    /// The handshake failed, and the peer was told.
    refused: bool,
    /// Bytes of the peer's side of the handshake so far.
    handshake_bytes: usize,
    transport: Transport,
}

/// How what is received ends.
#[derive(Debug, Clone)]
enum End {
    /// Not yet.
    Open,
    /// With close_notify.
    Well,
    /// Without it.
    Truncated,
    /// The records cannot be opened.
    Broken(Box<Error>),
}

impl Secure {
    pub(super) fn accept(tcp: TcpStream, context: &ServerContext) -> io::Result<Self> {
        let (connection, chooser) = context.accept().map_err(io::Error::other)?;
        Ok(Self::new(tcp, Session::Server(connection), Some(chooser)))
    }

    pub(super) fn connect(
        tcp: TcpStream,
        context: &ClientContext,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let connection = context.connect(name).map_err(io::Error::other)?;
        let mut secure = Self::new(tcp, Session::Client(connection), None);
        // A client speaks first.
        secure.open();
        Ok(secure)
    }

    fn new(tcp: TcpStream, session: Session, chooser: Option<Arc<Chooser>>) -> Self {
        Self {
            tcp,
            session,
            received: Vec::new(),
            start: 0,
            out: Vec::new(),
            end: End::Open,
            closed: false,
            refused: false,
            handshake_bytes: 0,
            transport: Transport::new(chooser),
        }
    }

    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // What was read before this began, to tell TLS from plaintext.
        let mut came = match self.handshake_bytes {
            0 => self.tcp.received().len(),
            _ => 0,
        };
        loop {
            if came > 0 {
                self.handshake_bytes += came;
                self.open();
                if let End::Broken(error) = &self.end {
                    return Poll::Ready(Err(self.failure(error)));
                }
                if !self.session.is_handshaking() {
                    return Poll::Ready(self.meet());
                }
                if !matches!(self.end, End::Open) {
                    return Poll::Ready(Err(Failure::new(Reason::Closed, "the peer ended the connection")));
                }
                if self.handshake_bytes >= TLS_HANDSHAKE_BYTES_MAX {
                    return Poll::Ready(Err(Failure::new(Reason::TooLarge, "the handshake does not end")));
                }
            }
            match ready!(self.tcp.poll_more(cx)) {
                Ok(0) => return Poll::Ready(Err(Failure::new(Reason::Closed, "the peer closed"))),
                Ok(count) => came = count,
                Err(error) => return Poll::Ready(Err(Failure::new(Reason::Closed, error))),
            }
        }
    }

    pub(super) fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.refused {
            if ready!(self.tcp.poll_flush(cx)).is_err() || self.tcp.shutdown_write().is_err() {
                return Poll::Ready(());
            }
            (self.refused, self.handshake_bytes) = (true, 0);
        }
        while self.handshake_bytes < TLS_HANDSHAKE_BYTES_MAX {
            let Ok(count @ 1..) = ready!(self.tcp.poll_fill(cx)).map(<[u8]>::len) else {
                break;
            };
            self.tcp.consume(count);
            self.handshake_bytes += count;
        }
        Poll::Ready(())
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn failure(&self, error: &Error) -> Failure {
        let Some(chooser) = self.transport.chooser() else {
            return Failure::of(
                error,
                self.handshake_bytes > 0 && self.session.protocol_version().is_some(),
            );
        };
        if chooser.has_refused() {
            return Failure::new(Reason::UnknownName, "no certificate for the name asked for");
        }
        Failure::of(error, chooser.has_chosen())
    }

    /// Learns who the peer is, once it has proved it.
    fn meet(&mut self) -> Result<(), Failure> {
        let Some(certificate) = self.peer_chain().first() else {
            return Ok(());
        };
        let peer =
            Peer::read(certificate).map_err(|error| Failure::new(Reason::CertificateInvalid, error))?;
        // A ticket brings back a certificate that was verified when it was made, and may have expired since.
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        if self.is_resumed() && peer.not_after() < now {
            return Err(Failure::new(
                Reason::CertificateExpired,
                "resumed with a certificate that has expired since",
            ));
        }
        self.transport.met(peer);
        Ok(())
    }

    pub(super) const fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    pub(super) fn peer_chain(&self) -> &[CertificateDer<'static>] {
        self.session.peer_certificates().unwrap_or_default()
    }
}

/// Receiving.
impl Secure {
    pub(super) fn received(&self) -> &[u8] {
        &self.received[self.start..]
    }

    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.received().is_empty() {
            ready!(self.poll_more(cx))?;
        }
        Poll::Ready(Ok(self.received()))
    }

    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match &self.end {
                End::Open => {}
                End::Well => return Poll::Ready(Ok(0)),
                End::Truncated => {
                    let cut = "the peer closed without close_notify";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, cut)));
                }
                End::Broken(error) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())));
                }
            }
            match self.tcp.poll_more(cx) {
                Poll::Ready(Ok(0)) => self.end = End::Truncated,
                Poll::Ready(Ok(_)) => {
                    let before = self.received().len();
                    self.open();
                    let count = self.received().len() - before;
                    if count > 0 {
                        return Poll::Ready(Ok(count));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.tcp.shrink_buffer(&mut self.received, &mut self.start);
                    return Poll::Pending;
                }
            }
        }
    }

    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.received().len(), "consumed more than was received");
        self.start += count;
        self.release_received();
    }

    /// Opens all the records that are whole: plaintext is never longer than they were, and a caller that wants no more
    /// does not ask for more.
    fn open(&mut self) {
        if self.received.capacity() == 0 {
            self.received = self.tcp.take_buffer();
        }
        // Rarely anything, so that it needs no buffer of the worker's.
        let mut records = Vec::new();
        let Opened { taken, outcome } =
            self.session
                .open(self.tcp.received_mut(), &mut self.received, &mut records);
        self.tcp.consume(taken);
        match outcome {
            Ok(Then::More) => {}
            Ok(Then::Ended) => {
                self.end = End::Well;
                // Nothing may follow close_notify.
                self.tcp.consume(self.tcp.received().len());
            }
            Err(error) => {
                if self
                    .transport
                    .chooser()
                    .is_some_and(|chooser| chooser.has_refused())
                {
                    name_unknown(&mut records);
                }
                self.end = End::Broken(Box::new(error));
                self.closed = true;
                self.tcp.consume(self.tcp.received().len());
            }
        }
        if !records.is_empty() {
            self.tcp.write(&records);
            self.tcp.start_flush();
        }
        self.release_received();
    }

    fn release_received(&mut self) {
        if self.start == self.received.len() {
            self.start = 0;
            self.tcp.give_buffer(mem::take(&mut self.received));
        }
    }

    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.tcp.poll_closed(cx);
        if outcome.is_pending() {
            self.tcp.shrink_buffer(&mut self.received, &mut self.start);
        }
        outcome
    }

    pub(super) fn is_readable_or_closed(&mut self) -> bool {
        if self.tcp.is_readable_or_closed() && self.received().is_empty() {
            // Nobody waits for this stream while it is asked; who waits later leaves a waker of its own.
            let _ = self.poll_more(&mut Context::from_waker(Waker::noop()));
        }
        !self.received().is_empty() || !matches!(self.end, End::Open) || self.tcp.is_readable_or_closed()
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.tcp.give_buffer(mem::take(&mut self.received));
        self.tcp.give_buffer(mem::take(&mut self.out));
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure")
            .field("tcp", &self.tcp)
            .field("received", &self.received().len())
            .field("written", &self.out.len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// rustls says access_denied where a resolver has no certificate; the alert for a name that is not served is another
/// (RFC 6066 3), which clients tell their users in better words. At that point alerts are not sealed yet.
fn name_unknown(records: &mut [u8]) {
    const ACCESS_DENIED: u8 = 49;
    const UNRECOGNIZED_NAME: u8 = 112;
    if let [.., 21, 3, _, 0, 2, 2, description @ ACCESS_DENIED] = records {
        *description = UNRECOGNIZED_NAME;
    }
}
