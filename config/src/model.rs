//! The checked configuration: every reference resolved, every value of a type that cannot be wrong.
//!
//! Owns the shape of what the rest of Sluice may assume. Refuses raw text: nothing here parses YAML.

pub mod amount;
pub mod health;
pub mod listener;
pub mod matching;
pub mod pattern;
pub mod process;
pub mod route;
pub mod service;
pub mod value;

use serde::{Deserialize, Serialize};

pub use health::{Check, Health, StatusRange};
pub use listener::{Listener, PathPolicy};
pub use matching::{FieldMatch, Match, PathMatch, StringMatch};
pub use process::{AccessLog, Admin, Drain, Limits, Memory, Workers};
pub use route::{
    Action, Backend, Direct, Filters, HeaderEdit, PathRewrite, Redirect, Retry, RetryOn, Rewrite, Route,
    Rule, Sticky, Timeouts,
};
pub use service::{Address, Balance, Endpoint, Outlier, Pool, Service};
pub use value::{
    ByteSize, HeaderName, HeaderValue, HostPattern, Invalid, Millis, Name, Pattern, Place, Weight,
};

/// A whole configuration, checked. Indices (`ListenerId`, `ServiceId`) point into the vectors of this value.
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
    /// Listeners, in the order of the files. Names and binds are unique.
    pub listeners: Vec<Listener>,
    /// Routes, in the order of the files. Names are unique.
    pub routes: Vec<Route>,
    /// Services, in the order of the files. Names are unique.
    pub services: Vec<Service>,
}

/// Index of a listener in [`Model::listeners`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListenerId(pub usize);

/// Index of a service in [`Model::services`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceId(pub usize);
