//! What can go wrong with a request, once, for the whole gateway.
//!
//! Owns [`Failure`]: whose fault, what kind, and its name in the access log. Refuses to know what the client is
//! told: that is `answer`'s.

use sluice_config::model::PolicyId;
use thiserror::Error;

/// Why a request did not go well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    /// The head or body broke a rule of RFC 9110 or 9112, or a bound.
    #[error("bad request: {rule}")]
    BadRequest {
        /// What the client is told: 400, 414, 417, 431, 501 or 505.
        status: u16,
        /// Which rule, one of `http::RULES`.
        rule: &'static str,
    },
    /// What should be the hello of TLS that is passed on is none.
    #[error("bad hello: {0}")]
    BadHello(&'static str),
    /// The body is larger than the listener allows.
    #[error("body too large")]
    BodyTooLarge,
    /// The client sent part of a request and then nothing for too long.
    #[error("client too slow")]
    ClientTimeout,
    /// The client closed or reset its connection before it had its answer.
    #[error("client gone")]
    ClientGone,
    /// Its host is not one that the certificate of this connection is for.
    #[error("misdirected")]
    Misdirected,
    /// No rule takes this request.
    #[error("no route")]
    NoRoute,
    /// A policy denies it.
    #[error("denied by a policy")]
    Denied(PolicyId),
    /// The service has no endpoint, or the split has no weight.
    #[error("no endpoint")]
    NoEndpoint,
    /// No connection to any endpoint tried.
    #[error("connect failed")]
    ConnectFailed,
    /// A bound on requests in flight is reached.
    #[error("overloaded")]
    Overloaded,
    /// The backend broke HTTP/1.1.
    #[error("upstream protocol error: {0}")]
    UpstreamProtocol(&'static str),
    /// The backend closed or reset before a whole response head, or in the middle of the body.
    #[error("upstream reset")]
    UpstreamReset,
    /// The rule's `request` timeout passed.
    #[error("request timeout")]
    RequestTimeout,
    /// The `backend` timeout of the last try passed, or its body stalled.
    #[error("backend timeout")]
    BackendTimeout,
    /// A connection that is passed on moved no byte either way for too long.
    #[error("idle timeout")]
    IdleTimeout,
    /// A fault of the gateway itself: what served the request panicked.
    #[error("internal fault")]
    Internal,
}

/// Whose doing a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Downstream,
    /// The configuration's or the gateway's own bounds.
    Gateway,
    /// The backend's.
    Upstream,
}

impl Failure {
    /// Whose doing it is.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::BadRequest { .. }
            | Self::BadHello(_)
            | Self::BodyTooLarge
            | Self::ClientTimeout
            | Self::ClientGone
            | Self::Misdirected => Side::Downstream,
            Self::NoRoute
            | Self::Denied(_)
            | Self::NoEndpoint
            | Self::Overloaded
            | Self::RequestTimeout
            | Self::IdleTimeout
            | Self::Internal => Side::Gateway,
            Self::ConnectFailed | Self::UpstreamProtocol(_) | Self::UpstreamReset | Self::BackendTimeout => {
                Side::Upstream
            }
        }
    }

    /// Its name in the access log, and what it is about where one name covers several rules. Which policy denied a
    /// request stands there too, but its name is the configuration's to tell.
    #[must_use]
    pub const fn reason(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::BadRequest {
                status: 414 | 431,
                rule,
            } => ("head_too_large", Some(rule)),
            Self::BadRequest { rule, .. } => ("bad_request", Some(rule)),
            Self::BadHello(rule) => ("bad_hello", Some(rule)),
            Self::BodyTooLarge => ("body_too_large", None),
            Self::ClientTimeout => ("client_timeout", None),
            Self::ClientGone => ("client_gone", None),
            Self::Misdirected => ("misdirected", None),
            Self::NoRoute => ("no_route", None),
            Self::Denied(_) => ("denied", None),
            Self::NoEndpoint => ("no_endpoint", None),
            Self::ConnectFailed => ("connect_failed", None),
            Self::Overloaded => ("overloaded", None),
            Self::UpstreamProtocol(rule) => ("upstream_protocol", Some(rule)),
            Self::UpstreamReset => ("upstream_reset", None),
            Self::RequestTimeout => ("request_timeout", None),
            Self::BackendTimeout => ("backend_timeout", None),
            Self::IdleTimeout => ("idle_timeout", None),
            Self::Internal => ("internal", None),
        }
    }
}
