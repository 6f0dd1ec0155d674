//! The checked configuration: every reference resolved, every value of a type that cannot be wrong.
//!
//! Owns the shape of what the rest of Sluice may assume. Refuses raw text: nothing here parses YAML.

pub mod amount;
pub mod enrollment;
pub mod health;
pub mod identity;
pub mod listener;
pub mod matching;
pub mod path_pattern;
pub mod pattern;
pub mod policy;
pub mod process;
pub mod route;
pub mod service;
pub mod tls;
pub mod value;

use serde::{Deserialize, Serialize};

pub use enrollment::Enrollment;
pub use health::{Check, Health, StatusRange};
pub use identity::{Glob, ServiceAccount, SpiffeId, SpiffePattern};
pub use listener::{Listener, PathPolicy, Protocol};
pub use matching::{FieldMatch, Match, PathMatch, Peer, StringMatch};
pub use path_pattern::PathPattern;
pub use policy::{Condition, Criteria, Operation, Policy, PolicyAction, PolicyTarget, Source};
pub use process::{AccessLog, Admin, Drain, Limits, Memory, Workers};
pub use route::{
    Action, Backend, Direct, Filters, GrpcStatus, HeaderEdit, PathRewrite, Redirect, Retry, RetryOn, Rewrite,
    Route, Rule, Sticky, Timeouts,
};
pub use service::{Address, Balance, Endpoint, Outlier, Pool, ProxyProtocol, Service, ServiceProtocol};
pub use tls::{
    ApplicationProtocol, CertificateFiles, ClientAuth, ClientAuthMode, FilePath, ForwardCertificate,
    KeyExchange, ListenerTls, ServiceTls, TlsVersion,
};
pub use value::{
    ByteSize, HeaderName, HeaderValue, HostPattern, Invalid, Millis, Name, Pattern, Place, Weight,
};

/// A whole configuration, checked. Indices (`ListenerId`, `RouteId` and so on) point into the vectors of this value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The admin HTTP server.
    pub admin: Admin,
    /// How many workers run.
    pub workers: Workers,
    /// Bounds each worker keeps.
    pub limits: Limits,
    /// How the process ends.
    pub drain: Drain,
    /// Where requests are logged; `None` logs none.
    pub access_log: Option<AccessLog>,
    /// How this process comes by an identity of its own; `None` has none but those of files.
    #[serde(default)]
    pub identity: Option<Enrollment>,
    /// Listeners, in the order of the files. Names and binds are unique.
    pub listeners: Vec<Listener>,
    /// Routes, in the order of the files. Names are unique.
    pub routes: Vec<Route>,
    /// Services, in the order of the files. Names are unique.
    pub services: Vec<Service>,
    /// Policies, in the order of the files. Names are unique.
    #[serde(default)]
    pub policies: Vec<Policy>,
}

/// Index of a listener in [`Model::listeners`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListenerId(pub usize);

/// Index of a service in [`Model::services`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceId(pub usize);

/// Index of a route in [`Model::routes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteId(pub usize);

/// Index of a policy in [`Model::policies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyId(pub usize);
