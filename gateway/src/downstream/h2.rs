//! A client that speaks HTTP/2: many requests at a time on one connection.
//!
//! Owns the task that drives the connection, and one task for each stream, which serves its request as a session of
//! HTTP/1 serves each of its own.

use std::{
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    task::{Context as TaskContext, Poll},
    time::Instant,
};

use bytes::Bytes;
use h2::{
    Error, Reason, RecvStream,
    server::{self, SendResponse},
};
use hyper::http::Request;
use sluice_config::{defaults, model::Listener};
use sluice_io::drain::Watch;
use sluice_tls::Stream;

use super::Entrance;
use crate::{
    error::Failure,
    exchange::{self, Client, Context, Elapsed, Next, Stall, Watchdog},
    http::{BadRequest, RequestLimits},
    snapshot,
    wire::{
        H2, Wire,
        h2::{Facts, Link, Meter, Socket, Verdict},
    },
};

/// What the streams of a connection share.
struct Shared {
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    facts: Rc<Facts>,
    peer: SocketAddr,
}

/// One connection.
struct Session {
    shared: Rc<Shared>,
    connection: server::Connection<Socket, Bytes>,
    link: Rc<Link>,
    watchdog: Watchdog,
    drain: Watch,
    /// When it has been without streams for too long; `None` while it has some.
    rests_until: Option<Instant>,
    /// What was sent and not read.
    stall: Stall,
    /// It was told that no more streams are taken.
    said_goodbye: bool,
    /// The worst there was of it.
    verdict: Verdict,
}

/// Serves a connection to its end, and drops `place` with it. The client's preface is still to be read; once it is, the
/// connection goes on in a task of its own, which holds no more than it needs.
pub fn serve<P: 'static>(
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    stream: Stream,
    peer: SocketAddr,
    place: P,
) -> impl Future<Output = ()> + use<P> {
    let link = Rc::new(Link::new(stream, Some(Meter::new(context.io.now()))));
    async move {
        let mut watchdog = Watchdog::new(context.io.timer());
        let live = entrance.live();
        let settings = &live.listener().settings;
        let until = context.io.now() + settings.head_timeout.duration();
        let greeting = builder(settings).handshake(Socket::new(Rc::clone(&link)));
        let stall = Stall::new(context.io.now(), settings.body_idle_timeout.duration());
        drop(live);
        match watchdog.until(Some(until), greeting).await {
            Ok(Ok(connection)) => {
                let io = context.io.clone();
                let session = Session {
                    connection,
                    watchdog,
                    drain: entrance.drain.watch(),
                    // The first request has as long as the first of HTTP/1.
                    rests_until: Some(until),
                    stall,
                    said_goodbye: false,
                    verdict: Verdict::Fine,
                    shared: Rc::new(Shared {
                        facts: Rc::new(link.facts()),
                        context,
                        entrance,
                        peer,
                    }),
                    link,
                };
                io.spawn(drive(session, place));
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a client began HTTP/2 and did not go on"),
            Err(Elapsed) => tracing::debug!(%peer, "a client began HTTP/2 and was too slow"),
        }
    }
}

/// Drives a connection to its end, and drops `place` with it.
#[expect(clippy::manual_async_fn, reason = "an `async fn` holds what it takes twice")]
fn drive<P>(mut session: Session, place: P) -> impl Future<Output = ()> + use<P> {
    async move {
        if let Err(error) = poll_fn(|cx| session.poll(cx)).await {
            tracing::debug!(peer = %session.shared.peer, %error, "a client's connection of HTTP/2 ended");
        }
        drop(place);
    }
}

/// The library's bounds.
fn builder(settings: &Listener) -> server::Builder {
    let buffer_bytes = u32::try_from(settings.buffer_bytes_max.bytes()).unwrap_or(WINDOW_MAX);
    let window = buffer_bytes.min(WINDOW_MAX);
    let all = window.saturating_mul(defaults::H2_CONNECTION_WINDOWS);
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(defaults::H2_STREAMS_MAX)
        // WebSockets (RFC 8441).
        .enable_connect_protocol()
        .initial_window_size(window)
        .initial_connection_window_size(all.min(WINDOW_MAX))
        .max_header_list_size(defaults::H2_HEADER_LIST_BYTES_MAX)
        .max_send_buffer_size(buffer_bytes as usize);
    builder
}

impl Session {
    /// Drives the connection and starts a task for each stream. Ready when the client has left, nothing more is to come,
    /// or it takes too long.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        loop {
            let accepted = self.connection.poll_accept(cx);
            let before = self.verdict;
            let verdict = self.judge();
            if verdict >= Verdict::Close && before < Verdict::Close {
                self.close(verdict);
                // What it asked for last is not served.
                continue;
            }
            match accepted {
                Poll::Ready(Some(Ok((request, answer)))) => {
                    self.rests_until = None;
                    let stream = serve_stream(Rc::clone(&self.shared), request, answer);
                    self.shared.context.io.spawn(stream);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
            let late = self.poll_late(cx).is_ready();
            let ends = late || verdict >= Verdict::GoAway || self.drain.poll_begun(cx).is_ready();
            if self.said_goodbye || !ends {
                // It does not read, or does not close after the goodbye.
                return if late { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            // Two GOAWAYs, the second once the client has seen the first: no stream is lost between them (RFC 9113 6.8).
            self.said_goodbye = true;
            self.rests_until = None;
            self.connection.graceful_shutdown();
        }
    }

    /// Ends the connection with all its streams.
    fn close(&mut self, verdict: Verdict) {
        let reason = if verdict == Verdict::Invalid {
            Reason::PROTOCOL_ERROR
        } else {
            self.listener(|listener, worker| listener.metrics.of(worker).h2_ended.inc());
            Reason::ENHANCE_YOUR_CALM
        };
        self.connection.abrupt_shutdown(reason);
    }

    /// Counts its glitches, and says what follows from them.
    fn judge(&mut self) -> Verdict {
        let now = self.shared.context.io.now();
        let verdict = self.link.with_meter(|meter| {
            if meter.is_clean() {
                return Verdict::Fine;
            }
            self.listener(|listener, worker| {
                let glitches = &listener.metrics.of(worker).glitches;
                meter
                    .take_counts()
                    .for_each(|(glitch, count)| glitches.add(glitch, count));
            });
            meter.judge(now)
        });
        let verdict = verdict.unwrap_or(Verdict::Fine);
        if verdict > self.verdict {
            self.verdict = verdict;
            let peer = self.shared.peer;
            if verdict == Verdict::Invalid {
                tracing::debug!(%peer, "a client began HTTP/2 without its settings");
            } else {
                tracing::info!(%peer, ?verdict, "a client of HTTP/2 makes more work than requests");
            }
        }
        verdict
    }

    fn listener<T>(&self, look: impl FnOnce(&snapshot::Listener, usize) -> T) -> T {
        look(self.shared.entrance.live().listener(), self.shared.context.worker)
    }

    /// Ready when the client does not read what it is sent, or has had no stream for too long.
    fn poll_late(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let now = self.shared.context.io.now();
        if self.connection.has_streams() {
            self.rests_until = None;
        } else if self.rests_until.is_none() {
            let patience = if self.said_goodbye {
                defaults::H2_GOODBYE_MAX
            } else {
                self.shared.entrance.live().listener().settings.idle_timeout
            };
            self.rests_until = Some(now + patience.duration());
        }
        let queued = self.link.queued();
        if queued == 0 {
            return self.watchdog.poll(cx, self.rests_until);
        }
        let progress = self.link.progress();
        self.stall
            .poll(&mut self.watchdog, progress, self.rests_until, now, cx)
    }
}

/// One stream: its request, from the head to the last byte of the answer.
async fn serve_stream(shared: Rc<Shared>, request: Request<RecvStream>, answer: SendResponse<Bytes>) {
    let context = &*shared.context;
    let mut heads = context.lend_heads();
    let live = shared.entrance.live();
    let settings = &live.listener().settings;
    let (mut head, body) = request.into_parts();
    let is_whole = body.is_end_stream();
    let read = heads
        .request
        .take_h2(&mut head, is_whole, &RequestLimits::from(settings), || {
            context.with_rng(|rng| rng.u128(..))
        });
    let mut stream = H2::accepted(Rc::clone(&shared.facts), body, answer);
    if heads.request.upgrade().is_some() {
        stream.hold_back();
    }
    let mut client = Client::new(
        Wire::H2(Box::new(stream)),
        shared.peer,
        shared.entrance.drain.watch(),
        Watchdog::new(context.io.timer()),
    );
    client.begin(live.id, context.pressure());
    let next = match read {
        Ok(()) => exchange::serve(context, &live.current, &mut client, &mut heads).await,
        Err(BadRequest { status, rule }) => {
            let failure = Failure::BadRequest { status, rule };
            exchange::refuse(context, &live.current, &mut client, &mut heads, failure).await
        }
    };
    context.return_heads(heads);
    let stall = Stall::new(context.io.now(), settings.body_idle_timeout.duration());
    if next == Next::Abort || !hand_over(context, &mut client, stall).await {
        client.wire.abort();
    }
}

/// Waits until the answer is on its way. `false` if the client does not let it go.
async fn hand_over(context: &Context, client: &mut Client, mut stall: Stall) -> bool {
    let Client { wire, watchdog, .. } = client;
    poll_fn(|cx| match wire.poll_handed_over(cx) {
        Poll::Ready(outcome) => Poll::Ready(outcome.is_ok()),
        Poll::Pending => stall
            .poll(watchdog, wire.progress(), None, context.io.now(), cx)
            .map(|()| false),
    })
    .await
}

/// RFC 9113 6.9.1.
const WINDOW_MAX: u32 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, F: Future>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_costs_no_more_than_is_known() {
        // Every open connection holds one, beside what the library allocates.
        let bytes = size_of_future(drive::<()>);
        assert!(bytes <= 1536, "{bytes} bytes");
    }
}
