//! What is measured: one table.

use serde::Serialize;

use crate::{error::BenchError, origin::BODY_BYTES};

/// One thing that every peer is asked to do.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Scenario {
    /// As `--scenarios` takes it.
    pub(crate) name: &'static str,
    /// As a heading says it.
    pub(crate) title: &'static str,
    /// How many routes the peer is configured with; one takes everything.
    pub(crate) routes: usize,
    pub(crate) kind: Kind,
}

/// How it is measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Kind {
    /// As many requests as the peer can take.
    Load(Load),
    /// Requests at a fixed rate, half of what the slowest of the peers can take.
    HalfLoad(Load),
    /// The memory of a peer that was just started, and what it grows by with this many connections that have had
    /// one answer each and rest.
    Rest { connections: usize },
}

/// What a load generator sends.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Load {
    /// Open at a time.
    pub(crate) connections: usize,
    /// Of a request's body; none makes it a GET.
    pub(crate) up_bytes: usize,
    /// Of an answer's body.
    pub(crate) down_bytes: usize,
    /// Whether each request has a connection of its own.
    pub(crate) is_fresh: bool,
}

impl Load {
    const fn keep_alive(connections: usize) -> Self {
        Self {
            connections,
            up_bytes: 0,
            down_bytes: BODY_BYTES,
            is_fresh: false,
        }
    }
}

impl Kind {
    /// What the median of a report is of.
    pub(crate) fn measure(&self) -> Measure {
        match self {
            Self::Load(_) => Measure::CpuMicroseconds,
            Self::HalfLoad(_) => Measure::TailMicroseconds,
            Self::Rest { connections: 0 } => Measure::IdleBytes,
            Self::Rest { .. } => Measure::ConnectionBytes,
        }
    }
}

/// The one figure of a scenario by which peers are compared; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Measure {
    CpuMicroseconds,
    TailMicroseconds,
    IdleBytes,
    ConnectionBytes,
}

impl Measure {
    /// What its numbers are.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::CpuMicroseconds => "CPU us per request",
            Self::TailMicroseconds => "p99 in us",
            Self::IdleBytes => "PSS in bytes",
            Self::ConnectionBytes => "bytes per connection",
        }
    }
}

/// The scenarios of these names, in the order of the table; all for no name.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Scenario>, BenchError> {
    let unknown = names
        .iter()
        .find(|name| SCENARIOS.iter().all(|scenario| scenario.name != **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        let text = format!("there is no scenario {name:?}; there are {}", known.join(", "));
        return Err(BenchError::Usage(text));
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| *name == scenario.name);
    Ok(SCENARIOS.iter().filter(is_chosen).copied().collect())
}

const MANY: usize = 64;
/// Enough to fill both cores with bodies of a mebibyte, few enough that their buffers stay in the caches.
const FEW: usize = 16;

/// All of them. A scenario that needs another kind of load (TLS, HTTP/2) gets a field in [`Load`].
pub(crate) const SCENARIOS: [Scenario; 13] = [
    load(
        "keepalive-1",
        "keep-alive, 1 connection, 64 B",
        Load::keep_alive(1),
    ),
    load(
        "keepalive-64",
        "keep-alive, 64 connections, 64 B",
        Load::keep_alive(MANY),
    ),
    load(
        "keepalive-1000",
        "keep-alive, 1000 connections, 64 B",
        Load::keep_alive(1000),
    ),
    load(
        "down-10k",
        "10 KiB down, 64 connections",
        Load {
            down_bytes: 10 << 10,
            ..Load::keep_alive(MANY)
        },
    ),
    load(
        "down-1m",
        "1 MiB down, 16 connections",
        Load {
            down_bytes: 1 << 20,
            ..Load::keep_alive(FEW)
        },
    ),
    load(
        "up-1m",
        "1 MiB up, 16 connections",
        Load {
            up_bytes: 1 << 20,
            ..Load::keep_alive(FEW)
        },
    ),
    load(
        "fresh",
        "a new connection for each request",
        Load {
            is_fresh: true,
            ..Load::keep_alive(MANY)
        },
    ),
    Scenario {
        routes: 10,
        ..load(
            "routes-10",
            "10 routes on one host, 64 connections",
            Load::keep_alive(MANY),
        )
    },
    Scenario {
        routes: 10_000,
        ..load(
            "routes-10000",
            "10,000 routes over 1,000 hosts, 64 connections",
            Load::keep_alive(MANY),
        )
    },
    Scenario {
        name: "latency",
        title: "at half of the slowest peer's capacity, 64 connections",
        routes: 1,
        kind: Kind::HalfLoad(Load::keep_alive(MANY)),
    },
    rest("idle", "just started, no connection", 0),
    rest("idle-1000", "1,000 connections at rest", 1000),
    rest("idle-10000", "10,000 connections at rest", 10_000),
];

const fn load(name: &'static str, title: &'static str, load: Load) -> Scenario {
    Scenario {
        name,
        title,
        routes: 1,
        kind: Kind::Load(load),
    }
}

const fn rest(name: &'static str, title: &'static str, connections: usize) -> Scenario {
    Scenario {
        name,
        title,
        routes: 1,
        kind: Kind::Rest { connections },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_chosen_by_name_in_the_order_of_the_table() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let found = chosen(&names(&["idle", "fresh"])).unwrap();
        assert_eq!(
            found.iter().map(|scenario| scenario.name).collect::<Vec<_>>(),
            ["fresh", "idle"]
        );
        assert_eq!(chosen(&[]).unwrap().len(), SCENARIOS.len());
        assert!(chosen(&names(&["fresher"])).is_err());
    }
}
