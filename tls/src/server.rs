//! How a listener ends TLS: its certificates by name, its versions and groups, and whom it lets in.
//!
//! Owns the choice of a certificate, and what a ticket for resumption is bound to. Refuses files: it is made of
//! [`material`](crate::material).

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs as provider},
    server::{
        ClientHello, ResolvesServerCert, UnbufferedServerConnection, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};
use sluice_config::model::{ApplicationProtocol, KeyExchange, TlsVersion};
use thiserror::Error;

use crate::{
    certificate::Facts,
    material::{Authorities, Identity, Revocations, sum},
    verifier::ClientVerifier,
};

/// What a listener asks for.
#[derive(Debug)]
pub struct ServerSettings<'s> {
    /// Which listener: tickets of another are not taken (CVE-2025-23419).
    pub listener: &'s str,
    /// At least one; the first is the default.
    pub certificates: Vec<Arc<Identity>>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// Best first.
    pub groups: &'s [KeyExchange],
    /// Best first.
    pub alpn: &'s [ApplicationProtocol],
    /// Refuse names that no certificate covers.
    pub strict_sni: bool,
    /// Whether clients show certificates.
    pub clients: Clients,
}

/// Whether clients show certificates.
#[derive(Debug)]
pub enum Clients {
    /// They are not asked.
    Unasked,
    /// They are asked, and what they show must be good.
    Verified {
        /// Who is believed.
        authorities: Vec<Arc<Authorities>>,
        /// Who is not any more. Once there are any, each authority of a chain needs one that is not out of date: a
        /// certificate whose standing is unknown is refused.
        revocations: Vec<Arc<Revocations>>,
        /// Whether they must show one.
        required: bool,
    },
}

/// Why there is no context: material that is good by itself does not go together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct WrongSettings(String);

impl WrongSettings {
    pub(crate) fn new(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// How one listener ends TLS, shared by all workers.
#[derive(Debug)]
pub struct ServerContext {
    config: ServerConfig,
    certificates: Arc<Certificates>,
    /// What tickets are bound to.
    policy: [u8; 32],
}

impl ServerContext {
    /// Tickets made by `before` go on working if the listener and its policy for clients are the same.
    ///
    /// # Errors
    /// What does not go together.
    pub fn new(settings: ServerSettings<'_>, before: Option<&Self>) -> Result<Self, WrongSettings> {
        let wrong = |error: &dyn std::fmt::Display| WrongSettings::new(error);
        let crypto = Arc::new(CryptoProvider {
            kx_groups: groups(settings.groups),
            ..provider::default_provider()
        });
        let policy = policy(settings.listener, &settings.clients);
        let ticketer = match before {
            Some(before) if before.policy == policy => Arc::clone(&before.config.ticketer),
            _ => provider::Ticketer::new().map_err(|error| wrong(&error))?,
        };
        let certificates = Arc::new(Certificates::new(settings.certificates, settings.strict_sni));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&crypto))
            .with_protocol_versions(versions(settings.min_version))
            .map_err(|error| wrong(&error))?
            .with_client_cert_verifier(verifier(&settings.clients, crypto)?)
            .with_cert_resolver(Arc::new(Chooser::new(&certificates)));
        config.alpn_protocols = settings
            .alpn
            .iter()
            .map(|protocol| protocol.as_str().as_bytes().to_vec())
            .collect();
        config.ticketer = ticketer;
        // Clients with HTTP/1.1 open several connections, yet a ticket is not used up by resuming.
        config.send_tls13_tickets = 1;
        Ok(Self {
            config,
            certificates,
            policy,
        })
    }

    /// As other adapters take it.
    pub(crate) fn shared(&self) -> ServerConfig {
        self.config.clone()
    }

    /// One more connection.
    pub(crate) fn accept(&self) -> Result<(UnbufferedServerConnection, Arc<Chooser>), rustls::Error> {
        let chooser = Arc::new(Chooser::new(&self.certificates));
        // A resolver of its own tells afterwards which certificate a connection got and for which name, which rustls does
        // not; a few pointers are copied for it.
        let mut config = self.config.clone();
        config.cert_resolver = Arc::<Chooser>::clone(&chooser);
        Ok((UnbufferedServerConnection::new(Arc::new(config))?, chooser))
    }
}

pub(crate) fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    match oldest {
        TlsVersion::V12 => &VERSIONS,
        TlsVersion::V13 => &VERSIONS[..1],
    }
}

pub(crate) fn groups(groups: &[KeyExchange]) -> Vec<&'static dyn SupportedKxGroup> {
    groups.iter().copied().map(group).collect()
}

fn group(group: KeyExchange) -> &'static dyn SupportedKxGroup {
    match group {
        KeyExchange::X25519MlKem768 => provider::kx_group::X25519MLKEM768,
        KeyExchange::X25519 => provider::kx_group::X25519,
        KeyExchange::P256 => provider::kx_group::SECP256R1,
        KeyExchange::P384 => provider::kx_group::SECP384R1,
    }
}

fn verifier(
    clients: &Clients,
    crypto: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, WrongSettings> {
    let Clients::Verified {
        authorities,
        revocations,
        required,
    } = clients
    else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in authorities.iter().flat_map(|file| &file.certificates) {
        roots
            .add(certificate.clone())
            .map_err(|error| WrongSettings(error.to_string()))?;
    }
    let lists = revocations.iter().flat_map(|file| file.lists.iter().cloned());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto)
        .with_crls(lists)
        .enforce_revocation_expiration();
    let builder = if *required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let verifier = builder
        .build()
        .map_err(|error| WrongSettings(error.to_string()))?;
    Ok(Arc::new(ClientVerifier(verifier)))
}

/// What must be the same for a ticket to be taken: the listener, and all that decides on its clients.
fn policy(listener: &str, clients: &Clients) -> [u8; 32] {
    let mut parts: Vec<&[u8]> = vec![listener.as_bytes()];
    match clients {
        Clients::Unasked => parts.push(b"unasked"),
        Clients::Verified {
            authorities,
            revocations,
            required,
        } => {
            parts.push(if *required { b"required" } else { b"asked" });
            parts.extend(authorities.iter().map(|file| file.sha256.as_slice()));
            parts.push(b"revoked");
            parts.extend(revocations.iter().map(|file| file.sha256.as_slice()));
        }
    }
    sum(parts.into_iter())
}

/// The certificates of a listener by the names they cover.
#[derive(Debug)]
pub(crate) struct Certificates {
    all: Vec<Arc<Identity>>,
    exact: HashMap<Box<str>, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Vec<usize>>,
    strict: bool,
}

impl Certificates {
    fn new(all: Vec<Arc<Identity>>, strict: bool) -> Self {
        let (mut exact, mut wildcard) = (
            HashMap::<Box<str>, Vec<usize>>::new(),
            HashMap::<Box<str>, Vec<usize>>::new(),
        );
        for (index, identity) in all.iter().enumerate() {
            for name in &identity.facts.dns {
                match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.into()).or_default().push(index),
                    None => exact.entry(name.as_str().into()).or_default().push(index),
                }
            }
        }
        Self {
            all,
            exact,
            wildcard,
            strict,
        }
    }

    /// Those for a name, best first: exact before wildcard before the first of all. `name` is in lower case.
    fn for_name(&self, name: Option<&str>) -> &[usize] {
        let Some(name) = name else { return self.default() };
        let parent = || name.split_once('.').map(|(_, parent)| parent);
        let named = self
            .exact
            .get(name)
            .or_else(|| parent().and_then(|parent| self.wildcard.get(parent)));
        match named {
            Some(named) => named,
            None if self.strict => &[],
            None => self.default(),
        }
    }

    fn default(&self) -> &[usize] {
        if self.all.is_empty() { &[] } else { &[0] }
    }
}

/// Chooses the certificate of one connection and remembers which.
#[derive(Debug)]
pub(crate) struct Chooser {
    certificates: Arc<Certificates>,
    choice: OnceLock<Choice>,
}

#[derive(Debug)]
struct Choice {
    /// The name the client asked for, in lower case.
    name: Option<Box<str>>,
    /// Which certificate it was shown; none if none was for its name.
    index: Option<usize>,
}

impl Chooser {
    fn new(certificates: &Arc<Certificates>) -> Self {
        Self {
            certificates: Arc::clone(certificates),
            choice: OnceLock::new(),
        }
    }

    /// The name the client asked for, in lower case.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.choice.get()?.name.as_deref()
    }

    /// Whether the client has said what it asks for.
    pub(crate) fn has_chosen(&self) -> bool {
        self.choice.get().is_some()
    }

    /// Whether the client asked for a name that no certificate is for.
    pub(crate) fn has_refused(&self) -> bool {
        self.choice.get().is_some_and(|choice| choice.index.is_none())
    }

    /// What the certificate that the client was shown says.
    pub(crate) fn shown(&self) -> Option<&Facts> {
        let index = self.choice.get()?.index?;
        Some(&self.certificates.all[index].facts)
    }

    /// Whether a request for `host` may come over this connection (RFC 9110 7.4, 15.5.20): with a name asked for, if the
    /// certificate shown covers the host; without one, as when an address was called, unless another certificate of the
    /// listener covers the host and the one shown does not. A certificate that names no host, as those of a mesh, says
    /// nothing about hosts.
    pub(crate) fn serves(&self, host: &str) -> bool {
        let Some(shown) = self.shown() else { return true };
        if !shown.names_hosts() || shown.covers(host) {
            return true;
        }
        let others = &self.certificates.all;
        self.server_name().is_none() && !others.iter().any(|other| other.facts.covers(host))
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        let those = self.certificates.for_name(name);
        let all = &self.certificates.all;
        // Of several for one name, RSA and ECDSA say, the first whose key the client can check.
        let checks = |index: &&usize| {
            all[**index]
                .key
                .key
                .choose_scheme(hello.signature_schemes())
                .is_some()
        };
        let index = those.iter().find(checks).or_else(|| those.first()).copied();
        self.choice.get_or_init(|| Choice {
            name: name.map(Into::into),
            index,
        });
        index.map(|index| Arc::clone(&all[index].key))
    }
}
