//! Heads as HTTP/2 sends them on (RFC 9113 8.2, 8.3): the fields that HTTP/1 would get, without those of a hop, as its
//! library takes them.

use bytes::Bytes;
use h2::ext::Protocol;
use hyper::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    header::InvalidHeaderName, uri,
};
use memchr::memchr;
use sluice_routing::filter::HeaderEdits;

use super::{
    Connection, Fields, Framing, OutgoingRequest, OutgoingResponse, Reply, RequestHead, ResponseHead, Scheme,
    Trailers,
    encode::{
        travels_on, write_field, write_length, write_received, write_request_fields, write_response_fields,
    },
    reply::write_reply_fields,
    websocket,
};

/// The request for a backend that is reached by `scheme`. `None` if HTTP/2 has no way to say it.
#[must_use]
pub fn h2_request(
    request: &RequestHead,
    outgoing: &OutgoingRequest<'_>,
    scheme: Scheme,
) -> Option<Request<()>> {
    let (mut headers, mut text) = received(request.fields(), outgoing.edits);
    write_request_fields(&mut text, request, outgoing);
    if let Framing::Length(length) = outgoing.framing {
        write_length(&mut text, length);
    }
    if outgoing.expect_continue {
        write_field(&mut text, b"expect", b"100-continue");
    }
    // Of TE this alone may be sent (RFC 9113 8.2.2); servers of gRPC insist on it.
    if request.takes_trailers() {
        write_field(&mut text, b"te", b"trailers");
    }
    let mut parts = uri::Parts::default();
    parts.scheme = Some(match scheme {
        Scheme::Http => uri::Scheme::HTTP,
        Scheme::Https => uri::Scheme::HTTPS,
    });
    parts.authority = Some(outgoing.host.parse().ok()?);
    parts.path_and_query = Some(target(outgoing.path, request.query())?);
    let mut message = Request::new(());
    *message.version_mut() = Version::HTTP_2;
    *message.method_mut() = Method::from_bytes(request.method().as_bytes()).ok()?;
    *message.uri_mut() = Uri::from_parts(parts).ok()?;
    read(&mut headers, text);
    *message.headers_mut() = headers;
    if outgoing.upgrade && request.websocket_key().is_some() {
        // RFC 8441 5.
        *message.method_mut() = Method::CONNECT;
        message
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        message.headers_mut().remove(websocket::KEY);
    }
    Some(message)
}

/// The final response for a client.
#[must_use]
pub fn h2_response(response: &ResponseHead, outgoing: &OutgoingResponse<'_>) -> Response<()> {
    let (headers, mut text) = received(response.fields(), outgoing.edits);
    write_response_fields(&mut text, response, outgoing);
    if outgoing.connection == Connection::Upgrade {
        // A tunnel begins with 200, and without the proof that HTTP/1 asks for (RFC 8441 5).
        let mut accepted = message(200, headers, text);
        accepted.headers_mut().remove(header::SEC_WEBSOCKET_ACCEPT);
        return accepted;
    }
    message(response.status(), headers, text)
}

/// An interim response (RFC 9110 15.2).
#[must_use]
pub fn h2_interim(response: &ResponseHead) -> Response<()> {
    let (headers, text) = received(response.fields(), &HeaderEdits::default());
    message(response.status(), headers, text)
}

/// The head of an answer the gateway makes itself, with `fields`.
#[must_use]
pub fn h2_reply<'a>(reply: &Reply<'_>, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Response<()> {
    let mut text = Vec::with_capacity(OWN_BYTES);
    write_reply_fields(&mut text, reply, fields);
    message(reply.status, HeaderMap::with_capacity(FIELDS), text)
}

/// Trailers as they are sent.
#[must_use]
pub fn h2_trailers(trailers: &Trailers) -> HeaderMap {
    let mut text = Vec::new();
    for (name, value) in trailers.iter() {
        write_field(&mut text, name, value);
    }
    let mut headers = HeaderMap::with_capacity(trailers.iter().count());
    read(&mut headers, text);
    headers
}

fn message(status: u16, mut headers: HeaderMap, text: Vec<u8>) -> Response<()> {
    read(&mut headers, text);
    let mut message = Response::new(());
    *message.version_mut() = Version::HTTP_2;
    *message.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    *message.headers_mut() = headers;
    message
}

/// The fields received that travel on: those that HTTP/2 brought as they are, any other as text to be read with the
/// gateway's own.
fn received(fields: &Fields, edits: &HeaderEdits) -> (HeaderMap, Vec<u8>) {
    let mut text = Vec::with_capacity(OWN_BYTES);
    let Some(brought) = &fields.map else {
        text.reserve(fields.bytes.len());
        write_received(&mut text, fields, edits);
        return (HeaderMap::with_capacity(FIELDS), text);
    };
    let mut headers = brought.clone();
    for (field, name, _) in fields.iter() {
        if !travels_on(field, name, edits)
            && let Ok(name) = str::from_utf8(name)
        {
            headers.remove(name);
        }
    }
    for (name, value) in &mut headers {
        if is_apart(name) {
            value.set_sensitive(true);
        }
    }
    (headers, text)
}

/// Path and query; what the library takes for no character of a URI and HTTP/1 lets pass is escaped, which means the same.
fn target(path: &str, query: Option<&str>) -> Option<uri::PathAndQuery> {
    let whole = match query {
        None => path.to_owned(),
        Some(query) => [path, "?", query].concat(),
    };
    let whole = Bytes::from(whole);
    uri::PathAndQuery::from_maybe_shared(whole.clone())
        .or_else(|_| uri::PathAndQuery::from_maybe_shared(escaped(&whole)))
        .ok()
}

fn escaped(text: &[u8]) -> Bytes {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = Vec::with_capacity(text.len() + 16);
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(byte) {
            escaped.push(*byte);
        } else {
            escaped.extend([
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
    }
    escaped.into()
}

/// Appends the fields of `text`, lines as HTTP/1 has them and the gateway has written; each value a part of it.
fn read(headers: &mut HeaderMap, text: Vec<u8>) {
    let text = Bytes::from(text);
    let mut start = 0;
    while let Some(length) = memchr(b'\n', &text[start..]) {
        let line = &text[start..start + length];
        if let Some(colon) = memchr(b':', line)
            && let Ok(name) = name_of(&line[..colon])
            && name.as_str() != "proxy-connection"
            && let Ok(mut value) =
                HeaderValue::from_maybe_shared(text.slice(start + colon + 2..start + length - 1))
        {
            value.set_sensitive(is_apart(&name));
            headers.append(name, value);
        }
        start += length + 1;
    }
}

/// The names that the gateway itself adds need no copy.
fn name_of(text: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    Ok(match text {
        b"x-request-id" => const { HeaderName::from_static("x-request-id") },
        b"x-forwarded-for" => const { HeaderName::from_static("x-forwarded-for") },
        b"x-forwarded-proto" => const { HeaderName::from_static("x-forwarded-proto") },
        b"x-forwarded-host" => const { HeaderName::from_static("x-forwarded-host") },
        other => return HeaderName::from_bytes(other),
    })
}

/// Whether a field stays out of the table that a connection's requests share: secrets, which others could find out by what
/// compresses (RFC 7541 7.1), and what hardly comes twice, which would push out what does.
fn is_apart(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization" | "cookie" | "x-request-id" | "x-forwarded-for" | "traceparent" | "grpc-timeout"
    )
}

/// Fields of a usual head.
const FIELDS: usize = 16;
/// Bytes of the fields that the gateway adds.
const OWN_BYTES: usize = 256;
