//! h2load at a fixed rate: requests go out on time whatever the peer does, and each one's time is in its log.
//!
//! Each of its clients has a clock of its own and one request in flight. A client whose answer is late by more than
//! its interval (64 clients at 6,400 a second: 10 ms) sends the next one late, so longer stalls are understated.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{Seen, Times};
use crate::{
    error::{BenchError, about},
    process::{find, on_cores, output},
    scenario::Load,
    statistics::percentile,
};

/// Sends `rate` requests a second for `seconds` over the load's connections, which open one by one before.
pub(crate) fn at_rate(
    address: SocketAddr,
    load: &Load,
    rate: f64,
    seconds: u32,
    folder: &Path,
    cores: &str,
) -> Result<Seen, BenchError> {
    let program = program()?;
    let log = folder.join("h2load.tsv");
    // It appends.
    _ = fs::remove_file(&log);
    let ramp_seconds = load.connections as f64 * CONNECT_MS / 1e3;
    let requests = (rate * (f64::from(seconds) + ramp_seconds)).round() as u64;
    let mut command = on_cores(cores, &program);
    command
        .args(["--h1", "-t1", "-r1"])
        .arg(format!("--rate-period={CONNECT_MS}ms"));
    command
        .arg(format!("-c{}", load.connections))
        .arg(format!("-n{requests}"));
    command.arg(format!("--rps={:.3}", rate / load.connections as f64));
    command.arg(format!("--log-file={}", log.display()));
    for field in FIELDS {
        command.args(["-H", field]);
    }
    command.arg(format!("http://{address}/plain?bytes={}", load.down_bytes));
    refuse_errors(&output(&mut command)?, requests, load.down_bytes)?;
    let text = fs::read_to_string(&log).map_err(about(&log))?;
    seen(&text, ramp_seconds)
}

/// Where it stands; fails when it is not installed.
pub(super) fn program() -> Result<PathBuf, BenchError> {
    let missing =
        || BenchError::Usage("h2load is missing (Debian: apt-get install nghttp2-client)".to_owned());
    find("h2load").ok_or_else(missing)
}

/// h2load's own account: all requests done with a 2xx, and bodies of the right length in sum.
fn refuse_errors(report: &str, requests: u64, body_bytes: usize) -> Result<(), BenchError> {
    let statuses = format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx");
    let data = format!("({}) data", requests * body_bytes as u64);
    if report.contains(&statuses) && report.contains(&data) {
        return Ok(());
    }
    let told = report.lines().filter(|line| {
        ["requests:", "status codes:", "traffic:"]
            .iter()
            .any(|start| line.starts_with(start))
    });
    Err(BenchError::WrongAnswers(told.collect::<Vec<_>>().join("; ")))
}

/// From lines of start in microseconds, status, microseconds; the times of those in the first `ramp_seconds` are left out.
fn seen(log: &str, ramp_seconds: f64) -> Result<Seen, BenchError> {
    let mut lines = Vec::new();
    for line in log.lines() {
        let mut numbers = line.split('\t').map(str::parse::<i64>);
        let (Some(Ok(start)), Some(Ok(200)), Some(Ok(took))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(BenchError::WrongAnswers(format!("h2load's log: {line:?}")));
        };
        lines.push((start, took.unsigned_abs()));
    }
    let answers = lines.len() as u64;
    let first = lines.iter().map(|(start, _)| *start).min().unwrap_or(0);
    let begin = first + (ramp_seconds * 1e6) as i64;
    lines.retain(|(start, _)| *start >= begin);
    let last = lines.iter().map(|(start, _)| *start).max().unwrap_or(begin);
    let mut times: Vec<u64> = lines.iter().map(|(_, took)| *took).collect();
    times.sort_unstable();
    let value = |per_mille| percentile(&times, per_mille).map(|time| time as f64);
    let (Some(p50_us), Some(p99_us), Some(p999_us)) = (value(500), value(990), value(999)) else {
        return Err(BenchError::WrongAnswers("none after the start".to_owned()));
    };
    Ok(Seen {
        amount: answers,
        per_second: times.len() as f64 / ((last - begin).max(1) as f64 / 1e6),
        times: Some(Times {
            p50_us,
            p99_us,
            p999_us,
        }),
    })
}

/// Between two connections. No multiple of a client's interval, so that the clients' clocks do not strike together.
const CONNECT_MS: f64 = 7.0;

/// Beside those that h2load sends itself: about what a browser sends.
pub(super) const FIELDS: [&str; 3] = [
    "accept-encoding: gzip, deflate, br",
    "accept-language: en-US,en;q=0.5",
    "x-trace: 0123456789abcdef",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_from_the_log_after_the_start() {
        let log: String = (0..2000)
            .map(|index| format!("{}\t200\t{}\n", 1_000_000 + index * 1000, index))
            .collect();
        let seen = seen(&log, 1.0).unwrap();
        let times = seen.times.unwrap();
        assert_eq!((seen.amount, times.p50_us, times.p99_us), (2000, 1499.0, 1989.0));
        assert!((seen.per_second - 1001.0).abs() < 1.0);
    }

    #[test]
    fn one_wrong_answer_leaves_no_figure() {
        assert!(seen("1\t200\t5\n2\t503\t5\n", 0.0).is_err());
        assert!(seen("1\t-1\t5\n", 0.0).is_err());
        assert!(seen("", 0.0).is_err());
        let good = "status codes: 10 2xx, 0 3xx, 0 4xx, 0 5xx\ntraffic: 9KB (9) total, 640B (640) data\n";
        assert!(refuse_errors(good, 10, 64).is_ok());
        assert!(refuse_errors(good, 11, 64).is_err());
        assert!(refuse_errors(good, 10, 65).is_err());
    }
}
