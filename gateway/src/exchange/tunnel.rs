//! Bytes both ways until both sides have ended: what follows a 101, and a connection that is passed on.

use std::{future::poll_fn, task::Poll, time::Duration};

use sluice_io::Io;

use super::{Exchange, Next, Stall, Watchdog};
use crate::{
    error::Failure,
    http::{Connection, Framing},
    snapshot::Backend,
    upstream::Lease,
    wire::{
        Wire,
        pass::{self, Broken, Flow},
    },
};

impl Exchange<'_> {
    /// Writes the 101 and turns both connections into one tunnel. No byte of the client's went to the backend before
    /// (CVE-2026-2833): what it sent early is still unread.
    pub(super) async fn tunnel(&mut self, share: &Backend, mut lease: Lease) -> Next {
        self.write_head(share, Framing::None, Connection::Upgrade);
        self.account.count(self.context);
        let open = &self.context.metrics().tunnels_active;
        open.inc();
        let (buffer_bytes, idle) = (self.buffer_bytes(), self.settings().tunnel_idle_timeout);
        let ends = Ends {
            client: &mut self.client.wire,
            backend: &mut lease.wire,
            watchdog: &mut self.client.watchdog,
            buffer_bytes,
            idle: idle.duration(),
        };
        let outcome = ends.join(&self.context.io, |_| {}).await;
        open.dec();
        match outcome {
            Ok(()) => Next::Close,
            Err(_) => {
                lease.abort();
                Next::Abort
            }
        }
    }
}

/// The two ends of a tunnel.
pub(super) struct Ends<'e> {
    pub(super) client: &'e mut Wire,
    pub(super) backend: &'e mut Wire,
    /// The client's.
    pub(super) watchdog: &'e mut Watchdog,
    /// Bytes that may be on their way in each direction.
    pub(super) buffer_bytes: usize,
    /// How long no byte may move.
    pub(super) idle: Duration,
}

impl Ends<'_> {
    /// Passes bytes on until both sides have ended. An end of one is passed on and leaves the other direction open.
    /// `moved` is told from time to time how many bytes were taken from the client and written to it since it connected.
    ///
    /// # Errors
    /// Which side broke, or that nothing moved for too long. Both ends are then to be reset.
    pub(super) async fn join(self, io: &Io, mut moved: impl FnMut((u64, u64))) -> Result<(), Failure> {
        let Self {
            client,
            backend,
            watchdog,
            buffer_bytes,
            idle,
        } = self;
        let mut stall = Stall::new(io.now(), idle);
        let (mut up, mut down) = (Some(Flow::default()), Some(Flow::default()));
        poll_fn(|cx| {
            if let Some(flow) = &mut up
                && let Poll::Ready(passed) = pass::poll_raw(client, backend, flow, buffer_bytes, cx)
            {
                passed.map_err(|broken| broken.between(Failure::ClientGone, Failure::UpstreamReset))?;
                backend.shutdown_write().map_err(|_| Failure::UpstreamReset)?;
                up = None;
            }
            if let Some(flow) = &mut down
                && let Poll::Ready(passed) = pass::poll_raw(backend, client, flow, buffer_bytes, cx)
            {
                passed.map_err(|broken| broken.between(Failure::UpstreamReset, Failure::ClientGone))?;
                client.shutdown_write().map_err(|_| Failure::ClientGone)?;
                down = None;
            }
            moved(client.bytes());
            if up.is_none() && down.is_none() {
                return Poll::Ready(Ok(()));
            }
            let progress = client.progress() + backend.progress();
            let stalled = stall.poll(watchdog, progress, None, io.now(), cx);
            stalled.map(|()| Err(Failure::IdleTimeout))
        })
        .await
    }
}

impl Broken {
    /// Which of the two it was.
    fn between(&self, source: Failure, sink: Failure) -> Failure {
        match self {
            Self::Source(_) => source,
            Self::Sink(_) => sink,
        }
    }
}
