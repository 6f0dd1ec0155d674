//! openssl's s_time: one TLS connection after the other, new or resumed, each with one request. Several of it run side by
//! side, so that the peer has no time to fall asleep in between.

use std::{net::SocketAddr, thread};

use super::Seen;
use crate::{
    error::BenchError,
    process::{find, on_cores, output},
    scenario::Handshake,
};

/// Connects for `seconds`, asking each time for the plain answer of `bytes` with its head.
pub(crate) fn handshakes(
    address: SocketAddr,
    handshake: Handshake,
    seconds: u32,
    bytes: f64,
    cores: &str,
) -> Result<Seen, BenchError> {
    let missing = || BenchError::Usage("openssl is missing (Debian: apt-get install openssl)".to_owned());
    let program = find("openssl").ok_or_else(missing)?;
    let run = || {
        let mut command = on_cores(cores, &program);
        command
            .args(["s_time", "-tls1_3", "-connect"])
            .arg(address.to_string());
        command.arg(match handshake {
            Handshake::Full => "-new",
            Handshake::Resumed => "-reuse",
        });
        command
            .args(["-time".to_owned(), seconds.to_string()])
            .args(["-www", REQUEST]);
        seen(&output(&mut command)?, handshake, bytes)
    };
    let all: Result<Vec<Seen>, BenchError> = thread::scope(|scope| {
        let runs: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(run)).collect();
        runs.into_iter()
            .map(|run| run.join().expect("a run does not panic"))
            .collect()
    });
    let all = all?;
    Ok(Seen {
        amount: all.iter().map(|seen| seen.amount).sum(),
        per_second: all.iter().map(|seen| seen.per_second).sum(),
        times: None,
    })
}

/// From what it says at the end, and from the letter it writes for each connection: `r` for a resumed one.
fn seen(said: &str, handshake: Handshake, bytes: f64) -> Result<Seen, BenchError> {
    let form = || BenchError::Form {
        what: "openssl's report",
        text: said.to_owned(),
    };
    let mut lines = said.lines().filter(|line| line.contains(" connections in "));
    let of_cpu = lines.next().ok_or_else(form)?;
    let of_wall = lines.next().ok_or_else(form)?;
    let number = |line: &str, index: usize| line.split_whitespace().nth(index)?.parse::<f64>().ok();
    let answers = number(of_cpu, 0).ok_or_else(form)?;
    let seconds = number(of_wall, 3).ok_or_else(form)?;
    let each = number(of_wall, 6).ok_or_else(form)?;
    if answers < 1.0 || (each - bytes).abs() > BYTES_VARYING {
        return Err(BenchError::WrongAnswers(format!(
            "{answers} with {each} bytes each instead of {bytes:.0}"
        )));
    }
    let resumed = said.lines().map(letters).max().unwrap_or(0) as f64;
    let expected = match handshake {
        Handshake::Full => 0.0,
        Handshake::Resumed => answers,
    };
    if (resumed - expected).abs() > 1.0 {
        return Err(BenchError::WrongAnswers(format!(
            "{resumed} of {answers} connections were resumed"
        )));
    }
    Ok(Seen {
        amount: answers as u64,
        per_second: answers / seconds,
        times: None,
    })
}

/// How many resumed connections a line tells of, if it tells of connections.
fn letters(line: &str) -> usize {
    if line.bytes().all(|byte| matches!(byte, b'r' | b't' | b'*')) {
        line.bytes().filter(|byte| *byte == b'r').count()
    } else {
        0
    }
}

const AT_ONCE: usize = 8;
/// It writes `GET THIS HTTP/1.0` and an empty line, which not every peer answers; so the rest becomes a field.
const REQUEST: &str = "/plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Trace:";
/// A field that tells a time may be some digits longer or shorter.
const BYTES_VARYING: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Now timing with session id reuse.\nstarting\nrrrr\n\n\
        4 connections in 0.01s; 400.00 connections/user sec, bytes read 800\n\
        4 connections in 2 real seconds, 200 bytes read per connection\n";

    #[test]
    fn every_connection_must_be_what_it_was_to_be() {
        let found = seen(SAID, Handshake::Resumed, 199.0).unwrap();
        assert_eq!((found.amount, found.per_second), (4, 2.0));
        assert!(seen(SAID, Handshake::Full, 199.0).is_err());
        let full = SAID.replace("rrrr", "tttt");
        assert!(seen(&full, Handshake::Resumed, 199.0).is_err());
        assert!(seen(&full, Handshake::Full, 199.0).is_ok());
        assert!(seen(&full, Handshake::Full, 299.0).is_err());
        assert!(seen("", Handshake::Full, 1.0).is_err());
    }
}
