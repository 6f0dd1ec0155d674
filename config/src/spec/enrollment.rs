//! How the way to an identity is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Slot, Written, notation::Text};
use crate::{
    defaults::{IDENTITY_FOLDER, IDENTITY_TTL},
    model::{Address, Millis},
};

/// An identity of this process from an authority of its mesh (`sluice ca serve`): a short-lived certificate, fetched at
/// start and renewed at two thirds of its life. Listeners and services with `mode: mutual` that name no certificate show
/// it, and believe the mesh's root where they name no `ca`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `authority` and `token`"
)]
pub(crate) struct Enrollment {
    /// Where the authority is: its host and port.
    pub(crate) authority: Slot<Written<Address>>,
    /// File with a join token (`sluice ca token`), which is used once: for the first certificate, and after one that has
    /// expired. The file is read when it is needed and may be gone at other times.
    #[serde(default)]
    pub(crate) token: Slot<Written<Text>>,
    /// Folder in which the certificate with its key and the mesh's root are kept, so that a start needs no new token. It
    /// is made if it is not there.
    #[serde(default)]
    #[schemars(extend("default" = IDENTITY_FOLDER))]
    pub(crate) folder: Slot<Written<Text>>,
    /// For how long certificates are asked for: 5s to 24h. The authority may give less.
    #[serde(default)]
    #[schemars(extend("default" = IDENTITY_TTL.to_string()))]
    pub(crate) ttl: Slot<Written<Millis>>,
}
