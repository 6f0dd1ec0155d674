//! One try: a connection, the request on it, and the head of what comes back.

use std::{
    future::poll_fn,
    task::{Context as TaskContext, Poll},
    time::Instant,
};

use sluice_routing::retry;

use super::{Elapsed, Exchange, Plan, Retries, Stall, earlier};
use crate::{
    error::Failure,
    http::{Asked, HeadLimits, Method},
    upstream::{self, Lease, Pick, Service},
    wire::Unanswered,
};

/// What a try came to.
pub(super) enum Try {
    /// The head of a final response is in `heads.response`.
    Answered(Lease),
    /// No answer; another try may do better.
    Failed {
        /// How.
        failure: retry::Failure,
        /// Part of an answer had come.
        answer_begun: bool,
    },
}

/// Why the wait for a head ended.
enum Heard {
    /// A response head, interim or final.
    Head,
    /// No answer.
    Nothing {
        failure: retry::Failure,
        answer_begun: bool,
    },
}

impl Exchange<'_> {
    /// Sends the request to the endpoint picked and reads until a final response head.
    ///
    /// # Errors
    /// What no other try can mend: the client failed, the request's time is over, the backend broke HTTP.
    pub(super) async fn attempt(
        &mut self,
        service: &Service,
        pick: &Pick,
        plan: &Plan<'_>,
        retries: &mut Retries<'_>,
    ) -> Result<Try, Failure> {
        let started = self.context.io.now();
        retries.begin();
        self.account.tries(pick.endpoint.address, started);
        let kept = if retries.wants_new_connection() {
            None
        } else {
            Lease::pooled(&self.context.io, service, &pick.endpoint, started)
        };
        let mut lease = match kept {
            Some(lease) => lease,
            // Boxed, as it is large and seldom needed: every connection would hold room for it.
            None => match Box::pin(self.connect(service, pick, retries.deadline, started)).await? {
                Some(lease) => lease,
                None => {
                    return Ok(Try::Failed {
                        failure: retry::Failure::ConnectFailure,
                        answer_begun: false,
                    });
                }
            },
        };
        retries.sent_on(&lease);
        plan.write(
            self.context,
            &self.heads.request,
            self.client,
            &self.account,
            &mut lease.wire,
        );
        retries.upload.restart(&mut lease.wire);
        loop {
            match self.hear(&mut lease, retries).await? {
                Heard::Nothing {
                    failure,
                    answer_begun,
                } => {
                    return Ok(Try::Failed {
                        failure,
                        answer_begun,
                    });
                }
                Heard::Head if self.heads.response.is_interim() => self.pass_interim(retries)?,
                Heard::Head => break,
            }
        }
        let now = self.context.io.now();
        service.succeeded(pick, now);
        self.account.answered_at(now);
        service
            .metrics()
            .upstream_duration
            .observe(now.saturating_duration_since(started));
        Ok(Try::Answered(lease))
    }

    /// A new connection. `None` when there is none to be had.
    async fn connect(
        &mut self,
        service: &Service,
        pick: &Pick,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Option<Lease>, Failure> {
        self.client.wire.start_flush();
        let bound = now + service.settings.connect_timeout.duration();
        let options = upstream::socket_options(self.settings());
        let opening = service.opening(|| self.client.ends(self.account.forwarded.client()));
        let connecting = Lease::open(&self.context.io, service, &pick.endpoint, &options, opening);
        let connected = self
            .client
            .watchdog
            .until(earlier(Some(bound), deadline), connecting)
            .await;
        if let Ok(Ok(lease)) = connected {
            return Ok(Some(lease));
        }
        service.metrics().connect_failures.inc();
        match connected {
            Err(Elapsed) if deadline.is_some_and(|deadline| deadline <= self.context.io.now()) => {
                Err(Failure::RequestTimeout)
            }
            _ => Ok(None),
        }
    }

    /// Waits for a response head while the request's body still goes out.
    async fn hear(&mut self, lease: &mut Lease, retries: &mut Retries<'_>) -> Result<Heard, Failure> {
        let body_idle = self.settings().body_idle_timeout.duration();
        let mut stall = Stall::new(self.context.io.now(), body_idle);
        self.client.wire.start_flush();
        lease.wire.start_flush();
        poll_fn(|cx| self.poll_hear(lease, retries, &mut stall, cx)).await
    }

    fn poll_hear(
        &mut self,
        lease: &mut Lease,
        retries: &mut Retries<'_>,
        stall: &mut Stall,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Heard, Failure>> {
        let buffer = self.buffer_bytes();
        let client = &mut *self.client;
        if let Poll::Ready(Err(failure)) = retries.upload.poll(client, &mut lease.wire, buffer, cx) {
            return Poll::Ready(Err(failure));
        }
        let uploaded = retries.upload.done || retries.upload.broken;
        let request = &self.heads.request;
        let asked = Asked {
            head: request.method_kind() == Method::Head,
            upgrade: request.upgrade(),
        };
        match lease
            .wire
            .poll_response(&mut self.heads.response, &HeadLimits::RESPONSE, asked, cx)
        {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(Heard::Head)),
            Poll::Ready(Err(Unanswered::Bad(bad))) => {
                return Poll::Ready(Err(Failure::UpstreamProtocol(bad.rule)));
            }
            Poll::Ready(Err(Unanswered::Closed { begun })) => {
                return Poll::Ready(Ok(Heard::Nothing {
                    failure: retry::Failure::Reset,
                    answer_begun: begun,
                }));
            }
            Poll::Ready(Err(Unanswered::Refused)) => {
                return Poll::Ready(Ok(Heard::Nothing {
                    failure: retry::Failure::Refused,
                    answer_begun: false,
                }));
            }
            Poll::Pending => {}
        }
        let now = self.context.io.now();
        let left = if uploaded {
            client.waits_until(now, cx)?
        } else {
            None
        };
        let waited = if uploaded {
            let bound = earlier(retries.backend_deadline(now), left);
            client.watchdog.poll(cx, earlier(bound, retries.deadline))
        } else {
            let progress = client.wire.progress() + lease.wire.progress();
            stall.poll(&mut client.watchdog, progress, retries.deadline, now, cx)
        };
        match waited {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) if left.is_some_and(|left| left <= now) => Poll::Ready(Err(Failure::ClientGone)),
            Poll::Ready(()) if retries.is_late(now) => Poll::Ready(Err(Failure::RequestTimeout)),
            Poll::Ready(()) if uploaded || lease.wire.queued() > 0 => Poll::Ready(Ok(Heard::Nothing {
                failure: retry::Failure::Timeout,
                answer_begun: false,
            })),
            Poll::Ready(()) => Poll::Ready(Err(Failure::ClientTimeout)),
        }
    }
}
