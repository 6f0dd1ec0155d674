//! What is told of a client's certificate, in the form that Envoy gave X-Forwarded-Client-Cert: `By`, `Hash`, `Subject`,
//! `URI` and `DNS`, each `key=value`, between semicolons. Refuses to pass on what would end a value or the line.

use sluice_config::{defaults::CLIENT_CERT_BYTES_MAX, model::SpiffeId};
use sluice_tls::Peer;

/// The certificate that a client has shown.
#[derive(Debug)]
pub struct ClientCertificate<'a> {
    /// What it says.
    pub peer: &'a Peer,
    /// Whom it was shown to: the SPIFFE ID of the listener's own certificate.
    pub by: Option<SpiffeId<'a>>,
}

impl ClientCertificate<'_> {
    /// Appends it as one element of the list that the field is. DNS names beyond [`CLIENT_CERT_BYTES_MAX`] are left out.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(by) = self.by {
            pair(out, "By", by.as_str(), false);
        }
        pair_of(out, "Hash", |out| hex(out, self.peer.sha256()));
        pair(out, "Subject", self.peer.subject(), true);
        for uri in self.peer.uris() {
            pair(out, "URI", uri, false);
        }
        for name in self.peer.dns_names() {
            let end = out.len();
            pair(out, "DNS", name, false);
            if out.len() - start > CLIENT_CERT_BYTES_MAX {
                out.truncate(end);
                break;
            }
        }
        // The semicolon behind the last.
        out.pop();
    }
}

/// Appends `key=value;`, the value in quotes if it is always or if it holds what separates.
fn pair(out: &mut Vec<u8>, key: &str, value: &str, is_quoted: bool) {
    let is_quoted = is_quoted || value.bytes().any(|byte| b",;=\"\\ ".contains(&byte));
    pair_of(out, key, |out| {
        if is_quoted {
            out.push(b'"');
        }
        for byte in value.bytes() {
            match byte {
                b'"' | b'\\' if is_quoted => out.extend_from_slice(&[b'\\', byte]),
                0x20..0x7f => out.push(byte),
                // As RFC 4514 2.4 writes what a subject holds beside plain text.
                _ => {
                    out.push(b'\\');
                    hex(out, &[byte]);
                }
            }
        }
        if is_quoted {
            out.push(b'"');
        }
    });
}

fn pair_of(out: &mut Vec<u8>, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    write(out);
    out.push(b';');
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str, is_quoted: bool) -> String {
        let mut out = Vec::new();
        pair(&mut out, "K", value, is_quoted);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_cannot_end_itself_or_the_line() {
        assert_eq!(written("a.example", false), "K=a.example;");
        assert_eq!(written("CN=a", true), "K=\"CN=a\";");
        for separator in ["a,b", "a;b", "a=b", "a b"] {
            assert_eq!(written(separator, false), format!("K=\"{separator}\";"));
        }
        assert_eq!(written("a\"b\\c", false), "K=\"a\\\"b\\\\c\";");
        assert_eq!(written("a\r\nb\0", false), "K=a\\0d\\0ab\\00;");
        assert_eq!(written("\u{e9}", false), "K=\\c3\\a9;");
        assert_eq!(written("", true), "K=\"\";");
    }
}
