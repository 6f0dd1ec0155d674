//! Why a message is refused: one constant for each rule, so that logs and metrics have a bounded vocabulary.

use thiserror::Error;

/// A request that is answered with `status` and whose connection is then closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{rule}")]
pub struct BadRequest {
    /// 400, 414, 417, 431, 501 or 505.
    pub status: u16,
    /// The rule it broke; one of [`BadRequest::ALL`].
    pub rule: &'static str,
}

/// A response that is dropped with its connection; the client gets 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{rule}")]
pub struct BadResponse {
    /// The rule it broke; one of [`BadResponse::ALL`].
    pub rule: &'static str,
}

/// A body that breaks its own framing: the message is cut short and its connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{rule}")]
pub struct BadBody {
    /// The rule it broke; one of [`BadBody::ALL`].
    pub rule: &'static str,
}

/// A rule of heads that requests and responses share; each side maps it to its own refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadFault {
    BareLf,
    EmptyLines,
    TooLarge,
    TooManyFields,
    FoldedField,
    FieldName,
    FieldValue,
    StartLine,
    ContentLength,
    ContentLengthTwice,
    TransferEncoding,
    TransferEncodingUnknown,
    ContentLengthAndTransferEncoding,
    ConnectionOptions,
}

macro_rules! requests {
    ($($name:ident = $status:literal $rule:literal: $doc:literal;)*) => {
        impl BadRequest {
            $(#[doc = $doc] pub const $name: Self = Self { status: $status, rule: $rule };)*
            /// Every refusal of a request there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

macro_rules! rules {
    ($of:ident: $($name:ident = $rule:literal: $doc:literal;)*) => {
        impl $of {
            $(#[doc = $doc] pub const $name: Self = Self { rule: $rule };)*
            /// Every one there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

requests! {
    BARE_LF = 400 "bare_lf": "A line that ends with LF alone (RFC 9112 2.2).";
    EMPTY_LINES = 400 "empty_lines": "More empty lines before the request than are forgiven.";
    HEAD_BYTES = 431 "head_bytes": "A head larger than the limit (RFC 6585 5).";
    HEAD_FIELDS = 431 "head_fields": "More fields than the limit (RFC 6585 5).";
    TARGET_BYTES = 414 "target_bytes": "A target longer than the limit (RFC 9110 15.5.15).";
    METHOD_BYTES = 501 "method_bytes": "A method longer than any there is (RFC 9112 3).";
    REQUEST_LINE = 400 "request_line": "A malformed request line (RFC 9112 3).";
    VERSION = 505 "version": "A version other than 1.0 and 1.1.";
    TLS = 400 "tls": "A TLS handshake where plain HTTP is spoken.";
    NO_VERSION = 400 "no_version": "A request line without HTTP version, as in HTTP/0.9.";
    CONNECT = 501 "connect": "CONNECT, which is for forward proxies (RFC 9110 9.3.6).";
    HTTP2_PREFACE = 400 "http2_preface": "The method PRI, which RFC 9113 3.4 reserves.";
    FOLDED_FIELD = 400 "folded_field": "A field folded over lines (RFC 9112 5.2).";
    FIELD_NAME = 400 "field_name": "A field name that is no token, or not followed by a colon (RFC 9112 5.1).";
    FIELD_VALUE = 400 "field_value": "A control character in a field value (RFC 9110 5.5).";
    HOST_MISSING = 400 "host_missing": "No Host in HTTP/1.1 (RFC 9112 3.2).";
    HOST_TWICE = 400 "host_twice": "More than one Host (RFC 9112 3.2).";
    HOST = 400 "host": "A Host that is no host with an optional port.";
    TARGET_FORM = 400 "target_form": "A target of none of the forms of RFC 9112 3.2, or `*` without OPTIONS.";
    TARGET_AUTHORITY = 400 "target_authority": "An absolute target whose authority is no host with an optional port.";
    TARGET_CHARACTER = 400 "target_character": "A fragment, or a character no URI may hold, in the query.";
    PATH_CHARACTER = 400 "path_character": "A backslash, fragment, control or non-ASCII character in the path.";
    PATH_ESCAPE = 400 "path_escape": "A percent sign without two hexadecimal digits in the path.";
    PATH_CONTROL = 400 "path_control": "An encoded control character in the path, `%00` above all.";
    PATH_SLASH = 400 "path_slash": "An encoded slash or backslash in the path.";
    PATH_DOTS = 400 "path_dots": "Dot segments in disguise: with parameters, or beside an encoded slash.";
    CONTENT_LENGTH = 400 "content_length": "A Content-Length that is no plain number below 2^63 (RFC 9112 6.3).";
    CONTENT_LENGTH_TWICE = 400 "content_length_twice": "More than one Content-Length.";
    TRANSFER_ENCODING = 400 "transfer_encoding": "A malformed or repeated Transfer-Encoding (RFC 9112 6.1).";
    TRANSFER_ENCODING_UNKNOWN = 501 "transfer_encoding_unknown": "A transfer coding other than chunked.";
    TRANSFER_ENCODING_VERSION = 400 "transfer_encoding_version": "Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1).";
    CONTENT_LENGTH_AND_TRANSFER_ENCODING = 400 "content_length_and_transfer_encoding":
        "Both Content-Length and Transfer-Encoding (RFC 9112 6.1).";
    CONNECTION = 400 "connection": "Malformed or too many Connection options.";
    EXPECT = 417 "expect": "An expectation other than 100-continue (RFC 9110 10.1.1).";
}

rules! {
    BadResponse:
    BARE_LF = "bare_lf": "A line that ends with LF alone.";
    HEAD_BYTES = "head_bytes": "A head larger than the limit.";
    HEAD_FIELDS = "head_fields": "More fields than the limit.";
    STATUS_LINE = "status_line": "No status line of HTTP/1.0 or 1.1 (RFC 9112 4).";
    STATUS = "status": "A status outside 100 to 599.";
    FOLDED_FIELD = "folded_field": "A field folded over lines.";
    FIELD_NAME = "field_name": "A field name that is no token, or not followed by a colon.";
    FIELD_VALUE = "field_value": "A control character in a field value.";
    CONTENT_LENGTH = "content_length": "A malformed or repeated Content-Length.";
    TRANSFER_ENCODING = "transfer_encoding": "A Transfer-Encoding other than one `chunked` of HTTP/1.1.";
    CONTENT_LENGTH_AND_TRANSFER_ENCODING = "content_length_and_transfer_encoding":
        "Both Content-Length and Transfer-Encoding.";
    CONNECTION = "connection": "Malformed or too many Connection options.";
    HTTP2 = "http2": "What breaks a rule of HTTP/2 (RFC 9113).";
    SWITCH_REFUSED = "switch_refused": "A success in place of a 101, for a client of HTTP/2 that asked for a tunnel.";
    NO_TUNNELS = "no_tunnels": "A WebSocket was asked for, and the backend's HTTP/2 knows no CONNECT for it (RFC 8441 3).";
    SWITCH_NOT_ASKED = "switch_not_asked": "101 without an Upgrade in the request, or to another protocol.";
}

rules! {
    BadBody:
    CHUNK_SIZE = "chunk_size": "A chunk size that is not 1 to 16 hexadecimal digits.";
    CHUNK_EXTENSION = "chunk_extension": "A chunk extension with control characters, or larger than the limits.";
    CHUNK_END = "chunk_end": "Chunk data not followed by CRLF.";
    TRAILER = "trailer": "A malformed trailer field.";
    TRAILER_SIZE = "trailer_size": "A trailer section larger than the limits.";
    HTTP2 = "http2": "A body that breaks a rule of HTTP/2, such as one of another length than was announced (RFC 9113 8.1.1).";
    GRPC_WEB = "grpc_web": "A body of gRPC-Web that is to be base64 and is not.";
    CUT_SHORT = "cut_short": "The connection ended before the body.";
}

impl From<HeadFault> for BadRequest {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::BareLf => Self::BARE_LF,
            HeadFault::EmptyLines => Self::EMPTY_LINES,
            HeadFault::TooLarge => Self::HEAD_BYTES,
            HeadFault::TooManyFields => Self::HEAD_FIELDS,
            HeadFault::FoldedField => Self::FOLDED_FIELD,
            HeadFault::FieldName => Self::FIELD_NAME,
            HeadFault::FieldValue => Self::FIELD_VALUE,
            HeadFault::StartLine => Self::REQUEST_LINE,
            HeadFault::ContentLength => Self::CONTENT_LENGTH,
            HeadFault::ContentLengthTwice => Self::CONTENT_LENGTH_TWICE,
            HeadFault::TransferEncoding => Self::TRANSFER_ENCODING,
            HeadFault::TransferEncodingUnknown => Self::TRANSFER_ENCODING_UNKNOWN,
            HeadFault::ContentLengthAndTransferEncoding => Self::CONTENT_LENGTH_AND_TRANSFER_ENCODING,
            HeadFault::ConnectionOptions => Self::CONNECTION,
        }
    }
}

impl From<HeadFault> for BadResponse {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::BareLf => Self::BARE_LF,
            HeadFault::TooLarge => Self::HEAD_BYTES,
            HeadFault::TooManyFields => Self::HEAD_FIELDS,
            HeadFault::FoldedField => Self::FOLDED_FIELD,
            HeadFault::FieldName => Self::FIELD_NAME,
            HeadFault::FieldValue => Self::FIELD_VALUE,
            HeadFault::EmptyLines | HeadFault::StartLine => Self::STATUS_LINE,
            HeadFault::ContentLength | HeadFault::ContentLengthTwice => Self::CONTENT_LENGTH,
            HeadFault::TransferEncoding | HeadFault::TransferEncodingUnknown => Self::TRANSFER_ENCODING,
            HeadFault::ContentLengthAndTransferEncoding => Self::CONTENT_LENGTH_AND_TRANSFER_ENCODING,
            HeadFault::ConnectionOptions => Self::CONNECTION,
        }
    }
}

impl From<httparse::Error> for HeadFault {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::HeaderName => Self::FieldName,
            httparse::Error::HeaderValue => Self::FieldValue,
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            httparse::Error::NewLine
            | httparse::Error::Status
            | httparse::Error::Token
            | httparse::Error::Version => Self::StartLine,
        }
    }
}

/// A request body that breaks its framing is a bad request.
impl From<BadBody> for BadRequest {
    fn from(body: BadBody) -> Self {
        Self {
            status: 400,
            rule: body.rule,
        }
    }
}
