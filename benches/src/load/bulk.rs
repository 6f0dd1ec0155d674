//! Long streams, a few at a time, each to its end. What comes is looked at in a first pass; in the measured one it is
//! dropped by the kernel, so that the load costs its core, which the origin shares, as little as can be.

use std::{
    io::Read,
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use rustix::net::{RecvFlags, recv};
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::{
    error::{BenchError, about, while_doing},
    origin::{STREAM_BYTES, pattern_from},
    process::{on_cores, output},
};

/// What of the load of long streams is wanted.
#[derive(Args)]
pub(crate) struct DrainArguments {
    address: SocketAddr,
    /// At a time.
    streams: usize,
    /// After which no stream is begun any more.
    seconds: u32,
    /// Whether every byte is looked at.
    #[arg(long)]
    check: bool,
}

/// Streams to their end and tells what it saw as JSON; a stream of another length, or with another byte, is an error.
pub(crate) fn drain(arguments: &DrainArguments) -> Result<(), BenchError> {
    let start = Instant::now();
    let until = start + Duration::from_secs(arguments.seconds.into());
    let one_after_another = || {
        let mut streams = 0;
        while Instant::now() < until {
            one(arguments)?;
            streams += 1;
        }
        Ok::<u64, BenchError>(streams)
    };
    let streams: Result<u64, BenchError> = thread::scope(|scope| {
        let running: Vec<_> = (0..arguments.streams)
            .map(|_| scope.spawn(one_after_another))
            .collect();
        let ended = running
            .into_iter()
            .map(|run| run.join().expect("it does not panic"));
        ended.sum()
    });
    let drained = Drained {
        bytes: streams? * STREAM_BYTES as u64,
        seconds: start.elapsed().as_secs_f64(),
    };
    let text = serde_json::to_string(&drained).expect("two numbers");
    println!("{text}");
    Ok(())
}

fn one(arguments: &DrainArguments) -> Result<(), BenchError> {
    let doing = format!("a stream from {}", arguments.address);
    let mut stream = TcpStream::connect(arguments.address).map_err(while_doing(&doing))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(while_doing(&doing))?;
    let mut buffer = vec![0; RECEIVE_BYTES];
    let mut place = 0;
    loop {
        let count = if arguments.check {
            stream.read(&mut buffer)
        } else {
            // TCP drops what it is to truncate (tcp(7)): nothing is copied.
            recv(&stream, &mut buffer, RecvFlags::TRUNC)
                .map(|(count, _)| count)
                .map_err(Into::into)
        };
        let count = count.map_err(while_doing(&doing))?;
        if count == 0 {
            break;
        }
        if arguments.check
            && !pattern_from(place)
                .take(count)
                .eq(buffer[..count].iter().copied())
        {
            return Err(BenchError::WrongAnswers(format!("a wrong byte behind {place}")));
        }
        place += count;
    }
    if place == STREAM_BYTES {
        return Ok(());
    }
    Err(BenchError::WrongAnswers(format!(
        "a stream of {place} bytes instead of {STREAM_BYTES}"
    )))
}

/// What was drained, in whole streams.
#[derive(Serialize, Deserialize)]
struct Drained {
    bytes: u64,
    seconds: f64,
}

/// Drains on `cores` for `seconds`; what it saw is counted in mebibytes.
pub(crate) fn bulk(
    address: SocketAddr,
    streams: usize,
    seconds: u32,
    is_check: bool,
    cores: &str,
) -> Result<Seen, BenchError> {
    let own = std::env::current_exe().map_err(about("/proc/self/exe"))?;
    let mut command = on_cores(cores, &own);
    command.args([
        "drain",
        &address.to_string(),
        &streams.to_string(),
        &seconds.to_string(),
    ]);
    command.args(is_check.then_some("--check"));
    let text = output(&mut command)?;
    let drained: Drained = serde_json::from_str(&text).map_err(|_| BenchError::Form {
        what: "what was drained",
        text,
    })?;
    let mebibytes = drained.bytes >> 20;
    Ok(Seen {
        amount: mebibytes,
        per_second: mebibytes as f64 / drained.seconds,
        times: None,
    })
}

const RECEIVE_BYTES: usize = 1 << 20;
/// For a byte of a stream.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        net::TcpListener,
    };

    use super::*;
    use crate::origin::{Speech, tests::started};

    fn told_to(address: SocketAddr, check: bool) -> DrainArguments {
        DrainArguments {
            address,
            streams: 1,
            seconds: 1,
            check,
        }
    }

    /// Sends a stream with one byte changed, or without its last byte, to its first client.
    fn broken(wrong_at: Option<usize>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut bytes: Vec<u8> = pattern_from(0).take(STREAM_BYTES).collect();
            match wrong_at {
                Some(place) => bytes[place] ^= 1,
                None => _ = bytes.pop(),
            }
            stream.write_all(&bytes)?;
            Ok::<(), io::Error>(())
        });
        address
    }

    #[test]
    fn a_stream_comes_whole_and_as_it_was_sent() {
        let origin = started(Speech::Bytes);
        one(&told_to(origin, true)).unwrap();
        one(&told_to(origin, false)).unwrap();
    }

    #[test]
    fn a_broken_stream_leaves_no_figure() {
        assert!(one(&told_to(broken(Some(STREAM_BYTES - 1)), true)).is_err());
        assert!(one(&told_to(broken(None), true)).is_err());
        assert!(one(&told_to(broken(None), false)).is_err());
    }
}
