//! Peers that run side by side and are loaded one at a time, round after round.

use std::net::SocketAddr;

use crate::{
    error::BenchError,
    load::{Seen, Times},
    peers::Running,
    report::{PeerResult, Sample},
    scenario::Measure,
};

/// Has each peer checked, then lets each have its turn with what the check found, in every round.
pub(super) fn take_turns<Found>(
    turns: &mut [Turn],
    rounds: u32,
    check: impl Fn(SocketAddr) -> Result<Found, BenchError>,
    load: impl Fn(SocketAddr, &Found) -> Result<Seen, BenchError>,
) {
    let found: Vec<Option<Found>> = turns.iter_mut().map(|turn| turn.keep(&check)).collect();
    for round in 1..=rounds {
        for (turn, found) in turns.iter_mut().zip(&found) {
            if let Some(found) = found {
                turn.take(round, |address| load(address, found));
            }
        }
    }
}

/// One peer in one scenario. What fails once is not tried again.
pub(super) struct Turn {
    pub(super) running: Option<Running>,
    pub(super) result: PeerResult,
    pub(super) measure: Measure,
}

impl Turn {
    /// Does something with the running peer that gives no figure of its own.
    pub(super) fn keep<T>(&mut self, act: impl FnOnce(SocketAddr) -> Result<T, BenchError>) -> Option<T> {
        let address = self.running.as_ref()?.address;
        self.result.keep(|| act(address))
    }

    /// Loads the peer and meters what it takes.
    pub(super) fn take(&mut self, round: u32, load: impl FnOnce(SocketAddr) -> Result<Seen, BenchError>) {
        let Some(running) = self.running.take() else {
            return;
        };
        let sample = self.result.keep(|| {
            let before = running.cpu_ns()?;
            let seen = load(running.address)?;
            let cpu_us = (running.cpu_ns()? - before) as f64 / 1e3;
            let cost = cpu_us / seen.amount as f64;
            let is_bulk = self.measure == Measure::BulkMicroseconds;
            let of_requests = |figure: f64| (!is_bulk).then_some(figure);
            let of_bulk = |figure: f64| is_bulk.then_some(figure);
            let time = |of: fn(&Times) -> f64| seen.times.as_ref().map(of);
            Ok(Sample {
                cpu_us_per_request: of_requests(cost),
                requests_per_second: of_requests(seen.per_second),
                cpu_us_per_mebibyte: of_bulk(cost),
                mebibytes_per_second: of_bulk(seen.per_second),
                p50_us: time(|times| times.p50_us),
                p99_us: time(|times| times.p99_us),
                p999_us: time(|times| times.p999_us),
                pss_bytes: Some(running.pss_bytes()? as f64),
                bytes_per_connection: None,
            })
        });
        self.running = Some(running);
        if let Some(sample) = sample {
            self.result.push(round, sample);
        }
    }
}
