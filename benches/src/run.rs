//! The side-by-side run: for each scenario all peers are started anew, then they take turns, round after round.
//!
//! As machines speed up and slow down over minutes, only figures of the same rounds compare.

mod rest;
mod turn;

use std::{fs, process::ExitCode};

use jiff::Timestamp;

use crate::{
    PeersArguments,
    error::{BenchError, about},
    load::{StreamsLoad, Wrk, at_rate, bulk, handshakes},
    material::Material,
    namespace::{self, Cores, Isolation},
    origin::Origins,
    peers::{self, Build, Peer, Place, Ports, is_wanted, target_folder},
    process,
    report::{self, PeerResult, Report, ScenarioResult},
    scenario::{self, Kind, Load, Scenario},
};
use rest::{FIRST, rest};
use turn::{Turn, take_turns};

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
    streams: StreamsLoad,
}

impl Bench {
    fn prepare(arguments: &PeersArguments, peers: Vec<Peer>) -> Result<Self, BenchError> {
        let folder = target_folder().join("peers/run");
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(about(&folder))?;
        let cores = Cores::split()?;
        let mut ports = Ports::default();
        let origins = Origins::start(&cores.load, &folder, || ports.next())?;
        Ok(Self {
            arguments: arguments.clone(),
            peers,
            wrk: Wrk::prepare(&folder, &cores.load)?,
            streams: StreamsLoad::prepare(&folder, &cores.load)?,
            place: Place {
                cores,
                material: Material::make(&folder)?,
                folder,
                origins,
                ports,
            },
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
            Kind::HalfLoad(load) => self.at_half_load(scenario, &load),
            Kind::Rest { connections } => self.at_rest(scenario, connections),
            _ => self.under_load(scenario),
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
    fn under_load(&mut self, scenario: &Scenario) -> Result<Vec<PeerResult>, BenchError> {
        let mut turns = self.start(scenario)?;
        let (rounds, seconds) = (self.arguments.rounds, self.arguments.secs);
        let cores = &self.place.cores.load;
        match scenario.kind {
            Kind::Load(load) => take_turns(
                &mut turns,
                rounds,
                |address| self.wrk.check(address, &load, scenario),
                |address, bytes| self.wrk.measure(address, &load, scenario, seconds, *bytes),
            ),
            Kind::Streams(streams) => take_turns(
                &mut turns,
                rounds,
                |address| self.streams.check(address, &streams, scenario),
                |address, ()| self.streams.measure(address, &streams, scenario, seconds),
            ),
            // After a second of new connections, which warms up and gives the bytes of an answer.
            Kind::Handshakes(handshake) => take_turns(
                &mut turns,
                rounds,
                |address| self.wrk.check(address, &scenario::FRESH, scenario),
                |address, bytes| handshakes(address, handshake, seconds, *bytes, cores),
            ),
            Kind::Bulk { connections } => take_turns(
                &mut turns,
                rounds,
                |address| bulk(address, connections, 1, true, cores),
                |address, _| bulk(address, connections, seconds, false, cores),
            ),
            // Neither is as much as they can take.
            Kind::HalfLoad(_) | Kind::Rest { .. } => {}
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
            slowest = slowest.min(seen.map_or(f64::INFINITY, |seen| seen.per_second));
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

    /// Each alone and anew in every round: pages that two processes share count half for each.
    fn at_rest(&mut self, scenario: &Scenario, connections: usize) -> Result<Vec<PeerResult>, BenchError> {
        let carriers = self.peers.iter().filter(|peer| peer.refuses(scenario).is_none());
        let mut results: Vec<(&Peer, PeerResult)> =
            carriers.map(|peer| (peer, PeerResult::new(peer))).collect();
        for round in 1..=self.arguments.rounds {
            for (peer, result) in &mut results {
                if result.failure.is_some() {
                    continue;
                }
                match rest(peer, scenario, connections, &mut self.place) {
                    Ok(sample) => result.push(round, sample),
                    Err(error) => result.fail(&error),
                }
            }
        }
        Ok(results.into_iter().map(|(_, result)| result).collect())
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
                measure: scenario.kind.measure(),
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
