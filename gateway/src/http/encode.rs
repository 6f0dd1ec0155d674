//! Heads as they are sent on, each in one pass over the received one. Owns what a gateway writes itself:
//! Host, body framing, Connection, what it says of the client. Refuses to copy a field that was for one hop.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
};

use sluice_routing::filter::HeaderEdits;

use super::{
    Framing, Version,
    client_certificate::ClientCertificate,
    field::{Fate, Field, Known},
    fields::Fields,
    forwarded::Forwarded,
    request::RequestHead,
    response::ResponseHead,
};

/// What is told to the backend beside the request received.
#[derive(Debug)]
pub struct OutgoingRequest<'a> {
    /// The path, rewritten or [`RequestHead::path`]; the query stays.
    pub path: &'a str,
    /// The Host field, rewritten or [`RequestHead::authority`].
    pub host: &'a str,
    /// The route's changes.
    pub edits: &'a HeaderEdits,
    /// What is said of the client.
    pub forwarded: &'a Forwarded,
    /// The certificate it has shown.
    pub certificate: Option<ClientCertificate<'a>>,
    /// The X-Request-Id, received or made.
    pub request_id: &'a [u8],
    /// How the body is sent; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Offer the protocols of [`RequestHead::upgrade`].
    pub upgrade: bool,
    /// Ask for 100 before the body.
    pub expect_continue: bool,
}

/// What is told to the client beside the response received.
#[derive(Debug)]
pub struct OutgoingResponse<'a> {
    /// The client's version.
    pub client_version: Version,
    /// The route's changes.
    pub edits: &'a HeaderEdits,
    /// How the body is sent: [`Framing::towards`] of the response's own.
    pub framing: Framing,
    /// What becomes of the client's connection.
    pub connection: Connection,
    /// The Date field if the backend sent none, as an IMF-fixdate (RFC 9110 5.6.7).
    pub date: &'a str,
}

/// What becomes of a connection after the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It serves another request.
    KeepAlive,
    /// It is closed.
    Close,
    /// It becomes a tunnel.
    Upgrade,
}

/// Appends the head of `request` for a backend: always HTTP/1.1, Host first, the fields that may travel on in
/// the order and case received, then the gateway's own.
pub fn write_request_head(out: &mut Vec<u8>, request: &RequestHead, outgoing: &OutgoingRequest<'_>) {
    out.reserve(request.fields().bytes.len() + OWN_BYTES);
    out.extend_from_slice(request.method().as_bytes());
    out.push(b' ');
    out.extend_from_slice(outgoing.path.as_bytes());
    if let Some(query) = request.query() {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_field(out, b"host", outgoing.host.as_bytes());
    write_received(out, request.fields(), outgoing.edits);
    write_request_fields(out, request, outgoing);
    write_framing(out, outgoing.framing);
    if outgoing.expect_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    if let Some(protocols) = request.upgrade().filter(|_| outgoing.upgrade) {
        out.extend_from_slice(b"connection: upgrade\r\n");
        write_field(out, b"upgrade", protocols);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the gateway's own fields, but those of a version of HTTP.
pub(super) fn write_request_fields(out: &mut Vec<u8>, request: &RequestHead, outgoing: &OutgoingRequest<'_>) {
    let edits = outgoing.edits;
    let own = |name: &str| edits.is_empty() || !edits.touches(name.as_bytes());
    if own("x-forwarded-for") {
        outgoing.forwarded.write_for(out, request);
    }
    if own("x-forwarded-proto") {
        write_field(
            out,
            b"x-forwarded-proto",
            outgoing.forwarded.scheme().as_str().as_bytes(),
        );
    }
    if own("x-forwarded-host") {
        outgoing.forwarded.write_host(out, request);
    }
    if own("x-forwarded-client-cert") {
        let shown = outgoing.certificate.as_ref();
        outgoing.forwarded.write_certificate(out, request, shown);
    }
    if own("x-request-id") {
        write_field(out, b"x-request-id", outgoing.request_id);
    }
    write_added(out, edits);
}

/// Appends the head of a final `response`, or of a 101 with [`Connection::Upgrade`], for the client.
pub fn write_response_head(out: &mut Vec<u8>, response: &ResponseHead, outgoing: &OutgoingResponse<'_>) {
    out.reserve(response.fields().bytes.len() + OWN_BYTES);
    write_status_line(out, response);
    write_received(out, response.fields(), outgoing.edits);
    write_response_fields(out, response, outgoing);
    if outgoing.framing == Framing::Chunked {
        out.extend_from_slice(CHUNKED);
    }
    match outgoing.connection {
        Connection::KeepAlive if outgoing.client_version != Version::V10 => {}
        Connection::KeepAlive => out.extend_from_slice(b"connection: keep-alive\r\n"),
        Connection::Close => out.extend_from_slice(b"connection: close\r\n"),
        Connection::Upgrade => {
            out.extend_from_slice(b"connection: upgrade\r\n");
            write_field(out, b"upgrade", response.upgrade().unwrap_or_default());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the gateway's own fields, but those of a version of HTTP.
pub(super) fn write_response_fields(
    out: &mut Vec<u8>,
    response: &ResponseHead,
    outgoing: &OutgoingResponse<'_>,
) {
    let edits = outgoing.edits;
    if !response.fields().has(Known::Date) && (edits.is_empty() || !edits.touches(b"date")) {
        write_field(out, b"date", outgoing.date.as_bytes());
    }
    write_added(out, edits);
    match (outgoing.framing, response.content_length()) {
        // RFC 9110 8.6: of HEAD and 304 it describes the body there would have been; 101 and 204 must have
        // none.
        (Framing::None, Some(length)) if !matches!(response.status(), 100..=199 | 204) => {
            write_length(out, length)
        }
        (Framing::Length(length), _) => write_length(out, length),
        (Framing::None | Framing::Chunked | Framing::UntilClose, _) => {}
    }
}

/// Appends an interim `response` (RFC 9110 15.2), for clients of HTTP/1.1 only.
pub fn write_interim(out: &mut Vec<u8>, response: &ResponseHead) {
    write_status_line(out, response);
    write_received(out, response.fields(), &HeaderEdits::default());
    out.extend_from_slice(b"\r\n");
}

/// Appends one field line.
pub(super) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    write_number(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Appends `number` in decimal.
pub(super) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `address`; the usual IPv4 without the cost of formatting.
pub(super) fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => write_v4(out, address),
        IpAddr::V6(address) => write!(out, "{address}").expect("writing to a Vec cannot fail"),
    }
}

fn write_v4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let mut text = [0; "255.255.255.255.".len()];
    let mut length = 0;
    for octet in address.octets() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let leading = if octet >= 100 {
            0
        } else if octet >= 10 {
            1
        } else {
            2
        };
        for digit in &digits[leading..] {
            text[length] = b'0' + digit;
            length += 1;
        }
        text[length] = b'.';
        length += 1;
    }
    out.extend_from_slice(&text[..length - 1]);
}

fn write_status_line(out: &mut Vec<u8>, response: &ResponseHead) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(response.status_text());
    out.extend_from_slice(b"\r\n");
}

/// Appends the fields that travel on, neighbours in one stretch.
pub(super) fn write_received(out: &mut Vec<u8>, fields: &Fields, edits: &HeaderEdits) {
    let bytes = &fields.bytes;
    let mut run = 0..0;
    for field in &fields.list {
        let start = field.name.start as usize;
        if !travels_on(field, fields.at(field.name), edits) {
            continue;
        }
        if let Some(end) = plain_line_end(bytes, field) {
            if run.end != start {
                out.extend_from_slice(&bytes[run]);
                run = start..end;
            } else {
                run.end = end;
            }
        } else {
            out.extend_from_slice(&bytes[run]);
            run = end_of_head(bytes);
            write_field(out, fields.at(field.name), fields.at(field.value));
        }
    }
    out.extend_from_slice(&bytes[run]);
}

/// Whether a field received goes out as it is.
pub(super) fn travels_on(field: &Field, name: &[u8], edits: &HeaderEdits) -> bool {
    field.fate == Fate::Forward && (edits.is_empty() || !edits.touches(name))
}

/// Where the line of `field` ends, if it is `name: value` and CRLF without other white space.
fn plain_line_end(bytes: &[u8], field: &Field) -> Option<usize> {
    let (name, value) = (field.name.range(), field.value.range());
    let plain = bytes[name.end..value.start] == *b": " && bytes[value.end..].starts_with(b"\r\n");
    plain.then_some(value.end + 2)
}

/// No byte, at a place where no field begins.
fn end_of_head(bytes: &[u8]) -> std::ops::Range<usize> {
    bytes.len()..bytes.len()
}

/// Fields the configuration adds; those that frame or route the message are the gateway's own, whoever asks.
fn write_added(out: &mut Vec<u8>, edits: &HeaderEdits) {
    for (name, value) in edits.added() {
        let own = matches!(
            Known::of(name.as_str().as_bytes()),
            Known::Host
                | Known::Connection
                | Known::ContentLength
                | Known::Expect
                | Known::KeepAlive
                | Known::Te
                | Known::TransferEncoding
                | Known::Upgrade
        );
        if !own {
            write_field(out, name.as_str().as_bytes(), value.as_str().as_bytes());
        }
    }
}

fn write_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => write_length(out, length),
        Framing::Chunked => out.extend_from_slice(CHUNKED),
        Framing::None | Framing::UntilClose => {}
    }
}

const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n";
/// Room for what the gateway adds, so that the head is built without growing twice.
const OWN_BYTES: usize = 256;

#[cfg(test)]
mod tests;
