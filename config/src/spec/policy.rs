//! How policies are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize,
    de::{self, Deserializer},
};

use super::{
    List, Slot, StringMatch, Table, Written,
    notation::{Method, Network},
    scalar::{Flag, Int},
};
use crate::model::{Glob, HeaderName, HostPattern, Name, PathPattern, ServiceAccount, SpiffePattern};

/// Who may ask for what: a request matches where one of `from`, one of `to` and one of `when` does.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a policy, a map with `name` and `action`"
)]
pub(crate) struct Policy {
    /// Unique among policies; the access log and metrics tell it.
    pub(crate) name: Slot<Written<Name>>,
    /// What becomes of a request that matches.
    pub(crate) action: Slot<PolicyAction>,
    /// Only count and log what it would do.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(crate) dry_run: Slot<Flag>,
    /// Where it is asked; every listener where absent.
    #[serde(default)]
    pub(crate) target: Slot<PolicyTarget>,
    /// Who asks, any of these; anyone where absent.
    #[serde(default)]
    pub(crate) from: Slot<List<Source, 1>>,
    /// What is asked for, any of these; anything where absent.
    #[serde(default)]
    pub(crate) to: Slot<List<Operation, 1>>,
    /// What else holds, any of these.
    #[serde(default)]
    pub(crate) when: Slot<List<Condition, 1>>,
}

/// What becomes of a request that a policy matches. Those that deny are asked before those that allow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PolicyAction {
    /// It may pass. What none of the policies of this kind at a target allows is denied there.
    Allow,
    /// It is answered 403, or closed where connections are passed on.
    Deny,
    /// It is counted and logged.
    Audit,
}

/// Where a policy is asked. A request passes those of its listener, its route and the service it is sent to. A connection
/// that is passed on is asked the same, and tells where it came from, the port and the server name: neither host, method,
/// path, header nor identity.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `listeners`, `routes`, `services`"
)]
pub(crate) struct PolicyTarget {
    /// Of every request that comes by one of these listeners.
    pub(crate) listeners: Slot<List<Written<Name>, 1>>,
    /// Of every request that one of these routes takes.
    pub(crate) routes: Slot<List<Written<Name>, 1>>,
    /// Of every request that is about to be sent to one of these services, with the path and host it is sent with.
    pub(crate) services: Slot<List<Written<Name>, 1>>,
}

/// Who asks: one value of each field written, and nothing that stands in `not`.
pub(crate) type Source = SourceOf<SourceOf<Never>>;
/// What is asked for, likewise.
pub(crate) type Operation = OperationOf<OperationOf<Never>>;
/// What else holds, likewise.
pub(crate) type Condition = ConditionOf<ConditionOf<Never>>;

/// Who asks. The identity is that of a client certificate that was verified; a request without one has none, which
/// matches no pattern, and passes a `not` of a policy that denies or audits, never of one that allows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    bound(deserialize = "N: Deserialize<'de>"),
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `spiffe`, `namespaces`, `serviceAccounts`, `names`, `cidrs`, `remoteCidrs`"
)]
#[schemars(rename = "Source{N}", bound = "N: JsonSchema")]
pub(crate) struct SourceOf<N> {
    /// SPIFFE IDs such as `spiffe://example.org/ns/*/sa/web`: `*` within a segment, `**` as the last one for any rest.
    #[serde(default)]
    pub(crate) spiffe: Slot<List<Written<SpiffePattern>, 1>>,
    /// Namespaces of SPIFFE IDs of the form `spiffe://.../ns/<namespace>/sa/<account>`, with or without a `*`.
    #[serde(default)]
    pub(crate) namespaces: Slot<List<Written<Glob>, 1>>,
    /// Service accounts of such IDs: `web`, or `default/web` with its namespace.
    #[serde(default)]
    pub(crate) service_accounts: Slot<List<Written<ServiceAccount>, 1>>,
    /// DNS names of the certificate, such as `web.example.com` or `*.example.com`.
    #[serde(default)]
    pub(crate) names: Slot<List<Written<HostPattern>, 1>>,
    /// Networks and addresses that the connection came from.
    #[serde(default)]
    pub(crate) cidrs: Slot<List<Written<Network>, 1>>,
    /// Networks and addresses of the client itself, which the listener's `trustedProxies` tell.
    #[serde(default)]
    pub(crate) remote_cidrs: Slot<List<Written<Network>, 1>>,
    /// None of these values, of whichever field.
    #[serde(default)]
    pub(crate) not: Slot<N>,
}

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    bound(deserialize = "N: Deserialize<'de>"),
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `hosts`, `methods`, `paths`, `ports`"
)]
#[schemars(rename = "Operation{N}", bound = "N: JsonSchema")]
pub(crate) struct OperationOf<N> {
    /// Hosts such as `a.example.com` or `*.example.com`.
    #[serde(default)]
    pub(crate) hosts: Slot<List<Written<HostPattern>, 1>>,
    /// Methods.
    #[serde(default)]
    pub(crate) methods: Slot<List<Written<Method>, 1>>,
    /// Paths in their normal form, without the query: `/a`, `/a*`, `*/a`, `*`, `/a/{*}/b`, `/a/{**}`.
    #[serde(default)]
    pub(crate) paths: Slot<List<Written<PathPattern>, 1>>,
    /// Ports of listeners.
    #[serde(default)]
    pub(crate) ports: Slot<List<Int<1, 65_535>, 1>>,
    /// None of these values, of whichever field.
    #[serde(default)]
    pub(crate) not: Slot<N>,
}

/// What else holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    bound(deserialize = "N: Deserialize<'de>"),
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `headers`, `sni`"
)]
#[schemars(rename = "Condition{N}", bound = "N: JsonSchema")]
pub(crate) struct ConditionOf<N> {
    /// Header fields by name, all of them, as the client sent them.
    #[serde(default)]
    pub(crate) headers: Slot<Table<Written<HeaderName>, StringMatch>>,
    /// Server names of the TLS hello. A request without TLS has none, to which the same applies as to an identity.
    #[serde(default)]
    pub(crate) sni: Slot<List<Written<HostPattern>, 1>>,
    /// None of these, of whichever field.
    #[serde(default)]
    pub(crate) not: Slot<N>,
}

/// Who a peer must be for a rule to take its request: any of all these. A request without a client certificate that was
/// verified matches none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a peer, a map of `spiffe`, `names`"
)]
pub(crate) struct Peer {
    /// SPIFFE IDs, as in policies.
    pub(crate) spiffe: Slot<List<Written<SpiffePattern>, 1>>,
    /// DNS names of the certificate, as in policies.
    pub(crate) names: Slot<List<Written<HostPattern>, 1>>,
}

/// What cannot be written.
#[derive(Debug)]
pub(crate) enum Never {}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("expected no `not` within `not`"))
    }
}

impl JsonSchema for Never {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(false)
    }
}
