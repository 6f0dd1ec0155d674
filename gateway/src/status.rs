//! The process as others see it: what the control loop tells, and what may be asked of it.
//!
//! Owns the words between the control loop, which writes them, and the admin server, which reads them. Refuses to act.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use sluice_config::Model;
use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics::Registry;

/// What the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// No configuration is live yet.
    #[default]
    Starting,
    /// Requests are taken.
    Serving,
    /// No more connections are taken; what runs may end.
    Draining,
    /// Another process takes the connections; what runs in this one may end.
    Replaced,
}

/// The process as the control loop last left it.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The configuration that is live.
    pub running: Option<Running>,
    /// How the last load ended.
    pub last_reload: Option<Reload>,
}

/// A configuration that is live.
#[derive(Debug, Clone)]
pub struct Running {
    /// Counts up from 1 with each configuration published; one whose names resolve to other addresses counts too.
    pub generation: u64,
    /// It.
    pub model: Arc<Model>,
    /// When its text went live, by the wall clock.
    pub loaded_at: SystemTime,
    /// The same, by the clock that never jumps.
    pub since: Instant,
}

/// One load of the configuration.
#[derive(Debug, Clone)]
pub struct Reload {
    /// How it ended.
    pub result: ReloadResult,
    /// When.
    pub at: SystemTime,
    /// Why it was rejected, each with its place.
    pub problems: Vec<String>,
}

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadResult {
    /// It went live.
    Applied,
    /// It has errors; what ran before runs on.
    Rejected,
    /// Its text is what runs already.
    Unchanged,
}

impl ReloadResult {
    /// As label and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What only the control loop can answer.
#[derive(Debug)]
pub enum Ask {
    /// Whether every worker answers; if not, why.
    Ready(oneshot::Sender<Result<(), String>>),
    /// Begin to drain; answered once it has begun.
    Drain(oneshot::Sender<()>),
}

/// What may be seen of the process, and asked of it, from outside the control thread's loop.
#[derive(Debug, Clone)]
pub struct View {
    /// What is counted.
    pub registry: Arc<Registry>,
    /// As it stands.
    pub status: watch::Receiver<Status>,
    /// To the loop.
    pub asks: mpsc::Sender<Ask>,
}
