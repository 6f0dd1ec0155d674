//! The fields of a head, in the order they came, over one copy of its bytes. Owns what requests and responses
//! read alike: field syntax, body framing, Connection. Refuses what RFC 9112 calls malformed or ambiguous.

use std::{borrow::Cow, mem::MaybeUninit};

use httparse::Header;
use hyper::http::HeaderMap;

use super::{
    HeadLimits,
    encode::write_field,
    field::{self, Fate, Field, Known, Span},
    refusal::HeadFault,
};

/// Field lines over the bytes of their head.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// The head, from its start line to its empty last line.
    pub(super) bytes: Vec<u8>,
    pub(super) list: Vec<Field>,
    /// One bit for each `Known` there is in the list.
    seen: u32,
    /// The same fields as HTTP/2 brought them, to go on as they are where HTTP/2 takes them; none where it did not bring
    /// them, or one has changed since.
    pub(super) map: Option<HeaderMap>,
}

/// What the fields say of the body's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BodyFields {
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
}

/// What the Connection fields say (RFC 9110 7.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ConnectionFields {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

impl Fields {
    /// Every field received, with its name and value as received.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Field, &[u8], &[u8])> {
        self.list
            .iter()
            .map(|field| (field, self.at(field.name), self.at(field.value)))
    }

    /// The values of `known` that were not dropped, in the order they came.
    pub fn values(&self, known: Known) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.list
            .iter()
            .filter(move |field| field.known == known && field.fate != Fate::Dropped)
            .map(|field| self.at(field.value))
    }

    /// The first value of `known`, unless dropped.
    #[must_use]
    pub fn first(&self, known: Known) -> Option<&[u8]> {
        self.values(known).next()
    }

    /// The values of `name` in any case that were not dropped, in the order they came.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.list
            .iter()
            .filter(move |field| field.name.len() == name.len() && field.fate != Fate::Dropped)
            .filter(move |field| self.at(field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.at(field.value))
    }

    /// The value of `name` in any case: several are joined by `, `, cookies by `; `. Dropped fields are not
    /// there.
    #[must_use]
    pub fn joined(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut values = self.named(name);
        let first = values.next()?;
        let Some(second) = values.next() else {
            return Some(Cow::Borrowed(first));
        };
        // RFC 9113 8.2.3 and RFC 6265 5.4: cookies are the one list not joined by commas.
        let joint: &[u8] = if name.eq_ignore_ascii_case("cookie") {
            b"; "
        } else {
            b", "
        };
        let mut all = first.to_vec();
        for value in std::iter::once(second).chain(values) {
            all.extend_from_slice(joint);
            all.extend_from_slice(value);
        }
        Some(Cow::Owned(all))
    }

    /// Whether any field is `known`, dropped ones included.
    pub(super) const fn has(&self, known: Known) -> bool {
        self.seen & known.bit() != 0
    }

    pub(super) fn at(&self, span: Span) -> &[u8] {
        &self.bytes[span.range()]
    }

    /// Forgets the message and gives back what an unusually large one had made grow.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_KEPT);
        self.list.clear();
        self.list.shrink_to(FIELDS_KEPT);
        self.seen = 0;
        self.map = None;
    }

    /// Takes the parsed `headers` of `head`, with what becomes of each.
    pub(super) fn take(&mut self, head: &[u8], headers: &[Header<'_>], fate: impl Fn(Known) -> Fate) {
        self.bytes.clear();
        self.bytes.extend_from_slice(head);
        self.list.clear();
        self.seen = 0;
        self.map = None;
        self.list.extend(headers.iter().map(|header| {
            let name = header.name.as_bytes();
            let known = Known::of(name);
            self.seen |= known.bit();
            Field {
                name: Span::of(name, head),
                value: Span::of(header.value, head),
                known,
                fate: fate(known),
            }
        }));
    }

    /// Takes one field more. Crumbs of a cookie become one again (RFC 9113 8.2.3).
    pub(super) fn push(&mut self, name: &[u8], value: &[u8], fate: impl Fn(Known) -> Fate) {
        self.map = None;
        let known = Known::of(name);
        if let (Known::Cookie, Some(last)) = (known, self.list.last_mut())
            && last.known == Known::Cookie
        {
            self.bytes.truncate(last.value.end as usize);
            self.bytes.extend_from_slice(b"; ");
            self.bytes.extend_from_slice(value);
            last.value.end = self.bytes.len() as u32;
            self.bytes.extend_from_slice(b"\r\n");
            return;
        }
        self.seen |= known.bit();
        let start = self.bytes.len();
        write_field(&mut self.bytes, name, value);
        let value_start = start + name.len() + 2;
        self.list.push(Field {
            name: Span::at(start..start + name.len()),
            value: Span::at(value_start..value_start + value.len()),
            known,
            fate: fate(known),
        });
    }

    /// Puts one field in the place of all of its name.
    pub(super) fn replace(&mut self, name: &str, value: &[u8], fate: impl Fn(Known) -> Fate) {
        let Self { bytes, list, .. } = self;
        for field in list.iter_mut() {
            if bytes[field.name.range()].eq_ignore_ascii_case(name.as_bytes()) {
                field.fate = Fate::Dropped;
            }
        }
        self.push(name.as_bytes(), value, fate);
    }

    /// Takes the fields of HTTP/2 that its library has read, in place of what was there, behind a start line to which no
    /// field belongs. Crumbs of a cookie count one by one.
    pub(super) fn take_h2(
        &mut self,
        headers: HeaderMap,
        limits: &HeadLimits,
        fate: impl Fn(Known) -> Fate,
        start_line: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), HeadFault> {
        if headers.len() > limits.fields_max {
            return Err(HeadFault::TooManyFields);
        }
        self.bytes.clear();
        start_line(&mut self.bytes);
        self.list.clear();
        self.seen = 0;
        for (name, value) in &headers {
            let name = name.as_str().as_bytes();
            // The library takes names that are no token (RFC 9110 5.6.2).
            if !field::is_token(name) {
                return Err(HeadFault::FieldName);
            }
            self.push(name, value.as_bytes(), &fate);
            if self.bytes.len() > limits.bytes_max {
                return Err(HeadFault::TooLarge);
            }
        }
        self.map = Some(headers);
        Ok(())
    }

    /// RFC 9112 6.1 to 6.3, always in the reading that refuses.
    pub(super) fn body(&self) -> Result<BodyFields, HeadFault> {
        let mut body = BodyFields::default();
        if !self.has(Known::ContentLength) && !self.has(Known::TransferEncoding) {
            return Ok(body);
        }
        for field in &self.list {
            match field.known {
                Known::ContentLength if body.length.is_some() => return Err(HeadFault::ContentLengthTwice),
                Known::ContentLength => {
                    let length = field::content_length(self.at(field.value));
                    body.length = Some(length.ok_or(HeadFault::ContentLength)?);
                }
                Known::TransferEncoding if body.chunked => return Err(HeadFault::TransferEncoding),
                Known::TransferEncoding => {
                    body.chunked = true;
                    is_chunked(self.at(field.value))?;
                }
                _ => {}
            }
        }
        if body.chunked && body.length.is_some() {
            return Err(HeadFault::ContentLengthAndTransferEncoding);
        }
        Ok(body)
    }

    /// Reads the Connection options and makes the fields they name local, protected ones excepted.
    pub(super) fn connection(&mut self) -> Result<ConnectionFields, HeadFault> {
        let mut connection = ConnectionFields::default();
        if !self.has(Known::Connection) {
            return Ok(connection);
        }
        let Self { bytes, list, .. } = self;
        let mut options = 0;
        for at in 0..list.len() {
            if list[at].known != Known::Connection {
                continue;
            }
            let value = &bytes[list[at].value.range()];
            // Nearly always there is one option, and one of these.
            if connection.takes(value) {
                options += 1;
                continue;
            }
            for option in field::list(value) {
                options += 1;
                if options > CONNECTION_OPTIONS_MAX || !field::is_token(option) {
                    return Err(HeadFault::ConnectionOptions);
                }
                if !connection.takes(option) {
                    make_local(bytes, list, option);
                }
            }
        }
        Ok(connection)
    }
}

impl ConnectionFields {
    /// Of a message that asks for another protocol, or begins it.
    pub(super) const fn switch() -> Self {
        Self {
            close: false,
            keep_alive: false,
            upgrade: true,
        }
    }

    /// Whether `option` is one of the three that name no field to remove.
    fn takes(&mut self, option: &[u8]) -> bool {
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        let flag = match option.len() {
            5 if is(b"close") => &mut self.close,
            7 if is(b"upgrade") => &mut self.upgrade,
            10 if is(b"keep-alive") => &mut self.keep_alive,
            _ => return false,
        };
        *flag = true;
        true
    }
}

/// Room for so many headers of one head and no more: on the stack for any usual number, so that parsing allocates nothing.
pub(super) fn with_room<'b, T>(fields: usize, parse: impl FnOnce(&mut [MaybeUninit<Header<'b>>]) -> T) -> T {
    if fields <= FIELDS_ON_STACK {
        parse(&mut [const { MaybeUninit::uninit() }; FIELDS_ON_STACK][..fields])
    } else {
        parse(&mut vec![MaybeUninit::uninit(); fields])
    }
}

/// Every line of a parsed head ends with CRLF: the parser takes LF alone too (RFC 9112 2.2 lets it), other readers may
/// see other lines.
pub(super) fn require_crlf(head: &[u8], headers: &[Header<'_>]) -> Result<(), HeadFault> {
    let begins_a_line = |header: &Header<'_>| {
        let start = header.name.as_ptr().addr() - head.as_ptr().addr();
        head[..start].ends_with(b"\r\n")
    };
    if head.ends_with(b"\r\n\r\n") && headers.iter().all(begins_a_line) {
        Ok(())
    } else {
        Err(HeadFault::BareLf)
    }
}

/// `chunked` alone, in any case: other codings are understood by nobody here and hide where the body ends.
fn is_chunked(value: &[u8]) -> Result<(), HeadFault> {
    if value.eq_ignore_ascii_case(b"chunked") {
        Ok(())
    } else if field::is_token(value) {
        Err(HeadFault::TransferEncodingUnknown)
    } else {
        Err(HeadFault::TransferEncoding)
    }
}

fn make_local(bytes: &[u8], list: &mut [Field], name: &[u8]) {
    for field in list {
        let named = field.name.len() == name.len() && bytes[field.name.range()].eq_ignore_ascii_case(name);
        if named && field.fate == Fate::Forward && !field.known.is_protected() {
            field.fate = Fate::Local;
        }
    }
}

/// Connection options of one head: no client sends more than five, and each is compared with every field.
const CONNECTION_OPTIONS_MAX: usize = 16;
/// Headers parsed without allocating: the default limit of fields.
pub(super) const FIELDS_ON_STACK: usize = 100;
/// Bytes a head object keeps between messages: a browser's head fits.
const BYTES_KEPT: usize = 4096;
/// Fields a head object keeps room for between messages.
const FIELDS_KEPT: usize = 64;
