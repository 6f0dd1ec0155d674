//! Routes: hosts, rules, and what happens to a request that a rule takes.

use serde::{Deserialize, Serialize};

use super::{
    ListenerId, ServiceId,
    matching::Match,
    value::{ByteSize, HeaderName, HeaderValue, HostPattern, Millis, Name, Place, Weight},
};

/// A named list of rules for some hosts on some listeners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Unique among routes.
    pub name: Name,
    /// Listeners it serves, never empty: an absent list in YAML is every HTTP listener. Either all are for HTTP or none;
    /// if none, it has one rule, which forwards every connection.
    pub listeners: Vec<ListenerId>,
    /// Hosts it serves; empty serves every host. Server names where TLS is passed on.
    pub hosts: Vec<HostPattern>,
    /// In the order of the file; never empty.
    pub rules: Vec<Rule>,
}

/// What to do with requests that look a certain way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Unique in its route; `rule-1`, `rule-2`, ... where YAML gives none.
    pub name: Name,
    /// Any of these; empty takes every request.
    pub matches: Vec<Match>,
    /// Where the request goes.
    pub action: Action,
    /// Applied before any backend's own.
    pub filters: Filters,
    /// Bounds on the whole and on each try.
    pub timeouts: Timeouts,
    /// When to try again; `None` tries once (but for the replay of a stale pooled connection).
    pub retry: Option<Retry>,
    /// Which clients stay on one backend.
    pub sticky: Option<Sticky>,
    /// Where the rule was declared.
    #[serde(skip)]
    pub place: Place,
}

/// Where a request goes. Exactly one per rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// To one of these, by weight; never empty. All weights may be zero: then it is answered 503.
    Forward(Vec<Backend>),
    /// Answered by the gateway itself.
    Direct(Direct),
    /// Answered with a redirect.
    Redirect(Redirect),
}

/// One share of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    /// Where the share goes.
    pub service: ServiceId,
    /// Relative to the sum of the rule's weights; zero gets nothing.
    pub weight: Weight,
    /// Applied after the rule's. Only header edits: a backend has no `rewrite`.
    pub filters: Filters,
}

/// Changes to a message on its way. Edits apply in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Filters {
    /// To the request's header fields.
    pub request_headers: Vec<HeaderEdit>,
    /// To the response's header fields.
    pub response_headers: Vec<HeaderEdit>,
    /// To the request's target.
    pub rewrite: Option<Rewrite>,
}

/// One change of header fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeaderEdit {
    /// Replace every value of the name.
    Set(HeaderName, HeaderValue),
    /// Append one value.
    Add(HeaderName, HeaderValue),
    /// Drop every value of the name.
    Remove(HeaderName),
}

/// A changed host or path for the backend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rewrite {
    /// Sent as Host.
    pub host: Option<String>,
    /// Sent as path; the query stays.
    pub path: Option<PathRewrite>,
}

/// How a path changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathRewrite {
    /// The whole path.
    Full(String),
    /// The prefix that matched; only in rules whose every match has a `prefix` path. May be `/`.
    Prefix(String),
}

/// An answer the gateway makes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direct {
    /// 200 to 599.
    pub status: u16,
    /// Sent as it stands.
    pub body: String,
    /// Beside Content-Length and Date; `text/plain; charset=utf-8` unless a content-type is here.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A redirect (RFC 9110 15.4). What is absent is taken from the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// The host of Location.
    pub host: Option<String>,
    /// The port of Location; the scheme's own is left out.
    pub port: Option<u16>,
    /// The path of Location; the query stays.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Time bounds of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From the end of the request's head to the end of the response, retries included; `None` has no bound.
    pub request: Option<Millis>,
    /// One try: from the end of the request to the end of the response's head; `None` has no bound.
    pub backend: Option<Millis>,
}

/// When to try again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// After the first try; 1 to 10.
    pub attempts: u8,
    /// Any of these.
    pub on: Vec<RetryOn>,
    /// The first wait; doubled each time, with full jitter.
    pub backoff_base: Millis,
    /// The longest wait.
    pub backoff_max: Millis,
    /// Retries allowed, as a share of the requests of the last ten seconds; 0 to 100.
    pub budget_percent: u8,
    /// Retries allowed each second besides.
    pub budget_per_second: u32,
    /// A request whose body is larger is sent once.
    pub body_limit: ByteSize,
    /// POST and PATCH too, though the backend may have acted (RFC 9110 9.2.2).
    pub unsafe_methods: bool,
}

/// What makes a try worth repeating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryOn {
    /// No connection: refused, unreachable, timed out.
    ConnectFailure,
    /// The connection ended before a response head.
    Reset,
    /// The `backend` timeout passed before a response head.
    Timeout,
    /// An HTTP/2 backend said that it did nothing with the request (RFC 9113 8.7).
    RefusedStream,
    /// 502, 503 or 504 from the backend.
    GatewayError,
    /// Any 5xx from the backend.
    ServerError,
    /// This status from the backend, 400 to 599.
    Status(u16),
    /// This status of gRPC from the backend, before any message.
    Grpc(GrpcStatus),
}

/// How a call of gRPC ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpcStatus(pub u8);

impl GrpcStatus {
    /// The caller gave up.
    pub const CANCELLED: Self = Self(1);
    /// Nobody knows.
    pub const UNKNOWN: Self = Self(2);
    /// It took too long.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// The caller may not.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// A bound is reached.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// There is no such method.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// Something is broken.
    pub const INTERNAL: Self = Self(13);
    /// It may work later.
    pub const UNAVAILABLE: Self = Self(14);
    /// The caller is not known.
    pub const UNAUTHENTICATED: Self = Self(16);
}

/// What ties a client to a backend of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sticky {
    /// The value of this header; without it the request is split as if not sticky.
    Header(HeaderName),
    /// The value of this cookie; likewise.
    Cookie(String),
    /// The client's address (the believed one behind trusted proxies).
    SourceAddress,
}
