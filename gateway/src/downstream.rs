//! The side that faces clients: sessions, one for each connection.
//!
//! Owns what a connection knows of the listener it came by ([`Entrance`]) and the sessions of each protocol.

pub mod h1;
pub mod h2;
pub mod tcp;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use sluice_config::model::ListenerId;
use sluice_io::drain::Drain;

use crate::exchange::Current;

/// A listener as its connections see it. It outlives changes of configuration as long as its address stays.
pub struct Entrance {
    /// Begins when the listener goes away or the worker ends.
    pub drain: Drain,
    /// Whether another process goes on with its sockets when it drains.
    pub kept: Cell<bool>,
    /// Open connections.
    pub connections: Cell<u32>,
    live: RefCell<Live>,
}

/// The configuration the next request will be served by.
#[derive(Clone)]
pub struct Live {
    /// The snapshot with this worker's state.
    pub current: Rc<Current>,
    /// The listener in it.
    pub id: ListenerId,
}

impl Entrance {
    /// A listener that has just been opened.
    #[must_use]
    pub fn new(live: Live) -> Self {
        Self {
            drain: Drain::new(),
            kept: Cell::new(false),
            connections: Cell::new(0),
            live: RefCell::new(live),
        }
    }

    /// What the next request is served by.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    /// Another configuration is live. A listener that left the configuration keeps the last that had it.
    pub fn swap(&self, live: Live) {
        self.live.replace(live);
    }
}

impl Live {
    /// The listener's compiled settings.
    #[must_use]
    pub fn listener(&self) -> &crate::snapshot::Listener {
        &self.current.snapshot.listeners[self.id.0]
    }
}
