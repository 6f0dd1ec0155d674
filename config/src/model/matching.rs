//! What a rule asks of a request.

use serde::{Deserialize, Serialize};

use super::{
    identity::SpiffePattern,
    value::{HeaderName, HostPattern, Pattern},
};

/// One alternative of a rule: every part given must hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Match {
    /// The path in its normal form, without the query; absent matches any.
    pub path: Option<PathMatch>,
    /// The method, exactly (RFC 9110 9.1: methods are case-sensitive).
    pub method: Option<String>,
    /// Header fields; several values of a name count joined by `, `.
    pub headers: Vec<FieldMatch<HeaderName>>,
    /// Query parameters, percent-decoded; the first of a name counts.
    pub query: Vec<FieldMatch<String>>,
    /// Who the peer has proved to be; absent matches any, and one that has proved nothing.
    pub peer: Option<Peer>,
}

/// Who a peer must be: any of all these, of which there is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// SPIFFE IDs.
    pub spiffe: Vec<SpiffePattern>,
    /// DNS names, one of which its certificate has.
    pub names: Vec<HostPattern>,
}

/// How a path matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// By path element: `/api` matches `/api` and `/api/x`, not `/apis`. Never ends in `/` unless it is `/`.
    Prefix(String),
    /// The whole path against an anchored expression.
    Regex(Pattern),
}

/// One named value and what it must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldMatch<N> {
    /// The header or query parameter.
    pub name: N,
    /// What its value must be.
    pub test: StringMatch,
}

/// A test of one value that may be absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StringMatch {
    /// Equal, byte by byte.
    Exact(String),
    /// Begins so.
    Prefix(String),
    /// The whole value against an anchored expression.
    Regex(Pattern),
    /// There (true) or not there (false).
    Present(bool),
    /// Holds when the inner test does not; an absent value passes.
    Not(Box<Self>),
}
