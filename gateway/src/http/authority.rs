//! Host and port of a message, in one normal form that is both matched and forwarded. Owns the strict grammar
//! of a host. Refuses user information, lists, paths, escapes and ports that are no ports.

use std::{fmt::Write, net::Ipv6Addr};

use memchr::memchr;
use thiserror::Error;

/// A host with an optional port, reused from request to request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// `host` or `host:port`.
    text: String,
    host_bytes: usize,
    port: Option<u16>,
}

/// Not a host with an optional port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a host with an optional port")]
pub struct BadAuthority;

impl Authority {
    /// Reads `received`, of a Host field or an absolute target (RFC 9110 7.2, RFC 3986 3.2.2): a name of
    /// letters, digits, `-`, `_` and dots, an IPv4 address, or an IPv6 address in brackets; then perhaps `:`
    /// and 1 to 65535. Kept in lower case, without the root's trailing dot, IPv6 in its canonical form.
    ///
    /// # Errors
    /// When it is anything else, percent-encoded names and empty hosts included. Then it is empty.
    pub fn read(&mut self, received: &[u8]) -> Result<(), BadAuthority> {
        self.clear();
        let outcome = self.fill(received);
        if outcome.is_err() {
            self.clear();
        }
        outcome
    }

    /// Whether `received` is a host with an optional port.
    #[must_use]
    pub(super) fn is_valid(received: &[u8]) -> bool {
        Self::default().read(received).is_ok()
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        self.text.clear();
        self.host_bytes = 0;
        self.port = None;
    }

    /// `host` or `host:port`; empty if there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone, IPv6 in brackets; empty if there is none.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[..self.host_bytes]
    }

    /// The port, where one was given.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    fn fill(&mut self, received: &[u8]) -> Result<(), BadAuthority> {
        let rest = if let Some(literal) = received.strip_prefix(b"[") {
            self.push_address(literal)?
        } else {
            self.push_name(received)?
        };
        self.host_bytes = self.text.len();
        if rest.is_empty() {
            return Ok(());
        }
        self.port = Some(port(rest).ok_or(BadAuthority)?);
        self.text.push(':');
        let digits = rest.iter().skip(1).skip_while(|digit| **digit == b'0');
        self.text.extend(digits.map(|digit| char::from(*digit)));
        Ok(())
    }

    /// Takes an IPv6 address and its closing bracket; gives what follows.
    fn push_address<'r>(&mut self, literal: &'r [u8]) -> Result<&'r [u8], BadAuthority> {
        let end = memchr(b']', literal).ok_or(BadAuthority)?;
        let address = str::from_utf8(&literal[..end]).map_err(|_| BadAuthority)?;
        let address: Ipv6Addr = address.parse().map_err(|_| BadAuthority)?;
        write!(self.text, "[{address}]").expect("writing to a String cannot fail");
        Ok(&literal[end + 1..])
    }

    /// Takes a name or an IPv4 address; gives what follows.
    fn push_name<'r>(&mut self, received: &'r [u8]) -> Result<&'r [u8], BadAuthority> {
        let (name, rest) = received.split_at(memchr(b':', received).unwrap_or(received.len()));
        let name = name.strip_suffix(b".").unwrap_or(name);
        let text = str::from_utf8(name).ok().filter(|text| is_name(text.as_bytes()));
        self.text.push_str(text.ok_or(BadAuthority)?);
        self.text.make_ascii_lowercase();
        Ok(rest)
    }
}

/// Labels of letters, digits, `-` and `_` (which container names use), none empty.
fn is_name(name: &[u8]) -> bool {
    let mut label_bytes = 0;
    for byte in name {
        label_bytes = match LABEL[usize::from(*byte)] {
            true => label_bytes + 1,
            false if *byte == b'.' && label_bytes > 0 => 0,
            false => return false,
        };
    }
    label_bytes > 0 && name.len() <= NAME_BYTES_MAX
}

/// `:` and a port.
fn port(rest: &[u8]) -> Option<u16> {
    let digits = rest.strip_prefix(b":")?;
    if digits.is_empty() || digits.len() > PORT_DIGITS_MAX {
        return None;
    }
    let number = digits.iter().try_fold(0_u32, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'))
    });
    number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|port| *port > 0)
}

/// What a label may hold.
const LABEL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        byte += 1;
    }
    table
};
/// RFC 1035 2.3.4: 255 with length bytes, 253 as text.
const NAME_BYTES_MAX: usize = 253;
/// 65535.
const PORT_DIGITS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(received: &str) -> Result<(String, String, Option<u16>), BadAuthority> {
        let mut authority = Authority::default();
        authority.read(received.as_bytes())?;
        Ok((
            authority.as_str().into(),
            authority.host().into(),
            authority.port(),
        ))
    }

    #[test]
    fn has_one_normal_form() {
        let same = |received, text: &str, host: &str, port| {
            assert_eq!(read(received), Ok((text.into(), host.into(), port)), "{received}");
        };
        same("Example.COM", "example.com", "example.com", None);
        same("example.com.", "example.com", "example.com", None);
        same("example.com.:080", "example.com:80", "example.com", Some(80));
        same("10.0.0.1:8080", "10.0.0.1:8080", "10.0.0.1", Some(8080));
        same("[0:0::1]:1", "[::1]:1", "[::1]", Some(1));
        same("my_service", "my_service", "my_service", None);
    }

    #[test]
    fn refuses_what_is_no_host() {
        for bad in [
            "",
            ".",
            ":80",
            "a..b",
            ".a",
            "a b",
            "a,b",
            "a/b",
            "u@a",
            "a:",
            "a:b",
            "a:0",
            "a:65536",
            "a:000080",
            "a:+1",
            "a:80:80",
            "[::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "::1",
            "a%41",
            "a?b",
            "a#b",
            "a\\b",
            "é",
            "a\tb",
        ] {
            assert_eq!(read(bad), Err(BadAuthority), "{bad}");
        }
        assert_eq!(read(&"a".repeat(254)), Err(BadAuthority));
    }
}
