//! The backend of every measurement: one thread, no work of its own, and one speech.
//!
//! In HTTP/1.1 it reads a request to its end, body included, and answers 200 with as many bytes as the target asks for
//! (`?bytes=10240`, 64 where it does not say). Refuses chunked requests: no peer sends one here, and to read them
//! would cost the core it shares with the load.

mod bulk;
mod http2;

use std::{cell::RefCell, collections::HashMap, io, net::SocketAddr, path::Path, rc::Rc, time::Duration};

use clap::ValueEnum;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime,
    task::{LocalSet, spawn_local},
};

use crate::{
    client::{content_length, find_end},
    error::{BenchError, about, while_doing},
    process::Process,
};
pub(crate) use bulk::{STREAM_BYTES, pattern_from};

/// What an origin answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Speech {
    /// Requests over HTTP/1.1.
    Http1,
    /// Requests and gRPC calls over HTTP/2 in clear text.
    Http2,
    /// Connections, with a stream of bytes.
    Bytes,
}

/// Origins that run, one of each speech, until this is dropped.
pub(crate) struct Origins(Vec<(Speech, SocketAddr, Process)>);

impl Origins {
    /// Starts them on `cores` (as taskset takes them), at addresses from `next`, with their logs in `folder`.
    pub(crate) fn start(
        cores: &str,
        folder: &Path,
        mut next: impl FnMut() -> Result<SocketAddr, BenchError>,
    ) -> Result<Self, BenchError> {
        let own = std::env::current_exe().map_err(about("/proc/self/exe"))?;
        let start = |speech: &Speech| {
            let address = next()?;
            let word = speech.to_possible_value().expect("none is skipped");
            let name = format!("origin-{}", word.get_name());
            let words = ["origin", &address.to_string(), word.get_name()];
            let mut process = Process::start(&name, cores, &own, words, folder)?;
            process.wait_until_it_listens(address, PATIENCE)?;
            Ok((*speech, address, process))
        };
        let started: Result<Vec<_>, BenchError> = Speech::value_variants().iter().map(start).collect();
        started.map(Self)
    }

    /// Where the one of this speech listens.
    pub(crate) fn address(&self, speech: Speech) -> SocketAddr {
        let found = self.0.iter().find(|(of, ..)| *of == speech);
        found.expect("every speech was started").1
    }
}

/// Bytes of a body where the request does not say.
pub(crate) const BODY_BYTES: usize = 64;

/// Answers on `address` until the process is ended.
pub(crate) fn serve(address: SocketAddr, speech: Speech) -> Result<(), BenchError> {
    let doing = || while_doing(format!("serving on {address}"));
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(doing())?;
    LocalSet::new()
        .block_on(&runtime, accept(address, speech))
        .map_err(doing())
}

async fn accept(address: SocketAddr, speech: Speech) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let answers = Rc::<Answers>::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = Rc::clone(&answers);
        spawn_local(async move {
            // A connection that breaks is the peer's business, which the load generator reports.
            _ = match speech {
                Speech::Http1 => answer(stream, &answers).await,
                Speech::Http2 => http2::answer(stream).await,
                Speech::Bytes => bulk::send(stream).await,
            };
        });
    }
}

/// Whole answers by the length of their body.
#[derive(Default)]
struct Answers(RefCell<HashMap<usize, Rc<[u8]>>>);

impl Answers {
    fn of(&self, length: usize) -> Rc<[u8]> {
        let mut answers = self.0.borrow_mut();
        Rc::clone(answers.entry(length).or_insert_with(|| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nserver: origin\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
            );
            let body = std::iter::repeat_n(b'x', length);
            head.bytes().chain(body).collect()
        }))
    }
}

async fn answer(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut received = Vec::with_capacity(RECEIVE_BYTES);
    loop {
        let Some(head) = find_end(&received) else {
            if received.len() > HEAD_BYTES_MAX || stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let Some(response) = read_head(&received[..head]) else {
            return stream.write_all(REFUSAL).await;
        };
        let (mut missing, bytes) = response;
        let here = missing.min(received.len() - head);
        missing -= here;
        received.drain(..head + here);
        while missing > 0 {
            received.clear();
            let count = stream.read_buf(&mut received).await?;
            if count == 0 {
                return Ok(());
            }
            let of_body = missing.min(count);
            missing -= of_body;
            received.drain(..of_body);
        }
        stream.write_all(&answers.of(bytes)).await?;
    }
}

/// Bytes of the body that a target asks for.
fn asked_for(target: &str) -> Option<usize> {
    let asked = target.split_once("bytes=").map(|(_, bytes)| bytes.parse());
    let bytes = asked.transpose().ok()?.unwrap_or(BODY_BYTES);
    (bytes <= BODY_BYTES_MAX).then_some(bytes)
}

/// Bytes of the body that follows, and of the body asked for.
fn read_head(head: &[u8]) -> Option<(usize, usize)> {
    let text = str::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let target = lines.next()?.split(' ').nth(1)?;
    let is_chunked = lines.any(|line| {
        let name = line.split(':').next().unwrap_or("");
        name.eq_ignore_ascii_case("transfer-encoding")
    });
    let bytes = asked_for(target)?;
    (!is_chunked).then(|| (content_length(head).unwrap_or(0), bytes))
}

const PATIENCE: Duration = Duration::from_secs(10);
const REFUSAL: &[u8] = b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const RECEIVE_BYTES: usize = 64 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
pub(crate) mod tests;
