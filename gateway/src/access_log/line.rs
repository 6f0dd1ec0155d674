//! One entry as one line of JSON.
//!
//! Owns the order of the fields and the escaping. Refuses allocation: everything is appended to the buffer given.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Entry, Noted, Reason};
use sluice_config::defaults::operations::ACCESS_LOG_TEXT_BYTES_MAX;
use sluice_tls::Peer;

/// Appends `entry` and a line feed. `stamp` is its time.
pub(super) fn write(line: &mut Vec<u8>, stamp: &Stamp, entry: &Entry<'_>) {
    let request = entry.request.as_ref();
    line.extend_from_slice(b"{\"time\":\"");
    stamp.append(line);
    line.push(b'"');
    text(line, "listener", entry.listener.as_bytes());
    optional(line, "route", entry.route.map(str::as_bytes));
    optional(line, "rule", entry.rule.map(str::as_bytes));
    optional(line, "service", entry.service.map(str::as_bytes));
    if let Some(endpoint) = entry.endpoint {
        key(line, "endpoint");
        quoted(line, |line| socket_address(line, endpoint));
    }
    optional(line, "sni", entry.sni.map(str::as_bytes));
    optional(line, "method", request.map(|request| request.method));
    optional(line, "host", request.map(|request| request.host));
    optional(line, "path", request.map(|request| request.path));
    text(line, "protocol", entry.protocol.as_bytes());
    if let Some(status) = request.and_then(|request| request.status) {
        number(line, "status", u64::from(status));
    }
    if let Some(status) = request.and_then(|request| request.grpc_status) {
        number(line, "grpc_status", u64::from(status));
    }
    reason(line, entry.reason);
    policies(line, entry.policies);
    milliseconds(line, "duration_ms", entry.duration);
    if let Some(upstream) = entry.upstream {
        milliseconds(line, "upstream_ms", upstream);
    }
    number(line, "attempts", u64::from(entry.attempts));
    let retry = request.and_then(|request| request.retry);
    optional(line, "retry", retry.map(|outcome| outcome.as_str().as_bytes()));
    number(line, "bytes_received", entry.bytes_received);
    number(line, "bytes_sent", entry.bytes_sent);
    key(line, "client");
    quoted(line, |line| address(line, entry.client));
    key(line, "peer");
    quoted(line, |line| socket_address(line, entry.peer));
    if let Some(peer) = entry.identity {
        key(line, "identity");
        quoted(line, |line| identity(line, peer));
    }
    optional(line, "request_id", request.map(|request| request.id));
    optional(line, "user_agent", request.and_then(|request| request.user_agent));
    line.extend_from_slice(b"}\n");
}

fn reason(line: &mut Vec<u8>, reason: Option<Reason<'_>>) {
    let Some(reason) = reason else { return };
    key(line, "reason");
    quoted(line, |line| {
        escape(line, reason.name.as_bytes());
        if let Some(detail) = reason.detail {
            line.push(b':');
            escape(line, detail.as_bytes());
        }
    });
}

fn policies(line: &mut Vec<u8>, policies: &[Noted<'_>]) {
    if policies.is_empty() {
        return;
    }
    key(line, "policies");
    line.push(b'[');
    for (index, noted) in policies.iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        quoted(line, |line| {
            escape(line, noted.decision.as_bytes());
            line.push(b':');
            escape(line, noted.policy.as_bytes());
        });
    }
    line.push(b']');
}

/// The SPIFFE ID; without one the names, without any the subject.
fn identity(line: &mut Vec<u8>, peer: &Peer) {
    if let Some(id) = peer.spiffe() {
        return escape(line, id.as_str().as_bytes());
    }
    let mut names = peer.uris().iter().chain(peer.dns_names());
    escape(
        line,
        names
            .next()
            .map_or_else(|| peer.subject(), String::as_str)
            .as_bytes(),
    );
    for name in names.take(NAMES_MAX) {
        line.push(b',');
        escape(line, name.as_bytes());
    }
}

/// A wall-clock time as text (RFC 3339, UTC, milliseconds). The part down to the second is kept, as it serves
/// thousands of lines.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    /// `2026-01-31T23:59:59`.
    text: String,
    millisecond: u64,
}

impl Stamp {
    /// A time before 1970 counts as 1970.
    pub(super) fn set(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.millisecond = u64::from(since.subsec_millis());
        if self.second != Some(since.as_secs()) {
            self.second = Some(since.as_secs());
            self.text.clear();
            let second = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            let stamp = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
            // Writing to a string does not fail.
            let _ = write!(self.text, "{stamp:.0}");
            self.text.pop(); // the Z, which comes after the milliseconds
        }
    }

    fn append(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.text.as_bytes());
        line.push(b'.');
        three_digits(line, self.millisecond);
        line.push(b'Z');
    }
}

fn key(line: &mut Vec<u8>, name: &'static str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
}

fn quoted(line: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    line.push(b'"');
    fill(line);
    line.push(b'"');
}

fn text(line: &mut Vec<u8>, name: &'static str, value: &[u8]) {
    key(line, name);
    quoted(line, |line| escape(line, value));
}

fn optional(line: &mut Vec<u8>, name: &'static str, value: Option<&[u8]>) {
    if let Some(value) = value {
        text(line, name, value);
    }
}

fn number(line: &mut Vec<u8>, name: &'static str, value: u64) {
    key(line, name);
    digits(line, value);
}

/// In milliseconds with three decimals.
fn milliseconds(line: &mut Vec<u8>, name: &'static str, duration: Duration) {
    let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(line, name, microseconds / 1_000);
    line.push(b'.');
    three_digits(line, microseconds % 1_000);
}

fn three_digits(line: &mut Vec<u8>, value: u64) {
    for unit in [100, 10, 1] {
        line.push(b'0' + (value / unit % 10) as u8);
    }
}

fn digits(line: &mut Vec<u8>, mut value: u64) {
    let mut reversed = [0; 20];
    let mut at = reversed.len();
    loop {
        at -= 1;
        reversed[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    line.extend_from_slice(&reversed[at..]);
}

fn socket_address(line: &mut Vec<u8>, value: SocketAddr) {
    match value {
        SocketAddr::V4(value) => {
            address_v4(line, *value.ip());
            line.push(b':');
            digits(line, u64::from(value.port()));
        }
        // Writing to a vector does not fail.
        SocketAddr::V6(value) => drop(write!(line, "{value}")),
    }
}

fn address(line: &mut Vec<u8>, value: IpAddr) {
    match value {
        IpAddr::V4(value) => address_v4(line, value),
        // Writing to a vector does not fail.
        IpAddr::V6(value) => drop(write!(line, "{value}")),
    }
}

fn address_v4(line: &mut Vec<u8>, value: Ipv4Addr) {
    for (index, octet) in value.octets().into_iter().enumerate() {
        if index > 0 {
            line.push(b'.');
        }
        digits(line, u64::from(octet));
    }
}

/// The inside of a JSON string (RFC 8259 7). What is not UTF-8 becomes U+FFFD; a value past
/// [`ACCESS_LOG_TEXT_BYTES_MAX`] is cut and ends in an ellipsis.
fn escape(line: &mut Vec<u8>, value: &[u8]) {
    let (value, cut) = match value.get(..ACCESS_LOG_TEXT_BYTES_MAX) {
        Some(head) if value.len() > ACCESS_LOG_TEXT_BYTES_MAX => (head, true),
        _ => (value, false),
    };
    if value.iter().all(|&byte| is_plain(byte)) {
        line.extend_from_slice(value);
    } else {
        for chunk in value.utf8_chunks() {
            chunk.valid().bytes().for_each(|byte| escape_byte(line, byte));
            if !chunk.invalid().is_empty() {
                line.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    if cut {
        line.extend_from_slice("\u{2026}".as_bytes());
    }
}

/// ASCII that stands for itself. DEL is let through by JSON, yet moves a terminal's cursor.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..0x7f) && byte != b'"' && byte != b'\\'
}

fn escape_byte(line: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
        0..0x20 | 0x7f => {
            line.extend_from_slice(b"\\u00");
            line.push(HEX[usize::from(byte >> 4)]);
            line.push(HEX[usize::from(byte & 0xf)]);
        }
        _ => line.push(byte),
    }
}

/// Names of a certificate told beside the first.
const NAMES_MAX: usize = 7;
const HEX: &[u8; 16] = b"0123456789abcdef";
