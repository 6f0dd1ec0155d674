//! Who is at the other end, as its certificate says. It was verified before anyone gets to see it.

use sluice_config::model::SpiffeId;

use crate::{certificate::Facts, material::sha256};

/// The peer of a connection that showed a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
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
        Ok(Self {
            facts,
            sha256: sha256(der),
        })
    }

    /// Its SPIFFE ID, `spiffe://trust-domain/path`: the one URI it names, if it is one (X509-SVID 2).
    #[must_use]
    pub fn spiffe(&self) -> Option<SpiffeId<'_>> {
        spiffe_id(&self.facts.uris)
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
/// nobody could tell which is meant.
pub(crate) fn spiffe_id(uris: &[String]) -> Option<SpiffeId<'_>> {
    let [uri] = uris else { return None };
    SpiffeId::parse(uri).ok()
}

#[cfg(test)]
mod tests {
    use super::spiffe_id;

    #[test]
    fn a_spiffe_id_is_the_one_uri_of_a_certificate() {
        let read = |uris: &[&str]| {
            let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
            spiffe_id(&uris).map(|id| id.as_str().to_owned())
        };
        let good = "spiffe://example.org/ns/default/sa/web";
        assert_eq!(read(&[good]).as_deref(), Some(good));
        assert_eq!(read(&["https://example.org/a"]), None);
        assert_eq!(read(&[good, good]), None);
        assert_eq!(read(&[]), None);
    }
}
