//! Who is at the other end, as its certificate says. It was verified before anyone gets to see it.

use aws_lc_rs::digest::{SHA256, digest};

use crate::certificate::Facts;

/// The peer of a connection that showed a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    spiffe: Option<Box<str>>,
    facts: Facts,
    sha256: [u8; 32],
}

impl Peer {
    /// Reads the peer's own certificate.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let facts = Facts::read(der)?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, der).as_ref());
        Ok(Self {
            spiffe: spiffe_id(&facts.uris).map(Into::into),
            facts,
            sha256,
        })
    }

    /// Its SPIFFE ID, `spiffe://trust-domain/path`: the one URI it names, if it is one (X509-SVID 2).
    #[must_use]
    pub fn spiffe(&self) -> Option<&str> {
        self.spiffe.as_deref()
    }

    /// The DNS names of its certificate, in lower case.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.facts.dns
    }

    /// The URIs of its certificate.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.facts.uris
    }

    /// The subject of its certificate as text; often empty.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// SHA-256 of its certificate in DER.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Until when its certificate holds, in seconds since 1970.
    #[must_use]
    pub const fn not_after(&self) -> i64 {
        self.facts.not_after
    }
}

/// The SPIFFE ID among the URIs of a certificate: an X.509-SVID has exactly one URI (X509-SVID 2), so with a second one
/// nobody could tell which is meant. Its form is that of SPIFFE-ID 2.
pub(crate) fn spiffe_id(uris: &[String]) -> Option<&str> {
    let [uri] = uris else { return None };
    let rest = uri.strip_prefix("spiffe://")?;
    let (domain, path) = rest
        .split_once('/')
        .map_or((rest, None), |(domain, path)| (domain, Some(path)));
    let is_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let is_path = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let good_domain = !domain.is_empty() && domain.len() <= 255 && domain.bytes().all(is_domain);
    let good_path = path.is_none_or(|path| {
        path.split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_path))
    });
    (good_domain && good_path && uri.len() <= 2048).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::spiffe_id;

    fn read(uris: &[&str]) -> Option<String> {
        let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
        spiffe_id(&uris).map(str::to_owned)
    }

    #[test]
    fn a_spiffe_id_is_the_one_uri_in_its_form() {
        let good = "spiffe://example.org/ns/default/sa/web";
        assert_eq!(read(&[good]).as_deref(), Some(good));
        assert!(read(&["spiffe://example.org"]).is_some());
        for wrong in [
            "https://example.org/a",
            "spiffe://",
            "spiffe:///a",
            "spiffe://Example.org/a",
            "spiffe://example.org/",
            "spiffe://example.org/a//b",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/a/",
            "spiffe://example.org:80/a",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a%2fb",
            "spiffe://example.org/a\0",
        ] {
            assert_eq!(read(&[wrong]), None, "{wrong}");
        }
        assert_eq!(read(&[good, good]), None);
        assert_eq!(read(&[]), None);
    }
}
