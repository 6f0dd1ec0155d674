//! The native language as types: what may be written, field by field, before its meaning is checked.
//!
//! Each type derives both serde's `Deserialize`, by which [`crate::reader`] reads it, and `JsonSchema`, so what is
//! read and what `sluice schema` prints cannot drift apart. The comments on fields are the schema's descriptions.
//!
//! Owns names, shapes and the notation of values. Refuses references and what fields mean together: [`crate::check`].

mod enrollment;
mod grpc;
mod health;
mod listener;
mod matching;
pub(crate) mod notation;
mod path;
mod policy;
mod process;
mod retry;
mod route;
mod scalar;
mod service;
mod service_tls;
mod slot;
mod tls;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use enrollment::Enrollment;
pub(crate) use grpc::Grpc;
pub(crate) use health::{Health, HttpCheck};
pub(crate) use listener::{
    EncodedSlashes, Listener, ListenerLimits, ListenerProtocol, ListenerTimeouts, PathPolicy,
};
pub(crate) use matching::{Match, PathMatch, StringMatch};
pub(crate) use policy::{ConditionOf, OperationOf, Peer, Policy, PolicyAction, PolicyTarget, SourceOf};
pub(crate) use process::{AccessLog, Admin, Drain, Limits, LogOutput, Workers};
pub(crate) use retry::Retry;
pub(crate) use route::{
    Backend, BackendFilter, Direct, Filter, HeaderEdits, PathRewrite, Redirect, Rewrite, Route, Rule, Scheme,
    Sticky, Timeouts,
};
pub(crate) use scalar::Written;
pub(crate) use service::{Endpoint, Outlier, Pool, Service, ServiceProtocol};
pub(crate) use service_tls::{ServiceTls, ServiceTlsMode};
pub(crate) use slot::{List, OrNone, Slot, Table};
pub(crate) use tls::{
    ApplicationProtocol, CertificateFiles, ClientAuth, ClientAuthMode, Files, ForwardCertificate,
    KeyExchange, ListenerTls, TlsVersion,
};

/// A native Sluice document. Several documents and files make one configuration: their lists are joined, and
/// each of the other fields stands in one of them only.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of listeners, routes and services"
)]
#[schemars(rename = "Sluice")]
pub(crate) struct Document {
    /// The admin HTTP server: metrics, health, the running configuration.
    pub(crate) admin: Slot<Admin>,
    /// How many workers run: `auto`, one for each core this process may use, or a number. Read at start only.
    #[schemars(extend("default" = "auto"))]
    pub(crate) workers: Slot<Workers>,
    /// Bounds of the process, whatever listener a connection came by.
    pub(crate) limits: Slot<Limits>,
    /// How the process ends.
    pub(crate) drain: Slot<Drain>,
    /// The JSON access log.
    pub(crate) access_log: Slot<AccessLog>,
    /// A certificate of this process from an authority of its mesh, renewed while it runs.
    pub(crate) identity: Slot<Enrollment>,
    /// Where connections come in. At least one in all documents together.
    pub(crate) listeners: Slot<List<Listener>>,
    /// Where requests go.
    pub(crate) routes: Slot<List<Route>>,
    /// What requests are sent to.
    pub(crate) services: Slot<List<Service>>,
    /// Who may ask for what.
    pub(crate) policies: Slot<List<Policy>>,
}
