//! From a listening socket to sessions.
//!
//! Owns admission: how many connections a listener and a worker may hold. Refuses to spin: where there is no room or
//! no file descriptor it waits for a connection to end.

mod greeting;
mod proxied;

use std::{future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll};

use sluice_config::defaults;
use sluice_io::TcpListener;

use greeting::Greeting;

use crate::{
    downstream::{Entrance, h1, tcp},
    exchange::Context,
    metrics::{ListenerMetrics, PerWorker},
};

/// Takes connections until the entrance drains. Then empties the kernel's queue, so that nobody who got through the
/// handshake is reset; or leaves it as it is, if another process goes on with it.
pub fn run(
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    listener: TcpListener,
) -> impl Future<Output = ()> + use<> {
    // From now on, and not from the first turn of the task: a worker does not end before its queues are empty.
    let listening = Listening::new(&context);
    async move {
        accept(&context, &entrance, listener).await;
        drop(listening);
    }
}

async fn accept(context: &Rc<Context>, entrance: &Rc<Entrance>, mut listener: TcpListener) {
    let mut drain = entrance.drain.watch();
    loop {
        let accepted = poll_fn(|cx| {
            if drain.poll_begun(cx).is_ready() {
                return Poll::Ready(None);
            }
            // Looked at whenever one may be there: room can go while nobody comes.
            if !has_room(context, entrance) {
                return Poll::Ready(Some(Err(NoRoom)));
            }
            // No descriptor or no memory now (accept(2)): the next end of a connection may free one.
            let accepted = listener.poll_accept(cx).map_err(|_| NoRoom);
            accepted.map(Some)
        });
        match accepted.await {
            Some(Ok((stream, peer))) => open(context, entrance, stream, peer),
            Some(Err(NoRoom)) => {
                context.metrics().accept_paused.inc();
                context.room_changed(defaults::ACCEPT_PAUSE_MAX.duration()).await;
            }
            None => break,
        }
    }
    if entrance.kept.get() {
        return;
    }
    if let Err(error) = listener.refuse_new() {
        tracing::debug!(%error, "connections that arrive while a listener closes may be reset");
    }
    // A handshake takes a round trip: those who began theirs before are heard out.
    let mut over = pin!(context.io.sleep(defaults::HANDSHAKES_END.duration()));
    while let Some((stream, peer)) = poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
    {
        open(context, entrance, stream, peer);
    }
}

/// No further connection can be held.
struct NoRoom;

fn has_room(context: &Context, entrance: &Entrance) -> bool {
    let live = entrance.live();
    context.has_room(&live.current.snapshot)
        && entrance.connections.get() < live.listener().settings.connections
}

/// Starts a session, or what comes before it; it is counted until it ends, however it ends.
fn open(
    context: &Rc<Context>,
    entrance: &Rc<Entrance>,
    stream: sluice_io::TcpStream,
    peer: std::net::SocketAddr,
) {
    let admitted = Admitted::new(context, entrance);
    let tells = proxied::tells(entrance.live().listener(), peer);
    let (context, entrance) = (Rc::clone(context), Rc::clone(entrance));
    if tells {
        let io = context.io.clone();
        return io.spawn(proxied::run(context, entrance, stream, peer, admitted));
    }
    serve(context, entrance, stream, peer, admitted);
}

/// Starts the session of a connection of `peer`, who is not at its other end if a proxy told so.
fn serve(
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    stream: sluice_io::TcpStream,
    peer: std::net::SocketAddr,
    admitted: Admitted,
) {
    let live = entrance.live();
    let listener = live.listener();
    let io = context.io.clone();
    if listener.settings.protocol.is_passthrough() {
        return io.spawn(tcp::serve(context, &entrance, stream, peer, admitted));
    }
    match (&listener.settings.tls, &listener.tls) {
        (None, _) => io.spawn(h1::serve(context, entrance, stream.into(), peer, admitted)),
        (Some(_), Some(tls)) => {
            let greeting = Greeting {
                context,
                entrance,
                peer,
                admitted,
            };
            io.spawn(greeting.run(stream, Arc::clone(tls)));
        }
        // Never seen in plaintext: what is secured has its material before it is live.
        (Some(_), None) => {}
    }
}

/// A listening socket's place among those of its worker.
struct Listening(Rc<Context>);

impl Listening {
    fn new(context: &Rc<Context>) -> Self {
        context.listener_opened();
        Self(Rc::clone(context))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listener_closed();
    }
}

/// A connection's place among those of its listener and its worker.
struct Admitted {
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    metrics: PerWorker<ListenerMetrics>,
}

impl Admitted {
    fn new(context: &Rc<Context>, entrance: &Rc<Entrance>) -> Self {
        entrance.connections.set(entrance.connections.get() + 1);
        context.connection_opened();
        let live = entrance.live();
        let metrics = live.listener().metrics.clone();
        metrics.of(context.worker).connections_accepted.inc();
        metrics.of(context.worker).connections_active.inc();
        Self {
            context: Rc::clone(context),
            entrance: Rc::clone(entrance),
            metrics,
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.entrance.connections.set(self.entrance.connections.get() - 1);
        self.metrics.of(self.context.worker).connections_active.dec();
        self.context.connection_closed();
    }
}
