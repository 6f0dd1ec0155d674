//! What one worker lends to its requests: the snapshot that is live, pools, turns, counters, time and chance.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    access_log::Log,
    exchange::{Current, Heads},
    metrics::{PerWorker, WorkerMetrics},
    snapshot::Snapshot,
};
use httpdate::HttpDate;
use sluice_io::Io;
use sluice_routing::overload::Pressure;

/// One worker's own things, shared by its connections.
pub struct Context {
    /// Which worker, from 0.
    pub worker: usize,
    /// Its executor and driver.
    pub io: Io,
    /// Its end of the access log.
    pub log: RefCell<Option<Log>>,
    counters: PerWorker<WorkerMetrics>,
    current: RefCell<Option<Rc<Current>>>,
    rng: RefCell<fastrand::Rng>,
    /// Boxed, so that lending one moves a pointer.
    #[expect(clippy::vec_box, reason = "a request takes the box, not the heads")]
    heads: RefCell<Vec<Box<Heads>>>,
    date: RefCell<Date>,
    pressure: Cell<Pressure>,
    connections: Cell<u32>,
    /// Listening sockets whose queue is not empty for good.
    listeners: Cell<u32>,
    connections_max: u32,
    /// Who waits for a connection to end.
    waiting: RefCell<Vec<Waker>>,
}

/// The Date field's value (RFC 9110 6.6.1), made once a second.
struct Date {
    /// When the second is over, by the worker's clock.
    until: Instant,
    text: String,
}

impl Context {
    /// For one worker, on its own thread. `connections_max` is what its share of the file descriptors allows.
    #[must_use]
    pub fn new(worker: usize, io: Io, counters: PerWorker<WorkerMetrics>, connections_max: u32) -> Self {
        Self {
            worker,
            log: RefCell::new(None),
            counters,
            current: RefCell::new(None),
            rng: RefCell::new(fastrand::Rng::new()),
            heads: RefCell::new(Vec::new()),
            date: RefCell::new(Date {
                until: io.now(),
                text: String::new(),
            }),
            pressure: Cell::new(Pressure::None),
            connections: Cell::new(0),
            listeners: Cell::new(0),
            connections_max,
            waiting: RefCell::new(Vec::new()),
            io,
        }
    }

    /// Makes a snapshot live for requests to come; those that run end on the one they began with.
    pub fn swap(&self, snapshot: Arc<Snapshot>, log: Option<Log>) -> Rc<Current> {
        let before = self.current.take();
        let next = Rc::new(Current::next(before.as_deref(), snapshot, self.worker));
        self.current.replace(Some(Rc::clone(&next)));
        self.log.replace(log);
        next
    }

    /// Takes in what health checks say of an endpoint of the live snapshot.
    pub fn learn_health(&self, service: &str, address: SocketAddr, up: bool) {
        let current = self.current.borrow().clone();
        let mut services = current.iter().flat_map(|current| &current.services);
        if let Some(service) = services.find(|known| known.name == service) {
            service.set_up(address, up);
        }
    }

    /// How much is taken on.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.pressure.get()
    }

    /// Takes on as much as `pressure` says, from now on.
    pub fn press(&self, pressure: Pressure) {
        self.pressure.set(pressure);
        if pressure >= Pressure::Tight {
            self.sweep();
            self.heads.take();
            self.io.return_free_memory();
        }
    }

    /// Its counters.
    #[must_use]
    pub fn metrics(&self) -> &WorkerMetrics {
        self.counters.of(self.worker)
    }

    /// Lends this worker's random numbers.
    pub fn with_rng<T>(&self, ask: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        ask(&mut self.rng.borrow_mut())
    }

    /// Lends the Date field's value of now.
    pub fn with_date<T>(&self, write: impl FnOnce(&str) -> T) -> T {
        let mut date = self.date.borrow_mut();
        if date.until <= self.io.now() {
            let now = SystemTime::now();
            let into = now
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(Duration::ZERO, |since| {
                    Duration::from_nanos(since.subsec_nanos().into())
                });
            date.until = self.io.now() + Duration::from_secs(1).saturating_sub(into);
            date.text.clear();
            write!(date.text, "{}", HttpDate::from(now)).expect("a string takes all that is written");
        }
        write(&date.text)
    }

    /// Lends heads to parse into, empty.
    pub fn lend_heads(&self) -> Box<Heads> {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes them back.
    pub fn return_heads(&self, mut heads: Box<Heads>) {
        let mut kept = self.heads.borrow_mut();
        if kept.len() < HEADS_KEPT {
            heads.reset();
            kept.push(heads);
        }
    }

    /// Drops idle upstream connections that closed or were kept long enough; all of them when memory is tight.
    pub fn sweep(&self) {
        let keeps_idle = self.pressure() < Pressure::Tight;
        let current = self.current.borrow().clone();
        for service in current.iter().flat_map(|current| &current.services) {
            service.sweep(self.io.now(), keeps_idle);
        }
    }

    /// Hands the lines of the access log on.
    pub fn flush_log(&self) {
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.flush();
        }
    }

    /// Whether another client connection may come in.
    #[must_use]
    pub fn has_room(&self, snapshot: &Snapshot) -> bool {
        self.pressure() < Pressure::Short
            && self.connections.get() < self.connections_max.min(snapshot.model.limits.connections)
    }

    /// A client connection came in.
    pub fn connection_opened(&self) {
        self.connections.set(self.connections.get() + 1);
    }

    /// A client connection ended.
    pub fn connection_closed(&self) {
        self.connections.set(self.connections.get() - 1);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// A listening socket is accepted from.
    pub fn listener_opened(&self) {
        self.listeners.set(self.listeners.get() + 1);
    }

    /// A listening socket is closed, and nothing waits in it.
    pub fn listener_closed(&self) {
        self.listeners.set(self.listeners.get() - 1);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Waits until a client connection ends, at most `longest`.
    pub async fn room_changed(&self, longest: Duration) {
        let connections = self.connections.get();
        let mut longest = std::pin::pin!(self.io.sleep(longest));
        poll_fn(|cx| {
            if self.connections.get() < connections {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            longest.as_mut().poll(cx)
        })
        .await;
    }

    /// Waits until no listening socket and no client connection is left, or until a time.
    pub async fn wait_until_idle(&self, until: Instant) {
        let mut late = std::pin::pin!(self.io.sleep(until.saturating_duration_since(self.io.now())));
        poll_fn(|cx| {
            if self.listeners.get() == 0 && self.connections.get() == 0 {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            late.as_mut().poll(cx)
        })
        .await;
    }
}

/// Heads kept for reuse: as many requests as are usually in flight on one core.
const HEADS_KEPT: usize = 512;
