//! How the end of TLS is written.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::{List, Slot, Written, notation::Text, scalar::Flag};

/// How a listener ends TLS. Paths are relative to the file they stand in; the files are watched, and a change is live for
/// new connections within a second.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `certificates`"
)]
pub(crate) struct ListenerTls {
    /// Chosen by the name a client asks for: exact, then wildcard, then the first. With `identity` it may be left out:
    /// then that one is shown.
    #[serde(default)]
    pub(crate) certificates: Slot<List<CertificateFiles, 1>>,
    /// The oldest version spoken.
    #[schemars(extend("default" = "1.2"))]
    #[serde(default)]
    pub(crate) min_version: Slot<TlsVersion>,
    /// Key exchange groups, best first.
    #[schemars(extend("default" = ["X25519MLKEM768", "X25519", "P-256", "P-384"]))]
    #[serde(default)]
    pub(crate) groups: Slot<List<KeyExchange, 1>>,
    /// Application protocols offered, best first.
    #[schemars(extend("default" = ["http/1.1"]))]
    #[serde(default)]
    pub(crate) alpn: Slot<List<ApplicationProtocol, 1>>,
    /// Refuse names that no certificate covers, instead of showing the first certificate.
    #[schemars(extend("default" = false))]
    #[serde(default)]
    pub(crate) strict_sni: Slot<Flag>,
    /// Whether clients show certificates.
    #[serde(default)]
    pub(crate) client_auth: Slot<ClientAuth>,
}

/// A certificate chain and its private key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `cert` and `key`"
)]
pub(crate) struct CertificateFiles {
    /// File, PEM: the certificate itself, then those that lead to its root.
    pub(crate) cert: Slot<Written<Text>>,
    /// File, PEM: its private key.
    pub(crate) key: Slot<Written<Text>>,
}

/// Whether clients show certificates, and which are believed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `mode` and `ca`"
)]
pub(crate) struct ClientAuth {
    /// What is asked of clients.
    #[schemars(extend("default" = "none"))]
    pub(crate) mode: Slot<ClientAuthMode>,
    /// Files, PEM: the authorities that are believed. With `identity` it may be left out: then the mesh's root is.
    pub(crate) ca: Slot<Files>,
    /// Files, PEM: lists of revoked certificates. Once there is one, each authority of a client's chain needs one that is
    /// not out of date.
    pub(crate) crl: Slot<Files>,
    /// What `x-forwarded-client-cert` tells backends. What came in it is dropped, unless from `trustedProxies`.
    #[schemars(extend("default" = "none"))]
    pub(crate) forward: Slot<ForwardCertificate>,
}

/// What backends are told of the certificate that a client has shown.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ForwardCertificate {
    /// Nothing beside what a trusted proxy told.
    None,
    /// Its hash, subject, SPIFFE ID and DNS names, and nothing else.
    Set,
    /// The same, behind what a trusted proxy told.
    Append,
}

/// Versions of TLS that are spoken.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

/// How two sides agree on a key.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum KeyExchange {
    /// With ML-KEM beside it, for what must stay secret when quantum computers are there; TLS 1.3 only.
    #[serde(rename = "X25519MLKEM768")]
    X25519MlKem768,
    #[serde(rename = "X25519")]
    X25519,
    #[serde(rename = "P-256")]
    P256,
    #[serde(rename = "P-384")]
    P384,
}

/// What is spoken inside of TLS.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum ApplicationProtocol {
    #[serde(rename = "h2")]
    Http2,
    #[serde(rename = "http/1.1")]
    Http1,
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ClientAuthMode {
    /// Nothing.
    None,
    /// A certificate may be shown; one that is shown must be good.
    Request,
    /// A good certificate.
    Require,
    /// Plaintext is served as well as TLS, and counted by where it comes from. With `ca` or `identity`, who speaks TLS
    /// must show a good certificate.
    Permissive,
}

/// One file, or a list of them.
#[derive(Debug)]
pub(crate) enum Files {
    One(Text),
    Several(List<Written<Text>, 1>),
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilesVisitor)
    }
}

struct FilesVisitor;

impl<'de> Visitor<'de> for FilesVisitor {
    type Value = Files;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file or a list of files")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Files, E> {
        Ok(Files::One(Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Files, A::Error> {
        List::deserialize(SeqAccessDeserializer::new(items)).map(Files::Several)
    }
}

impl JsonSchema for Files {
    fn schema_name() -> Cow<'static, str> {
        "Files".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Written<Text>>();
        let several = generator.subschema_for::<List<Written<Text>, 1>>();
        json_schema!({ "anyOf": [one, several] })
    }
}
