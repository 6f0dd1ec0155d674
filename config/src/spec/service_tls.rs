//! How TLS towards a service is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Files, KeyExchange, List, Slot, TlsVersion, Written, notation::Text, scalar::Flag};
use crate::model::SpiffePattern;

/// How a service's endpoints are reached over TLS. Paths are relative to the file they stand in; the files are watched.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `mode` and `ca`"
)]
pub(crate) struct ServiceTls {
    /// Whether a certificate is shown to the endpoints.
    #[schemars(extend("default" = "simple"))]
    pub(crate) mode: Slot<ServiceTlsMode>,
    /// Files, PEM: the authorities one of which has signed for the endpoints. With `identity` and `mode: mutual` it may be
    /// left out, as may `cert` and `key`: then the mesh's root is believed and the identity shown.
    pub(crate) ca: Slot<Files>,
    /// File, PEM, with `mode: mutual`: the certificate shown, then those that lead to its root.
    pub(crate) cert: Slot<Written<Text>>,
    /// File, PEM, with `mode: mutual`: its private key.
    pub(crate) key: Slot<Written<Text>>,
    /// The name asked for (SNI), and expected of the endpoints unless `verify` says otherwise. By default the host of
    /// the endpoint's address, as it is written.
    pub(crate) server_name: Slot<Written<Text>>,
    /// Whom the endpoints' certificates are for, in place of `serverName`: one of all these is enough.
    pub(crate) verify: Slot<Verify>,
    /// Take any certificate. Whoever gets between can then read and change everything.
    #[schemars(extend("default" = false))]
    pub(crate) insecure_skip_verify: Slot<Flag>,
    /// The oldest version spoken.
    #[schemars(extend("default" = "1.2"))]
    pub(crate) min_version: Slot<TlsVersion>,
    /// Key exchange groups, best first.
    #[schemars(extend("default" = ["X25519MLKEM768", "X25519", "P-256", "P-384"]))]
    pub(crate) groups: Slot<List<KeyExchange, 1>>,
}

/// Whether a certificate is shown to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ServiceTlsMode {
    /// None.
    Simple,
    /// The one of `cert` and `key`, or the identity's.
    Mutual,
}

/// Whom certificates are for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `names` or `spiffe`"
)]
pub(crate) struct Verify {
    /// Hosts, of which a certificate covers one.
    pub(crate) names: Slot<List<Written<Text>, 1>>,
    /// SPIFFE IDs, of which a certificate has one; `*` stands for any characters within a segment, `/**` at the end for
    /// any segments.
    pub(crate) spiffe: Slot<List<Written<SpiffePattern>, 1>>,
}
