//! What follows a 101: bytes both ways until both sides have ended.

use std::{future::poll_fn, task::Poll};

use super::{Exchange, Next, Stall};
use crate::{
    http::{Connection, Framing},
    snapshot::Backend,
    upstream::Lease,
    wire::pass,
};

impl Exchange<'_> {
    /// Writes the 101 and turns both connections into one tunnel. No byte of the client's went to the backend before
    /// (CVE-2026-2833): what it sent early is still unread.
    pub(super) async fn tunnel(&mut self, share: &Backend, mut lease: Lease) -> Next {
        self.write_head(share, Framing::None, Connection::Upgrade);
        self.account.count(self.context);
        let open = &self.context.metrics().tunnels_active;
        open.inc();
        let next = self.tunnel_bytes(&mut lease).await;
        open.dec();
        next
    }

    async fn tunnel_bytes(&mut self, lease: &mut Lease) -> Next {
        let io = &self.context.io;
        let buffer = self.buffer_bytes();
        let mut stall = Stall::new(io.now(), self.settings().tunnel_idle_timeout.duration());
        let client = &mut *self.client;
        let backend = &mut lease.wire;
        let (mut up_ended, mut down_ended) = (false, false);
        poll_fn(|cx| {
            if !up_ended && let Poll::Ready(passed) = pass::poll_raw(&mut client.wire, backend, buffer, cx) {
                if passed.is_err() || backend.shutdown_write().is_err() {
                    return Poll::Ready(Next::Abort);
                }
                up_ended = true;
            }
            if !down_ended && let Poll::Ready(passed) = pass::poll_raw(backend, &mut client.wire, buffer, cx)
            {
                if passed.is_err() || client.wire.shutdown_write().is_err() {
                    return Poll::Ready(Next::Abort);
                }
                down_ended = true;
            }
            if up_ended && down_ended {
                return Poll::Ready(Next::Close);
            }
            let progress = client.wire.progress() + backend.progress();
            let stalled = stall.poll(&mut client.watchdog, progress, None, io.now(), cx);
            stalled.map(|()| Next::Abort)
        })
        .await
    }
}
