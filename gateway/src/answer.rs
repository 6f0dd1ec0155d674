//! What a client gets when its request fails: the only table from [`Failure`] to the wire.
//!
//! Owns statuses, texts and whether the connection may go on. Messages name no internals.

use sluice_config::model::GrpcStatus;

use crate::error::Failure;

/// An answer the gateway makes because something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How a call of gRPC ends by it.
    pub grpc: GrpcStatus,
    /// The body, plain text.
    pub text: &'static str,
    /// Whether the connection ends with it: always where the rest of the request cannot be told apart
    /// from a next one (RFC 9112 9.3, 11.2).
    pub close: bool,
}

/// What to answer; `None` where nobody would read an answer.
#[must_use]
pub const fn to(failure: Failure) -> Option<Answer> {
    let (status, text, close) = match failure {
        Failure::BadRequest { status, .. } => (status, bad_request_text(status), true),
        Failure::BodyTooLarge => (413, "the request body is too large\n", true),
        Failure::ClientTimeout => (408, "the request took too long to arrive\n", true),
        // Nobody reads, or what is spoken is not HTTP.
        Failure::ClientGone | Failure::BadHello(_) | Failure::IdleTimeout => return None,
        // RFC 9110 15.5.20: on a connection of its own it would be served.
        Failure::Misdirected => (421, "this host is not served on this connection\n", false),
        Failure::NoRoute => (404, "no route takes this request\n", false),
        Failure::Denied(_) => (403, "a policy denies this request\n", false),
        Failure::NoEndpoint => (503, "no backend is available\n", false),
        Failure::ConnectFailed => (503, "the backend could not be reached\n", false),
        Failure::Overloaded => (503, "too many requests in flight\n", false),
        Failure::UpstreamProtocol(_) => (502, "the backend sent an invalid response\n", false),
        Failure::UpstreamReset => (502, "the backend closed the connection early\n", false),
        Failure::RequestTimeout => (504, "the request took too long\n", false),
        Failure::BackendTimeout => (504, "the backend took too long\n", false),
        // Where the request's body was left, nobody knows.
        Failure::Internal => (500, "the gateway failed\n", true),
    };
    Some(Answer {
        status,
        grpc: grpc(failure, status),
        text,
        close,
    })
}

/// What a client of gRPC is told: what the gateway knows better, else what its specification maps the status to.
const fn grpc(failure: Failure, status: u16) -> GrpcStatus {
    match (failure, status) {
        (Failure::BodyTooLarge, _) | (_, 429 | 431) => GrpcStatus::RESOURCE_EXHAUSTED,
        (Failure::RequestTimeout | Failure::BackendTimeout, _) => GrpcStatus::DEADLINE_EXCEEDED,
        (Failure::ClientTimeout, _) => GrpcStatus::CANCELLED,
        (_, 400) => GrpcStatus::INTERNAL,
        (_, 401) => GrpcStatus::UNAUTHENTICATED,
        (_, 403) => GrpcStatus::PERMISSION_DENIED,
        (_, 404) => GrpcStatus::UNIMPLEMENTED,
        (_, 502..=504) => GrpcStatus::UNAVAILABLE,
        (Failure::Internal, _) => GrpcStatus::INTERNAL,
        _ => GrpcStatus::UNKNOWN,
    }
}

const fn bad_request_text(status: u16) -> &'static str {
    match status {
        414 => "the request target is too long\n",
        417 => "the expectation is not supported\n",
        431 => "the request head is too large\n",
        501 => "the method or transfer coding is not supported\n",
        505 => "the protocol version is not supported\n",
        _ => "the request is malformed\n",
    }
}

#[cfg(test)]
mod tests {
    use sluice_config::model::PolicyId;

    use super::{Failure, to};

    #[test]
    fn the_table_is_the_one_of_the_design() {
        let status = |failure| to(failure).map(|answer| answer.status);
        assert_eq!(
            status(Failure::BadRequest {
                status: 400,
                rule: "bare_lf"
            }),
            Some(400)
        );
        assert_eq!(
            status(Failure::BadRequest {
                status: 431,
                rule: "head_bytes"
            }),
            Some(431)
        );
        assert_eq!(status(Failure::BodyTooLarge), Some(413));
        assert_eq!(status(Failure::Misdirected), Some(421));
        assert_eq!(status(Failure::NoRoute), Some(404));
        assert_eq!(status(Failure::Denied(PolicyId(0))), Some(403));
        assert_eq!(status(Failure::NoEndpoint), Some(503));
        assert_eq!(status(Failure::ConnectFailed), Some(503));
        assert_eq!(status(Failure::Overloaded), Some(503));
        assert_eq!(status(Failure::UpstreamProtocol("bad_status")), Some(502));
        assert_eq!(status(Failure::UpstreamReset), Some(502));
        assert_eq!(status(Failure::RequestTimeout), Some(504));
        assert_eq!(status(Failure::BackendTimeout), Some(504));
        assert_eq!(status(Failure::Internal), Some(500));
        assert_eq!(status(Failure::ClientGone), None);
    }

    #[test]
    fn what_breaks_framing_ends_the_connection() {
        assert!(
            to(Failure::BadRequest {
                status: 400,
                rule: "bare_lf"
            })
            .is_some_and(|answer| answer.close)
        );
        assert!(to(Failure::BodyTooLarge).is_some_and(|answer| answer.close));
        assert!(to(Failure::NoRoute).is_some_and(|answer| !answer.close));
    }
}
