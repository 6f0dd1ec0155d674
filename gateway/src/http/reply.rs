//! Answers the gateway makes itself: errors, redirects, direct responses. Owns their form on the wire and the
//! reason phrases. Refuses a body where none may be.

use super::{
    Version,
    encode::{Connection, write_field, write_length, write_number},
    field::Known,
};

/// One answer, whole.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// 200 to 599.
    pub status: u16,
    /// Sent as it stands.
    pub body: &'a [u8],
    /// The request's method is HEAD: the body is only described.
    pub to_head: bool,
    /// The client's version.
    pub client_version: Version,
    /// Whether the connection is closed after it; never an upgrade.
    pub connection: Connection,
    /// The Date field (RFC 9110 5.6.7).
    pub date: &'a str,
}

/// Appends `reply` with `fields`; a body without a Content-Type among them is plain text.
pub fn write_reply<'a>(
    out: &mut Vec<u8>,
    reply: &Reply<'_>,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(out, u64::from(reply.status));
    out.push(b' ');
    out.extend_from_slice(reason_phrase(reply.status).as_bytes());
    out.extend_from_slice(b"\r\n");
    write_reply_fields(out, reply, fields);
    match reply.connection {
        Connection::KeepAlive if reply.client_version != Version::V10 => {}
        Connection::KeepAlive => write_field(out, b"connection", b"keep-alive"),
        Connection::Close | Connection::Upgrade => write_field(out, b"connection", b"close"),
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(reply.content());
}

/// Appends the fields of `reply`, but those of a version of HTTP.
pub(super) fn write_reply_fields<'a>(
    out: &mut Vec<u8>,
    reply: &Reply<'_>,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let mut has_type = false;
    for (name, value) in fields {
        has_type |= name.eq_ignore_ascii_case("content-type");
        if !is_own(name) {
            write_field(out, name.as_bytes(), value.as_bytes());
        }
    }
    write_field(out, b"date", reply.date.as_bytes());
    if reply.may_have_content() {
        if !has_type && !reply.body.is_empty() {
            write_field(out, b"content-type", b"text/plain; charset=utf-8");
        }
        write_length(out, reply.body.len() as u64);
    }
}

impl Reply<'_> {
    /// What of the body is sent.
    #[must_use]
    pub const fn content(&self) -> &[u8] {
        if self.may_have_content() && !self.to_head {
            self.body
        } else {
            &[]
        }
    }

    /// RFC 9110 8.6 and 15.4.5: no length in 204; in 304 it would describe a body that is not known here.
    const fn may_have_content(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }
}

fn is_own(name: &str) -> bool {
    matches!(
        Known::of(name.as_bytes()),
        Known::Connection
            | Known::ContentLength
            | Known::Date
            | Known::KeepAlive
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

/// The reason phrase of `status` (RFC 9110 15, RFC 6585), or nothing.
#[must_use]
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a Teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
