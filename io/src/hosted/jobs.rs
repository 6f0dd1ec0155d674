//! What runs on the host beside the tasks: sending for each socket, ending a receive, looking at readiness; and
//! what these jobs ask of the driver.

use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::base::{Readable, Transport};
use super::driver::Driver;
use super::readiness::Name;
use super::socket::{Link, Receiving, Socket};
use crate::engine::Key;
use crate::runtime::Inner;

/// A chunk lent by its socket: what it holds from `start` is not sent.
struct Unsent {
    transport: Rc<Transport>,
    chunk: Vec<u8>,
    start: usize,
}

/// Sends what a socket has to send, one chunk after the other, until the socket closes.
pub(super) async fn send(inner: Rc<Inner>, name: Name) {
    while let Some(unsent) = poll_fn(|cx| inner.hosted(|driver| driver.poll_unsent(name, cx))).await {
        let Unsent {
            transport,
            chunk,
            start,
        } = unsent;
        let (result, chunk) = transport.send(chunk, start).await;
        drop(transport);
        inner.hosted(|driver| driver.sent(name, result, chunk));
    }
}

/// Waits for the last receive of a socket.
pub(super) async fn end_receiving(inner: Rc<Inner>, name: Name, receiving: Receiving) {
    let (result, buffer) = receiving.await;
    inner.hosted(|driver| driver.last_received(name, result, buffer));
}

/// Wakes whoever waits for readiness, and the tasks that did their share of this turn.
pub(super) async fn look(inner: Rc<Inner>) {
    let readable = inner.hosted(|driver| {
        let descriptor = driver.readiness.descriptor()?;
        Some(Readable::new(driver.spawner.kind(), descriptor).expect("the runtime takes an epoll instance"))
    });
    if let Some(readable) = readable {
        while look_once(&inner, &readable).await {}
    }
}

async fn look_once(inner: &Inner, readable: &Readable) -> bool {
    let waited = readable.wait().await;
    waited.expect("a runtime waits for an epoll instance as for any socket");
    let goes_on = inner.hosted(|driver| driver.on_ready());
    inner.deferred.borrow_mut().drain(..).for_each(Waker::wake);
    goes_on
}

impl Driver {
    /// Starts to look at readiness, once.
    pub(super) fn look(&mut self) {
        if !std::mem::replace(&mut self.is_looked_at, true) {
            self.launch(look);
        }
    }

    /// Ends all operations and all jobs.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        let open: Vec<Key> = self.sockets.iter().map(|(key, _)| key).collect();
        for key in open {
            self.sockets[key].sender.wake();
            if self.sockets[key].is_busy() {
                self.interrupt(key);
            }
        }
        self.readiness.signal();
    }

    /// Makes the kernel complete what it works on for a socket, and waits for it beside all else.
    pub(super) fn interrupt(&mut self, key: Key) {
        let name = self.name(key);
        let socket = &mut self.sockets[key];
        socket.interrupt();
        if let Some(receiving) = socket.receiving.take() {
            socket.ending = true;
            self.launch(|inner| end_receiving(inner, name, receiving));
        }
    }

    pub(super) fn launch<F: Future<Output = ()> + 'static>(&self, job: impl FnOnce(Rc<Inner>) -> F) {
        if let Some(inner) = self.inner.upgrade() {
            self.spawner.launch(job(inner));
        }
    }

    pub(super) fn insert(&mut self, link: Link, receive_limit: usize) -> Key {
        self.generation = Name::after(self.generation);
        self.sockets
            .insert(Socket::new(link, self.generation, receive_limit))
    }

    pub(super) fn name(&self, key: Key) -> Name {
        Name {
            key,
            generation: self.sockets[key].generation,
        }
    }

    fn named(&mut self, name: Name) -> Option<&mut Socket> {
        self.sockets
            .get_mut(name.key)
            .filter(|socket| socket.generation == name.generation)
    }

    pub(super) fn watch(&mut self, key: Key, events: i32) -> io::Result<()> {
        let name = self.name(key);
        let socket = &mut self.sockets[key];
        self.readiness.watch(socket.fd(), events, name)?;
        socket.watched = true;
        Ok(())
    }

    /// As [`Self::watch`], for a socket just inserted.
    pub(super) fn watch_or_remove(&mut self, key: Key, events: i32) -> io::Result<Key> {
        if let Err(error) = self.watch(key, events) {
            drop(self.sockets.remove(key));
            return Err(error);
        }
        Ok(key)
    }

    /// Starts a receive unless there is one.
    pub(super) fn start_receiving(&mut self, key: Key) {
        let socket = &mut self.sockets[key];
        let Link::Connected(transport) = &socket.link else {
            return;
        };
        if self.finished {
            socket.end = Some(Err(libc::ENOTCONN));
        } else if socket.receiving.is_none() && !socket.ending {
            let (transport, buffer) = (Rc::clone(transport), self.pool.take_unlent());
            socket.receiving = Some(Box::pin(async move { transport.receive(buffer).await }));
            self.operations += 1;
        }
    }

    /// True when there is something new to tell.
    pub(super) fn advance_receiving(&mut self, key: Key, cx: &mut Context<'_>) -> bool {
        let socket = &mut self.sockets[key];
        let Some(receiving) = &mut socket.receiving else {
            return socket.end.is_some();
        };
        let Poll::Ready((result, buffer)) = receiving.as_mut().poll(cx) else {
            return false;
        };
        socket.receiving = None;
        self.operations -= 1;
        socket.arrived(result, buffer, &mut self.pool);
        true
    }

    fn last_received(&mut self, name: Name, result: io::Result<usize>, buffer: Vec<u8>) {
        self.operations -= 1;
        if let Some(socket) = self.sockets.get_mut(name.key) {
            socket.ending = false;
            socket.arrived(result, buffer, &mut self.pool);
        }
        self.forget_if_done(name.key);
    }

    /// The next chunk to send; `None` when there will be none.
    fn poll_unsent(&mut self, name: Name, cx: &Context<'_>) -> Poll<Option<Unsent>> {
        let finished = self.finished;
        let Some(socket) = self.named(name).filter(|socket| !socket.closing && !finished) else {
            return Poll::Ready(None);
        };
        let Link::Connected(transport) = &socket.link else {
            return Poll::Ready(None);
        };
        let transport = Rc::clone(transport);
        let Some((chunk, start)) = socket.sending.outbox.lend() else {
            socket.sender.wait(cx);
            return Poll::Pending;
        };
        self.operations += 1;
        Poll::Ready(Some(Unsent {
            transport,
            chunk,
            start,
        }))
    }

    fn sent(&mut self, name: Name, result: io::Result<usize>, chunk: Vec<u8>) {
        self.operations -= 1;
        if let Some(socket) = self.sockets.get_mut(name.key) {
            socket.sent(result, chunk, &mut self.pool);
        }
        self.forget_if_done(name.key);
    }

    /// Acts on what has become ready. False once the loop is to end.
    fn on_ready(&mut self) -> bool {
        for name in self.readiness.take() {
            if let Some(socket) = self.named(name) {
                // The first readiness is that of a connect or a listener, the next that of a FIN.
                socket.hangup |= std::mem::replace(&mut socket.ready, true);
                socket.reader.wake();
                socket.sending.writer.wake();
            }
        }
        !self.finished
    }

    /// Frees the slot of a closed socket once the kernel has let go of it.
    pub(super) fn forget_if_done(&mut self, key: Key) {
        let done = |socket: &Socket| socket.closing && !socket.is_busy();
        if self.sockets.get(key).is_some_and(done) {
            let mut socket = self.sockets.remove(key);
            // Another process may hold the same listener, and then closing alone would leave it watched.
            if socket.watched {
                self.readiness.forget(socket.fd());
            }
            socket.sender.wake();
            self.closing -= 1;
        }
        self.spawner.moved();
    }
}
