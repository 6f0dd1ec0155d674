//! What came out: a table for the terminal, JSON with every round, Markdown and a chart to show.

mod chart;
mod machine;
mod ratio;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

pub(crate) use machine::machine;
pub(crate) use table::{markdown, table};

use crate::{
    error::{BenchError, about},
    namespace::Isolation,
    peers::{Peer, Side},
    scenario::{Measure, Scenario},
    statistics::Spread,
};

/// One run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Of the end, in UTC, as 2026-01-31.
    pub(crate) date: String,
    pub(crate) machine: BTreeMap<&'static str, String>,
    pub(crate) isolation: Isolation,
    pub(crate) rounds: u32,
    /// Of one turn.
    pub(crate) seconds: u32,
    /// By peer.
    pub(crate) versions: BTreeMap<String, String>,
    /// By peer, with the reason.
    pub(crate) left_out: BTreeMap<String, String>,
    pub(crate) scenarios: Vec<ScenarioResult>,
}

/// One scenario with all peers that took part.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScenarioResult {
    pub(crate) scenario: Scenario,
    pub(crate) peers: Vec<PeerResult>,
    /// Peers that cannot carry it, with the reason.
    pub(crate) left_out: BTreeMap<String, &'static str>,
    /// What is other than the title says.
    pub(crate) note: Option<String>,
}

/// One peer in one scenario.
#[derive(Serialize)]
pub(crate) struct PeerResult {
    pub(crate) name: String,
    #[serde(skip)]
    pub(crate) side: Side,
    /// Why there is no figure; its rounds do not count then.
    pub(crate) failure: Option<String>,
    pub(crate) samples: Vec<Sample>,
}

/// One peer in one round; what a scenario does not measure is absent.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    /// User and system, of all its threads and processes.
    pub(crate) cpu_us_per_request: Option<f64>,
    pub(crate) requests_per_second: Option<f64>,
    /// As that of a request, where bytes are only passed on.
    pub(crate) cpu_us_per_mebibyte: Option<f64>,
    pub(crate) mebibytes_per_second: Option<f64>,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) p999_us: Option<f64>,
    /// At the end of the round.
    pub(crate) pss_bytes: Option<f64>,
    /// What each connection at rest added to it.
    pub(crate) bytes_per_connection: Option<f64>,
}

impl Sample {
    /// The figure by which a scenario compares peers.
    pub(crate) fn measured(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::CpuMicroseconds => self.cpu_us_per_request,
            Measure::BulkMicroseconds => self.cpu_us_per_mebibyte,
            Measure::TailMicroseconds => self.p99_us,
            Measure::IdleBytes => self.pss_bytes,
            Measure::ConnectionBytes => self.bytes_per_connection,
        }
    }
}

impl PeerResult {
    pub(crate) fn new(peer: &Peer) -> Self {
        Self {
            name: peer.name.clone(),
            side: peer.side(),
            failure: None,
            samples: Vec::new(),
        }
    }

    /// Takes one round in and shows it.
    pub(crate) fn push(&mut self, round: u32, sample: Sample) {
        eprintln!("  round {round} {:24} {}", self.name, table::line(&sample));
        self.samples.push(sample);
    }

    /// Does something that it fails by; does nothing once it has failed.
    pub(crate) fn keep<T>(&mut self, act: impl FnOnce() -> Result<T, BenchError>) -> Option<T> {
        if self.failure.is_some() {
            return None;
        }
        act().map_err(|error| self.fail(&error)).ok()
    }

    /// From now on it has no figure.
    pub(crate) fn fail(&mut self, error: &BenchError) {
        eprintln!("  FAILED  {:24} {error}", self.name);
        self.failure = Some(error.to_string());
    }

    /// What one figure was over the rounds; nothing for a peer that failed or that has no such figure.
    pub(crate) fn spread(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
        let samples = self.samples.iter().filter(|_| self.failure.is_none());
        Spread::of(samples.filter_map(figure))
    }
}

impl ScenarioResult {
    pub(crate) fn has_failed(&self) -> bool {
        self.peers.iter().any(|peer| peer.failure.is_some())
    }
}

/// Writes `DATE.json`, `DATE.md` and `DATE.svg` to `folder` and gives their paths.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    fs::create_dir_all(folder).map_err(about(folder))?;
    let json = serde_json::to_string_pretty(report).map_err(|error| BenchError::Form {
        what: "a report",
        text: error.to_string(),
    })?;
    let path = |ending: &str| folder.join(format!("{}.{ending}", report.date));
    let files = [
        (path("json"), json + "\n"),
        (path("md"), markdown(report)),
        (path("svg"), chart::svg(report)?),
    ];
    for (file, text) in &files {
        fs::write(file, text).map_err(about(file))?;
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}
