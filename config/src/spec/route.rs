//! How routes, rules and filters are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    List, Match, OrNone, Retry, Slot, Table, Written,
    notation::{Authority, CookieName, Host, Text},
    path::Path,
    scalar::{Int, True},
};
use crate::{
    defaults::{BACKEND_TIMEOUT, BACKEND_WEIGHT, REDIRECT_STATUS},
    model::{HeaderName, HeaderValue, HostPattern, Millis, Name, Weight},
};

/// A named list of rules for some hosts on some listeners.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a route, a map with `name` and `rules`"
)]
pub(crate) struct Route {
    /// Unique among routes.
    pub(crate) name: Slot<Written<Name>>,
    /// Names of the listeners it serves; every one for HTTP where absent. One with `protocol: tls` or `tcp` is always
    /// named, beside no other kind; then the route has one rule, of `backends` alone.
    #[serde(default)]
    pub(crate) listeners: Slot<List<Written<Name>, 1>>,
    /// Hosts it serves, such as `a.example.com` or `*.example.com`; every host where absent. With `protocol: tls` they are
    /// the server names of hellos.
    #[serde(default)]
    pub(crate) hosts: Slot<List<Written<HostPattern>, 1>>,
    /// What to do with which requests. The most specific match wins, as in Gateway API; then the first.
    pub(crate) rules: Slot<List<Rule, 1>>,
}

/// What to do with requests that look a certain way: `backends`, or a `direct` or `redirect` filter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a rule, a map with `backends` or `filters`"
)]
pub(crate) struct Rule {
    /// Unique in its route; `rule-1`, `rule-2`, ... where absent.
    pub(crate) name: Slot<Written<Name>>,
    /// Any of these; every request where absent.
    pub(crate) matches: Slot<List<Match, 1>>,
    /// Where requests go, by weight.
    pub(crate) backends: Slot<List<Backend, 1>>,
    /// Applied in this order, before those of the backend.
    pub(crate) filters: Slot<List<Filter>>,
    /// Bounds on the whole and on each try.
    pub(crate) timeouts: Slot<Timeouts>,
    /// When to try again; never where absent.
    pub(crate) retry: Slot<Retry>,
    /// What ties a client to one of the backends.
    pub(crate) sticky: Slot<Sticky>,
}

/// One share of a split.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a backend, a map with `service`"
)]
pub(crate) struct Backend {
    /// The name of a service.
    pub(crate) service: Slot<Written<Name>>,
    /// The share, relative to the sum of the rule's weights; 0 gets nothing.
    #[serde(default)]
    #[schemars(extend("default" = BACKEND_WEIGHT.get()))]
    pub(crate) weight: Slot<Int<0, { Weight::MAX as u64 }>>,
    /// Applied after those of the rule.
    #[serde(default)]
    pub(crate) filters: Slot<List<BackendFilter>>,
}

/// One change to a message, or an answer instead of a backend's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Filter {
    /// Changes the request's header fields.
    RequestHeaders(Slot<HeaderEdits>),
    /// Changes the response's header fields.
    ResponseHeaders(Slot<HeaderEdits>),
    /// Answers at once.
    Direct(Slot<Direct>),
    /// Answers with a redirect.
    Redirect(Slot<Redirect>),
    /// Changes the request's host or path.
    Rewrite(Slot<Rewrite>),
}

/// One change to a message on the way to one backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum BackendFilter {
    /// Changes the request's header fields.
    RequestHeaders(Slot<HeaderEdits>),
    /// Changes the response's header fields.
    ResponseHeaders(Slot<HeaderEdits>),
}

/// Changes of header fields: `set`, then `add`, then `remove`. Fields that frame a message cannot be changed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `set`, `add` and `remove`"
)]
pub(crate) struct HeaderEdits {
    /// Replaces every value of the name.
    pub(crate) set: Slot<Table<Written<HeaderName>, Written<HeaderValue>>>,
    /// Appends one value.
    pub(crate) add: Slot<Table<Written<HeaderName>, Written<HeaderValue>>>,
    /// Drops every value of the name.
    pub(crate) remove: Slot<List<Written<HeaderName>>>,
}

/// An answer the gateway makes itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `status`"
)]
pub(crate) struct Direct {
    /// The status.
    pub(crate) status: Slot<Int<200, 599>>,
    /// Sent as it stands; at most 64 KiB.
    #[serde(default)]
    #[schemars(extend("default" = ""))]
    pub(crate) body: Slot<Written<Text>>,
    /// Sent beside `content-length` and `date`; `content-type` is `text/plain; charset=utf-8` unless it is here.
    #[serde(default)]
    pub(crate) headers: Slot<Table<Written<HeaderName>, Written<HeaderValue>>>,
}

/// A redirect. What is absent is taken from the request; at least one of scheme, host, port and path is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `scheme`, `host`, `port`, `path` and `status`"
)]
pub(crate) struct Redirect {
    /// `http` or `https`.
    pub(crate) scheme: Slot<Scheme>,
    /// The host of the new location.
    pub(crate) host: Slot<Written<Host>>,
    /// The port of the new location.
    pub(crate) port: Slot<Int<1, 65535>>,
    /// The path of the new location; the query stays.
    pub(crate) path: Slot<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    #[schemars(extend("default" = REDIRECT_STATUS, "enum" = [301, 302, 303, 307, 308]))]
    pub(crate) status: Slot<Int<301, 308>>,
}

/// A scheme of URLs.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A changed host or path for the backend; at least one is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `host` and `path`"
)]
pub(crate) struct Rewrite {
    /// Sent as Host, with a port if one is written.
    pub(crate) host: Slot<Written<Authority>>,
    /// Sent as path; the query stays.
    pub(crate) path: Slot<PathRewrite>,
}

/// How a path changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PathRewrite {
    /// The whole path.
    Full(Written<Path>),
    /// The prefix that matched; only in rules whose every match has a `prefix` path.
    Prefix(Written<Path>),
}

/// Time bounds of a request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `request` and `backend`"
)]
pub(crate) struct Timeouts {
    /// From the end of the request's head to the end of the response, retries included; or `none`.
    #[schemars(extend("default" = "none"))]
    pub(crate) request: Slot<OrNone<Written<Millis>>>,
    /// One try, from the end of the request to the end of the response's head; or `none`. The default holds where there
    /// is no `request`.
    #[schemars(extend("default" = BACKEND_TIMEOUT.to_string()))]
    pub(crate) backend: Slot<OrNone<Written<Millis>>>,
}

/// What ties a client to one backend of a split, so that a raised weight moves clients only towards it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Sticky {
    /// The value of this header; requests without it are split as if not sticky.
    Header(Written<HeaderName>),
    /// The value of this cookie; likewise.
    Cookie(Written<CookieName>),
    /// The client's address.
    SourceAddress(True),
}
