//! HTTP/2 frames (RFC 9113 section 6) as bytes to send: whole, wrong or out of order, as a test wants them.

use super::hpack;

/// Frame types (section 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags (section 6).
pub mod flag {
    pub const NONE: u8 = 0;
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
    /// A whole request without a body.
    pub const END_BOTH: u8 = END_STREAM | END_HEADERS;
}

/// Error codes (section 7).
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Settings (section 6.5.2).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// What a client sends first (section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest frame that needs no consent (section 4.2).
pub const FRAME_BYTES: usize = 16_384;
/// The largest window (section 6.9.1).
pub const WINDOW_MAX: u32 = (1 << 31) - 1;

/// Any frame; its length is that of `payload`.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn headers(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Vec<u8> {
    frame(kind::HEADERS, flags, stream, block)
}

pub fn continuation(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Vec<u8> {
    frame(kind::CONTINUATION, flags, stream, block)
}

pub fn data(stream: u32, flags: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(kind::DATA, flags, stream, bytes)
}

pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, flag::NONE, stream, code.to_be_bytes())
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, flag::NONE, stream, increment.to_be_bytes())
}

pub fn ping(data: [u8; 8]) -> Vec<u8> {
    frame(kind::PING, flag::NONE, 0, data)
}

pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(
        kind::GOAWAY,
        flag::NONE,
        0,
        [last.to_be_bytes(), code.to_be_bytes()].concat(),
    )
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(kind::SETTINGS, flag::NONE, 0, payload)
}

/// The payload of a PRIORITY frame and the beginning of HEADERS with that flag; the upper bit of `depends_on` says
/// that it depends alone.
pub fn priority_field(depends_on: u32, weight: u8) -> Vec<u8> {
    [&depends_on.to_be_bytes()[..], &[weight]].concat()
}

pub fn priority(stream: u32, depends_on: u32, weight: u8) -> Vec<u8> {
    frame(
        kind::PRIORITY,
        flag::NONE,
        stream,
        priority_field(depends_on, weight),
    )
}

/// The block of an ordinary request.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    hpack::block(&[
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "h"),
    ])
}

/// The block of an ordinary request with further fields.
pub fn request_with(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    [request(method, path), hpack::block(fields)].concat()
}

/// A whole GET.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, flag::END_BOTH, request("GET", path))
}

/// The head of a POST whose body follows.
pub fn post(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, flag::END_HEADERS, request("POST", path))
}
