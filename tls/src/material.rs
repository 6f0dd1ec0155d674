//! Certificates, keys, authorities and lists of revoked certificates, out of PEM.
//!
//! Owns what makes such a file good or bad, in words that name the file and the cause. Refuses to read files and the
//! time: bytes and `now` come in.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::fill,
};
use rustls::{RootCertStore, crypto::aws_lc_rs::default_provider, sign::CertifiedKey};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject as _},
};
use sluice_config::model::SpiffeId;
use thiserror::Error;

use crate::{
    certificate::{Facts, next_update},
    peer::spiffe_id,
};

/// A file as it was read.
#[derive(Debug, Clone, Copy)]
pub struct File<'f> {
    /// What to call it in errors: its path.
    pub name: &'f str,
    /// What it holds.
    pub bytes: &'f [u8],
}

/// A certificate chain with its key.
#[derive(Debug)]
pub struct Identity {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) facts: Facts,
}

/// Authorities that are believed.
#[derive(Debug)]
pub struct Authorities {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) sha256: [u8; 32],
}

/// Lists of revoked certificates.
#[derive(Debug)]
pub struct Revocations {
    pub(crate) lists: Vec<CertificateRevocationListDer<'static>>,
    pub(crate) sha256: [u8; 32],
    next_update: Option<i64>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}: {cause}")]
pub struct Bad {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub cause: String,
}

impl Identity {
    /// Reads a chain and its key, and checks that they belong together and hold at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// Which of both is bad, and why.
    pub fn read(cert: File<'_>, key: File<'_>, now: i64) -> Result<Self, Bad> {
        let chain = certificates(cert)?;
        let facts = Facts::read(&chain[0]).map_err(|error| {
            bad(
                cert,
                format_args!("the first certificate cannot be read: {error}"),
            )
        })?;
        let secret = PrivateKeyDer::from_pem_slice(key.bytes)
            .map_err(|error| bad(key, words(&error, "private key")))?;
        let signing = default_provider()
            .key_provider
            .load_private_key(secret)
            .map_err(|_| {
                bad(
                    key,
                    "not a private key of a kind that is known: RSA, P-256, P-384, P-521 or Ed25519",
                )
            })?;
        let certified = CertifiedKey::new(chain, signing);
        if certified.keys_match().is_err() {
            return Err(bad(
                key,
                format_args!("does not match the certificate in {}", cert.name),
            ));
        }
        if facts.not_after <= now {
            return Err(bad(
                cert,
                format_args!("expired {} ago", Span(now - facts.not_after)),
            ));
        }
        Ok(Self {
            key: Arc::new(certified),
            facts,
        })
    }

    /// From when on it holds, in seconds since 1970.
    #[must_use]
    pub const fn not_before(&self) -> i64 {
        self.facts.not_before
    }

    /// Until when it holds, in seconds since 1970.
    #[must_use]
    pub const fn not_after(&self) -> i64 {
        self.facts.not_after
    }

    /// Its SPIFFE ID, as [`Peer::spiffe`](crate::Peer::spiffe) is a peer's.
    #[must_use]
    pub fn spiffe(&self) -> Option<SpiffeId<'_>> {
        spiffe_id(&self.facts.uris)
    }
}

impl Authorities {
    /// Reads authorities; those that have expired at `now` are kept out by verification, and a file of nothing else is bad.
    ///
    /// # Errors
    /// Why the file is bad.
    pub fn read(file: File<'_>, now: i64) -> Result<Self, Bad> {
        let certificates = certificates(file)?;
        let mut store = RootCertStore::empty();
        let mut holds = false;
        for (index, certificate) in certificates.iter().enumerate() {
            let number = index + 1;
            let facts = Facts::read(certificate)
                .map_err(|error| bad(file, format_args!("certificate {number} cannot be read: {error}")))?;
            store.add(certificate.clone()).map_err(|error| {
                bad(
                    file,
                    format_args!("certificate {number} is no authority: {error}"),
                )
            })?;
            holds |= facts.not_after > now;
        }
        if !holds {
            return Err(bad(file, "every certificate in it has expired"));
        }
        Ok(Self {
            sha256: sum(certificates.iter().map(|certificate| certificate.as_ref())),
            certificates,
        })
    }

    /// Whether the certificate in DER with this [`sha256`] is one of them.
    #[must_use]
    pub fn holds(&self, sum: &[u8; 32]) -> bool {
        self.certificates
            .iter()
            .any(|certificate| sha256(certificate) == *sum)
    }
}

impl Revocations {
    /// Reads lists of revoked certificates.
    ///
    /// # Errors
    /// Why the file is bad.
    pub fn read(file: File<'_>) -> Result<Self, Bad> {
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(file.bytes).collect();
        let lists = lists.map_err(|error| bad(file, words(&error, "list of revoked certificates")))?;
        if lists.is_empty() {
            return Err(bad(
                file,
                words(&PemError::NoItemsFound, "list of revoked certificates"),
            ));
        }
        let mut soonest = None;
        for (index, list) in lists.iter().enumerate() {
            let next = next_update(list)
                .map_err(|error| bad(file, format_args!("list {} cannot be read: {error}", index + 1)))?;
            soonest = [soonest, next].into_iter().flatten().min();
        }
        Ok(Self {
            sha256: sum(lists.iter().map(|list| list.as_ref())),
            lists,
            next_update: soonest,
        })
    }

    /// When the first of its lists must have been replaced, in seconds since 1970, if any says.
    #[must_use]
    pub const fn next_update(&self) -> Option<i64> {
        self.next_update
    }
}

fn certificates(file: File<'_>) -> Result<Vec<CertificateDer<'static>>, Bad> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file.bytes).collect();
    let chain = chain.map_err(|error| bad(file, words(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(bad(file, words(&PemError::NoItemsFound, "certificate")));
    }
    Ok(chain)
}

/// In words that show nothing of the file: it may be a key.
fn words(error: &PemError, what: &str) -> String {
    match error {
        PemError::NoItemsFound => format!("holds no {what} in PEM"),
        PemError::MissingSectionEnd { .. } => format!("ends in the middle of a {what}"),
        PemError::IllegalSectionStart { .. } => "a line that begins a section is malformed".to_owned(),
        PemError::Base64Decode(_) => "holds what is no base64".to_owned(),
        _ => "cannot be read as PEM".to_owned(),
    }
}

fn bad(file: File<'_>, cause: impl fmt::Display) -> Bad {
    Bad {
        file: file.name.to_owned(),
        cause: cause.to_string(),
    }
}

/// SHA-256 of `bytes`: of a certificate in DER it is what tools call its fingerprint.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

/// Bytes that nobody can guess.
///
/// # Errors
/// When the system has no randomness.
pub fn random() -> Result<[u8; 32], Unguessable> {
    let mut bytes = [0; 32];
    fill(&mut bytes).map_err(|_| Unguessable)?;
    Ok(bytes)
}

/// The system gives no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gives no randomness")]
pub struct Unguessable;

/// What tells one file's content from another's, made of SHA-256.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    sum(std::iter::once(bytes))
}

pub(crate) fn sum<'d>(parts: impl Iterator<Item = &'d [u8]>) -> [u8; 32] {
    // Each by its own sum, so that no two lists of parts look alike when joined.
    let all: Vec<u8> = parts.flat_map(sha256).collect();
    sha256(&all)
}

/// Seconds, as people say them.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ ..120 => write!(f, "{seconds} s"),
            seconds @ ..7200 => write!(f, "{} minutes", seconds / 60),
            seconds @ ..172_800 => write!(f, "{} hours", seconds / 3600),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}
