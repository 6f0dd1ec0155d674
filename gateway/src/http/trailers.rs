//! Trailer fields (RFC 9110 6.5): kept apart from the header for good. Owns which of them may travel on.
//! Refuses malformed ones and floods; drops those that frame, route, authorize or describe the message.

use memchr::memchr;

use super::{
    field::{self, Known, Span},
    refusal::BadBody,
};

/// The trailer section of one message.
#[derive(Debug, Clone, Default)]
pub struct Trailers {
    /// As received, up to its empty last line.
    bytes: Vec<u8>,
    /// Where the line that is coming in begins.
    line: usize,
    /// Names and values that may travel on.
    list: Vec<(Span, Span)>,
}

impl Trailers {
    /// Names and values in the order they came, those dropped left out.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list
            .iter()
            .map(|(name, value)| (&self.bytes[name.range()], &self.bytes[value.range()]))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes whole fields that a library has read, in place of what was there.
    ///
    /// # Errors
    /// When a name is none, or they are larger than a section may be.
    pub fn take<'f>(&mut self, fields: impl Iterator<Item = (&'f [u8], &'f [u8])>) -> Result<(), BadBody> {
        self.clear();
        for (at, (name, value)) in fields.enumerate() {
            if at == FIELDS_MAX || self.bytes.len() + name.len() + value.len() > SECTION_BYTES_MAX {
                return Err(BadBody::TRAILER_SIZE);
            }
            if !field::is_token(name) {
                return Err(BadBody::TRAILER);
            }
            if str::from_utf8(name).is_ok_and(may_be_trailer) {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(name);
                self.bytes.extend_from_slice(value);
                let middle = start + name.len();
                self.list
                    .push((Span::at(start..middle), Span::at(middle..self.bytes.len())));
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.line = 0;
        self.list.clear();
    }

    /// Takes what of `input` belongs to the section; gives how much that is, and whether the section ended.
    pub(super) fn fill(&mut self, input: &[u8]) -> Result<(usize, bool), BadBody> {
        let mut taken = 0;
        while taken < input.len() {
            let rest = &input[taken..];
            let feed = memchr(b'\n', rest);
            let part = &rest[..feed.map_or(rest.len(), |feed| feed + 1)];
            if self.bytes.len() + part.len() > SECTION_BYTES_MAX {
                return Err(BadBody::TRAILER_SIZE);
            }
            self.bytes.extend_from_slice(part);
            taken += part.len();
            if feed.is_some() && self.end_line()? {
                self.read()?;
                return Ok((taken, true));
            }
        }
        Ok((taken, false))
    }

    /// Whether the line that just ended is the empty last one.
    fn end_line(&mut self) -> Result<bool, BadBody> {
        let line = &self.bytes[self.line..];
        if !line.ends_with(b"\r\n") {
            return Err(BadBody::TRAILER);
        }
        self.line = self.bytes.len();
        Ok(line == b"\r\n")
    }

    fn read(&mut self) -> Result<(), BadBody> {
        if self.bytes == b"\r\n" {
            return Ok(());
        }
        let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let headers = match httparse::parse_headers(&self.bytes, &mut room) {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            Err(httparse::Error::TooManyHeaders) => return Err(BadBody::TRAILER_SIZE),
            _ => return Err(BadBody::TRAILER),
        };
        for header in headers {
            if may_be_trailer(header.name) {
                let span = |part| Span::of(part, &self.bytes);
                self.list.push((span(header.name.as_bytes()), span(header.value)));
            }
        }
        Ok(())
    }
}

/// RFC 9110 6.5.1: no field that is needed before the body is, or that changes what the message means.
fn may_be_trailer(name: &str) -> bool {
    Known::of(name.as_bytes()) == Known::Other
        && !name.contains('_')
        && !name
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("if-"))
        && !FORBIDDEN.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Beside the names known to be more than themselves: controls, conditions, authentication and response
/// control data.
const FORBIDDEN: [&str; 18] = [
    "accept-encoding",
    "age",
    "authentication-info",
    "cache-control",
    "clear-site-data",
    "early-data",
    "expires",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "retry-after",
    "strict-transport-security",
    "vary",
    "warning",
    "www-authenticate",
];
/// A section in bytes: checksums and grpc-status with its message fit (FAULTS: bounded).
const SECTION_BYTES_MAX: usize = 8 * 1024;
/// Fields of a section.
const FIELDS_MAX: usize = 32;
