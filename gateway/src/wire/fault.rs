//! Why a head or a body did not come to its end, on either side.

use std::io;

use crate::{
    error::Failure,
    http::{BadBody, BadResponse},
};

/// Why no head came.
#[derive(Debug)]
pub enum NoHead<B> {
    /// What came broke a rule.
    Bad(B),
    /// The peer closed or the connection broke.
    Closed {
        /// In the middle of a head.
        begun: bool,
    },
}

/// Why a backend gave no head of a response.
#[derive(Debug, Clone)]
pub enum Unanswered {
    /// What came broke a rule.
    Bad(BadResponse),
    /// It closed, or reset what the request was sent on.
    Closed {
        /// In the middle of a head.
        begun: bool,
    },
    /// It said that it did nothing with the request, or the request never left.
    Refused,
}

impl From<NoHead<BadResponse>> for Unanswered {
    fn from(no_head: NoHead<BadResponse>) -> Self {
        match no_head {
            NoHead::Bad(bad) => Self::Bad(bad),
            NoHead::Closed { begun } => Self::Closed { begun },
        }
    }
}

/// Why a body ended too soon.
#[derive(Debug)]
pub enum BodyError {
    /// Its framing broke a rule, or it ended before its end.
    Bad(BadBody),
    /// The connection broke.
    Broken(io::Error),
}

impl BodyError {
    /// As a failure of a request.
    #[must_use]
    pub fn of_client(self) -> Failure {
        match self {
            Self::Bad(bad) if bad != BadBody::CUT_SHORT => Failure::BadRequest {
                status: 400,
                rule: bad.rule,
            },
            Self::Bad(_) | Self::Broken(_) => Failure::ClientGone,
        }
    }

    /// As a failure of a response.
    #[must_use]
    pub fn of_backend(self) -> Failure {
        match self {
            Self::Bad(bad) if bad != BadBody::CUT_SHORT => Failure::UpstreamProtocol(bad.rule),
            Self::Bad(_) | Self::Broken(_) => Failure::UpstreamReset,
        }
    }
}
