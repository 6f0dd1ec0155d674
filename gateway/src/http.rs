//! HTTP messages: bytes in, values and bytes out; of HTTP/2, what its library has decoded.
//!
//! Owns the grammar of RFC 9112 and what RFC 9113 8 asks of a message: heads, the normal form of a target, body framing, what of a message may
//! travel on and what is for one hop only. Refuses whatever two parsers could read in two ways, the stricter
//! reading always. Touches no socket, no clock and no file, and allocates nothing once its buffers have
//! grown.
//!
//! A request runs through it in this order: [`RequestHead::parse`], [`Forwarded::read`],
//! [`write_request_head`], [`BodyReader`] to [`BodyWriter`]; the response through [`ResponseHead::parse`],
//! [`write_response_head`] and the same two.

mod authority;
mod body;
mod body_writer;
mod chunked;
mod client_certificate;
mod encode;
mod field;
mod fields;
mod forwarded;
mod grpc;
mod grpc_web;
mod h2;
mod method;
mod refusal;
mod reply;
mod request;
mod request_id;
mod response;
mod scan;
mod start_line;
mod target;
mod trailers;
mod upgrade;
mod websocket;

use sluice_config::model::{ByteSize, Listener, PathPolicy};

pub use authority::{Authority, BadAuthority};
pub use body::{BodyReader, Piece};
pub use body_writer::{BodyWriter, WrongLength};
pub use client_certificate::ClientCertificate;
pub use encode::{
    Connection, OutgoingRequest, OutgoingResponse, write_interim, write_request_head, write_response_head,
};
pub use field::{Fate, Field, Known};
pub use fields::Fields;
pub use forwarded::{Forwarded, Scheme, is_trusted};
pub use grpc::{grpc_message, grpc_status};
pub use grpc_web::GrpcWeb;
pub use h2::{h2_interim, h2_reply, h2_request, h2_response, h2_trailers};
pub use method::Method;
pub use refusal::{BadBody, BadRequest, BadResponse};
pub use reply::{Reply, reason_phrase, write_reply};
pub use request::RequestHead;
pub use request_id::RequestId;
pub use response::{Asked, ResponseHead};
pub use scan::Scan;
pub use trailers::Trailers;
pub use upgrade::switches_as_asked;
pub use websocket::websocket_proof;

/// How far a head has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed; what is there breaks no rule so far.
    Incomplete,
    /// The head is whole.
    Complete {
        /// Bytes of the input it took, its empty last line and skipped empty lines before it included.
        head_bytes: usize,
    },
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0.
    V10,
    /// HTTP/1.1.
    #[default]
    V11,
    /// HTTP/2.
    V2,
}

/// How the end of a body is known (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes follow.
    Length(u64),
    /// Chunked transfer coding; in HTTP/2 the end of the stream.
    Chunked,
    /// It ends with the connection: responses only.
    UntilClose,
}

/// Bounds of any head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Most bytes, start line, fields and line ends together.
    pub bytes_max: usize,
    /// Most fields.
    pub fields_max: usize,
}

/// Bounds of a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Of the head as a whole.
    pub head: HeadLimits,
    /// Most bytes of the request target.
    pub target_bytes_max: usize,
    /// What the path may hold.
    pub path: PathPolicy,
}

impl HeadLimits {
    /// Of a backend's response: as large as a request's may be by default.
    pub const RESPONSE: Self = Self {
        bytes_max: sluice_config::defaults::HEAD_BYTES_MAX as usize,
        fields_max: sluice_config::defaults::HEAD_FIELDS_MAX as usize,
    };
}

impl Framing {
    /// Whether not one byte of a body follows.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }

    /// The framing of the same body towards a client of `version`: HTTP/1.0 knows no chunks, and a body that
    /// ended with the backend's connection becomes chunks, so that the client's connection can live on.
    #[must_use]
    pub const fn towards(self, version: Version) -> Self {
        match (self, version) {
            (Self::Chunked | Self::UntilClose, Version::V10) => Self::UntilClose,
            (Self::Chunked | Self::UntilClose, Version::V11 | Version::V2) => Self::Chunked,
            (Self::None | Self::Length(_), _) => self,
        }
    }
}

impl From<&Listener> for RequestLimits {
    fn from(listener: &Listener) -> Self {
        // Spans of a head are 32 bits wide.
        let bytes = |size: ByteSize| size.bytes().min(u64::from(u32::MAX)) as usize;
        Self {
            head: HeadLimits {
                bytes_max: bytes(listener.head_bytes_max),
                fields_max: usize::from(listener.head_fields_max),
            },
            target_bytes_max: bytes(listener.target_bytes_max),
            path: listener.path,
        }
    }
}

#[cfg(test)]
mod tests;
