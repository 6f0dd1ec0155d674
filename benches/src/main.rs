//! The side-by-side run against other proxies (`peers`), and the guard on the instructions of a request
//! (`instructions`).
//!
//! Rooms, each using only those to its right:
//! `main > run, instructions > report > load, idle > peers > scenario > origin > client > process > namespace, material,
//! meter, statistics > error`.

mod client;
mod error;
mod idle;
mod instructions;
mod load;
mod material;
mod meter;
mod namespace;
mod origin;
mod peers;
mod process;
mod report;
mod run;
mod scenario;
mod statistics;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use error::BenchError;

/// Measurements of Sluice beside other proxies.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures Sluice, Envoy, HAProxy, nginx and two yardsticks in turns, and writes a table, JSON and a chart.
    Peers(PeersArguments),
    /// Counts the instructions of one request under valgrind and fails above the bound in instructions.rs.
    Instructions(InstructionsArguments),
    /// The backend of the measurements.
    #[command(hide = true)]
    Origin {
        /// Where it listens.
        address: SocketAddr,
        /// What it answers.
        #[arg(value_enum, default_value_t = origin::Speech::Http1)]
        speech: origin::Speech,
    },
    /// The load of long streams.
    #[command(hide = true)]
    Drain(load::DrainArguments),
}

/// What of the side-by-side run is wanted.
#[derive(Args, Clone)]
pub(crate) struct PeersArguments {
    /// Peers to measure, by name or by the part before a dash: `sluice,envoy`. All by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Scenarios to run, by name. All by default; `--list` names them.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// How often each peer has its turn in each scenario.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Seconds of one turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    secs: u32,
    /// A build of the gateway to measure, NAME=PATH or NAME=PATH@IO+IO for the bases it is to run on (by default
    /// uring and epoll). Repeat it to compare builds. Without it this workspace is built and measured as `sluice`.
    #[arg(long, value_name = "NAME=PATH[@IO+IO]")]
    sluice: Vec<peers::Build>,
    /// Where the results go.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results"))]
    results: PathBuf,
    /// Names the peers and scenarios and ends.
    #[arg(long)]
    list: bool,
    /// Set by the run itself once it stands in its own namespaces.
    #[arg(long, hide = true)]
    inside: Option<namespace::Isolation>,
}

/// How instructions are counted.
#[derive(Args)]
pub(crate) struct InstructionsArguments {
    /// A binary to count instead of building one as the tests do.
    #[arg(long)]
    sluice: Option<PathBuf>,
    /// Requests of the shorter of the two runs; the longer has twice as many.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    requests: u64,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Peers(arguments) => run::run(&arguments),
        Command::Instructions(arguments) => instructions::run(&arguments),
        Command::Origin { address, speech } => origin::serve(address, speech).map(|()| ExitCode::SUCCESS),
        Command::Drain(arguments) => load::drain(&arguments).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error: BenchError| {
        eprintln!("sluice-benches: {error}");
        ExitCode::FAILURE
    })
}
