//! The client's side of one request, as the exchange sees it.

use std::{
    net::{IpAddr, SocketAddr},
    task::{Context as TaskContext, Poll, ready},
    time::{Duration, Instant},
};

use sluice_config::{
    defaults,
    model::{ByteSize, ListenerId},
};
use sluice_io::{Timer, drain::Watch};
use sluice_routing::{Arrival, overload::Pressure};
use sluice_tls::Peer;

use crate::{
    error::Failure,
    http::{ClientCertificate, Framing, GrpcWeb, RequestHead},
    wire::{Wire, proxy_protocol::Ends},
};

/// A client with a request on the way.
pub struct Client {
    /// Its connection.
    pub wire: Wire,
    /// Who it is: the other end of its connection, or whom a PROXY header told.
    pub peer: SocketAddr,
    /// The listener it came by, in the snapshot of this request.
    pub listener: ListenerId,
    /// Bounds every wait.
    pub watchdog: Watchdog,
    /// Tells when its listener drains.
    pub drain: Watch,
    /// The connection ends after this request, whatever the client wants.
    pub closing: bool,
    /// The head of a final response has been written.
    pub answered: bool,
    /// The client may still be sending when the connection closes.
    pub lingers: bool,
    /// A 100 (Continue) has been passed on.
    pub continued: bool,
    /// Largest body of this request; `None` has no bound.
    pub body_bytes_max: Option<u64>,
    /// The request came as one of gRPC-Web.
    pub web: Option<Box<GrpcWeb>>,
    /// Bytes received and sent before this request.
    pub bytes_before: (u64, u64),
    /// It closed its sending side in the middle of this request, and until when that counts as half-closed.
    half_closed_until: Option<Instant>,
}

impl Client {
    /// One that has just connected.
    #[must_use]
    pub fn new(wire: Wire, peer: SocketAddr, drain: Watch, watchdog: Watchdog) -> Self {
        Self {
            wire,
            peer,
            listener: ListenerId(0),
            watchdog,
            drain,
            closing: false,
            answered: false,
            lingers: false,
            continued: false,
            body_bytes_max: None,
            web: None,
            bytes_before: (0, 0),
            half_closed_until: None,
        }
    }

    /// Begins a request by a listener, the last one when memory is tight.
    pub fn begin(&mut self, listener: ListenerId, pressure: Pressure) {
        self.listener = listener;
        self.closing |= pressure >= Pressure::Tight;
        self.answered = false;
        self.continued = false;
        self.body_bytes_max = None;
        self.web = None;
        self.half_closed_until = None;
        self.bytes_before = self.wire.bytes();
    }

    /// Bounds the request's body.
    ///
    /// # Errors
    /// When its head announces a larger one.
    pub fn limit_body(&mut self, framing: Framing, most: Option<ByteSize>) -> Result<(), Failure> {
        self.body_bytes_max = most.map(ByteSize::bytes);
        match (framing, self.body_bytes_max) {
            (Framing::Length(length), Some(most)) if length > most => Err(Failure::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// Whether it may begin another version of HTTP: with its first bytes, and where no handshake has agreed on one.
    #[must_use]
    pub fn may_change(&self) -> bool {
        self.wire.bytes() == (0, 0) && !self.wire.transport().is_secure()
    }

    /// How its requests arrive, by a listener with this port and, as far as is believed, from `address`. On plaintext nobody
    /// proves to be anyone.
    #[must_use]
    pub fn arrival(&self, port: u16, address: IpAddr) -> Arrival<'_> {
        let transport = self.wire.transport();
        let peer = transport.peer();
        Arrival {
            identity: peer.and_then(Peer::spiffe),
            names: peer.map(Peer::dns_names).unwrap_or_default(),
            peer: self.wire.peer_address().ip().to_canonical(),
            client: address,
            port,
            sni: transport.server_name(),
        }
    }

    /// Its connection as a backend is told of it, from `address`, as far as that is believed: the port is known of nobody
    /// but the peer.
    #[must_use]
    pub fn ends(&self, address: IpAddr) -> Ends {
        let is_peer = address == self.peer.ip().to_canonical();
        Ends {
            source: (address, if is_peer { self.peer.port() } else { 0 }).into(),
            destination: self.wire.local_address(),
        }
    }

    /// The certificate it has shown.
    #[must_use]
    pub fn certificate(&self) -> Option<ClientCertificate<'_>> {
        let transport = self.wire.transport();
        Some(ClientCertificate {
            peer: transport.peer()?,
            by: transport.own_identity(),
        })
    }

    /// Until when it is still believed to wait for its answer: for ever, unless it closes. A close of its sending side
    /// looks the same whether it still reads or has left, so it is given a while.
    ///
    /// # Errors
    /// When it has left.
    pub(super) fn waits_until(
        &mut self,
        now: Instant,
        cx: &mut TaskContext<'_>,
    ) -> Result<Option<Instant>, Failure> {
        match self.wire.poll_closed(cx) {
            Poll::Pending => return Ok(None),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Err(Failure::ClientGone),
        }
        let until = *self
            .half_closed_until
            .get_or_insert(now + defaults::HALF_CLOSED_GRACE.duration());
        if until <= now {
            Err(Failure::ClientGone)
        } else {
            Ok(Some(until))
        }
    }

    /// Whether the connection may serve another request after this one, whose answer is about to begin.
    #[must_use]
    pub fn may_keep_alive(&self, request: &RequestHead) -> bool {
        !self.closing && request.wants_keep_alive() && !self.drain.has_begun() && !self.waits_to_send(request)
    }

    /// Whether it holds its body back until a 100 (Continue) that was not sent. Behind a final answer it may send it or
    /// not, so where the next request begins nobody could tell (RFC 9110 10.1.1).
    fn waits_to_send(&self, request: &RequestHead) -> bool {
        request.expects_continue() && !self.continued && !self.wire.has_read_body()
    }
}

/// What follows a request on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another request may come.
    KeepAlive,
    /// The connection ends once what was written has been sent.
    Close,
    /// The connection is reset, so that a message cut short never looks whole.
    Abort,
}

/// One timer for all the waits of a connection: each says when it must end.
pub struct Watchdog(Timer);

impl Watchdog {
    /// On this timer.
    #[must_use]
    pub const fn new(timer: Timer) -> Self {
        Self(timer)
    }

    /// Ready when `deadline` has passed; without one never.
    pub fn poll(&mut self, cx: &mut TaskContext<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        self.0.set(deadline);
        self.0.poll_expired(cx)
    }

    /// Waits for `future` until `deadline`.
    ///
    /// # Errors
    /// When the deadline passed first.
    pub async fn until<F: Future>(
        &mut self,
        deadline: Option<Instant>,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll(cx, deadline).map(|()| Err(Elapsed)),
        })
        .await
    }
}

/// A deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// The earlier of two deadlines, where none is later than any.
#[must_use]
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A wait that starts again whenever something moved.
pub struct Stall {
    seen: u64,
    moved: Instant,
    bound: Duration,
    /// Something moved when it was last looked at. What is queued then leaves behind the task's back, so it is looked at
    /// once more, soon.
    is_fresh: bool,
}

impl Stall {
    /// From now on, at most `bound` without progress.
    #[must_use]
    pub const fn new(now: Instant, bound: Duration) -> Self {
        Self {
            seen: 0,
            moved: now,
            bound,
            is_fresh: true,
        }
    }

    /// Ready when nothing has moved for the bound, or by an eighth longer, or when `other` is over. `progress` differs
    /// from the last time if something moved.
    pub fn poll(
        &mut self,
        watchdog: &mut Watchdog,
        progress: u64,
        other: Option<Instant>,
        now: Instant,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if progress != self.seen {
            (self.seen, self.moved, self.is_fresh) = (progress, now, true);
        }
        loop {
            let end = self.moved + self.bound;
            let look = if self.is_fresh {
                self.moved + self.bound / 8
            } else {
                end
            };
            ready!(watchdog.poll(cx, earlier(Some(look), other)));
            if end <= now || other.is_some_and(|other| other <= now) {
                return Poll::Ready(());
            }
            self.is_fresh = false;
        }
    }
}
