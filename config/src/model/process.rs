//! The parts of a [`Model`](super::Model) that concern the whole process.

use std::{net::SocketAddr, num::NonZeroU16, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::value::Millis;

/// The admin HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// Where it listens.
    pub bind: SocketAddr,
}

/// How many workers run. Read at start; a change needs a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workers {
    /// One for each core this process may use.
    Auto,
    /// Exactly so many.
    Count(NonZeroU16),
}

/// Bounds each worker keeps, whatever listener a connection came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// Open client connections of one worker.
    pub connections: u32,
}

/// How the process ends on SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// How long requests in flight and tunnels may still run.
    pub timeout: Millis,
}

/// Where the JSON access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, opened for appending; opened again after SIGHUP.
    File(PathBuf),
}
