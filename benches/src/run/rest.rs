//! Memory of a peer with connections at rest.

use std::{thread::sleep, time::Duration};

use crate::{
    client::Tls,
    error::BenchError,
    idle::{self, Speech},
    peers::{Peer, Place},
    report::Sample,
    scenario::{Scenario, Security},
};

/// One round of a peer at rest.
pub(super) fn rest(
    peer: &Peer,
    scenario: &Scenario,
    connections: usize,
    place: &mut Place,
) -> Result<Sample, BenchError> {
    let running = peer.start(scenario, place)?;
    sleep(SETTLE);
    let speech = match scenario.security {
        _ if scenario.protocols.has_http2_clients() => Speech::Http2,
        Security::Tls => Speech::Http1OverTls(Tls::believing(&place.material.authority)?),
        Security::None | Security::MutualPair => Speech::Http1,
    };
    // The first request builds what all others share: pools, tables, the allocator's first pages.
    let first = (connections > 0)
        .then(|| idle::connect(running.address, FIRST, &speech))
        .transpose()?;
    let before = running.pss_bytes()?;
    let clients = idle::connect(running.address, connections, &speech)?;
    let after = running.pss_bytes()?;
    let each = (after as f64 - before as f64) / connections as f64;
    drop((first, clients));
    Ok(Sample {
        pss_bytes: Some(after as f64),
        bytes_per_connection: (connections > 0).then_some(each),
        ..Sample::default()
    })
}

/// Connections before those that are counted.
pub(super) const FIRST: usize = 16;
/// After a start some still read files and touch their tables.
const SETTLE: Duration = Duration::from_millis(500);
