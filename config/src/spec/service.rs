//! How a service is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Health, List, OrNone, ServiceTls, Slot, Written, scalar::Int};
use crate::{
    defaults::{
        CONNECT_TIMEOUT, GRPC_METHODS_LIMIT, OUTLIER_CONSECUTIVE_FAILURES, OUTLIER_CONSECUTIVE_FAILURES_MAX,
        OUTLIER_EJECTION, OUTLIER_PERCENT_MAX, POOL_IDLE_LIMIT, POOL_IDLE_MAX, POOL_IDLE_TIMEOUT,
        POOL_REQUESTS_LIMIT, POOL_REQUESTS_MAX,
    },
    model::{self, Address, Millis, Name, Weight},
};

/// A named set of endpoints that serve the same thing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a service, a map with `name` and `endpoints`"
)]
pub(crate) struct Service {
    /// Unique among services.
    pub(crate) name: Slot<Written<Name>>,
    /// Where it is.
    pub(crate) endpoints: Slot<List<Endpoint, 1>>,
    /// What is spoken to the endpoints.
    #[serde(default)]
    #[schemars(extend("default" = "http1"))]
    pub(crate) protocol: Slot<ServiceProtocol>,
    /// How its endpoints are reached over TLS; in plaintext without it.
    #[serde(default)]
    pub(crate) tls: Slot<ServiceTls>,
    /// Whether connections begin with a header of the PROXY protocol, before TLS, and of which version: it tells the
    /// endpoint who the client is. Such a connection belongs to its client, and is not kept for a request of another.
    #[serde(default)]
    pub(crate) proxy_protocol: Slot<ProxyProtocol>,
    /// How many methods of gRPC are counted each by itself: the first that the endpoints know. Those after them are counted
    /// together.
    #[serde(default)]
    #[schemars(extend("default" = 0))]
    pub(crate) grpc_method_metrics: Slot<Int<0, GRPC_METHODS_LIMIT>>,
    /// How an endpoint is picked.
    #[serde(default)]
    #[schemars(extend("default" = "leastRequest"))]
    pub(crate) balance: Slot<Balance>,
    /// Bounds on how long an endpoint may take.
    #[serde(default)]
    pub(crate) timeouts: Slot<ServiceTimeouts>,
    /// Kept connections, for each worker and endpoint.
    #[serde(default)]
    pub(crate) pool: Slot<Pool>,
    /// When an endpoint is left out for a while; or `none`.
    #[serde(default)]
    pub(crate) outlier: Slot<OrNone<Outlier>>,
    /// How endpoints are asked whether they are well; those that are not get no request.
    #[serde(default)]
    pub(crate) health: Slot<Health>,
}

/// One place a service is at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an endpoint, a map with `address`"
)]
pub(crate) struct Endpoint {
    /// IP address or DNS name, and port. A name stands for as many endpoints as it has addresses.
    pub(crate) address: Slot<Written<Address>>,
    /// Its share, relative to the others.
    #[serde(default)]
    #[schemars(extend("default" = 1))]
    pub(crate) weight: Slot<Int<1, { Weight::MAX as u64 }>>,
}

/// What is spoken to the endpoints.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ServiceProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: over TLS, or in clear text by prior knowledge. What gRPC needs.
    H2,
    /// Over TLS whichever of both the endpoint prefers (ALPN), in clear text HTTP/1.1.
    Auto,
}

/// The form of a header that tells who the client is.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ProxyProtocol {
    /// A line of text.
    V1,
    /// The binary form.
    V2,
}

/// How an endpoint is picked.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Balance {
    /// The less loaded of two picked at random.
    LeastRequest,
    /// By turns, in proportion to weight.
    RoundRobin,
    /// At random, in proportion to weight.
    Random,
}

/// Bounds on how long an endpoint may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `connect`"
)]
pub(crate) struct ServiceTimeouts {
    /// To accept a connection.
    #[schemars(extend("default" = CONNECT_TIMEOUT.to_string()))]
    pub(crate) connect: Slot<Written<Millis>>,
}

/// Kept connections, for each worker and endpoint.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `idleMax`, `idleTimeout` and `requestsMax`"
)]
pub(crate) struct Pool {
    /// Most idle connections kept; 0 keeps none.
    #[schemars(extend("default" = POOL_IDLE_MAX))]
    pub(crate) idle_max: Slot<Int<0, POOL_IDLE_LIMIT>>,
    /// How long an idle one is kept; choose less than the endpoints' own keep-alive timeout.
    #[schemars(extend("default" = POOL_IDLE_TIMEOUT.to_string()))]
    pub(crate) idle_timeout: Slot<Written<Millis>>,
    /// Most requests in flight, open connections that are passed on among them; more are answered 503, or closed.
    #[schemars(extend("default" = POOL_REQUESTS_MAX))]
    pub(crate) requests_max: Slot<Int<1, POOL_REQUESTS_LIMIT>>,
}

/// When an endpoint is left out for a while.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "`none`, or a map of `consecutiveFailures`, `ejection` and `percentMax`"
)]
pub(crate) struct Outlier {
    /// Failures to connect, resets and timeouts in a row that eject it.
    #[schemars(extend("default" = OUTLIER_CONSECUTIVE_FAILURES))]
    pub(crate) consecutive_failures: Slot<Int<1, OUTLIER_CONSECUTIVE_FAILURES_MAX>>,
    /// How long the first time; longer when it fails again.
    #[schemars(extend("default" = OUTLIER_EJECTION.to_string()))]
    pub(crate) ejection: Slot<Written<Millis>>,
    /// Share of the endpoints that may be out at once, in percent.
    #[schemars(extend("default" = OUTLIER_PERCENT_MAX))]
    pub(crate) percent_max: Slot<Int<0, 100>>,
}

impl From<ServiceProtocol> for model::ServiceProtocol {
    fn from(protocol: ServiceProtocol) -> Self {
        match protocol {
            ServiceProtocol::Http1 => Self::Http1,
            ServiceProtocol::H2 => Self::H2,
            ServiceProtocol::Auto => Self::Auto,
        }
    }
}

impl From<ProxyProtocol> for model::ProxyProtocol {
    fn from(version: ProxyProtocol) -> Self {
        match version {
            ProxyProtocol::V1 => Self::V1,
            ProxyProtocol::V2 => Self::V2,
        }
    }
}

impl From<Balance> for model::Balance {
    fn from(balance: Balance) -> Self {
        match balance {
            Balance::LeastRequest => Self::LeastRequest,
            Balance::RoundRobin => Self::RoundRobin,
            Balance::Random => Self::Random,
        }
    }
}
