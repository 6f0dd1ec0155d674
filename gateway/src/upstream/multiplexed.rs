//! Connections of HTTP/2 to one endpoint: opened by one request, shared by all that follow.
//!
//! Owns which of them takes the next stream, and the task that drives each. One that is full has another opened beside
//! it; one that a backend says it will end (GOAWAY) takes no more, and ends with its last stream.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{Ping, PingPong, client};
use sluice_config::defaults;
use sluice_io::{Io, Timer};
use sluice_tls::Stream;

use crate::wire::{
    H2,
    h2::{Facts, Link, Socket},
};

/// Those of one endpoint.
#[derive(Default)]
pub(super) struct Multiplexed {
    open: RefCell<Vec<Rc<Connection>>>,
    /// One is being opened.
    opening: Cell<bool>,
    /// Who waits for that.
    waiting: RefCell<Vec<Waker>>,
}

/// One connection.
struct Connection {
    handle: RefCell<client::SendRequest<Bytes>>,
    facts: Rc<Facts>,
    link: Rc<Link>,
    streams: Cell<u32>,
    /// Since when it has had no stream.
    idle_since: Cell<Instant>,
}

/// A stream's place on its connection; given back when dropped.
pub(super) struct Place {
    connection: Rc<Connection>,
    io: Io,
}

/// The right to open a connection; given back when dropped.
pub(super) struct Opening<'m>(&'m Multiplexed);

impl Multiplexed {
    /// A stream on a connection that has room for one.
    pub(super) fn stream(&self, io: &Io) -> Option<(H2, Place)> {
        let open = self.open.borrow();
        let mut fit = open.iter().filter(|connection| connection.has_room());
        let connection = fit.find(|connection| connection.takes_streams())?;
        Some(connection.stream(io))
    }

    /// Waits until nobody else opens a connection. Then either one has room, or the caller is to open one.
    pub(super) async fn turn(&self) -> Opening<'_> {
        poll_fn(|cx| {
            if self.opening.replace(true) {
                self.waiting.borrow_mut().push(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Opening(self))
        })
        .await
    }

    /// Drops those that have had no stream for `kept`. Gives how many have none now.
    pub(super) fn sweep(&self, now: Instant, kept: Duration) -> usize {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| {
            let rests = now.saturating_duration_since(connection.idle_since.get());
            connection.takes_streams() && (connection.streams.get() > 0 || rests < kept)
        });
        let idle = open.iter().filter(|connection| connection.streams.get() == 0);
        idle.count()
    }
}

impl Opening<'_> {
    /// Begins HTTP/2 on `stream`, and gives the first stream of it.
    ///
    /// # Errors
    /// When the connection ends before anything can be sent.
    pub(super) async fn begin(self, io: &Io, stream: Stream) -> io::Result<(H2, Place)> {
        let link = Rc::new(Link::new(stream, None));
        let facts = Rc::new(link.facts());
        let (handle, mut driven) = client::Builder::new()
            .enable_push(false)
            .initial_window_size(defaults::H2_WINDOW)
            .initial_connection_window_size(defaults::H2_WINDOW * defaults::H2_CONNECTION_WINDOWS)
            .max_header_list_size(defaults::H2_HEADER_LIST_BYTES_MAX)
            .max_send_buffer_size(defaults::H2_WINDOW as usize)
            .handshake(Socket::new(Rc::clone(&link)))
            .await
            .map_err(io::Error::other)?;
        let keep_alive = driven
            .ping_pong()
            .map(|ping| KeepAlive::new(io, ping, Rc::clone(&link)));
        let connection = Rc::new(Connection {
            handle: RefCell::new(handle),
            facts,
            link: Rc::clone(&link),
            streams: Cell::new(0),
            idle_since: Cell::new(io.now()),
        });
        io.spawn(drive(io.clone(), driven, keep_alive, link));
        self.0.open.borrow_mut().push(Rc::clone(&connection));
        Ok(connection.stream(io))
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.opening.set(false);
        for waker in self.0.waiting.take() {
            waker.wake();
        }
    }
}

impl Connection {
    fn stream(self: &Rc<Self>, io: &Io) -> (H2, Place) {
        self.streams.set(self.streams.get() + 1);
        let place = Place {
            connection: Rc::clone(self),
            io: io.clone(),
        };
        let (facts, link) = (Rc::clone(&self.facts), Rc::clone(&self.link));
        (H2::to_open(facts, link, self.handle.borrow().clone()), place)
    }

    /// Whether it has neither ended nor been told to end.
    fn takes_streams(&self) -> bool {
        // A handle that has opened no stream is ready at once, or never again.
        let mut cx = Context::from_waker(Waker::noop());
        let ready = self.handle.borrow_mut().poll_ready(&mut cx);
        matches!(ready, Poll::Ready(Ok(())))
    }

    /// Whether the backend takes another stream now.
    fn has_room(&self) -> bool {
        (self.streams.get() as usize) < self.handle.borrow().current_max_send_streams()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.streams.set(connection.streams.get() - 1);
        connection.idle_since.set(self.io.now());
    }
}

/// Drives a connection to its end. It ends by itself once nobody holds it and no stream is open.
async fn drive(
    io: Io,
    mut connection: client::Connection<Socket, Bytes>,
    mut keep_alive: Option<KeepAlive>,
    link: Rc<Link>,
) {
    let outcome = poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(ended.map_err(|error| error.to_string()));
        }
        match &mut keep_alive {
            Some(keep_alive) => keep_alive
                .poll(&io, cx)
                .map(|()| Err("no answer to a PING".to_owned())),
            None => Poll::Pending,
        }
    });
    if let Err(error) = outcome.await {
        tracing::debug!(error, "a connection of HTTP/2 to a backend ended");
    }
    link.end();
}

/// Notices a backend that has gone without a word: one that is silent for long is sent a PING (RFC 9113 6.7).
struct KeepAlive {
    ping: PingPong,
    timer: Timer,
    link: Rc<Link>,
    heard_before: u64,
    waits: bool,
}

impl KeepAlive {
    fn new(io: &Io, ping: PingPong, link: Rc<Link>) -> Self {
        let mut timer = io.timer();
        timer.set(io.now() + defaults::H2_PING_INTERVAL.duration());
        Self {
            ping,
            timer,
            link,
            heard_before: 0,
            waits: false,
        }
    }

    /// Ready when the backend is gone.
    fn poll(&mut self, io: &Io, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.poll_expired(cx).is_ready() {
            let heard = self.link.heard();
            let is_silent = heard == self.heard_before;
            if is_silent && self.waits {
                return Poll::Ready(());
            }
            self.heard_before = heard;
            self.waits = is_silent && self.ping.send_ping(Ping::opaque()).is_ok();
            let next = if self.waits {
                defaults::H2_PING_TIMEOUT
            } else {
                defaults::H2_PING_INTERVAL
            };
            self.timer.set(io.now() + next.duration());
        }
        // Its pong counts as heard, and makes room for the next PING.
        let _ = self.ping.poll_pong(cx);
        Poll::Pending
    }
}
