//! Secure transports: what a listener ends, and whom it lets in.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{identity::SpiffePattern, value::Place};

/// How a listener ends TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTls {
    /// At least one; the first is the default where no other fits the name a client asks for.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// Key exchange groups, best first.
    pub groups: Vec<KeyExchange>,
    /// Application protocols offered, best first (RFC 7301).
    pub alpn: Vec<ApplicationProtocol>,
    /// Refuse names that no certificate covers, instead of showing the first certificate.
    pub strict_sni: bool,
    /// Whether clients show certificates.
    pub client_auth: ClientAuth,
}

/// A certificate chain and its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFiles {
    /// PEM: the certificate itself, then those that lead to its root.
    pub cert: FilePath,
    /// PEM.
    pub key: FilePath,
}

/// A file the configuration names, and where it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilePath {
    /// Where it is; what is written is relative to the file it is written in.
    pub path: PathBuf,
    /// Where it is named.
    #[serde(skip)]
    pub place: Place,
}

/// One is the other if it is the same file: where it is named does not matter.
impl PartialEq for FilePath {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for FilePath {}

/// Versions of TLS that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V13,
}

/// How two sides agree on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyExchange {
    /// X25519 with ML-KEM-768 beside it, which a quantum computer does not break either; TLS 1.3 only.
    X25519MlKem768,
    /// RFC 7748.
    X25519,
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
}

/// What is spoken inside of TLS, as ALPN names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApplicationProtocol {
    /// HTTP/2.
    #[serde(rename = "h2")]
    Http2,
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
}

/// Whether clients show certificates, and which are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientAuth {
    /// What is asked of clients.
    pub mode: ClientAuthMode,
    /// PEM: the authorities that are believed.
    pub ca: Vec<FilePath>,
    /// PEM: lists of certificates that were revoked.
    pub crl: Vec<FilePath>,
    /// What backends are told of the certificate shown.
    pub forward: ForwardCertificate,
}

/// What `x-forwarded-client-cert` tells backends. What came in it from a peer that is no trusted proxy is never passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ForwardCertificate {
    /// What a trusted proxy told.
    #[default]
    None,
    /// The certificate shown here, alone.
    Set,
    /// What a trusted proxy told, then the certificate shown here.
    Append,
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientAuthMode {
    /// Nothing.
    #[default]
    None,
    /// A certificate may be shown; one that is shown must be good.
    Request,
    /// A good certificate.
    Require,
    /// Plaintext is served as well as TLS. With authorities, who speaks TLS must show a good certificate.
    Permissive,
}

/// How a service's endpoints are reached over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTls {
    /// PEM: the authorities that are believed. None only where nothing is verified.
    pub ca: Vec<FilePath>,
    /// What is shown to endpoints; `None` shows nothing.
    pub identity: Option<CertificateFiles>,
    /// The name asked for, and expected where neither of the next two says otherwise: a DNS name or an address. `None` is
    /// the host of the endpoint's address.
    pub server_name: Option<String>,
    /// Hosts, one of which a certificate covers: DNS names and addresses.
    pub names: Vec<String>,
    /// SPIFFE IDs, one of which a certificate has; with one of these, or one of `names`, it is good.
    pub spiffe: Vec<SpiffePattern>,
    /// Any certificate is good.
    pub unverified: bool,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// Key exchange groups, best first.
    pub groups: Vec<KeyExchange>,
}

impl ApplicationProtocol {
    /// As ALPN writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http2 => "h2",
            Self::Http1 => "http/1.1",
        }
    }
}

impl fmt::Display for ApplicationProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
