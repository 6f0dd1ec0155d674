//! The certificate authority of a mesh that has no other: a root, an intermediate below it, and short-lived pairs for
//! workloads, each with its SPIFFE ID.
//!
//! Owns what such certificates say, how the material lies in a folder, and who gets one over the network: the holder of a
//! one-time join token, or of a certificate that is to be renewed. Refuses to hold the root's key while it issues: that is
//! needed to make intermediates only, and may be kept elsewhere. Takes the time from its caller.
//!
//! The trust domain is kept by what is issued, not by name constraints: rustls-webpki permits no URI at all below a
//! certificate that constrains URIs, whatever the constraint.

mod folder;
pub mod message;
mod registrar;
mod request;
mod server;
mod token;

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use sluice_config::{
    defaults::operations::{
        CA_BACKDATED, CA_BACKDATED_PART, CA_INTERMEDIATE_LIFE, CA_ROOT_LIFE, CA_TTL_MAX, CA_TTL_MIN,
    },
    model::{HostPattern, SpiffeId},
};
use thiserror::Error;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

pub use folder::{Pair, replace, write_pair};
pub use registrar::{Refusal, Registrar};
pub use request::{key_of, key_of_der, sign_request};
pub use server::Server;
pub use token::{Token, Tokens};

/// An intermediate that issues for one trust domain.
pub struct Authority {
    trust_domain: String,
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, which every chain ends with.
    certificate: String,
    ends: SystemTime,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// It and the intermediate, as PEM.
    pub chain: String,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// Until when it is good.
    pub until: SystemTime,
}

/// Everything a new authority consists of, as PEM.
pub struct Material {
    /// What peers trust.
    pub root: Pair,
    /// What issues.
    pub intermediate: Pair,
}

/// For whom a certificate is.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its SPIFFE ID.
    pub spiffe: String,
    /// Names under which clients that know no SPIFFE reach it.
    pub dns: Vec<String>,
    /// How long the certificate is good, from now on.
    pub ttl: Duration,
}

/// Why there is no authority, or no certificate.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// Not a trust domain or SPIFFE ID.
    #[error("{0:?}: {1}")]
    Spiffe(String, String),
    /// Of another trust domain.
    #[error("{id} is of another trust domain: this authority issues for {trust_domain}")]
    OtherTrustDomain {
        /// What was asked for.
        id: String,
        /// What can be had.
        trust_domain: String,
    },
    /// The authority's own ID.
    #[error("{0} is the authority's own ID: whoever had it would be taken for the authority")]
    Reserved(String),
    /// Not a DNS name.
    #[error("{0:?} is no DNS name: {1}")]
    Dns(String, String),
    /// Too long or too short.
    #[error("a workload's certificate is good for {} seconds to {} days", CA_TTL_MIN.as_secs(), CA_TTL_MAX.as_secs() / DAY_SECONDS)]
    Ttl,
    /// It would outlive the intermediate.
    #[error("the intermediate certificate ends before that, in {0} seconds")]
    Outlives(u64),
    /// A file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Something is in the place of a new authority.
    #[error("{0} is there already and not empty: an authority is never overwritten")]
    Exists(String),
    /// A request to sign a key that is none, or does not prove that its sender has the key.
    #[error("this is no request to sign a key: {0}")]
    Request(&'static str),
    /// A join token that is none.
    #[error("this is no join token: {0}")]
    Token(&'static str),
    /// The system gives none.
    #[error("the system gives no randomness")]
    Unguessable,
    /// What rustls says of the authority's own certificate.
    #[error("{0}")]
    Server(String),
    /// A file that does not hold what it should.
    #[error("{0}")]
    Malformed(String),
    /// The cryptography failed.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

impl Material {
    /// Makes the root and the intermediate of a trust domain.
    ///
    /// # Errors
    /// When `trust_domain` is none (SPIFFE-ID 2.1), or the cryptography fails.
    pub fn new(trust_domain: &str, now: SystemTime) -> Result<Self, AuthorityError> {
        let id = format!("spiffe://{trust_domain}");
        let of = spiffe_id(&id)?;
        if of.trust_domain() != trust_domain {
            let reason = "a trust domain has no path".to_owned();
            return Err(AuthorityError::Spiffe(trust_domain.to_owned(), reason));
        }
        let certificate = |role: &str, path: BasicConstraints, life: Duration| -> Result<_, AuthorityError> {
            let mut params = params(&id, trust_domain, now, now + life)?;
            params
                .distinguished_name
                .push(DnType::CommonName, format!("Sluice {role}"));
            params.is_ca = IsCa::Ca(path);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            Ok((params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
        };
        let (root_params, root_key) = certificate("root", BasicConstraints::Constrained(1), CA_ROOT_LIFE)?;
        let root = root_params.self_signed(&root_key)?;
        let root_key_pem = root_key.serialize_pem();
        let root_issuer = Issuer::new(root_params, root_key);
        let (mut params, key) = certificate(
            "intermediate",
            BasicConstraints::Constrained(0),
            CA_INTERMEDIATE_LIFE,
        )?;
        params.use_authority_key_identifier_extension = true;
        let intermediate = params.signed_by(&key, &root_issuer)?;
        Ok(Self {
            root: Pair {
                certificate: root.pem(),
                key: root_key_pem,
            },
            intermediate: Pair {
                certificate: intermediate.pem(),
                key: key.serialize_pem(),
            },
        })
    }

    /// Writes it to `folder`, which is made if it is not there: the folder for its owner alone, and so the keys.
    ///
    /// # Errors
    /// When the folder holds anything, or cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), AuthorityError> {
        folder::write(folder, self)
    }
}

impl Authority {
    /// Opens what [`Material::write`] has written. The root's key need not be there.
    ///
    /// # Errors
    /// When the intermediate is missing, malformed, or of no trust domain.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let intermediate = folder::intermediate(folder)?;
        Self::new(&intermediate)
    }

    /// Issues by an intermediate.
    ///
    /// # Errors
    /// When it is malformed, or of no trust domain.
    pub fn new(intermediate: &Pair) -> Result<Self, AuthorityError> {
        let malformed =
            |what: &str| AuthorityError::Malformed(format!("the intermediate certificate {what}"));
        let (_, pem) = x509_parser::pem::parse_x509_pem(intermediate.certificate.as_bytes())
            .map_err(|_| malformed("is no PEM"))?;
        let (_, certificate) =
            X509Certificate::from_der(&pem.contents).map_err(|_| malformed("is no certificate"))?;
        let key = KeyPair::from_pem(&intermediate.key)?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err(malformed("belongs to another key"));
        }
        let names = certificate.subject_alternative_name().ok().flatten();
        let trust_domain = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .find_map(|name| match name {
                GeneralName::URI(id) => SpiffeId::parse(id).ok(),
                _ => None,
            })
            .ok_or_else(|| malformed("names no trust domain"))?
            .trust_domain()
            .to_owned();
        let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
        Ok(Self {
            trust_domain,
            issuer: Issuer::from_ca_cert_pem(&intermediate.certificate, key)?,
            certificate: intermediate.certificate.clone(),
            ends: UNIX_EPOCH + Duration::from_secs(seconds),
        })
    }

    /// Whose IDs it issues.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Makes a key and a chain for it: the workload's certificate, then the intermediate.
    ///
    /// # Errors
    /// When the authority must not issue it, or the cryptography fails.
    pub fn issue(
        &self,
        workload: &Workload,
        now: SystemTime,
        rng: &mut fastrand::Rng,
    ) -> Result<Pair, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok(Pair {
            certificate: self.certify(&key, workload, now, rng)?.chain,
            key: key.serialize_pem(),
        })
    }

    /// Makes a chain for a key that the workload keeps to itself.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn certify(
        &self,
        key: &impl PublicKeyData,
        workload: &Workload,
        now: SystemTime,
        rng: &mut fastrand::Rng,
    ) -> Result<Issued, AuthorityError> {
        self.admits(&workload.spiffe)?;
        self.sign(key, workload, now, rng)
    }

    /// Whether a workload may have this ID: one of the trust domain, and not the authority's own.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, spiffe: &str) -> Result<(), AuthorityError> {
        let id = spiffe_id(spiffe)?;
        if id.trust_domain() != self.trust_domain {
            return Err(AuthorityError::OtherTrustDomain {
                id: spiffe.to_owned(),
                trust_domain: self.trust_domain.clone(),
            });
        }
        if spiffe.len() == "spiffe://".len() + self.trust_domain.len() {
            let reason = "a workload's ID has a path: without one it is the trust domain's own".to_owned();
            return Err(AuthorityError::Spiffe(spiffe.to_owned(), reason));
        }
        if spiffe == own_id(&self.trust_domain) {
            return Err(AuthorityError::Reserved(spiffe.to_owned()));
        }
        Ok(())
    }

    /// How long its own certificate still holds.
    fn left(&self, now: SystemTime) -> Duration {
        self.ends.duration_since(now).unwrap_or_default()
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        workload: &Workload,
        now: SystemTime,
        rng: &mut fastrand::Rng,
    ) -> Result<Issued, AuthorityError> {
        if !(CA_TTL_MIN..=CA_TTL_MAX).contains(&workload.ttl) {
            return Err(AuthorityError::Ttl);
        }
        let until = now + workload.ttl;
        if until > self.ends {
            return Err(AuthorityError::Outlives(self.left(now).as_secs()));
        }
        let mut params = params(&workload.spiffe, &self.trust_domain, now, until)?;
        for name in &workload.dns {
            params
                .subject_alt_names
                .push(SanType::DnsName(dns_name(name)?.as_str().try_into()?));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        // Positive, and of 16 bytes (RFC 5280 4.1.2.2): by the key alone a renewal for the same key would be no other.
        let serial = rng.u128(1 << 120..=u128::MAX >> 1);
        let hexadecimal = format!("{serial:032x}");
        params.serial_number = Some(SerialNumber::from_slice(&serial.to_be_bytes()));
        let leaf = params.signed_by(key, &self.issuer)?;
        Ok(Issued {
            chain: leaf.pem() + &self.certificate,
            serial: hexadecimal,
            until,
        })
    }
}

/// The ID by which workloads know the authority of a trust domain when they call it.
#[must_use]
pub fn own_id(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}/sluice/authority")
}

/// What every certificate says: whose it is, and when.
fn params(
    id: &str,
    trust_domain: &str,
    now: SystemTime,
    until: SystemTime,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, trust_domain);
    params.subject_alt_names = vec![SanType::URI(id.try_into()?)];
    let life = until.duration_since(now).unwrap_or_default();
    params.not_before = (now - CA_BACKDATED.min(life / CA_BACKDATED_PART)).into();
    params.not_after = until.into();
    Ok(params)
}

fn spiffe_id(text: &str) -> Result<SpiffeId<'_>, AuthorityError> {
    SpiffeId::parse(text).map_err(|invalid| {
        let better = invalid
            .suggestion
            .map(|better| format!(" (did you mean {better:?}?)"))
            .unwrap_or_default();
        AuthorityError::Spiffe(text.to_owned(), invalid.reason + &better)
    })
}

/// A host name or a wildcard, in lower case.
fn dns_name(text: &str) -> Result<String, AuthorityError> {
    let wrong = |reason: String| AuthorityError::Dns(text.to_owned(), reason);
    let name = HostPattern::parse(text)
        .map_err(|invalid| wrong(invalid.reason))?
        .to_string();
    let is_address = name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
    if is_address {
        return Err(wrong("an address is no name".to_owned()));
    }
    Ok(name)
}

const DAY_SECONDS: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests;
