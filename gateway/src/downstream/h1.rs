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

use super::{Entrance, Live};
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

/// What woke a session that waits between requests.
enum Woken {
    /// Bytes of a request.
    Bytes,
    /// Nothing more comes, or it took too long.
    Over,
}

/// Serves a connection to its end, and drops `place` with it. The future holds each thing once: what an `async fn` takes
/// it holds twice, as taken and as used.
pub fn serve<P>(
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
            Next::KeepAlive | Next::Close => session.close().await,
            Next::Abort => session.client.wire.abort(),
        }
        drop(place);
    }
}

impl Session {
    /// One request after another.
    async fn run(&mut self) -> Next {
        let opened = self.context.io.now();
        let mut patience = opened + self.entrance.live().listener().settings.head_timeout.duration();
        // The first head has this time from accept on, silent or not.
        let mut first = Some(patience);
        loop {
            if let Woken::Over = self.wait(patience).await {
                return Next::Close;
            }
            let next = self.request(first.take()).await;
            if next != Next::KeepAlive {
                return next;
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
            match client.wire.poll_bytes(cx) {
                Poll::Ready(true) => return Poll::Ready(Woken::Bytes),
                Poll::Ready(false) => return Poll::Ready(Woken::Over),
                Poll::Pending => {}
            }
            client.wire.start_flush();
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
    async fn request(&mut self, by: Option<Instant>) -> Next {
        let mut heads = self.context.lend_heads();
        let live = self.entrance.live();
        self.client.begin(live.id, self.context.pressure());
        let head = self.head(&live, &mut heads, by).await;
        let (context, current, client) = (&*self.context, &*live.current, &mut self.client);
        let next = match head {
            Ok(()) => exchange::serve(context, current, client, &mut heads).await,
            Err(Failure::ClientGone) => Next::Abort,
            Err(failure) => exchange::refuse(context, current, client, &mut heads, failure).await,
        };
        self.context.return_heads(heads);
        next
    }

    /// Reads the rest of the head.
    async fn head(&mut self, live: &Live, heads: &mut Heads, by: Option<Instant>) -> Result<(), Failure> {
        let settings = &live.listener().settings;
        let limits = RequestLimits::from(settings);
        let room = usize::try_from(settings.buffer_bytes_max.bytes()).unwrap_or(usize::MAX);
        let deadline = by.unwrap_or_else(|| self.context.io.now() + settings.head_timeout.duration());
        let client = &mut self.client;
        let whole = poll_fn(|cx| {
            // A client that pipelines without reading its answers waits here.
            if ready!(client.wire.poll_room(room, cx)).is_err() {
                return Poll::Ready(Err(NoHead::Closed { begun: false }));
            }
            client.wire.poll_request(&mut heads.request, &limits, cx)
        });
        match client.watchdog.until(Some(deadline), whole).await {
            Ok(Ok(())) => {
                client.wire.expect_body(heads.request.framing());
                Ok(())
            }
            Ok(Err(NoHead::Bad(bad))) => {
                let bad = if client.wire.looks_like_tls() {
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
        client.wire.end();
        let flushed = poll_fn(|cx| client.wire.poll_flush(cx));
        if !matches!(
            client.watchdog.until(Some(io.now() + stall), flushed).await,
            Ok(Ok(()))
        ) {
            return;
        }
        if !client.lingers || client.wire.shutdown_write().is_err() {
            return;
        }
        let deadline = io.now() + defaults::LINGER_MAX.duration();
        let rest = poll_fn(|cx| client.wire.poll_discard(defaults::LINGER_BYTES_MAX, cx));
        // However it ends, the connection is over.
        let _ = client.watchdog.until(Some(deadline), rest).await;
    }
}

#[cfg(test)]
mod tests;
