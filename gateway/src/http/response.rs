//! A response head from a backend, read once into an object that is used again for the next. Refuses what RFC
//! 9112 calls malformed or ambiguous: the client gets 502 and the backend's connection is dropped.

use std::borrow::Cow;

use httparse::Status;
use memchr::memchr;

use super::{
    Framing, HeadLimits, Progress, Version,
    field::{Known, Span},
    fields::{BodyFields, ConnectionFields, FIELDS_ON_STACK, Fields, require_crlf, with_room},
    refusal::{BadResponse, HeadFault},
    scan::{Scan, StartLine},
    upgrade,
};

/// A response without its body.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    version: Version,
    status: u16,
    /// The status line from the status on, without CRLF: `404 Not Found`.
    status_text: Span,
    fields: Fields,
    body: BodyFields,
    framing: Framing,
    connection: ConnectionFields,
    /// A body where none may be: the bytes after this head cannot be trusted.
    tainted: bool,
}

/// What of the request decides how its response is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The method was HEAD.
    pub head: bool,
    /// The protocols of the Upgrade field that was sent.
    pub upgrade: Option<&'a [u8]>,
}

impl ResponseHead {
    /// Reads a head from `input`. Call again with the same bytes and more while it is incomplete. When
    /// complete, the head replaces the one before; an interim one ([`Self::is_interim`]) is followed by
    /// another head.
    ///
    /// # Errors
    /// The first rule the bytes break, as soon as they do.
    pub fn parse(
        &mut self,
        input: &[u8],
        scan: &mut Scan,
        limits: &HeadLimits,
        asked: Asked<'_>,
    ) -> Result<Progress, BadResponse> {
        // As of a request's head: nearly every one comes whole and keeps every rule.
        if scan.is_fresh()
            && let Some(head_bytes) = self.read_whole(input, limits, asked)
        {
            return Ok(Progress::Complete { head_bytes });
        }
        let found = scan.advance(input, limits)?;
        if !scan.start_line_judged {
            let line = scan.start_line(input);
            judge_status_line(line)?;
            scan.judged(line);
        }
        let Some(range) = found else {
            return Ok(Progress::Incomplete);
        };
        if range.start != 0 {
            return Err(BadResponse::STATUS_LINE);
        }
        let head_bytes = range.end;
        let fields = scan.fields();
        *scan = Scan::default();
        self.read(&input[range], fields)?;
        self.read_fields(asked)?;
        Ok(Progress::Complete { head_bytes })
    }

    /// Forgets the response, keeping room for the next.
    pub fn reset(&mut self) {
        self.fields.reset();
        self.status_text = Span::default();
    }

    /// 100 to 599.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The backend's version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// A response before the final one (RFC 9110 15.2); not 101, after which another protocol begins.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// How the body ends.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// What Content-Length says, also where no body follows: of HEAD and 304 it describes the body there
    /// would be.
    #[must_use]
    pub const fn content_length(&self) -> Option<u64> {
        self.body.length
    }

    /// Whether the connection may serve another request once the body has been read to its end.
    #[must_use]
    pub const fn keeps_alive(&self) -> bool {
        let wanted = !matches!(self.version, Version::V10) || self.connection.keep_alive;
        wanted
            && !self.connection.close
            && !self.tainted
            && self.status != 101
            && !matches!(self.framing, Framing::UntilClose)
    }

    /// The protocol of a 101.
    #[must_use]
    pub fn upgrade(&self) -> Option<&[u8]> {
        self.fields
            .first(Known::Upgrade)
            .filter(|_| self.connection.upgrade)
    }

    /// The fields as received.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The value of `name` in any case, several joined.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.fields.joined(name)
    }

    /// Gives it another content type.
    pub(super) fn set_content_type(&mut self, value: &[u8]) {
        self.fields.replace("content-type", value, Known::response_fate);
    }

    /// `404 Not Found`, as received.
    pub(super) fn status_text(&self) -> &[u8] {
        self.fields.at(self.status_text)
    }

    /// Reads a head that is there to its end and breaks no rule; gives its length. Otherwise nothing is known.
    fn read_whole(&mut self, input: &[u8], limits: &HeadLimits, asked: Asked<'_>) -> Option<usize> {
        let input = &input[..input.len().min(limits.bytes_max)];
        let line = input[..memchr(b'\n', input)?].strip_suffix(b"\r")?;
        judge_status_line(StartLine::Whole(line)).ok()?;
        let head_bytes = self.read(input, limits.fields_max.min(FIELDS_ON_STACK)).ok()?;
        self.read_fields(asked).ok()?;
        Some(head_bytes)
    }

    /// Reads a whole head of at most so many fields from the front of `input`; gives its length.
    fn read(&mut self, input: &[u8], fields_max: usize) -> Result<usize, BadResponse> {
        with_room(fields_max, |room| {
            let mut response = httparse::Response::new(&mut []);
            let status = httparse::ParserConfig::default()
                .parse_response_with_uninit_headers(&mut response, input, room)
                .map_err(HeadFault::from)?;
            let (Some(code), Status::Complete(head_bytes)) = (response.code, status) else {
                return Err(BadResponse::STATUS_LINE);
            };
            let head = &input[..head_bytes];
            require_crlf(head, response.headers)?;
            self.version = if response.version == Some(0) {
                Version::V10
            } else {
                Version::V11
            };
            self.status = code;
            self.fields.take(head, response.headers, Known::response_fate);
            let line_end = memchr(b'\r', head).unwrap_or(head.len());
            self.status_text = Span::of(&head[STATUS_AT..line_end], head);
            Ok(head_bytes)
        })
    }

    /// RFC 9112 6.3.
    fn read_fields(&mut self, asked: Asked<'_>) -> Result<(), BadResponse> {
        self.body = self.fields.body()?;
        self.connection = self.fields.connection()?;
        if self.body.chunked && self.version == Version::V10 {
            return Err(BadResponse::TRANSFER_ENCODING);
        }
        if self.status == 101 && !upgrade::switches_as_asked(asked.upgrade, self) {
            return Err(BadResponse::SWITCH_NOT_ASKED);
        }
        let never_has_body = self.status < 200 || self.status == 204;
        self.tainted =
            never_has_body && (self.body.chunked || self.body.length.is_some_and(|length| length > 0));
        self.framing = if never_has_body || self.status == 304 || asked.head {
            Framing::None
        } else if self.body.chunked {
            Framing::Chunked
        } else {
            self.body.length.map_or(Framing::UntilClose, Framing::Length)
        };
        Ok(())
    }
}

/// A status line of which all that is there is right so far: `HTTP/1.1 200` and perhaps a reason.
fn judge_status_line(line: StartLine<'_>) -> Result<(), BadResponse> {
    let (StartLine::Part(bytes) | StartLine::Whole(bytes)) = line;
    let begin = bytes.len().min(STATUS_AT);
    let good = |version: &[u8]| bytes[..begin] == version[..begin];
    // The first bytes of an empty line before it, which no response may have, fail here too.
    if !good(b"HTTP/1.1 ") && !good(b"HTTP/1.0 ") {
        return Err(BadResponse::STATUS_LINE);
    }
    match (line, bytes.get(STATUS_AT..STATUS_AT + 3)) {
        (_, Some(status)) if !status.iter().all(u8::is_ascii_digit) || !matches!(status[0], b'1'..=b'5') => {
            Err(BadResponse::STATUS)
        }
        (StartLine::Whole(_), None) => Err(BadResponse::STATUS),
        (StartLine::Whole(_), Some(_)) if !matches!(bytes.get(STATUS_AT + 3), None | Some(b' ')) => {
            Err(BadResponse::STATUS)
        }
        _ => Ok(()),
    }
}

/// Where the status begins, after `HTTP/1.1 `.
const STATUS_AT: usize = 9;

mod h2;

#[cfg(test)]
mod tests;
