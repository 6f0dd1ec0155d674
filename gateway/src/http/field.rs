//! One field of a head: what its name means to a gateway, and whether it may travel on. Owns the grammar of
//! the values a gateway reads itself. Refuses nothing: the heads decide.

use std::ops::Range;

/// A stretch of a head's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// One field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub(super) name: Span,
    /// Without white space at its ends.
    pub(super) value: Span,
    pub(super) known: Known,
    pub(super) fate: Fate,
}

/// What becomes of a received field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Travels on as it is.
    Forward,
    /// Read here and not copied: it is for this hop alone (RFC 9110 7.6.1), or the encoder writes its own.
    Local,
    /// As if it had not come: ambiguous, or a claim about the client by one who is not believed.
    Dropped,
}

/// The names a gateway gives a meaning to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Any name without a variant of its own.
    Other,
    /// Any name with `_`: programs behind CGI read `_` and `-` alike, so it could stand for another one
    /// unseen.
    Ambiguous,
    /// Authorization.
    Authorization,
    /// Connection.
    Connection,
    /// Content-Length.
    ContentLength,
    /// Any other Content-*.
    Content,
    /// Cookie.
    Cookie,
    /// Date.
    Date,
    /// Any other field that only a trusted proxy may set: Forwarded, X-Real-IP, X-SSL-Client-*, ...
    Edge,
    /// Expect.
    Expect,
    /// X-Forwarded-Client-Cert.
    ForwardedClientCert,
    /// X-Forwarded-For.
    ForwardedFor,
    /// X-Forwarded-Host.
    ForwardedHost,
    /// X-Forwarded-Proto.
    ForwardedProto,
    /// Host.
    Host,
    /// HTTP2-Settings, of the upgrade to h2c that is not offered.
    Http2Settings,
    /// Keep-Alive.
    KeepAlive,
    /// Proxy-*, but Proxy-Status.
    Proxy,
    /// X-Request-Id.
    RequestId,
    /// Set-Cookie.
    SetCookie,
    /// TE.
    Te,
    /// Trailer.
    Trailer,
    /// Transfer-Encoding.
    TransferEncoding,
    /// Upgrade.
    Upgrade,
    /// User-Agent.
    UserAgent,
}

impl Span {
    pub(super) const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// A stretch known by its ends, which lie in a head as bounded as [`Self::of`]'s.
    pub(super) const fn at(range: Range<usize>) -> Self {
        Self {
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    /// Where `part` lies in `whole`, of which it must be a part.
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        debug_assert!(start + part.len() <= whole.len(), "a span lies in its head");
        // Heads are bounded far below 4 GiB; one past it would give spans that do not fit and panic when
        // read.
        Self {
            start: start as u32,
            end: (start + part.len()) as u32,
        }
    }
}

impl Field {
    /// What the name means.
    #[must_use]
    pub const fn known(&self) -> Known {
        self.known
    }

    /// What becomes of it.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.fate
    }
}

impl Known {
    /// What `name` means, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let Some(word) = word(name) else {
            return Self::of_long(name);
        };
        match name.len() {
            2 if word == TE => Self::Te,
            4 if word == HOST => Self::Host,
            4 if word == DATE => Self::Date,
            // Not a field at all, but CGI programs take it for the variable HTTP_PROXY (CVE-2016-5385).
            5 if word == PROXY => Self::Proxy,
            6 if word == COOKIE => Self::Cookie,
            6 if word == EXPECT => Self::Expect,
            7 if word == UPGRADE => Self::Upgrade,
            7 if word == TRAILER => Self::Trailer,
            9 if word == FORWARDED || word == X_REAL_IP => Self::Edge,
            10 if word == USER_AGENT => Self::UserAgent,
            10 if word == CONNECTION => Self::Connection,
            10 if word == KEEP_ALIVE => Self::KeepAlive,
            10 if word == SET_COOKIE => Self::SetCookie,
            12 if word == X_REQUEST_ID => Self::RequestId,
            12 if word == PROXY_STATUS => Self::Other,
            13 if word == AUTHORIZATION => Self::Authorization,
            14 if word == CONTENT_LENGTH => Self::ContentLength,
            14 if word == HTTP2_SETTINGS => Self::Http2Settings,
            15 if word == X_FORWARDED_FOR => Self::ForwardedFor,
            16 if word == X_FORWARDED_HOST => Self::ForwardedHost,
            _ if holds_underscore(word) => Self::Ambiguous,
            _ => Self::by_prefix(name),
        }
    }

    fn of_long(name: &[u8]) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match name.len() {
            17 if is("x-forwarded-proto") => Self::ForwardedProto,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            23 if is("x-forwarded-client-cert") => Self::ForwardedClientCert,
            _ if name.contains(&b'_') => Self::Ambiguous,
            _ => Self::by_prefix(name),
        }
    }

    fn by_prefix(name: &[u8]) -> Self {
        let begins = |prefix: &str| {
            name.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        match name.first().map(u8::to_ascii_lowercase) {
            Some(b'p') if begins("proxy-") => Self::Proxy,
            Some(b'x') if EDGE_X_PREFIXES.iter().any(|prefix| begins(prefix)) => Self::Edge,
            // RFC 9440: Client-Cert, Client-Cert-Chain.
            Some(b'c') if begins("client-cert") => Self::Edge,
            Some(b'c') if begins("content-") => Self::Content,
            Some(b's') if begins("ssl-client-") => Self::Edge,
            _ => Self::Other,
        }
    }

    /// A bit of its own.
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// A Connection option that names such a field does not remove it: it frames, routes or authorizes the
    /// message.
    pub(super) const fn is_protected(self) -> bool {
        !matches!(
            self,
            Self::Other
                | Self::Ambiguous
                | Self::KeepAlive
                | Self::Te
                | Self::Trailer
                | Self::Upgrade
                | Self::UserAgent
                | Self::Proxy
                | Self::Http2Settings
        )
    }

    /// What becomes of a request field until the peer is known to be trusted.
    pub(super) const fn request_fate(self) -> Fate {
        match self {
            Self::Ambiguous
            | Self::ForwardedClientCert
            | Self::ForwardedFor
            | Self::ForwardedHost
            | Self::ForwardedProto
            | Self::Edge => Fate::Dropped,
            Self::Host | Self::Expect | Self::RequestId => Fate::Local,
            _ => self.response_fate(),
        }
    }

    /// What becomes of a response field.
    pub(super) const fn response_fate(self) -> Fate {
        match self {
            Self::Connection
            | Self::ContentLength
            | Self::Http2Settings
            | Self::KeepAlive
            | Self::Proxy
            | Self::Te
            | Self::TransferEncoding
            | Self::Upgrade => Fate::Local,
            _ => Fate::Forward,
        }
    }
}

/// A name of at most 16 bytes in lower case as one number, so that names are told apart by one comparison each. Of the
/// characters of a token no two become the same, but a letter's two cases.
const fn word(name: &[u8]) -> Option<u128> {
    const LOWER_CASE: u128 = u128::from_ne_bytes([0x20; 16]);
    if name.len() > 16 {
        return None;
    }
    let mut bytes = [0; 16];
    bytes.split_at_mut(name.len()).0.copy_from_slice(name);
    Some(u128::from_ne_bytes(bytes) | LOWER_CASE)
}

/// Whether a word holds `_`, which it has as DEL: no token holds that.
const fn holds_underscore(word: u128) -> bool {
    const ONES: u128 = u128::from_ne_bytes([0x01; 16]);
    const HIGH: u128 = u128::from_ne_bytes([0x80; 16]);
    const UNDERSCORES: u128 = u128::from_ne_bytes([b'_' | 0x20; 16]);
    // Not zero exactly if a byte of `rest` is.
    let rest = word ^ UNDERSCORES;
    rest.wrapping_sub(ONES) & !rest & HIGH != 0
}

/// A length of RFC 9110 8.6: digits alone, below 2^63.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > LENGTH_DIGITS_MAX {
        return None;
    }
    value
        .iter()
        .try_fold(0_u64, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
        })
        .filter(|length| i64::try_from(*length).is_ok())
}

/// The members of a comma list (RFC 9110 5.6.1), empty ones left out.
pub(super) fn list(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// A token of RFC 9110 5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// 2^63 has 19 digits.
const LENGTH_DIGITS_MAX: usize = 19;

/// What follows `x-` in names that only a gateway may set: where the client is, and who it is.
const EDGE_X_PREFIXES: [&str; 5] = [
    "x-forwarded-",
    "x-sluice-",
    "x-gateway-",
    "x-client-cert",
    "x-ssl-client-",
];

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

const fn short(name: &str) -> u128 {
    word(name.as_bytes()).expect("a short name")
}

const TE: u128 = short("te");
const HOST: u128 = short("host");
const DATE: u128 = short("date");
const PROXY: u128 = short("proxy");
const COOKIE: u128 = short("cookie");
const EXPECT: u128 = short("expect");
const UPGRADE: u128 = short("upgrade");
const TRAILER: u128 = short("trailer");
const FORWARDED: u128 = short("forwarded");
const X_REAL_IP: u128 = short("x-real-ip");
const USER_AGENT: u128 = short("user-agent");
const CONNECTION: u128 = short("connection");
const KEEP_ALIVE: u128 = short("keep-alive");
const SET_COOKIE: u128 = short("set-cookie");
const X_REQUEST_ID: u128 = short("x-request-id");
const PROXY_STATUS: u128 = short("proxy-status");
const AUTHORIZATION: u128 = short("authorization");
const CONTENT_LENGTH: u128 = short("content-length");
const HTTP2_SETTINGS: u128 = short("http2-settings");
const X_FORWARDED_FOR: u128 = short("x-forwarded-for");
const X_FORWARDED_HOST: u128 = short("x-forwarded-host");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_names_in_any_case() {
        assert_eq!(Known::of(b"Content-LENGTH"), Known::ContentLength);
        assert_eq!(Known::of(b"X-Forwarded-Client-Cert"), Known::ForwardedClientCert);
        assert_eq!(Known::of(b"x-ssl-client-dn"), Known::Edge);
        assert_eq!(Known::of(b"proxy-connection"), Known::Proxy);
        assert_eq!(Known::of(b"proxy-status"), Known::Other);
        assert_eq!(Known::of(b"content-type"), Known::Content);
        assert_eq!(Known::of(b""), Known::Other);
        assert_eq!(Known::of(b"X_Request_Id"), Known::Ambiguous);
        assert_eq!(Known::of(b"Transfer-ENCODING"), Known::TransferEncoding);
        assert_eq!(Known::of(b"\rost"), Known::Other);
    }

    #[test]
    fn a_length_is_digits_below_two_to_the_63() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in [
            "",
            "-1",
            "+1",
            "0x10",
            "1,1",
            "1 ",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(content_length(bad.as_bytes()), None, "{bad}");
        }
    }
}
