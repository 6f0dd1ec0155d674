//! Policies: who may ask for what.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    ListenerId, RouteId, ServiceId,
    identity::{Glob, ServiceAccount, SpiffePattern},
    matching::FieldMatch,
    path_pattern::PathPattern,
    value::{HeaderName, HostPattern, Name, Place},
};

/// A decision about requests that look a certain way, at the places it is attached to.
///
/// It matches a request where one of `from`, one of `to` and one of `when` does; an empty list matches every request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Unique among policies.
    pub name: Name,
    /// What becomes of a request that matches.
    pub action: PolicyAction,
    /// Only told what it would do.
    pub dry_run: bool,
    /// Where it is asked.
    pub target: PolicyTarget,
    /// Who asks.
    pub from: Vec<Criteria<Source>>,
    /// What is asked for.
    pub to: Vec<Criteria<Operation>>,
    /// What else is told with it.
    pub when: Vec<Criteria<Condition>>,
    /// Where the policy was declared.
    #[serde(skip)]
    pub place: Place,
}

/// What becomes of a request that a policy matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyAction {
    /// It may pass; and what no policy of this kind at the same target matches may not.
    Allow,
    /// It may not pass, whatever allows it.
    Deny,
    /// It is counted and logged.
    Audit,
}

/// Where a policy is asked; never empty: in YAML, no target is every listener.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyTarget {
    /// Of every request that comes by one of these.
    pub listeners: Vec<ListenerId>,
    /// Of every request that one of these takes.
    pub routes: Vec<RouteId>,
    /// Of every request that is about to be sent to one of these.
    pub services: Vec<ServiceId>,
}

/// One entry of a policy's list: each field of `all` that is not empty must hold, and nothing in `none` may.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Criteria<T> {
    /// One value of each field that has any.
    pub all: T,
    /// None of any of these values.
    pub none: T,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Source {
    /// The SPIFFE ID of the peer's certificate.
    pub spiffe: Vec<SpiffePattern>,
    /// The namespace in it.
    pub namespaces: Vec<Glob>,
    /// The service account in it.
    pub service_accounts: Vec<ServiceAccount>,
    /// DNS names, one of which the certificate has.
    pub names: Vec<HostPattern>,
    /// The address the connection came from.
    pub cidrs: Vec<IpNet>,
    /// The address of the client, as far as the listener's trusted proxies tell it.
    pub remote_cidrs: Vec<IpNet>,
}

impl Source {
    /// Whether it asks for anything that only a certificate tells.
    #[must_use]
    pub const fn asks_identity(&self) -> bool {
        !(self.spiffe.is_empty()
            && self.namespaces.is_empty()
            && self.service_accounts.is_empty()
            && self.names.is_empty())
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Operation {
    /// The host, without a port.
    pub hosts: Vec<HostPattern>,
    /// The method.
    pub methods: Vec<String>,
    /// The path, in normal form.
    pub paths: Vec<PathPattern>,
    /// The port of the listener.
    pub ports: Vec<u16>,
}

/// What else is told with a request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Condition {
    /// Header fields, all of them.
    pub headers: Vec<FieldMatch<HeaderName>>,
    /// The server name of the TLS hello.
    pub sni: Vec<HostPattern>,
}
