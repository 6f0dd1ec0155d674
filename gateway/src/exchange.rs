//! One request, told from top to bottom: route, authorize, limit, pick, send, retry, answer.
//!
//! Owns the order of these steps. Each decision is `sluice_routing`'s, each byte `http`'s and `wire`'s, each
//! connection `upstream`'s.

mod account;
mod attempt;
mod authorize;
mod client;
mod context;
mod current;
mod deliver;
mod heads;
mod own;
mod passthrough;
mod plan;
mod retries;
mod tunnel;
mod upload;

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use sluice_config::model::{self, Sticky};
use sluice_routing::{overload::Pressure, split};

pub use client::{Client, Elapsed, Next, Stall, Watchdog};
pub use context::Context;
pub use current::Current;
pub use heads::Heads;
pub use passthrough::{Connection, pass_on};

use account::Account;
use attempt::Try;
use client::earlier;
use current::Turns;
use plan::Plan;
use retries::{Again, Retries};
use upload::Upload;

use crate::{
    answer,
    error::Failure,
    snapshot::{Action, Backend, Rule, Split},
    upstream::{Pick, Service},
};

/// One request on its way, with all it needs.
struct Exchange<'a> {
    context: &'a Context,
    /// What was live when it began; it ends on it.
    current: &'a Current,
    client: &'a mut Client,
    heads: &'a mut Heads,
    account: Account<'a>,
}

/// Serves the request whose head the client has sent, to its end. Gives what follows on the connection.
pub async fn serve(context: &Context, current: &Current, client: &mut Client, heads: &mut Heads) -> Next {
    let mut exchange = Exchange::open(context, current, client, heads);
    let outcome = {
        let respond = pin!(exchange.respond());
        context.io.contain(respond).await
    };
    let next = match outcome.unwrap_or(Err(Failure::Internal)) {
        Ok(next) => next,
        Err(failure) => exchange.refuse(failure).await,
    };
    exchange
        .account
        .close(context, exchange.client, &exchange.heads.request);
    next
}

/// Answers a request that failed before its head was whole or well.
pub async fn refuse(
    context: &Context,
    current: &Current,
    client: &mut Client,
    heads: &mut Heads,
    failure: Failure,
) -> Next {
    let mut exchange = Exchange::open(context, current, client, heads);
    let next = exchange.refuse(failure).await;
    exchange
        .account
        .close(context, exchange.client, &exchange.heads.request);
    next
}

/// The next share of a split, or the one that a client with this hash is tied to.
fn choose<'s>(
    context: &Context,
    split: &'s Split,
    tied: Option<u64>,
    turns: &Turns,
) -> Result<&'s Backend, Failure> {
    let picked = match tied {
        Some(hash) => split::sticky_pick(&split.weights, &split.keys, hash),
        None => turns.split(),
    };
    let share = &split.backends[picked.ok_or(Failure::NoEndpoint)?];
    share.picks.of(context.worker).inc();
    Ok(share)
}

impl<'a> Exchange<'a> {
    fn open(
        context: &'a Context,
        current: &'a Current,
        client: &'a mut Client,
        heads: &'a mut Heads,
    ) -> Self {
        if current.snapshot.listeners[client.listener.0].settings.grpc_web {
            client.web = heads.request.take_grpc_web().map(Box::new);
        }
        let account = Account::open(context, current, client, &mut heads.request);
        Self {
            context,
            current,
            client,
            heads,
            account,
        }
    }

    /// Route, authorize, then act as the rule says.
    async fn respond(&mut self) -> Result<Next, Failure> {
        if self.context.pressure() == Pressure::Out {
            return Err(Failure::Overloaded);
        }
        if !self.client.wire.transport().serves(self.heads.request.host()) {
            return Err(Failure::Misdirected);
        }
        let snapshot = &self.current.snapshot;
        let listener = &snapshot.listeners[self.client.listener.0];
        let found = listener.table.find(&self.view());
        let rule = found.map(|found| (found, snapshot.rule_index(&found)));
        if let Some((_, index)) = rule {
            self.account.routed(&snapshot.rules[index]);
        }
        // Asked first, so that who is denied does not learn which routes there are.
        self.authorize(&listener.policies, None)?;
        let (found, index) = rule.ok_or(Failure::NoRoute)?;
        let rule = &snapshot.rules[index];
        self.authorize(&snapshot.routes[found.route], None)?;
        self.client
            .limit_body(self.heads.request.framing(), listener.settings.body_bytes_max)?;
        match &rule.action {
            Action::Direct {
                direct,
                edits,
                served,
            } => {
                self.account.served_by(served);
                Ok(self.direct(direct, edits).await)
            }
            Action::Redirect {
                redirect,
                edits,
                served,
            } => {
                self.account.served_by(served);
                Ok(self.redirect(redirect, found.prefix_bytes, edits).await)
            }
            Action::Forward {
                split,
                sticky,
                rewrite,
            } => {
                let share = self.choose(split, sticky.as_ref(), index)?;
                self.account.shared(self.current, share);
                let plan = Plan::new(&self.heads.request, rewrite.as_ref(), found.prefix_bytes, share);
                self.authorize(&snapshot.services[share.service.0].policies, Some(&plan))?;
                self.forward(rule, index, &plan).await
            }
        }
    }

    /// Which share of the split takes it: always the same for a client that is tied, in turn for others.
    fn choose(&self, split: &'a Split, sticky: Option<&Sticky>, rule: usize) -> Result<&'a Backend, Failure> {
        let client = self.account.forwarded.client();
        let tied = sticky.and_then(|sticky| plan::sticky_hash(sticky, &self.heads.request, client));
        choose(self.context, split, tied, &self.current.turns[rule])
    }

    /// Pick an endpoint, send, and either deliver what comes back or try again.
    async fn forward(&mut self, rule: &'a Rule, index: usize, plan: &Plan<'a>) -> Result<Next, Failure> {
        let service = &self.current.services[plan.share.service.0];
        let _slot = service.admit().ok_or(Failure::Overloaded)?;
        let mut retries = Retries::new(
            self.context,
            rule,
            self.current.turns[index].budget(),
            &self.heads.request,
            service.settings.protocol,
        );
        loop {
            let pick = self.pick(service, &retries)?;
            let (again, failure) = match self.attempt(service, &pick, plan, &mut retries).await? {
                Try::Answered(lease) => {
                    let (response, endpoint) = (&self.heads.response, pick.endpoint.address);
                    match retries.after_head(self.context, &mut self.account, response, endpoint) {
                        Again::No => return self.deliver(service, plan.share, lease, &mut retries).await,
                        Again::After(wait) => (Again::After(wait), Failure::UpstreamReset),
                    }
                }
                Try::Failed {
                    failure,
                    answer_begun,
                } => {
                    service.failed(&pick, self.context.io.now());
                    let account = &mut self.account;
                    let again = retries.after_failure(
                        self.context,
                        account,
                        failure,
                        pick.endpoint.address,
                        answer_begun,
                    );
                    (again, retries::failure_of(failure))
                }
            };
            match again {
                Again::After(wait) => self.wait(wait).await?,
                Again::No => return Err(failure),
            }
        }
    }

    /// The endpoint for the next try.
    fn pick(&self, service: &Service, retries: &Retries<'_>) -> Result<Pick, Failure> {
        let now = self.context.io.now();
        self.context
            .with_rng(|rng| service.pick(retries.tried(), now, rng))
            .ok_or(Failure::NoEndpoint)
    }

    /// Waits before the next try, unless the client leaves.
    async fn wait(&mut self, wait: Duration) -> Result<(), Failure> {
        if wait.is_zero() {
            return Ok(());
        }
        let client = &mut *self.client;
        let broken = poll_fn(|cx| match client.wire.poll_closed(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        });
        let until = self.context.io.now() + wait;
        match client.watchdog.until(Some(until), broken).await {
            Ok(()) => Err(Failure::ClientGone),
            Err(Elapsed) => Ok(()),
        }
    }

    /// Answers a failure, or cuts the message that has begun.
    async fn refuse(&mut self, failure: Failure) -> Next {
        self.account.failed(failure);
        match answer::to(failure) {
            Some(answer) if !self.client.answered => self.failure(&answer).await,
            // It does not read, so it would not read what is still queued.
            Some(_) if failure == Failure::ClientTimeout => Next::Abort,
            Some(_) => self.cut(),
            None => Next::Abort,
        }
    }

    /// The listener's settings.
    fn settings(&self) -> &'a model::Listener {
        &self.current.snapshot.listeners[self.client.listener.0].settings
    }

    /// Bytes that may be on their way in one direction.
    fn buffer_bytes(&self) -> usize {
        usize::try_from(self.settings().buffer_bytes_max.bytes()).unwrap_or(usize::MAX)
    }
}
