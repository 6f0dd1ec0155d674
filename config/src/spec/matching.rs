//! How a rule's matches are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Grpc, Peer, Slot, Table, Written,
    notation::{Method, Text},
    path::Path,
    scalar::Flag,
};
use crate::model::{HeaderName, Pattern};

/// One alternative of a rule: every part written must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a match, a map of `path`, `grpc`, `method`, `headers`, `query`, `peer`"
)]
pub(crate) struct Match {
    /// The path in its normal form, without the query.
    pub(crate) path: Slot<PathMatch>,
    /// In place of a path: which calls of gRPC.
    pub(crate) grpc: Slot<Grpc>,
    /// The method, exactly.
    pub(crate) method: Slot<Written<Method>>,
    /// Header fields by name, in any case; several values of a name count joined by `, `.
    pub(crate) headers: Slot<Table<Written<HeaderName>, StringMatch>>,
    /// Query parameters by name, percent-decoded; the first of a name counts.
    pub(crate) query: Slot<Table<Written<Text>, StringMatch>>,
    /// Who the peer has proved to be by its certificate.
    pub(crate) peer: Slot<Peer>,
}

/// How a path matches.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PathMatch {
    /// The whole path.
    Exact(Written<Path>),
    /// By path element: `/api` matches `/api` and `/api/x`, not `/apis`.
    Prefix(Written<Path>),
    /// The whole path against an anchored expression.
    Regex(Written<Pattern>),
}

/// A test of one value that may be absent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StringMatch {
    /// Equal, byte by byte.
    Exact(Written<Text>),
    /// Begins so.
    Prefix(Written<Text>),
    /// The whole value against an anchored expression.
    Regex(Written<Pattern>),
    /// There (`true`) or not there (`false`).
    Present(Flag),
    /// Holds when this test does not; an absent value passes.
    Not(Box<Self>),
}
