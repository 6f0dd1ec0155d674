//! The response on its way to the client, from its head to its last byte.

use std::{
    future::poll_fn,
    task::{Poll, ready},
};

use sluice_config::defaults;

use super::{Client, Elapsed, Exchange, Next, Retries, Stall, Upload, earlier};
use crate::{
    error::Failure,
    http::{BadResponse, Connection, Framing, OutgoingResponse, Version, grpc_status},
    snapshot::Backend,
    upstream::{Lease, Service},
    wire::pass::{self, Broken, Part},
};

impl Exchange<'_> {
    /// Passes an interim response on (RFC 9110 15.2). HTTP/1.0 knows none.
    ///
    /// # Errors
    /// When the backend sends too many.
    pub(super) fn pass_interim(&mut self, retries: &mut Retries<'_>) -> Result<(), Failure> {
        retries.interims += 1;
        if retries.interims > defaults::INTERIM_RESPONSES_MAX {
            return Err(Failure::UpstreamProtocol("too_many_interim_responses"));
        }
        if self.heads.request.version() != Version::V10 {
            let response = &self.heads.response;
            self.client.wire.write_interim(response);
            self.client.continued |= self.heads.response.status() == 100;
            self.client.wire.start_flush();
        }
        Ok(())
    }

    /// Writes the response whose head is in `heads.response` and passes its body on.
    ///
    /// # Errors
    /// When the backend fails in the middle, or the time is over: then the client's message must be cut.
    pub(super) async fn deliver(
        &mut self,
        service: &Service,
        share: &Backend,
        mut lease: Lease,
        retries: &mut Retries<'_>,
    ) -> Result<Next, Failure> {
        let status = self.heads.response.status();
        self.account.status = Some(status);
        let asked_for_tunnel =
            self.heads.request.version() == Version::V2 && self.heads.request.upgrade().is_some();
        if asked_for_tunnel && (200..300).contains(&status) {
            // To this client a success would be a tunnel (RFC 8441 4).
            return Err(Failure::UpstreamProtocol(BadResponse::SWITCH_REFUSED.rule));
        }
        if status == 101 {
            // Boxed, as few requests become one: every connection would hold room for it.
            return Ok(Box::pin(self.tunnel(share, lease)).await);
        }
        let coming = self.heads.response.framing();
        let web = self.client.web.as_deref();
        let is_changed = web.is_some_and(|web| self.heads.response.answer_grpc_web(web));
        let going = if is_changed && !coming.is_empty() {
            // Trailers come to be a part of it.
            Framing::Chunked
        } else {
            coming
        };
        let framing = going.towards(self.heads.request.version());
        let keep = self.may_keep_alive(framing, status, &retries.upload);
        self.write_head(
            share,
            framing,
            if keep {
                Connection::KeepAlive
            } else {
                Connection::Close
            },
        );
        lease.wire.expect_body(coming);
        self.relay(&mut lease, retries, is_changed).await?;
        if self.account.grpc_status.is_none() && retries.is_grpc() {
            let trailers = lease.wire.trailers();
            let status = trailers.iter().find(|(name, _)| *name == b"grpc-status");
            self.account.grpc_status = status.and_then(|(_, value)| grpc_status(value));
        }
        if retries.upload.done && !retries.upload.broken && self.heads.response.keeps_alive() {
            lease.give_back(service, self.context.io.now());
        }
        if keep {
            return Ok(self.settle().await);
        }
        self.client.lingers = !self.client.wire.has_read_body();
        Ok(Next::Close)
    }

    /// Writes the final head.
    pub(super) fn write_head(&mut self, share: &Backend, framing: Framing, connection: Connection) {
        let client = &mut *self.client;
        self.context.with_date(|date| {
            let outgoing = OutgoingResponse {
                client_version: self.heads.request.version(),
                framing,
                connection,
                edits: &share.response_edits,
                date,
            };
            client.wire.write_response(&self.heads.response, &outgoing);
        });
        client.answered = true;
    }

    /// Whether the client's connection may outlive this response, as far as its head can tell.
    fn may_keep_alive(&self, framing: Framing, status: u16, upload: &Upload) -> bool {
        // A client that is still sending what the backend has refused should stop (RFC 9110 15.5, 9112 9.6).
        let refused_early = status >= 400 && !upload.done;
        self.client.may_keep_alive(&self.heads.request)
            && !upload.broken
            && framing != Framing::UntilClose
            && !refused_early
    }

    /// Moves the response's body to the client while the rest of the request's still goes out.
    async fn relay(
        &mut self,
        lease: &mut Lease,
        retries: &mut Retries<'_>,
        is_changed: bool,
    ) -> Result<(), Failure> {
        let Retries { upload, deadline, .. } = retries;
        let deadline = *deadline;
        let io = &self.context.io;
        let buffer = self.buffer_bytes();
        let mut stall = Stall::new(io.now(), self.settings().body_idle_timeout.duration());
        let client = &mut *self.client;
        poll_fn(|cx| {
            if let Poll::Ready(Err(failure)) = upload.poll(client, &mut lease.wire, buffer, cx) {
                return Poll::Ready(Err(failure));
            }
            let Client { wire, web, .. } = &mut *client;
            let passed = match web.as_deref_mut().filter(|_| is_changed) {
                None => pass::poll_body(&mut lease.wire, wire, buffer, true, |_| {}, cx),
                Some(web) => {
                    let change = |part: Part<'_>, out: &mut Vec<u8>| {
                        match part {
                            Part::Piece(piece) => web.write(piece, out),
                            Part::End(trailers) => web.end(trailers, out),
                        }
                        Ok(())
                    };
                    pass::poll_changed_body(&mut lease.wire, wire, buffer, change, |_| {}, cx)
                }
            };
            if let Poll::Ready(passed) = passed {
                return Poll::Ready(match passed {
                    Ok(_) => Ok(()),
                    Err(Broken::Source(error)) => Err(error.of_backend()),
                    Err(Broken::Sink(_)) => Err(Failure::ClientGone),
                });
            }
            let now = io.now();
            let left = if upload.done {
                client.waits_until(now, cx)?
            } else {
                None
            };
            let progress = client.wire.progress() + lease.wire.progress();
            let other = earlier(left, deadline);
            ready!(stall.poll(&mut client.watchdog, progress, other, now, cx));
            Poll::Ready(Err(if left.is_some_and(|left| left <= now) {
                Failure::ClientGone
            } else if deadline.is_some_and(|deadline| deadline <= now) {
                Failure::RequestTimeout
            } else if client.wire.queued() > 0 {
                Failure::ClientTimeout
            } else {
                Failure::BackendTimeout
            }))
        })
        .await
    }

    /// Cuts a message that has begun, so that it never looks whole: by a close where its framing tells, by a reset
    /// where it ends with the connection.
    pub(super) fn cut(&self) -> Next {
        if self.client.wire.ends_with_connection() {
            Next::Abort
        } else {
            Next::Close
        }
    }

    /// Reads what is left of a request whose answer is written, within a bound, so that the next one is never
    /// mistaken for it (RFC 9112 9.3).
    pub(super) async fn settle(&mut self) -> Next {
        let client = &mut *self.client;
        if client.wire.has_read_body() {
            return Next::KeepAlive;
        }
        client.lingers = true;
        client.wire.start_flush();
        let deadline = self.context.io.now() + defaults::SETTLE_MAX.duration();
        let rest = poll_fn(|cx| client.wire.poll_discard_body(defaults::SETTLE_BYTES_MAX, cx));
        match client.watchdog.until(Some(deadline), rest).await {
            Ok(true) => Next::KeepAlive,
            Ok(false) | Err(Elapsed) => Next::Close,
        }
    }
}
