//! What a certificate says: whom it names and until when it holds (RFC 5280).
//!
//! Owns the reading of X.509 for what this gateway asks of it. Refuses to judge a chain: that is the verifier's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _,
    revocation_list::CertificateRevocationList,
};

/// What one certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The subject's distinguished name as text (RFC 4514, first to last); often empty.
    pub(crate) subject: String,
    /// Hosts and wildcards it names, in lower case.
    pub(crate) dns: Vec<String>,
    /// Addresses it names.
    pub(crate) addresses: Vec<IpAddr>,
    /// URIs it names.
    pub(crate) uris: Vec<String>,
    /// From when on it holds, in seconds since 1970.
    pub(crate) not_before: i64,
    /// Until when it holds, in seconds since 1970.
    pub(crate) not_after: i64,
}

impl Facts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// In words, when it is none.
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let mut facts = Self {
            subject: certificate.subject().to_string(),
            dns: Vec::new(),
            addresses: Vec::new(),
            uris: Vec::new(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        };
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| error.to_string())?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => facts.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(uri) => facts.uris.push((*uri).to_owned()),
                GeneralName::IPAddress(octets) => facts.addresses.extend(address(octets)),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Whether it names any host.
    pub(crate) fn names_hosts(&self) -> bool {
        !self.dns.is_empty() || !self.addresses.is_empty()
    }

    /// Whether it names this host; a wildcard stands for one label (RFC 6125 6.4.3). `host` has no port; an IPv6 address
    /// may have its brackets.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        self.dns.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}

/// Whether the key of an authority may sign certificates: not if its key usage says what it is for, and not that (RFC 5280
/// 4.2.1.3). What cannot be read may not.
pub(crate) fn may_sign_certificates(der: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    match certificate.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
        Err(_) => false,
    }
}

/// Until when a list of revoked certificates holds, in seconds since 1970, if it says.
///
/// # Errors
/// In words, when it is none.
pub(crate) fn next_update(der: &[u8]) -> Result<Option<i64>, String> {
    let (_, list) = CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
    Ok(list.next_update().map(|time| time.timestamp()))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    let sixteen = <[u8; 16]>::try_from(octets).ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(sixteen)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(names: &[&str]) -> Facts {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        Facts::read(made.der()).unwrap()
    }

    #[test]
    fn hosts_are_covered_by_name_and_wildcards_by_one_label() {
        let facts = facts(&["a.example", "*.b.example", "10.0.0.1", "::1"]);
        for host in ["a.example", "A.Example.", "x.b.example", "10.0.0.1", "[::1]"] {
            assert!(facts.covers(host), "{host}");
        }
        for host in [
            "b.example",
            "x.y.b.example",
            ".b.example",
            "x.a.example",
            "10.0.0.2",
            "",
        ] {
            assert!(!facts.covers(host), "{host}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_said_to_be_none() {
        assert!(Facts::read(b"").is_err());
        assert!(Facts::read(&[0x30, 0x03, 1, 2, 3]).is_err());
        assert!(next_update(b"x").is_err());
    }
}
