//! wrk: each connection sends its next request when it has its answer, so a peer is as busy as it can be.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Seen, Times};
use crate::{
    error::{BenchError, about},
    process::{find, on_cores, output},
    scenario::{Load, Scenario, Security},
};

/// wrk with its script, ready to be run.
pub(crate) struct Wrk {
    program: PathBuf,
    script: PathBuf,
    cores: String,
}

impl Wrk {
    /// Writes the script to `folder`; fails when wrk is not installed.
    pub(crate) fn prepare(folder: &Path, cores: &str) -> Result<Self, BenchError> {
        let missing = || BenchError::Usage("wrk is missing (Debian: apt-get install wrk)".to_owned());
        let script = folder.join("load.lua");
        fs::write(&script, SCRIPT).map_err(about(&script))?;
        Ok(Self {
            program: find("wrk").ok_or_else(missing)?,
            script,
            cores: cores.to_owned(),
        })
    }

    /// Warms a peer up for a second and looks at every answer; gives the bytes of an answer, head and body.
    pub(crate) fn check(
        &self,
        address: SocketAddr,
        load: &Load,
        scenario: &Scenario,
    ) -> Result<f64, BenchError> {
        let report = self.run("check", address, load, scenario, 1)?;
        report.refuse_errors()?;
        Ok(report.bytes_per_answer())
    }

    /// Loads a peer for `seconds`, whose answers have `bytes` each.
    pub(crate) fn measure(
        &self,
        address: SocketAddr,
        load: &Load,
        scenario: &Scenario,
        seconds: u32,
        bytes: f64,
    ) -> Result<Seen, BenchError> {
        let report = self.run("measure", address, load, scenario, seconds)?;
        report.refuse_errors()?;
        report.refuse_other_bytes(bytes, load)?;
        Ok(report.seen())
    }

    fn run(
        &self,
        mode: &str,
        address: SocketAddr,
        load: &Load,
        scenario: &Scenario,
        seconds: u32,
    ) -> Result<Report, BenchError> {
        let mut command = on_cores(&self.cores, &self.program);
        command
            .arg("-t1")
            .arg(format!("-c{}", load.connections))
            .arg(format!("-d{seconds}s"));
        command.args(["--timeout", "10s", "-s"]).arg(&self.script);
        let scheme = match scenario.security {
            Security::Tls => "https",
            Security::None | Security::MutualPair => "http",
        };
        command.arg(format!("{scheme}://{address}/")).args(["--", mode]);
        command.args([load.up_bytes, load.down_bytes].map(|bytes| bytes.to_string()));
        command
            .arg(if load.is_fresh { "fresh" } else { "keep" })
            .arg(scenario.routes.to_string());
        Report::parse(&output(&mut command)?)
    }
}

/// The line that the script prints at the end.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    requests: u64,
    bytes: u64,
    duration_us: u64,
    connect_errors: u64,
    read_errors: u64,
    write_errors: u64,
    status_errors: u64,
    timeouts: u64,
    wrong: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
}

impl Report {
    fn parse(text: &str) -> Result<Self, BenchError> {
        let line = text.lines().rev().find(|line| line.starts_with('{'));
        let parsed = line.and_then(|line| serde_json::from_str(line).ok());
        parsed.ok_or_else(|| BenchError::Form {
            what: "wrk's report",
            text: text.to_owned(),
        })
    }

    fn refuse_errors(&self) -> Result<(), BenchError> {
        let errors = [
            (self.connect_errors, "failed to connect"),
            (self.read_errors, "failed to read"),
            (self.write_errors, "failed to write"),
            (self.status_errors, "of status 400 or above"),
            (self.timeouts, "not within 10 s"),
            (self.wrong, "not 200 or of the wrong length"),
        ];
        let found: Vec<String> = errors
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if found.is_empty() && self.requests > 0 {
            return Ok(());
        }
        let (all, seconds) = (self.requests, self.duration_us as f64 / 1e6);
        Err(BenchError::WrongAnswers(format!(
            "of {all} in {seconds:.1} s: {}",
            found.join(", ")
        )))
    }

    fn bytes_per_answer(&self) -> f64 {
        self.bytes as f64 / self.requests as f64
    }

    /// At the end each connection may have had part of one more answer; a field that tells a time may have a digit
    /// more or less.
    fn refuse_other_bytes(&self, expected: f64, load: &Load) -> Result<(), BenchError> {
        let unfinished = load.connections as f64 / self.requests as f64;
        let off = (self.bytes_per_answer() - expected).abs();
        if off <= HEAD_BYTES_VARYING + expected * unfinished + expected * CHECK_UNFINISHED {
            return Ok(());
        }
        let found = self.bytes_per_answer();
        Err(BenchError::WrongAnswers(format!(
            "{found:.1} bytes an answer instead of {expected:.1}"
        )))
    }

    fn seen(&self) -> Seen {
        Seen {
            amount: self.requests,
            per_second: self.requests as f64 / (self.duration_us as f64 / 1e6),
            times: Some(Times {
                p50_us: self.p50_us,
                p99_us: self.p99_us,
                p999_us: self.p999_us,
            }),
        }
    }
}

const SCRIPT: &str = include_str!("../../peers/load.lua");
/// Of 200 bytes of a head: envoy tells how long the origin took.
const HEAD_BYTES_VARYING: f64 = 4.0;
/// What the first pass itself may be off by, for the same reason.
const CHECK_UNFINISHED: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = concat!(
        r#"{"requests":2000,"bytes":400000,"durationUs":2000000,"connectErrors":0,"readErrors":0,"writeErrors":0,"#,
        r#""statusErrors":0,"timeouts":0,"wrong":0,"p50Us":800,"p99Us":1500,"p999Us":2500}"#
    );
    const LOAD: Load = Load {
        connections: 10,
        up_bytes: 0,
        down_bytes: 64,
        is_fresh: false,
    };

    #[test]
    fn a_report_is_the_last_line_of_what_wrk_says() {
        let report = Report::parse(&format!("Running 2s test\n  Requests/sec: 1000\n{LINE}\n")).unwrap();
        report.refuse_errors().unwrap();
        let seen = report.seen();
        assert_eq!(
            (seen.amount, seen.per_second, seen.times.unwrap().p999_us),
            (2000, 1000.0, 2500.0)
        );
        assert!(Report::parse("wrk: command not found").is_err());
    }

    #[test]
    fn any_error_leaves_no_figure() {
        for field in [
            "connectErrors",
            "readErrors",
            "writeErrors",
            "statusErrors",
            "timeouts",
            "wrong",
        ] {
            let line = LINE.replace(&format!("\"{field}\":0"), &format!("\"{field}\":1"));
            assert!(Report::parse(&line).unwrap().refuse_errors().is_err(), "{field}");
        }
        let none = LINE.replace("\"requests\":2000", "\"requests\":0");
        assert!(Report::parse(&none).unwrap().refuse_errors().is_err());
    }

    #[test]
    fn answers_of_another_length_leave_no_figure() {
        let report = Report::parse(LINE).unwrap();
        assert!(report.refuse_other_bytes(202.0, &LOAD).is_ok());
        assert!(report.refuse_other_bytes(264.0, &LOAD).is_err());
    }
}
