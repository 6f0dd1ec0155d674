//! The guard on the cost of a request: instructions in user space, which do not depend on what else the machine does.
//!
//! The gateway runs under valgrind, once with N keep-alive requests and once with 2N; the difference is what N
//! requests cost, without the start and the end of the process. On epoll, since valgrind knows no io_uring.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use crate::{
    InstructionsArguments,
    client::Client,
    error::{BenchError, about},
    idle::REQUEST,
    origin::BODY_BYTES,
    peers::{Ports, cargo, target_folder},
    process::{Process, find},
};

/// Most instructions of a request of [`REQUEST`] and its answer, as the tests build it. To be raised only on purpose, with the
/// reason here; to be lowered whenever the count has become [`SLACK`] smaller.
///
/// 25,200: 24,600 since each side of a message is HTTP/1 or HTTP/2, which is looked at wherever bytes move (24,100 before;
/// 16,800 of what is shipped, 16,300 before), and room for another compiler.
const INSTRUCTIONS_MAX: u64 = 25_200;

/// A count below this share of the bound asks for a lower bound.
const SLACK: f64 = 0.85;

/// Counts, tells, and fails above the bound.
pub(crate) fn run(arguments: &InstructionsArguments) -> Result<ExitCode, BenchError> {
    let sluice = match &arguments.sluice {
        Some(path) => path.clone(),
        None => {
            cargo(&["--package", "sluice"])?;
            target_folder().join("debug/sluice")
        }
    };
    let folder = tempfile::tempdir().map_err(about("a temporary folder"))?;
    let mut ports = Ports::default();
    let shorter = count(&sluice, arguments.requests, folder.path(), &mut ports)?;
    let longer = count(&sluice, 2 * arguments.requests, folder.path(), &mut ports)?;
    let each = longer.saturating_sub(shorter) / arguments.requests;
    println!("{each} instructions a request; the bound is {INSTRUCTIONS_MAX}");
    if each > INSTRUCTIONS_MAX {
        return Err(BenchError::AboveBound(format!(
            "{each} instructions a request are more than the bound of {INSTRUCTIONS_MAX}: find out why \
             (callgrind_annotate), or raise the bound in benches/src/instructions.rs with a reason"
        )));
    }
    if (each as f64) < INSTRUCTIONS_MAX as f64 * SLACK {
        println!("the bound can be lowered to {}", each + each / 20);
    }
    Ok(ExitCode::SUCCESS)
}

/// Instructions of a process that serves so many requests.
fn count(sluice: &Path, requests: u64, folder: &Path, ports: &mut Ports) -> Result<u64, BenchError> {
    let missing = || BenchError::Usage("valgrind is missing (Debian: apt-get install valgrind)".to_owned());
    let (listen, admin, origin) = (ports.next()?, ports.next()?, ports.next()?);
    let config = folder.join("sluice.yaml");
    fs::write(&config, configuration(listen, admin, origin)).map_err(about(&config))?;
    let own = std::env::current_exe().map_err(about("this program"))?;
    let backend = ["origin".to_owned(), origin.to_string()];
    let mut backend = Process::start("origin", ALL_CORES, &own, backend, folder)?;
    backend.wait_until_it_listens(origin, PATIENCE)?;
    let counts = folder.join(format!("callgrind.{requests}"));
    let arguments: Vec<PathBuf> = [
        "--tool=callgrind".into(),
        format!("--callgrind-out-file={}", counts.display()).into(),
        sluice.to_owned(),
    ]
    .into_iter()
    .chain(["run", "--io", "epoll", "--workers", "1", "-c"].map(PathBuf::from))
    .chain([config])
    .collect();
    let valgrind = find("valgrind").ok_or_else(missing)?;
    let mut gateway = Process::start("sluice", ALL_CORES, &valgrind, arguments, folder)?;
    gateway.wait_until_it_listens(listen, PATIENCE)?;
    let mut client = Client::connect(listen, None)?;
    for _ in 0..requests {
        client.ask(REQUEST, BODY_BYTES)?;
    }
    drop(client);
    let said = gateway.end();
    let text = fs::read_to_string(&counts).map_err(about(&counts))?;
    summary(&text).ok_or(BenchError::Form {
        what: "callgrind's output",
        text: said,
    })
}

fn configuration(listen: SocketAddr, admin: SocketAddr, origin: SocketAddr) -> String {
    format!(
        "admin: {{ bind: \"{admin}\" }}\n\
         listeners: [{{ name: web, bind: \"{listen}\" }}]\n\
         routes: [{{ name: all, rules: [{{ backends: [{{ service: origin }}] }}] }}]\n\
         services: [{{ name: origin, endpoints: [{{ address: \"{origin}\" }}] }}]\n"
    )
}

/// What callgrind counted in all.
fn summary(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Where it runs does not matter: instructions are counted, not time.
const ALL_CORES: &str = "0-1023";
/// Valgrind takes some seconds to start the gateway.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_the_sum() {
        assert_eq!(
            summary("version: 1\nsummary: 41857282\n\ntotals: 41857445\n"),
            Some(41_857_282)
        );
        assert_eq!(summary("version: 1\n"), None);
    }
}
