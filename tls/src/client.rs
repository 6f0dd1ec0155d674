//! How a backend is reached over TLS: who is believed, whom it must be, and as whom it is called.
//!
//! Owns the check of a backend's certificate. Refuses a default that checks nothing: only `unverified` does that.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, UnbufferedClientConnection,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
    sign::SingleCertAndKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sluice_config::model::{ApplicationProtocol, KeyExchange, SpiffePattern, TlsVersion};

use crate::{
    certificate::Facts,
    material::{Authorities, Identity, sha256},
    peer::spiffe_id,
    server::{WrongSettings, groups, versions},
    verifier::signing,
};

/// What a service asks for.
#[derive(Debug)]
pub struct ClientSettings<'s> {
    /// As whom it is called; no one if `None`.
    pub identity: Option<Arc<Identity>>,
    /// Whom its certificate must show.
    pub expected: Expected,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// Best first.
    pub groups: &'s [KeyExchange],
    /// Best first.
    pub alpn: &'s [ApplicationProtocol],
}

/// Whom a backend's certificate must show.
#[derive(Debug)]
pub enum Expected {
    /// Anyone's: nothing is checked but that it has the key.
    Unverified,
    /// The host it is called by.
    Host(Vec<Arc<Authorities>>),
    /// One of these.
    Any {
        /// Who is believed.
        authorities: Vec<Arc<Authorities>>,
        /// Hosts, of which it covers one: DNS names and addresses.
        names: Vec<String>,
        /// SPIFFE IDs, of which it has one.
        ids: Vec<SpiffePattern>,
    },
    /// Of a mesh whose root nobody has yet: the root comes in the chain, and is known by its sum.
    Pinned {
        /// SHA-256 of the root in DER.
        root: [u8; 32],
        /// The SPIFFE ID: one of these that is of the root's own trust domain.
        ids: Vec<SpiffePattern>,
    },
}

/// How one service is reached over TLS, shared by all workers; with it the sessions that may be resumed.
pub struct ClientContext {
    config: Arc<ClientConfig>,
}

impl ClientContext {
    /// # Errors
    /// What does not go together.
    pub fn new(settings: ClientSettings<'_>) -> Result<Self, WrongSettings> {
        let wrong = |error: &dyn fmt::Display| WrongSettings::new(error);
        let crypto = Arc::new(CryptoProvider {
            kx_groups: groups(settings.groups),
            ..provider::default_provider()
        });
        let verifier = Verifier::new(settings.expected, Arc::clone(&crypto))?;
        let builder = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(versions(settings.min_version))
            .map_err(|error| wrong(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match settings.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))))
            }
        };
        config.alpn_protocols = settings
            .alpn
            .iter()
            .map(|protocol| protocol.as_str().as_bytes().to_vec())
            .collect();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_KEPT);
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// One more connection, to the backend of this name.
    pub(crate) fn connect(&self, name: ServerName<'static>) -> Result<UnbufferedClientConnection, Error> {
        UnbufferedClientConnection::new(Arc::clone(&self.config), name)
    }

    /// As other adapters take it.
    pub(crate) fn shared(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for ClientContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientContext").finish_non_exhaustive()
    }
}

/// Checks what a backend shows.
#[derive(Debug)]
struct Verifier {
    crypto: Arc<CryptoProvider>,
    roots: RootCertStore,
    expected: Expected,
}

impl Verifier {
    fn new(mut expected: Expected, crypto: Arc<CryptoProvider>) -> Result<Self, WrongSettings> {
        let authorities = match &mut expected {
            Expected::Unverified | Expected::Pinned { .. } => Vec::new(),
            Expected::Host(authorities) | Expected::Any { authorities, .. } => std::mem::take(authorities),
        };
        let mut roots = RootCertStore::empty();
        for certificate in authorities.iter().flat_map(|file| &file.certificates) {
            roots
                .add(certificate.clone())
                .map_err(|error| WrongSettings::new(&error))?;
        }
        Ok(Self {
            crypto,
            roots,
            expected,
        })
    }

    /// Whether the certificate, whose chain is good, is that of one who is expected.
    fn is_expected(&self, certificate: &CertificateDer<'_>, called: &ServerName<'_>) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let (names, ids) = match &self.expected {
            Expected::Unverified => return Ok(()),
            Expected::Host(_) => return verify_server_name(&parsed, called),
            Expected::Any { names, ids, .. } => (names.as_slice(), ids),
            Expected::Pinned { ids, .. } => (&[][..], ids),
        };
        let covers = |name: &String| {
            ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        };
        if names.iter().any(covers) {
            return Ok(());
        }
        let facts = Facts::read(certificate).map_err(Error::General)?;
        if spiffe_id(&facts.uris).is_some_and(|id| ids.iter().any(|pattern| pattern.matches(id))) {
            return Ok(());
        }
        Err(CertificateError::NotValidForName.into())
    }

    /// The one root that a pinned chain may lead to, if it came with the chain; `shown` has to be of its trust domain.
    fn pinned(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        let Expected::Pinned { root: pin, .. } = &self.expected else {
            return Ok(roots);
        };
        let root = chain.iter().find(|certificate| sha256(certificate) == *pin);
        let root = root.ok_or(CertificateError::UnknownIssuer)?;
        let domain = |certificate: &CertificateDer<'_>| {
            let facts = Facts::read(certificate).ok()?;
            Some(spiffe_id(&facts.uris)?.trust_domain().to_owned())
        };
        if domain(root).is_none() || domain(root) != domain(shown) {
            return Err(CertificateError::NotValidForName.into());
        }
        roots.add(root.clone().into_owned())?;
        Ok(roots)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !matches!(self.expected, Expected::Unverified) {
            let algorithms = self.crypto.signature_verification_algorithms.all;
            let parsed = ParsedCertificate::try_from(end_entity)?;
            let signing = signing(intermediates);
            let pinned = self.pinned(end_entity, intermediates)?;
            let roots = if pinned.is_empty() { &self.roots } else { &pinned };
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, &signing, now, algorithms)?;
            self.is_expected(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto.signature_verification_algorithms.supported_schemes()
    }
}

/// Sessions kept for resumption: a few for each of the endpoints that a service usually has.
const SESSIONS_KEPT: usize = 256;
