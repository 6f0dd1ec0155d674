//! The first moments of a connection to a listener that ends TLS: the handshake, or plaintext where that may be.

use std::{
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::{Poll, ready},
};

use sluice_config::{defaults, model::ClientAuthMode};
use sluice_io::TcpStream;
use sluice_tls::{Failure, Reason, ServerContext, Stream, begins_handshake};

use super::Admitted;
use crate::{
    downstream::{Entrance, h1, h2},
    exchange::{Context, Watchdog},
    snapshot,
};

/// One connection that has not begun to speak.
pub(super) struct Greeting {
    pub(super) context: Rc<Context>,
    pub(super) entrance: Rc<Entrance>,
    pub(super) peer: SocketAddr,
    pub(super) admitted: Admitted,
}

impl Greeting {
    /// Shakes hands and hands on to a session, which is a task of its own: what a handshake needs ends with it.
    pub(super) async fn run(self, mut tcp: TcpStream, tls: Arc<ServerContext>) {
        let live = self.entrance.live();
        let settings = &live.listener().settings;
        let auth = settings.tls.as_ref().map(|tls| tls.client_auth.mode);
        let until = self.context.io.now() + settings.tls_handshake_timeout.duration();
        drop(live);
        let mut watchdog = Watchdog::new(self.context.io.timer());
        if auth == Some(ClientAuthMode::Permissive) {
            let look = poll_fn(|cx| {
                loop {
                    match tcp.received() {
                        [22] | [] => {}
                        first => return Poll::Ready(Ok(begins_handshake(first))),
                    }
                    match ready!(tcp.poll_more(cx)) {
                        Ok(0) => return Poll::Ready(Err(closed())),
                        Ok(_) => {}
                        Err(error) => return Poll::Ready(Err(closed_by(&error))),
                    }
                }
            });
            match watchdog.until(Some(until), look).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    self.listener(|listener| listener.plaintext.of(0).count(self.peer.ip()));
                    return self.serve(tcp.into());
                }
                Ok(Err(failure)) => return self.failed(&failure),
                Err(_) => return self.failed(&timeout()),
            }
        }
        let mut stream = match Stream::accept(tcp, &tls) {
            Ok(stream) => stream,
            Err(error) => {
                let failure = Failure::new(Reason::Internal, error);
                return self.failed(&failure);
            }
        };
        let shaken = watchdog.until(Some(until), poll_fn(|cx| stream.poll_handshake(cx)));
        match shaken.await.unwrap_or_else(|_| Err(timeout())) {
            Ok(()) => {
                self.listener(|listener| {
                    let metrics = listener.metrics.of(self.context.worker);
                    metrics.count_handshake(stream.is_resumed());
                });
                self.serve(stream);
            }
            Err(failure) => {
                self.failed(&failure);
                let until = self.context.io.now() + defaults::LINGER_MAX.duration();
                // However it ends, the connection is over.
                let _ = watchdog
                    .until(Some(until), poll_fn(|cx| stream.poll_refused(cx)))
                    .await;
            }
        }
    }

    fn serve(self, stream: Stream) {
        let io = self.context.io.clone();
        let Self {
            context,
            entrance,
            peer,
            admitted,
        } = self;
        if stream.alpn() == Some(b"h2") {
            io.spawn(h2::serve(context, entrance, stream, peer, admitted));
        } else {
            io.spawn(h1::serve(context, entrance, stream, peer, admitted));
        }
    }

    fn listener<T>(&self, look: impl FnOnce(&snapshot::Listener) -> T) -> T {
        look(self.entrance.live().listener())
    }

    fn failed(&self, failure: &Failure) {
        self.listener(|listener| {
            listener
                .metrics
                .of(self.context.worker)
                .count_failed_handshake(failure.reason);
            let (name, peer) = (listener.settings.name.as_str(), self.peer);
            let (reason, detail) = (failure.reason.as_str(), &failure.detail);
            tracing::debug!(listener = name, %peer, reason, %detail, "a TLS handshake failed");
        });
    }
}

fn timeout() -> Failure {
    Failure::new(Reason::Timeout, "it took too long")
}

fn closed() -> Failure {
    Failure::new(Reason::Closed, "the peer closed")
}

fn closed_by(error: &std::io::Error) -> Failure {
    Failure::new(Reason::Closed, error)
}
