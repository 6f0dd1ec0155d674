//! Secure transports.
//!
//! Owns what is known of TLS. For now that is telling a TLS client by its first bytes.

/// Whether these first bytes of a connection begin a TLS record that holds a handshake (RFC 8446 5.1):
/// content type 22 and major version 3. Fewer than two bytes tell nothing and give `false`.
#[must_use]
pub const fn begins_handshake(first: &[u8]) -> bool {
    matches!(first, [22, 3, ..])
}

#[cfg(test)]
mod tests {
    use super::begins_handshake;

    #[test]
    fn a_client_hello_is_told_from_a_request_line() {
        assert!(begins_handshake(&[22, 3, 1, 0, 200, 1]));
        assert!(!begins_handshake(b"GET / HTTP/1.1\r\n"));
        assert!(!begins_handshake(&[22]));
    }
}
