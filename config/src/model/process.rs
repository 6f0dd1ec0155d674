//! The parts of a [`Model`](super::Model) that concern the whole process.

use std::{net::SocketAddr, num::NonZeroU16, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::value::{ByteSize, Millis};

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

/// Bounds of the process, whatever listener a connection came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Open client connections of one worker.
    pub connections: u32,
    /// Resident memory of the process.
    pub memory: Memory,
}

/// Up to where the process may grow before it takes on less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memory {
    /// What the control group it runs in allows: a container's or a unit's limit; no bound where there is none.
    ControlGroup,
    /// So many bytes.
    Bytes(ByteSize),
    /// No bound.
    Unbounded,
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
