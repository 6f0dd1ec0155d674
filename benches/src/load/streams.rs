//! h2load over HTTP/2: on each connection as many requests are in flight as the scenario says, for so many seconds.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header::CONTENT_TYPE};

use super::{
    Seen,
    h2load::{FIELDS, program},
};
use crate::{
    client::Http2Clients,
    error::{BenchError, about},
    origin::BODY_BYTES,
    process::{on_cores, output},
    scenario::{Scenario, Security, Streams},
};

/// h2load with what it sends.
pub(crate) struct StreamsLoad {
    program: PathBuf,
    cores: String,
    /// The message of a gRPC call, with its length before it.
    message: PathBuf,
}

impl StreamsLoad {
    /// Writes what it sends to `folder`; fails when h2load is not installed.
    pub(crate) fn prepare(folder: &Path, cores: &str) -> Result<Self, BenchError> {
        let message = folder.join("message.grpc");
        fs::write(&message, framed()).map_err(about(&message))?;
        Ok(Self {
            program: program()?,
            cores: cores.to_owned(),
            message,
        })
    }

    /// Warms a peer up for a second; of gRPC it looks at a whole answer, which h2load does not.
    pub(crate) fn check(
        &self,
        address: SocketAddr,
        streams: &Streams,
        scenario: &Scenario,
    ) -> Result<(), BenchError> {
        if streams.is_grpc {
            call(address)?;
        }
        self.measure(address, streams, scenario, 1).map(|_| ())
    }

    /// Loads a peer for `seconds`.
    pub(crate) fn measure(
        &self,
        address: SocketAddr,
        streams: &Streams,
        scenario: &Scenario,
        seconds: u32,
    ) -> Result<Seen, BenchError> {
        let mut command = on_cores(&self.cores, &self.program);
        command.args(["-t1", "-N10s"]).args([
            format!("-c{}", streams.connections),
            format!("-m{}", streams.each),
            format!("-D{seconds}"),
        ]);
        for field in FIELDS {
            command.args(["-H", field]);
        }
        let path = if streams.is_grpc {
            command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
            command.arg("-d").arg(&self.message);
            METHOD
        } else {
            "/plain"
        };
        let scheme = match scenario.security {
            Security::Tls => "https",
            Security::None | Security::MutualPair => "http",
        };
        command.arg(format!("{scheme}://{address}{path}"));
        seen(&output(&mut command)?, streams)
    }
}

/// From its report: every answer a 200, and bodies of the right length, but for what was in flight at the end.
fn seen(report: &str, streams: &Streams) -> Result<Seen, BenchError> {
    let told = |start: &str| report.lines().find(|line| line.starts_with(start));
    let lines = [
        "Application protocol:",
        "finished in",
        "requests:",
        "status codes:",
        "traffic:",
    ]
    .map(told);
    let [
        Some(protocol),
        Some(finished),
        Some(requests),
        Some(statuses),
        Some(traffic),
    ] = lines
    else {
        return Err(BenchError::Form {
            what: "h2load's report",
            text: report.to_owned(),
        });
    };
    let wrong = || BenchError::WrongAnswers([protocol, requests, statuses, traffic].join("; "));
    let number = |line: &str, unit: &str| {
        let part = line.split(", ").find_map(|part| part.strip_suffix(unit))?;
        part.rsplit([' ', ':', '(']).next()?.parse::<f64>().ok()
    };
    let answers = number(requests, " done").ok_or_else(wrong)?;
    let body = if streams.is_grpc {
        framed().len()
    } else {
        BODY_BYTES
    } as f64;
    let data = number(traffic, ") data").ok_or_else(wrong)?;
    let good = number(statuses, " 2xx").ok_or_else(wrong)?;
    // Of these the head may be here, or the whole body but no trailers.
    let with_begun = answers + (streams.connections * streams.each) as f64;
    let is_right = answers > 0.0
        && (protocol.ends_with(": h2") || protocol.ends_with(": h2c"))
        && requests.ends_with(" 0 failed, 0 errored, 0 timeout")
        && statuses.ends_with(" 0 3xx, 0 4xx, 0 5xx")
        && (answers..=with_begun).contains(&good)
        && (answers * body..=with_begun * body).contains(&data);
    if !is_right {
        return Err(wrong());
    }
    Ok(Seen {
        amount: answers as u64,
        per_second: number(finished, " req/s").ok_or_else(wrong)?,
        times: None,
    })
}

/// One call, whose message must come back, and with it that all went well.
fn call(address: SocketAddr) -> Result<(), BenchError> {
    let request = Request::post(format!("http://{address}{METHOD}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header("te", "trailers")
        .body(Bytes::from(framed()))
        .expect("its parts are right");
    let answer = Http2Clients::new()?.ask(address, request)?;
    is_echo(&answer.response, &answer.trailers)
        .then_some(())
        .ok_or_else(|| {
            BenchError::WrongAnswers(format!("to a call: {:?}, {:?}", answer.response, answer.trailers))
        })
}

fn is_echo(response: &Response<Vec<u8>>, trailers: &HeaderMap) -> bool {
    let is_grpc = |value| value == "application/grpc";
    response.status() == StatusCode::OK
        && response.headers().get(CONTENT_TYPE).is_some_and(is_grpc)
        && *response.body() == framed()
        && trailers.get("grpc-status").is_some_and(|status| status == "0")
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn framed() -> Vec<u8> {
    let length = u32::try_from(BODY_BYTES).expect("64 bytes").to_be_bytes();
    [&[0], length.as_slice(), &[b'x'; BODY_BYTES]].concat()
}

const METHOD: &str = "/bench.Echo/Unary";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::{Speech, tests::started};

    const STREAMS: Streams = Streams {
        connections: 2,
        each: 5,
        is_grpc: false,
    };
    const REPORT: &str = "Application protocol: h2c\n\nfinished in 2.00s, 1000.50 req/s, 17.46MB/s\n\
        requests: 2000 total, 2010 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout\n\
        status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx\n\
        traffic: 34.91MB (36606230) total, 3.75MB (3937190) headers (space savings 93.50%), 125KB (128000) data\n";

    #[test]
    fn every_answer_must_be_right() {
        let found = seen(REPORT, &STREAMS).unwrap();
        assert_eq!((found.amount, found.per_second), (2000, 1000.5));
        for (from, to) in [
            ("h2c\n", "http/1.1\n"),
            ("0 failed", "1 failed"),
            ("2000 2xx, 0 3xx", "2000 2xx, 1 3xx"),
            ("2000 2xx", "1999 2xx"),
            ("2000 2xx", "2011 2xx"),
            ("(128000) data", "(127999) data"),
            ("(128000) data", "(128641) data"),
            ("2000 done", "0 done"),
            ("finished in", "ended in"),
        ] {
            assert!(seen(&REPORT.replace(from, to), &STREAMS).is_err(), "{from} {to}");
        }
        let begun = REPORT
            .replace("(128000)", "(128640)")
            .replace("2000 2xx", "2010 2xx");
        assert!(seen(&begun, &STREAMS).is_ok());
    }

    #[test]
    fn a_call_without_its_trailers_is_no_answer() {
        let response = Response::builder().header(CONTENT_TYPE, "application/grpc");
        let response = response.body(framed()).unwrap();
        let mut trailers = HeaderMap::new();
        assert!(!is_echo(&response, &trailers));
        trailers.insert("grpc-status", "0".parse().unwrap());
        assert!(is_echo(&response, &trailers));
    }

    #[test]
    fn the_origin_answers_calls() {
        call(started(Speech::Http2)).unwrap();
    }
}
