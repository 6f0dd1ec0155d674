//! The first message of a TLS client, read to learn the server name and nothing else: for connections whose TLS is
//! passed through and ended by whoever is behind.
//!
//! Owns the bounds and the strictness of that reading. Refuses I/O and memory without bound: a hello has at most
//! [`TLS_HELLO_BYTES_MAX`] bytes with the headers of its records, and each of them is looked at once, however few come
//! at a time. With Encrypted Client Hello the name seen is the public one (RFC 9849), for the inner one is for its
//! server alone.

use sluice_config::defaults::TLS_HELLO_BYTES_MAX;
use thiserror::Error;

/// What a client says first, as far as a gateway that passes it on needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The name it asks for (RFC 6066 3), in lower case. `None` where it asks for none, or for an address, which that
    /// section says is no host name and clients send all the same.
    pub server_name: Option<Box<str>>,
}

/// Why bytes are no hello that can be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadHello {
    /// They are not TLS, or another message of it.
    #[error("not a TLS handshake")]
    NotTls,
    /// It has more bytes than the bound.
    #[error("the hello is too large")]
    TooLarge,
    /// Its lengths do not fit together.
    #[error("the hello is malformed")]
    Malformed,
    /// Its server name is none: RFC 6066 3 wants one name of DNS, in ASCII, without a dot at its end.
    #[error("the server name is malformed")]
    BadName,
}

impl BadHello {
    /// Its name in the access log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::BadName => "bad_name",
        }
    }
}

/// Reads a hello as its bytes come.
#[derive(Debug, Default)]
pub struct HelloReader {
    /// How much of the bytes was looked at.
    seen: usize,
    /// What is left of the record that was begun.
    record_left: usize,
    /// The message, put together from its records.
    message: Vec<u8>,
}

impl HelloReader {
    /// Looks at `received`, all the bytes since the connection began, of which there are more with each call. `None`
    /// until the hello is whole; what comes behind it is not looked at.
    ///
    /// # Errors
    /// When they are none; as soon as that can be told.
    pub fn read(&mut self, received: &[u8]) -> Result<Option<ClientHello>, BadHello> {
        let looked_at = &received[..received.len().min(TLS_HELLO_BYTES_MAX)];
        loop {
            if let Some(body) = self.body()? {
                return server_name(body).map(|server_name| Some(ClientHello { server_name }));
            }
            let rest = &looked_at[self.seen..];
            if self.record_left > 0 {
                let fragment = &rest[..rest.len().min(self.record_left)];
                self.message.extend_from_slice(fragment);
                self.seen += fragment.len();
                self.record_left -= fragment.len();
                if fragment.is_empty() {
                    break;
                }
            } else if let Some(length) = record_length(rest)? {
                self.seen += RECORD_HEADER;
                self.record_left = length;
            } else {
                break;
            }
        }
        if received.len() >= TLS_HELLO_BYTES_MAX {
            return Err(BadHello::TooLarge);
        }
        Ok(None)
    }

    /// The hello inside its handshake message (RFC 8446 4), once it is whole.
    fn body(&self) -> Result<Option<&[u8]>, BadHello> {
        match self.message.as_slice() {
            [kind, ..] if *kind != CLIENT_HELLO => Err(BadHello::NotTls),
            [_, high, middle, low, body @ ..] => {
                let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
                if length > TLS_HELLO_BYTES_MAX {
                    return Err(BadHello::TooLarge);
                }
                Ok(body.get(..length))
            }
            _ => Ok(None),
        }
    }
}

/// How many bytes of a handshake the record that begins here holds (RFC 8446 5.1); `None` until its header is whole.
/// Its minor version says nothing.
fn record_length(record: &[u8]) -> Result<Option<usize>, BadHello> {
    // What is there of the header must fit already, so that others than TLS are not waited for.
    if record
        .iter()
        .zip([HANDSHAKE, MAJOR_VERSION])
        .any(|(is, wants)| *is != wants)
    {
        return Err(BadHello::NotTls);
    }
    let [_, _, _, high, low, ..] = record else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([*high, *low])) {
        // No fragment of a handshake is empty, and none is larger.
        0 | RECORD_TOO_LARGE.. => Err(BadHello::Malformed),
        length => Ok(Some(length)),
    }
}

/// Walks through a hello (RFC 8446 4.1.2) to its server name.
fn server_name(hello: &[u8]) -> Result<Option<Box<str>>, BadHello> {
    let mut hello = Input(hello);
    hello.take(VERSION_AND_RANDOM)?;
    if hello.vector::<1>()?.0.len() > SESSION_ID_MAX {
        return Err(BadHello::Malformed);
    }
    let suites = hello.vector::<2>()?.0;
    if suites.is_empty() || !suites.len().is_multiple_of(2) || hello.vector::<1>()?.0.is_empty() {
        return Err(BadHello::Malformed);
    }
    // Before TLS 1.3 there need not be any extension (RFC 5246 7.4.1.2).
    if hello.0.is_empty() {
        return Ok(None);
    }
    let mut extensions = hello.vector::<2>()?;
    hello.end()?;
    let mut names = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number::<2>()?;
        let extension = extensions.vector::<2>()?;
        if kind == SERVER_NAME && names.replace(extension).is_some() {
            return Err(BadHello::Malformed);
        }
    }
    names.map_or(Ok(None), host_name)
}

/// The one host name of a list (RFC 6066 3): exactly one, for what a second means nobody knows. Names of other types are
/// passed over, as every type that may come has its length in front.
fn host_name(mut extension: Input<'_>) -> Result<Option<Box<str>>, BadHello> {
    let mut list = extension.vector::<2>()?;
    extension.end()?;
    let mut host = None;
    while !list.0.is_empty() {
        let kind = list.number::<1>()?;
        let name = list.vector::<2>()?;
        if kind == HOST_NAME && host.replace(name.0).is_some() {
            return Err(BadHello::BadName);
        }
    }
    let name = host.ok_or(BadHello::BadName)?;
    let name = str::from_utf8(name).map_err(|_| BadHello::BadName)?;
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(None);
    }
    if !is_dns_name(name) {
        return Err(BadHello::BadName);
    }
    Ok(Some(name.to_ascii_lowercase().into()))
}

/// Whether `name` is one of DNS (RFC 1035 2.3.4), with the underscore that is in use.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// What is left to be read.
struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn take(&mut self, length: usize) -> Result<&'i [u8], BadHello> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BadHello::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of so many bytes.
    fn number<const BYTES: usize>(&mut self) -> Result<usize, BadHello> {
        let bytes = self.take(BYTES)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// A vector with its length, of so many bytes, in front (RFC 8446 3.4).
    fn vector<const LENGTH_BYTES: usize>(&mut self) -> Result<Self, BadHello> {
        let length = self.number::<LENGTH_BYTES>()?;
        self.take(length).map(Self)
    }

    /// Nothing may be left.
    const fn end(&self) -> Result<(), BadHello> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(BadHello::Malformed)
        }
    }
}

/// Content type of a record that holds handshake messages.
const HANDSHAKE: u8 = 22;
/// The major version of every TLS.
const MAJOR_VERSION: u8 = 3;
const RECORD_HEADER: usize = 5;
/// One more than a record of plaintext may hold (RFC 8446 5.1).
const RECORD_TOO_LARGE: usize = (1 << 14) + 1;
/// Type of the message.
const CLIENT_HELLO: u8 = 1;
const VERSION_AND_RANDOM: usize = 2 + 32;
const SESSION_ID_MAX: usize = 32;
/// Type of the extension.
const SERVER_NAME: usize = 0;
/// Type of the name.
const HOST_NAME: usize = 0;

#[cfg(test)]
mod tests;
