//! One address of a service: its load and its idle connections, all of one worker.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_config::model::Millis;

use super::multiplexed::Multiplexed;
use crate::wire::Wire;

/// One address.
pub struct Endpoint {
    /// Where it is.
    pub address: SocketAddr,
    /// As which host it is called over TLS; `None` in plaintext.
    pub(super) host: Option<Arc<str>>,
    active: Cell<u32>,
    up: Cell<bool>,
    idle: RefCell<Vec<Idle>>,
    pub(super) multiplexed: Multiplexed,
    /// What it was found to speak over TLS, where its service leaves that to it.
    pub(super) speaks_http1: Cell<bool>,
}

/// A connection nobody uses now.
struct Idle {
    wire: Box<Wire>,
    since: Instant,
}

impl Endpoint {
    pub(super) fn new(address: SocketAddr, host: Option<Arc<str>>) -> Self {
        Self {
            address,
            host,
            active: Cell::new(0),
            up: Cell::new(true),
            idle: RefCell::new(Vec::new()),
            multiplexed: Multiplexed::default(),
            speaks_http1: Cell::new(false),
        }
    }

    /// Tries in flight.
    pub(super) fn active(&self) -> u32 {
        self.active.get()
    }

    /// Whether health checks, if there are any, let it be picked.
    pub(super) fn is_up(&self) -> bool {
        self.up.get()
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.set(up);
    }

    pub(super) fn enter(&self) {
        self.active.set(self.active.get() + 1);
    }

    pub(super) fn leave(&self) {
        self.active.set(self.active.get() - 1);
    }

    /// The connection that went idle last, if it still stands: closed ones and such with bytes nobody asked for
    /// are dropped here (RFC 9112 9.3.1: a response without a request belongs to nobody).
    pub(super) fn take_idle(&self, now: Instant, kept: Millis) -> Option<Box<Wire>> {
        loop {
            let mut candidate = self.idle.borrow_mut().pop()?;
            if now.saturating_duration_since(candidate.since) < kept.duration() && candidate.wire.is_quiet() {
                return Some(candidate.wire);
            }
        }
    }

    /// Keeps a connection for the next request, unless there are enough.
    pub(super) fn keep_idle(&self, wire: Box<Wire>, idle_max: u32, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < idle_max as usize {
            idle.push(Idle { wire, since: now });
        }
    }

    /// Drops what is closed or too old. Gives how many stay.
    pub(super) fn sweep(&self, now: Instant, kept: Duration) -> usize {
        let mut idle = self.idle.borrow_mut();
        idle.retain_mut(|one| now.saturating_duration_since(one.since) < kept && one.wire.is_quiet());
        idle.len() + self.multiplexed.sweep(now, kept)
    }
}
