//! What a request is to rules and policies, and the step that asks the policies.
//!
//! Owns the one view by which both see a request. Refuses to decide: that is `sluice_routing`'s.

use std::{borrow::Cow, net::IpAddr};

use sluice_routing::{Arrival, RequestView, authorize::Policies};

use super::{Client, Exchange, Plan};
use crate::{error::Failure, http::RequestHead};

/// A request as rules and policies see it.
pub(super) struct View<'v> {
    head: &'v RequestHead,
    client: &'v Client,
    /// The believed address of the client.
    address: IpAddr,
    /// The listener's.
    port: u16,
    host: &'v str,
    path: &'v str,
}

impl Exchange<'_> {
    /// The request as it came.
    pub(super) fn view(&self) -> View<'_> {
        View::new(
            &self.heads.request,
            self.client,
            self.account.forwarded.client(),
            self.settings().bind.port(),
        )
    }

    /// Asks the policies of one place: those of a service of the request as it is `sent`, all others of it as it came.
    ///
    /// # Errors
    /// When one denies it.
    #[inline]
    pub(super) fn authorize(&mut self, policies: &Policies, sent: Option<&Plan<'_>>) -> Result<(), Failure> {
        if policies.is_empty() {
            return Ok(());
        }
        let port = self.settings().bind.port();
        let (context, account) = (self.context, &mut self.account);
        let mut view = View::new(&self.heads.request, self.client, account.forwarded.client(), port);
        if let Some(plan) = sent {
            (view.host, view.path) = (plan.host(view.head), plan.path(view.head));
        }
        policies
            .decide(&view, |policy, decision| {
                account.decided(context, policy, decision)
            })
            .map_err(Failure::Denied)
    }
}

impl<'v> View<'v> {
    fn new(head: &'v RequestHead, client: &'v Client, address: IpAddr, port: u16) -> Self {
        Self {
            head,
            client,
            address,
            port,
            host: head.host(),
            path: head.path(),
        }
    }
}

impl RequestView for View<'_> {
    fn host(&self) -> &str {
        self.host
    }

    fn method(&self) -> &str {
        self.head.method()
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        self.head.query()
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.head.header(name)
    }

    fn arrival(&self) -> Arrival<'_> {
        self.client.arrival(self.port, self.address)
    }
}
