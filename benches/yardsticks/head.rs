//! Heads of HTTP/1.1 as far as a proxy without features needs them: where one ends, how long its body is, and whether
//! its connection goes on.
//!
//! Trusts what it reads, being no gateway: bodies have a `content-length` or are none, so it refuses chunked ones.

use std::{io, ops::Range};

use memchr::{memchr, memmem};

/// A message whose head is whole.
#[derive(Debug, PartialEq)]
pub(crate) struct Head {
    /// Of the head itself, as it is sent on.
    pub(crate) bytes: usize,
    /// Of the body that follows.
    pub(crate) body_bytes: usize,
    /// Whether the connection it came by goes on after it.
    pub(crate) is_kept: bool,
}

/// Finds the head at the start of `received` and takes out its `connection` field, which is not to be sent on (RFC 9110,
/// section 7.6.1). Nothing while the head is not whole.
///
/// # Errors
/// When it has a length that is none, or another framing than a length.
pub(crate) fn read(received: &mut Vec<u8>) -> io::Result<Option<Head>> {
    let Some(end) = memmem::find(received, b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut head = Head {
        bytes: end + 4,
        body_bytes: 0,
        is_kept: true,
    };
    let mut connection: Range<usize> = 0..0;
    let mut start = 0;
    while let Some(length) = memchr(b'\n', &received[start..head.bytes]) {
        let line = start..start + length + 1;
        start = line.end;
        let text = &received[line.clone()];
        if let Some(digits) = value(text, b"content-length:") {
            let parsed = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            head.body_bytes = parsed.ok_or(io::ErrorKind::InvalidData)?;
        } else if let Some(option) = value(text, b"connection:") {
            head.is_kept = !option.eq_ignore_ascii_case(b"close");
            connection = line;
        } else if value(text, b"transfer-encoding:").is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
    }
    head.bytes -= connection.len();
    received.drain(connection);
    Ok(Some(head))
}

/// Says in the head at the start of `received` that its connection ends with the message.
pub(crate) fn close(received: &mut Vec<u8>, head: &mut Head) {
    let blank_line = head.bytes - 2;
    received.splice(blank_line..blank_line, CLOSE.iter().copied());
    head.bytes += CLOSE.len();
}

/// Of a field's line, where the field has this name.
fn value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

const CLOSE: &[u8] = b"connection: close\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> (io::Result<Option<Head>>, String) {
        let mut received = text.as_bytes().to_vec();
        let head = read(&mut received);
        (head, String::from_utf8(received).unwrap())
    }

    #[test]
    fn a_head_says_where_it_ends_and_how_long_its_body_is() {
        let (found, _) = head("POST / HTTP/1.1\r\nhost: h\r\nContent-Length: 3 \r\n\r\nabc");
        let found = found.unwrap().unwrap();
        assert_eq!((found.bytes, found.body_bytes, found.is_kept), (48, 3, true));
        let (found, _) = head("GET / HTTP/1.1\r\nhost: h\r\n\r");
        assert_eq!(found.unwrap(), None);
    }

    #[test]
    fn the_connection_field_is_for_one_hop() {
        let (found, left) = head("GET / HTTP/1.1\r\nConnection: Close\r\nhost: h\r\n\r\n");
        let found = found.unwrap().unwrap();
        assert_eq!(left, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!((found.bytes, found.is_kept), (left.len(), false));
    }

    #[test]
    fn the_end_of_a_connection_is_told_before_the_body() {
        let mut received = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx".to_vec();
        let mut found = read(&mut received).unwrap().unwrap();
        close(&mut received, &mut found);
        assert_eq!(
            received,
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx"
        );
        assert_eq!(found.bytes, received.len() - 1);
    }

    #[test]
    fn a_framing_other_than_a_length_is_refused() {
        assert!(
            head("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
                .0
                .is_err()
        );
        assert!(head("POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n").0.is_err());
    }
}
