//! What a backend is told: the request as it goes out, the same for every try.

use std::net::IpAddr;

use sluice_config::model::{PathRewrite, Rewrite, Sticky};
use sluice_routing::{filter, split};

use super::{Account, Client, Context};
use crate::{
    http::{OutgoingRequest, RequestHead, RequestId},
    snapshot::Backend,
    wire::Wire,
};

/// The request as it goes out.
pub(super) struct Plan<'a> {
    /// The rewritten path; `None` sends the one that was matched.
    path: Option<String>,
    /// The rewritten Host.
    host: Option<&'a str>,
    /// The share it goes to.
    pub(super) share: &'a Backend,
}

impl<'a> Plan<'a> {
    /// For a request of a rule whose matched prefix has `prefix_bytes`.
    pub(super) fn new(
        request: &RequestHead,
        rewrite: Option<&'a Rewrite>,
        prefix_bytes: usize,
        share: &'a Backend,
    ) -> Self {
        let rewritten = |path: &PathRewrite| filter::rewrite_path(path, request.path(), prefix_bytes);
        Self {
            path: rewrite.and_then(|rewrite| rewrite.path.as_ref()).map(rewritten),
            host: rewrite.and_then(|rewrite| rewrite.host.as_deref()),
            share,
        }
    }

    /// The path it is sent with.
    pub(super) fn path<'p>(&'p self, request: &'p RequestHead) -> &'p str {
        self.path.as_deref().unwrap_or_else(|| request.path())
    }

    /// The host it is sent with, without its port.
    pub(super) fn host<'p>(&'p self, request: &'p RequestHead) -> &'p str {
        self.host.map_or_else(|| request.host(), filter::host_of)
    }

    /// Writes the head and begins the body.
    pub(super) fn write(
        &self,
        context: &Context,
        request: &RequestHead,
        client: &Client,
        account: &Account<'_>,
        backend: &mut Wire,
    ) {
        // HTTP/1.0 may come without a Host, and HTTP/1.1 may not go without: then it is the backend's own.
        let own_host = match (self.host, request.authority(), account.endpoint()) {
            (None, "", Some(endpoint)) => Some(endpoint.to_string()),
            _ => None,
        };
        let made;
        let request_id = match request.request_id() {
            Some(received) => received,
            None => {
                made = account
                    .made_id
                    .get_or_init(|| RequestId::new(context.with_rng(|rng| rng.u128(..))));
                made.as_bytes()
            }
        };
        let outgoing = OutgoingRequest {
            path: self.path(request),
            host: self
                .host
                .or(own_host.as_deref())
                .unwrap_or_else(|| request.authority()),
            edits: &self.share.request_edits,
            forwarded: &account.forwarded,
            certificate: client.certificate(),
            request_id,
            framing: request.framing(),
            upgrade: request.upgrade().is_some(),
            expect_continue: request.expects_continue() && !client.continued,
        };
        backend.write_request(request, &outgoing);
    }
}

/// What ties the client to a share, if the request has it.
pub(super) fn sticky_hash(sticky: &Sticky, request: &RequestHead, client: IpAddr) -> Option<u64> {
    match sticky {
        Sticky::Header(name) => request
            .header(name.as_str())
            .map(|value| split::sticky_hash(&value)),
        Sticky::Cookie(name) => request.cookie(name).map(split::sticky_hash),
        Sticky::SourceAddress => Some(address_hash(client)),
    }
}

/// What ties a client of this address to a share.
pub(super) fn address_hash(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(address) => split::sticky_hash(&address.octets()),
        IpAddr::V6(address) => split::sticky_hash(&address.octets()),
    }
}
