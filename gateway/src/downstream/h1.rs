//! A client that speaks HTTP/1: one request after another on one connection.

use std::{
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    task::{Poll, ready},
    time::Instant,
};

use sluice_config::defaults;
use sluice_tls::Stream;

use super::{Entrance, Live, h2};
use crate::{
    error::Failure,
    exchange::{self, Client, Context, Heads, Next, Watchdog},
    http::{BadRequest, RequestLimits},
    wire::{NoHead, Wire},
};

/// One connection.
struct Session {
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    client: Client,
}

/// What follows a request, or comes in place of one.
enum Then {
    /// As the exchange says.
    Next(Next),
    /// The client begins HTTP/2 (RFC 9113 3.4): its preface is among what was received.
    Http2,
}

/// What woke a session that waits between requests.
enum Woken {
    /// Bytes of a request.
    Bytes,
    /// Nothing more comes, or it took too long.
    Over,
}

/// Serves a connection to its end, and drops `place` with it. The future holds each thing once: what an `async fn` takes
/// it holds twice, as taken and as used.
pub fn serve<P: 'static>(
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    stream: Stream,
    peer: SocketAddr,
    place: P,
) -> impl Future<Output = ()> + use<P> {
    let watchdog = Watchdog::new(context.io.timer());
    let client = Client::new(Wire::new(stream), peer, entrance.drain.watch(), watchdog);
    let mut session = Session {
        context,
        entrance,
        client,
    };
    async move {
        match session.run().await {
            Then::Next(Next::KeepAlive | Next::Close) => session.close().await,
            Then::Next(Next::Abort) => session.client.wire.abort(),
            Then::Http2 => return session.change(place),
        }
        drop(place);
    }
}

impl Session {
    /// One request after another.
    async fn run(&mut self) -> Then {
        let opened = self.context.io.now();
        let mut patience = opened + self.entrance.live().listener().settings.head_timeout.duration();
        // The first head has this time from accept on, silent or not.
        let mut first = Some(patience);
        loop {
            if let Woken::Over = self.wait(patience).await {
                return Then::Next(Next::Close);
            }
            match self.request(first.take()).await {
                Then::Next(Next::KeepAlive) => {}
                then => return then,
            }
            patience =
                self.context.io.now() + self.entrance.live().listener().settings.idle_timeout.duration();
        }
    }

    /// Waits for the first byte of a request, sending what is left of the last response meanwhile.
    async fn wait(&mut self, mut patience: Instant) -> Woken {
        let io = &self.context.io;
        let client = &mut self.client;
        let mut warned = false;
        poll_fn(|cx| {
            let Some(wire) = client.wire.as_h1() else {
                return Poll::Ready(Woken::Over);
            };
            match wire.poll_bytes(cx) {
                Poll::Ready(true) => return Poll::Ready(Woken::Bytes),
                Poll::Ready(false) => return Poll::Ready(Woken::Over),
                Poll::Pending => {}
            }
            wire.start_flush();
            if !warned && client.drain.poll_begun(cx).is_ready() {
                // A client that sends often gets its answer with `connection: close`; one that rests is let go.
                warned = true;
                patience = patience.min(io.now() + defaults::DRAIN_IDLE_GRACE.duration());
            }
            client.watchdog.poll(cx, Some(patience)).map(|()| Woken::Over)
        })
        .await
    }

    /// Reads one request, its head until `by` or for as long as the listener allows, and has it served.
    async fn request(&mut self, by: Option<Instant>) -> Then {
        let mut heads = self.context.lend_heads();
        let live = self.entrance.live();
        self.client.begin(live.id, self.context.pressure());
        let head = self.head(&live, &mut heads, by).await;
        let (context, current, client) = (&*self.context, &*live.current, &mut self.client);
        let next = match head {
            Ok(()) => exchange::serve(context, current, client, &mut heads).await,
            Err(Failure::ClientGone) => Next::Abort,
            Err(Failure::BadRequest { rule, .. })
                if rule == BadRequest::HTTP2_PREFACE.rule && client.may_change() =>
            {
                self.context.return_heads(heads);
                return Then::Http2;
            }
            Err(failure) => exchange::refuse(context, current, client, &mut heads, failure).await,
        };
        self.context.return_heads(heads);
        Then::Next(next)
    }

    /// Goes on as a session of HTTP/2.
    fn change<P: 'static>(self, place: P) {
        let Self {
            context,
            entrance,
            client,
        } = self;
        if let Wire::H1(wire) = client.wire {
            let io = context.io.clone();
            io.spawn(h2::serve(
                context,
                entrance,
                wire.into_stream(),
                client.peer,
                place,
            ));
        }
    }

    /// Reads the rest of the head.
    async fn head(&mut self, live: &Live, heads: &mut Heads, by: Option<Instant>) -> Result<(), Failure> {
        let settings = &live.listener().settings;
        let limits = RequestLimits::from(settings);
        let room = usize::try_from(settings.buffer_bytes_max.bytes()).unwrap_or(usize::MAX);
        let deadline = by.unwrap_or_else(|| self.context.io.now() + settings.head_timeout.duration());
        let client = &mut self.client;
        let whole = poll_fn(|cx| {
            let Some(wire) = client.wire.as_h1() else {
                return Poll::Ready(Err(NoHead::Closed { begun: false }));
            };
            // A client that pipelines without reading its answers waits here.
            if ready!(wire.poll_room(room, cx)).is_err() {
                return Poll::Ready(Err(NoHead::Closed { begun: false }));
            }
            wire.poll_request(&mut heads.request, &limits, cx)
        });
        match client.watchdog.until(Some(deadline), whole).await {
            Ok(Ok(())) => {
                client.wire.expect_body(heads.request.framing());
                Ok(())
            }
            Ok(Err(NoHead::Bad(bad))) => {
                let bad = if client.wire.as_h1().is_some_and(|wire| wire.looks_like_tls()) {
                    BadRequest::TLS
                } else {
                    bad
                };
                Err(Failure::BadRequest {
                    status: bad.status,
                    rule: bad.rule,
                })
            }
            Ok(Err(NoHead::Closed { .. })) => Err(Failure::ClientGone),
            Err(_) => Err(Failure::ClientTimeout),
        }
    }

    /// Sends what is queued and closes. A client that may still be sending is read for a while: closing with bytes
    /// unread resets the connection, and the answer could be lost with it (RFC 9112 9.6).
    async fn close(&mut self) {
        let io = &self.context.io;
        let stall = self
            .entrance
            .live()
            .listener()
            .settings
            .body_idle_timeout
            .duration();
        let client = &mut self.client;
        let Wire::H1(wire) = &mut client.wire else { return };
        wire.end();
        let flushed = poll_fn(|cx| wire.poll_flush(cx));
        if !matches!(
            client.watchdog.until(Some(io.now() + stall), flushed).await,
            Ok(Ok(()))
        ) {
            return;
        }
        if !client.lingers || wire.shutdown_write().is_err() {
            return;
        }
        let deadline = io.now() + defaults::LINGER_MAX.duration();
        let rest = poll_fn(|cx| wire.poll_discard(defaults::LINGER_BYTES_MAX, cx));
        // However it ends, the connection is over.
        let _ = client.watchdog.until(Some(deadline), rest).await;
    }
}

#[cfg(test)]
mod tests;
