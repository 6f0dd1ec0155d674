//! A request head, read once into an object that is used again for the next: owns what the grammar of RFC
//! 9112 and the rules of `FAULTS` make of its bytes. Refuses, with a status and the name of the rule, every
//! head that two readers could take for two different requests.

use std::borrow::Cow;

use httparse::Status;
use memchr::memchr;

use super::{
    Framing, Progress, RequestLimits, Version,
    authority::Authority,
    field::{self, Fate, Field, Known},
    fields::{ConnectionFields, FIELDS_ON_STACK, Fields, require_crlf, with_room},
    method::Method,
    refusal::{BadRequest, HeadFault},
    scan::{Scan, StartLine},
    start_line,
    target::Target,
};

/// A request without its body.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    method: Method,
    /// The name of a method without a variant of its own.
    other_method: String,
    version: Version,
    target: Target,
    authority: Authority,
    fields: Fields,
    framing: Framing,
    connection: ConnectionFields,
    expects_continue: bool,
}

impl RequestHead {
    /// Reads a head from `input`, which begins where the last message ended. Call again with the same bytes
    /// and more while it is incomplete: `scan` remembers what was searched. When complete, the head replaces
    /// the one before.
    ///
    /// # Errors
    /// The first rule the bytes break, as soon as they do; the connection then has no defined state and is
    /// closed.
    pub fn parse(
        &mut self,
        input: &[u8],
        scan: &mut Scan,
        limits: &RequestLimits,
    ) -> Result<Progress, BadRequest> {
        // Nearly every head comes whole and keeps every rule. Any other is searched line by line, so that one in
        // pieces costs each byte once, and the first rule it breaks is the one that is named.
        if scan.is_fresh()
            && let Some(head_bytes) = self.read_whole(input, limits)
        {
            return Ok(Progress::Complete { head_bytes });
        }
        let outcome = scan.advance(input, &limits.head);
        // Even in a head that is too large: if the target is what makes it so, the answer says that.
        if !scan.start_line_judged && matches!(outcome, Ok(_) | Err(HeadFault::TooLarge)) {
            let line = scan.start_line(input);
            start_line::judge(line, limits)?;
            scan.judged(line);
        }
        let Some(range) = outcome? else {
            return Ok(Progress::Incomplete);
        };
        let head_bytes = range.end;
        let fields = scan.fields();
        *scan = Scan::default();
        self.read(&input[range], fields, limits)?;
        Ok(Progress::Complete { head_bytes })
    }

    /// Forgets the request, keeping room for the next: a head that fails to parse tells nothing of the one before.
    pub fn reset(&mut self) {
        self.method = Method::Get;
        self.version = Version::V11;
        self.target.clear();
        self.authority.clear();
        self.fields.reset();
        self.framing = Framing::None;
        self.connection = ConnectionFields::default();
        self.expects_continue = false;
    }

    /// The method's kind.
    #[must_use]
    pub const fn method_kind(&self) -> Method {
        self.method
    }

    /// The method's name.
    #[must_use]
    pub fn method(&self) -> &str {
        match self.method {
            Method::Other => &self.other_method,
            known => known.name(),
        }
    }

    /// The client's version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Host in normal form, without port: lower case, no trailing dot, IPv6 in brackets. Empty only if
    /// HTTP/1.0 sent none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port beside the host, where one was given.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.authority.port()
    }

    /// Host and port in normal form, as they are forwarded; of the target if that is absolute (RFC 9112
    /// 3.2.2).
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The path in normal form, or `*`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// What follows `?`, as received.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// Path and query as they are matched and forwarded.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target.as_str()
    }

    /// How the body ends; never [`Framing::UntilClose`].
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client means to send another request on the connection (RFC 9112 9.3).
    #[must_use]
    pub const fn wants_keep_alive(&self) -> bool {
        !self.connection.close && (!matches!(self.version, Version::V10) || self.connection.keep_alive)
    }

    /// Whether the client waits for 100 before it sends the body (RFC 9110 10.1.1).
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The protocols the client offers to switch to (RFC 9110 7.8). `None` also with a body, in HTTP/1.0, and
    /// for h2c, which is not offered (RFC 9113 3.1).
    #[must_use]
    pub fn upgrade(&self) -> Option<&[u8]> {
        if !self.connection.upgrade || self.version == Version::V10 || !self.framing.is_empty() {
            return None;
        }
        let mut values = self.fields.values(Known::Upgrade);
        let value = values.next().filter(|_| values.next().is_none())?;
        let offered = !value.is_empty() && field::list(value).all(is_protocol);
        offered.then_some(value)
    }

    /// The fields as received.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The value of `name` in any case, several joined; what was dropped is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.fields.joined(name)
    }

    /// The value of the first cookie of this name (RFC 6265 4.2), without the quotes it may have.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&[u8]> {
        let pairs = self
            .fields
            .values(Known::Cookie)
            .flat_map(|value| value.split(|byte| *byte == b';'));
        pairs.map(<[u8]>::trim_ascii).find_map(|pair| {
            let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            let unquoted = value
                .strip_prefix(b"\"")
                .and_then(|inner| inner.strip_suffix(b"\""));
            Some(unquoted.unwrap_or(value))
        })
    }

    /// The id the client gave the request: one X-Request-Id of 1 to 128 letters, digits and `-._~+/=:@`.
    #[must_use]
    pub fn request_id(&self) -> Option<&[u8]> {
        let mut values = self.fields.values(Known::RequestId);
        let id = values.next().filter(|_| values.next().is_none())?;
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(byte);
        let sane = !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(good);
        sane.then_some(id)
    }

    /// Fields dropped for an underscore in their name.
    #[must_use]
    pub fn dropped(&self) -> usize {
        if !self.fields.has(Known::Ambiguous) {
            return 0;
        }
        let ambiguous = |field: &&Field| field.known == Known::Ambiguous;
        self.fields.list.iter().filter(ambiguous).count()
    }

    /// Believes what the peer says of the client: its X-Forwarded-* and the like are no longer dropped; of what it says of
    /// the client's certificate becomes `certificate`.
    pub(super) fn trust(&mut self, certificate: Fate) {
        for field in &mut self.fields.list {
            match field.known {
                Known::ForwardedClientCert => field.fate = certificate,
                Known::ForwardedFor | Known::ForwardedHost | Known::ForwardedProto => {
                    field.fate = Fate::Local
                }
                Known::Edge => field.fate = Fate::Forward,
                _ => {}
            }
        }
    }

    /// Makes it a call of gRPC with this content type, whose body may be of another length than was announced.
    pub(super) fn set_grpc(&mut self, content_type: &[u8], is_changed: bool) {
        self.fields
            .replace("content-type", content_type, Known::request_fate);
        self.fields.replace("te", b"trailers", Known::request_fate);
        if is_changed && !self.framing.is_empty() {
            self.framing = Framing::Chunked;
        }
    }

    /// Reads a head that is there to its end and breaks no rule; gives its length. Otherwise nothing is known.
    fn read_whole(&mut self, input: &[u8], limits: &RequestLimits) -> Option<usize> {
        let input = &input[..input.len().min(limits.head.bytes_max)];
        let line = input[..memchr(b'\n', input)?].strip_suffix(b"\r")?;
        start_line::judge(StartLine::Whole(line), limits).ok()?;
        let fields_max = limits.head.fields_max.min(FIELDS_ON_STACK);
        self.read(input, fields_max, limits).ok()
    }

    /// Reads a whole head of at most so many fields from the front of `input`; gives its length.
    fn read(&mut self, input: &[u8], fields_max: usize, limits: &RequestLimits) -> Result<usize, BadRequest> {
        let head_bytes = with_room(fields_max, |room| {
            let mut request = httparse::Request::new(&mut []);
            let status = request
                .parse_with_uninit_headers(input, room)
                .map_err(HeadFault::from)?;
            let (Some(method), Some(target), Status::Complete(head_bytes)) =
                (request.method, request.path, status)
            else {
                return Err(BadRequest::REQUEST_LINE);
            };
            let head = &input[..head_bytes];
            require_crlf(head, request.headers)?;
            self.version = if request.version == Some(0) {
                Version::V10
            } else {
                Version::V11
            };
            self.method = Method::of(method);
            if self.method == Method::Other {
                self.other_method.clear();
                self.other_method.push_str(method);
            }
            self.fields.take(head, request.headers, Known::request_fate);
            self.read_host()?;
            self.target
                .read(target, self.method, limits.path, &mut self.authority)?;
            Ok(head_bytes)
        })?;
        self.read_fields()?;
        Ok(head_bytes)
    }

    /// RFC 9112 3.2: exactly one valid Host; HTTP/1.0 may do without.
    fn read_host(&mut self) -> Result<(), BadRequest> {
        let mut hosts = self.fields.values(Known::Host);
        match (hosts.next(), hosts.next(), self.version) {
            (_, Some(_), _) => Err(BadRequest::HOST_TWICE),
            (Some(host), None, _) => self.authority.read(host).map_err(|_| BadRequest::HOST),
            (None, None, Version::V11 | Version::V2) => Err(BadRequest::HOST_MISSING),
            (None, None, Version::V10) => {
                self.authority.clear();
                Ok(())
            }
        }
    }

    fn read_fields(&mut self) -> Result<(), BadRequest> {
        let body = self.fields.body()?;
        self.framing = match (body.chunked, body.length) {
            // RFC 9112 6.1: such a message has faulty framing, whatever it says.
            (true, _) if self.version == Version::V10 => return Err(BadRequest::TRANSFER_ENCODING_VERSION),
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::None,
        };
        self.connection = self.fields.connection()?;
        self.expects_continue = self.read_expectation()?;
        Ok(())
    }

    /// RFC 9110 10.1.1; HTTP/1.0 cannot expect anything.
    fn read_expectation(&self) -> Result<bool, BadRequest> {
        if !self.fields.has(Known::Expect) || self.version == Version::V10 {
            return Ok(false);
        }
        let mut values = self.fields.values(Known::Expect);
        let only = values.next().filter(|_| values.next().is_none());
        let known = only.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        known.then_some(true).ok_or(BadRequest::EXPECT)
    }
}

/// A protocol that may be offered to a backend: `name` or `name/version`, but h2c.
fn is_protocol(protocol: &[u8]) -> bool {
    protocol.split(|byte| *byte == b'/').all(field::is_token) && !protocol.eq_ignore_ascii_case(b"h2c")
}

/// A UUID has 36 characters, a W3C trace id 55; ids of three joined hops fit.
const REQUEST_ID_BYTES_MAX: usize = 128;

mod h2;

#[cfg(test)]
mod tests;
