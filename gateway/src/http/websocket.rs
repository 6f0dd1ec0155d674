//! The opening of a WebSocket (RFC 6455 4), as far as it differs between versions of HTTP: over HTTP/1.1 client and server
//! prove to each other that they mean it, over HTTP/2 a CONNECT does without (RFC 8441 5).

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::RequestHead;

impl RequestHead {
    /// The key with which it asks for a WebSocket, and for nothing else.
    #[must_use]
    pub fn websocket_key(&self) -> Option<&[u8]> {
        let asks = self.upgrade()?.eq_ignore_ascii_case(PROTOCOL);
        let mut keys = self.fields().named(KEY).filter(|_| asks);
        keys.next().filter(|_| keys.next().is_none())
    }
}

/// A key of a client's, as random as `nonce`.
pub(super) fn key(nonce: u128) -> String {
    BASE64_STANDARD.encode(nonce.to_be_bytes())
}

/// How a server proves that it has read `key` (RFC 6455 4.2.2).
#[must_use]
pub fn websocket_proof(key: &[u8]) -> String {
    let salted = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    BASE64_STANDARD.encode(sluice_tls::sha1(&salted))
}

/// The name of the protocol.
pub(super) const PROTOCOL: &[u8] = b"websocket";
/// The field of the key.
pub(super) const KEY: &str = "sec-websocket-key";
/// The field of the proof.
pub(super) const PROOF: &str = "sec-websocket-accept";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_proof_are_written_as_the_rfc_writes_them() {
        // RFC 6455 1.3.
        let key = key(u128::from_be_bytes(*b"the sample nonce"));
        assert_eq!(key, "dGhlIHNhbXBsZSBub25jZQ==");
        let proof = websocket_proof(key.as_bytes());
        assert_eq!(proof, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
