//! The side-by-side run: for each scenario all peers are started anew, then they take turns, round after round.
//!
//! As machines speed up and slow down over minutes, only figures of the same rounds compare.

use std::{fs, net::SocketAddr, process::ExitCode, thread::sleep, time::Duration};

use jiff::Timestamp;

use crate::{
    PeersArguments,
    client::Tls,
    error::{BenchError, about},
    idle,
    load::{Seen, Times, Wrk, at_rate, handshakes},
    material::Material,
    namespace::{self, Cores, Isolation},
    peers::{self, Build, Peer, Place, Ports, Running, is_wanted, target_folder},
    process::{self, Process},
    report::{self, PeerResult, Report, Sample, ScenarioResult},
    scenario::{self, Handshake, Kind, Load, Scenario, Security},
};

/// Makes what is needed, then measures in namespaces of its own.
pub(crate) fn run(arguments: &PeersArguments) -> Result<ExitCode, BenchError> {
    let scenarios = scenario::chosen(&arguments.scenarios)?;
    let builds = if arguments.sluice.is_empty() {
        vec![Build::own()]
    } else {
        arguments.sluice.clone()
    };
    if arguments.list {
        list(&builds);
        return Ok(ExitCode::SUCCESS);
    }
    let Some(isolation) = arguments.inside else {
        peers::prepare(&arguments.only, &arguments.sluice);
        return namespace::run_inside();
    };
    namespace::prepare(isolation)?;
    process::allow_descriptors();
    let (peers, mut left_out) = peers::all(&builds);
    let peers: Vec<Peer> = peers
        .into_iter()
        .filter(|peer| is_wanted(&peer.name, &arguments.only))
        .collect();
    left_out.retain(|peer| is_wanted(&peer.name, &arguments.only));
    for peer in &left_out {
        eprintln!("left out: {}: {}", peer.name, peer.why);
    }
    if peers.is_empty() {
        return Err(BenchError::Usage("no peer is left to measure".to_owned()));
    }
    let mut bench = Bench::prepare(arguments, peers)?;
    let mut results = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        eprintln!(
            "[{}/{}] {}: {}",
            index + 1,
            scenarios.len(),
            scenario.name,
            scenario.title
        );
        results.push(bench.measure(scenario)?);
    }
    let report = bench.report(isolation, results, &left_out);
    print!("{}", report::table(&report));
    for file in report::write(&report, &arguments.results)? {
        println!("written: {}", file.display());
    }
    let has_failed = report.scenarios.iter().any(ScenarioResult::has_failed);
    Ok(if has_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn list(builds: &[Build]) {
    for scenario in scenario::SCENARIOS {
        println!("scenario {:16} {}", scenario.name, scenario.title);
    }
    let (peers, left_out) = peers::all(builds);
    for peer in peers {
        println!("peer     {:24} {}", peer.name, peer.version());
    }
    for peer in left_out {
        println!("peer     {:24} left out: {}", peer.name, peer.why);
    }
}

/// What all scenarios share.
struct Bench {
    arguments: PeersArguments,
    peers: Vec<Peer>,
    place: Place,
    wrk: Wrk,
    /// Kept for its end.
    _origin: Process,
}

impl Bench {
    fn prepare(arguments: &PeersArguments, peers: Vec<Peer>) -> Result<Self, BenchError> {
        let folder = target_folder().join("peers/run");
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(about(&folder))?;
        let cores = Cores::split()?;
        let mut ports = Ports::default();
        let origin = ports.next()?;
        let own = std::env::current_exe().map_err(about("/proc/self/exe"))?;
        let words = ["origin".to_owned(), origin.to_string()];
        let mut process = Process::start("origin", &cores.load, &own, words, &folder)?;
        process.wait_until_it_listens(origin, ORIGIN_PATIENCE)?;
        Ok(Self {
            arguments: arguments.clone(),
            peers,
            wrk: Wrk::prepare(&folder, &cores.load)?,
            place: Place {
                cores,
                material: Material::make(&folder)?,
                folder,
                origin,
                ports,
            },
            _origin: process,
        })
    }

    fn measure(&mut self, scenario: &Scenario) -> Result<ScenarioResult, BenchError> {
        let (scenario, note) = &fitting(scenario, process::connections_max());
        if let Some(note) = note {
            eprintln!("  note: {note}");
        }
        for (peer, why) in self.left_out(scenario) {
            eprintln!("  left out: {}: {why}", peer.name);
        }
        let results = match scenario.kind {
            Kind::Load(load) => self.under_load(scenario, &load),
            Kind::HalfLoad(load) => self.at_half_load(scenario, &load),
            Kind::Handshakes(handshake) => self.handshakes(scenario, handshake),
            Kind::Rest { connections } => self.at_rest(scenario, connections),
        }?;
        let left_out = self
            .left_out(scenario)
            .map(|(peer, why)| (peer.name.clone(), why));
        Ok(ScenarioResult {
            scenario: *scenario,
            peers: results,
            left_out: left_out.collect(),
            note: note.clone(),
        })
    }

    /// Peers that cannot carry it, and why.
    fn left_out(&self, scenario: &Scenario) -> impl Iterator<Item = (&Peer, &'static str)> {
        let scenario = *scenario;
        let refuses = move |peer| Some((peer, Peer::refuses(peer, &scenario)?));
        self.peers.iter().filter_map(refuses)
    }

    /// As much as they can take, all of them running, one of them loaded at a time.
    fn under_load(&mut self, scenario: &Scenario, load: &Load) -> Result<Vec<PeerResult>, BenchError> {
        let mut turns = self.start(scenario)?;
        for turn in &mut turns {
            turn.bytes = turn.keep(|address| self.wrk.check(address, load, scenario));
        }
        let seconds = self.arguments.secs;
        for round in 1..=self.arguments.rounds {
            for turn in &mut turns {
                let bytes = turn.bytes.unwrap_or_default();
                turn.take(round, |address| {
                    self.wrk.measure(address, load, scenario, seconds, bytes)
                });
            }
        }
        Ok(turns.into_iter().map(|turn| turn.result).collect())
    }

    /// At a rate that leaves the slowest half idle; the rate is the same for all, so that their latencies compare.
    fn at_half_load(&mut self, scenario: &Scenario, load: &Load) -> Result<Vec<PeerResult>, BenchError> {
        let mut turns = self.start(scenario)?;
        let mut slowest = f64::INFINITY;
        for turn in &mut turns {
            let bytes = turn
                .keep(|address| self.wrk.check(address, load, scenario))
                .unwrap_or_default();
            let seen = turn.keep(|address| {
                self.wrk
                    .measure(address, load, scenario, self.arguments.secs, bytes)
            });
            slowest = slowest.min(seen.map_or(f64::INFINITY, |seen| seen.answers_per_second));
        }
        let rate = slowest / 2.0;
        if !rate.is_finite() {
            return Ok(turns.into_iter().map(|turn| turn.result).collect());
        }
        eprintln!("  rate: {rate:.0} requests a second");
        let (folder, cores) = (self.place.folder.clone(), self.place.cores.load.clone());
        let seconds = self.arguments.secs;
        for round in 1..=self.arguments.rounds {
            for turn in &mut turns {
                turn.take(round, |address| {
                    at_rate(address, load, rate, seconds, &folder, &cores)
                });
            }
        }
        Ok(turns.into_iter().map(|turn| turn.result).collect())
    }

    /// Connections, after a second of new ones at a time which warms up and gives the bytes of an answer.
    fn handshakes(
        &mut self,
        scenario: &Scenario,
        handshake: Handshake,
    ) -> Result<Vec<PeerResult>, BenchError> {
        let mut turns = self.start(scenario)?;
        for turn in &mut turns {
            turn.bytes = turn.keep(|address| self.wrk.check(address, &scenario::FRESH, scenario));
        }
        let (seconds, cores) = (self.arguments.secs, self.place.cores.load.clone());
        for round in 1..=self.arguments.rounds {
            for turn in &mut turns {
                let bytes = turn.bytes.unwrap_or_default();
                turn.take(round, |address| {
                    handshakes(address, handshake, seconds, bytes, &cores)
                });
            }
        }
        Ok(turns.into_iter().map(|turn| turn.result).collect())
    }

    /// Each alone and anew in every round: pages that two processes share count half for each.
    fn at_rest(&mut self, scenario: &Scenario, connections: usize) -> Result<Vec<PeerResult>, BenchError> {
        let mut results: Vec<PeerResult> = self.peers.iter().map(PeerResult::new).collect();
        for round in 1..=self.arguments.rounds {
            for (peer, result) in self.peers.iter().zip(&mut results) {
                if result.failure.is_some() {
                    continue;
                }
                match rest(peer, scenario, connections, &mut self.place) {
                    Ok(sample) => result.push(round, sample),
                    Err(error) => result.fail(&error),
                }
            }
        }
        Ok(results)
    }

    fn start(&mut self, scenario: &Scenario) -> Result<Vec<Turn>, BenchError> {
        let mut turns = Vec::new();
        let carries = |peer: &&Peer| peer.refuses(scenario).is_none();
        for peer in self.peers.iter().filter(carries) {
            let mut result = PeerResult::new(peer);
            let running = match peer.start(scenario, &mut self.place) {
                Ok(running) => Some(running),
                Err(error) => {
                    result.fail(&error);
                    None
                }
            };
            turns.push(Turn {
                running,
                result,
                bytes: None,
            });
        }
        Ok(turns)
    }

    fn report(
        self,
        isolation: Isolation,
        scenarios: Vec<ScenarioResult>,
        left_out: &[peers::LeftOut],
    ) -> Report {
        Report {
            date: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            machine: report::machine(),
            isolation,
            rounds: self.arguments.rounds,
            seconds: self.arguments.secs,
            versions: self
                .peers
                .iter()
                .map(|peer| (peer.name.clone(), peer.version()))
                .collect(),
            left_out: left_out
                .iter()
                .map(|peer| (peer.name.clone(), peer.why.clone()))
                .collect(),
            scenarios,
        }
    }
}

/// One peer in one scenario. What fails once is not tried again.
struct Turn {
    running: Option<Running>,
    result: PeerResult,
    /// Of one answer.
    bytes: Option<f64>,
}

impl Turn {
    /// Does something with the running peer that gives no figure of its own.
    fn keep<T>(&mut self, act: impl FnOnce(SocketAddr) -> Result<T, BenchError>) -> Option<T> {
        let address = self.running.as_ref()?.address;
        self.result.keep(|| act(address))
    }

    /// Loads the peer and meters what it takes.
    fn take(&mut self, round: u32, load: impl FnOnce(SocketAddr) -> Result<Seen, BenchError>) {
        let Some(running) = self.running.take() else {
            return;
        };
        let sample = self.result.keep(|| {
            let before = running.cpu_ns()?;
            let seen = load(running.address)?;
            let cpu_us = (running.cpu_ns()? - before) as f64 / 1e3;
            let time = |of: fn(&Times) -> f64| seen.times.as_ref().map(of);
            Ok(Sample {
                cpu_us_per_request: Some(cpu_us / seen.answers as f64),
                requests_per_second: Some(seen.answers_per_second),
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

/// A scenario for peers that can hold `connections_max`, and what is other than its title says.
fn fitting(scenario: &Scenario, connections_max: usize) -> (Scenario, Option<String>) {
    let most = connections_max.saturating_sub(FIRST);
    match scenario.kind {
        Kind::Rest { connections } if connections > most => {
            let kind = Kind::Rest { connections: most };
            let note =
                format!("{most} connections, as this machine does not allow enough open files for more");
            (Scenario { kind, ..*scenario }, Some(note))
        }
        _ => (*scenario, None),
    }
}

/// One round of a peer at rest.
fn rest(
    peer: &Peer,
    scenario: &Scenario,
    connections: usize,
    place: &mut Place,
) -> Result<Sample, BenchError> {
    let running = peer.start(scenario, place)?;
    sleep(SETTLE);
    let tls = (scenario.security == Security::Tls)
        .then(|| Tls::believing(&place.material.authority))
        .transpose()?;
    // The first request builds what all others share: pools, tables, the allocator's first pages.
    let first = (connections > 0)
        .then(|| idle::connect(running.address, FIRST, tls.as_ref()))
        .transpose()?;
    let before = running.pss_bytes()?;
    let clients = idle::connect(running.address, connections, tls.as_ref())?;
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
const FIRST: usize = 16;
/// After a start some still read files and touch their tables.
const SETTLE: Duration = Duration::from_millis(500);
const ORIGIN_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_rest_than_the_machine_allows() {
        let names = ["idle-10000".to_owned()];
        let [scenario] = scenario::chosen(&names).unwrap().try_into().unwrap();
        let (found, note) = fitting(&scenario, 9744);
        assert!(matches!(found.kind, Kind::Rest { connections: 9728 }));
        assert!(note.unwrap().starts_with("9728 connections"));

        let (found, note) = fitting(&scenario, 10_016);
        assert!(matches!(found.kind, Kind::Rest { connections: 10_000 }));
        assert_eq!(note, None);
    }
}
