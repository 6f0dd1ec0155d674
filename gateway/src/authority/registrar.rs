//! Who gets which certificate.
//!
//! Owns the decision: a token that was not used names a workload, and so does the certificate of a client, which it may
//! have again and nothing else. Refuses the network: a wish comes in, and what becomes of it goes out.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use sluice_config::defaults::operations::CA_SERVER_LIFE;
use sluice_tls::{Peer, material::sha256};
use thiserror::Error;

use super::{
    Authority, AuthorityError, Issued, Pair, Token, Tokens, Workload, folder,
    message::{Granted, Wish},
    own_id, request,
    token::Grant,
};

/// An authority with what it needs to judge those who ask.
pub struct Registrar {
    authority: Authority,
    tokens: Tokens,
    /// What peers trust, as PEM; the first of them is what tokens carry the sum of.
    roots: String,
    /// That one, as PEM.
    root: String,
    root_sha256: [u8; 32],
    ttl_max: Duration,
}

/// Why a wish did not come true. In words for who asked, which tell nothing of others.
#[derive(Debug, Error)]
pub enum Refusal {
    /// It is malformed, or asks for what nobody gets.
    #[error("{0}")]
    Malformed(AuthorityError),
    /// There is neither a token nor a certificate.
    #[error("a join token is needed, or a certificate of this mesh to renew")]
    Nobody,
    /// The token is none of those that may be used.
    #[error("this join token is not known: it was used, it has expired, or another authority made it")]
    Token,
    /// The certificate that is shown may not be renewed.
    #[error("the certificate that was shown cannot be renewed: {0}")]
    Certificate(String),
    /// A fault of this side; it is told to the log alone.
    #[error("the authority cannot issue now")]
    Fault(AuthorityError),
}

/// How somebody was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By a join token.
    Token,
    /// By the certificate it had.
    Certificate,
}

impl Registrar {
    /// The authority in `folder`, which issues for at most `ttl_max`.
    ///
    /// # Errors
    /// When something is missing there, or malformed.
    pub fn open(folder: &Path, ttl_max: Duration) -> Result<Self, AuthorityError> {
        let roots = folder::roots(folder)?;
        let malformed = || AuthorityError::Malformed("the root is no certificate in PEM".to_owned());
        let (_, first) = x509_parser::pem::parse_x509_pem(roots.as_bytes()).map_err(|_| malformed())?;
        let end = roots.find(END).ok_or_else(malformed)? + END.len();
        Ok(Self {
            authority: Authority::open(folder)?,
            tokens: Tokens::of(folder)?,
            root: format!("{}\n", &roots[..end]),
            root_sha256: sha256(&first.contents),
            roots,
            ttl_max,
        })
    }

    /// What peers trust, as PEM.
    #[must_use]
    pub fn roots(&self) -> &str {
        &self.roots
    }

    /// Makes a join token.
    ///
    /// # Errors
    /// When nobody may have this ID or these names, or the token cannot be kept.
    pub fn invite(
        &self,
        spiffe: &str,
        dns: &[String],
        life: Duration,
        now: SystemTime,
    ) -> Result<Token, AuthorityError> {
        self.authority.admits(spiffe)?;
        for name in dns {
            super::dns_name(name)?;
        }
        self.tokens.make(spiffe, dns, &self.root_sha256, life, now)
    }

    /// The certificate by which workloads know the authority, with the root behind it: whoever has only its sum finds it
    /// there.
    ///
    /// # Errors
    /// When the intermediate is about to end, or the cryptography fails.
    pub fn own_pair(&self, now: SystemTime, rng: &mut fastrand::Rng) -> Result<Pair, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let own = Workload {
            spiffe: own_id(self.authority.trust_domain()),
            dns: Vec::new(),
            ttl: CA_SERVER_LIFE.min(self.authority.left(now)),
        };
        let issued = self.authority.sign(&key, &own, now, rng)?;
        Ok(Pair {
            certificate: issued.chain + &self.root,
            key: key.serialize_pem(),
        })
    }

    /// Grants a wish, of a client that has shown `peer`'s certificate if any. With it comes whose it is and how that was
    /// known.
    ///
    /// # Errors
    /// Why it is not granted; a token stays as it was.
    pub fn grant(
        &self,
        wish: &Wish,
        peer: Option<&Peer>,
        now: SystemTime,
        rng: &mut fastrand::Rng,
    ) -> Result<(Granted, Issued, Workload, Proof), Refusal> {
        let key = request::key_of(&wish.csr).map_err(Refusal::Malformed)?;
        let wished = wish.ttl_seconds.map_or(self.ttl_max, Duration::from_secs);
        let ttl = wished.min(self.ttl_max).min(self.authority.left(now));
        let workload = |spiffe: &str, dns: &[String]| Workload {
            spiffe: spiffe.to_owned(),
            dns: dns.to_vec(),
            ttl,
        };
        let (workload, proof) = match (&wish.token, peer) {
            (Some(secret), _) => {
                let found = self.tokens.find(secret, now).map_err(Refusal::Fault)?;
                let Grant { spiffe, dns, .. } = found.ok_or(Refusal::Token)?;
                (workload(&spiffe, &dns), Proof::Token)
            }
            (None, Some(peer)) => {
                let spiffe = self.renewable(peer, now)?;
                (workload(spiffe, peer.dns_names()), Proof::Certificate)
            }
            (None, None) => return Err(Refusal::Nobody),
        };
        let issued = self
            .authority
            .certify(&key, &workload, now, rng)
            .map_err(|error| match error {
                AuthorityError::Certificate(_) => Refusal::Fault(error),
                _ => Refusal::Malformed(error),
            })?;
        // Last, when nothing else can fail: of all who hold the token one alone comes past this.
        if let Some(secret) = &wish.token
            && !self.tokens.take(secret).map_err(Refusal::Fault)?
        {
            return Err(Refusal::Token);
        }
        let granted = Granted {
            certificate: issued.chain.clone(),
            root: self.roots.clone(),
        };
        Ok((granted, issued, workload, proof))
    }

    /// Whose certificate a client has shown. A session that was resumed may be older than its certificate.
    fn renewable<'p>(&self, peer: &'p Peer, now: SystemTime) -> Result<&'p str, Refusal> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if u64::try_from(peer.not_after()).unwrap_or_default() <= now {
            return Err(Refusal::Certificate("it has expired".to_owned()));
        }
        let spiffe = peer
            .spiffe()
            .ok_or_else(|| Refusal::Certificate("it names no SPIFFE ID".to_owned()))?
            .as_str();
        self.authority
            .admits(spiffe)
            .map_err(|error| Refusal::Certificate(error.to_string()))?;
        Ok(spiffe)
    }
}

impl Proof {
    /// As the log says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Certificate => "certificate",
        }
    }
}

/// How a certificate in PEM ends (RFC 7468).
const END: &str = "-----END CERTIFICATE-----";
