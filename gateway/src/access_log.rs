//! The access log: one JSON line for each request, and for each connection that is passed on.
//!
//! Owns what a line holds ([`Entry`]), the worker's side ([`Log`]) and the writing thread ([`Writer`]). Refuses to
//! block a worker: a line that cannot be handed on is dropped and counted.

mod line;
mod writer;

use std::{
    net::{IpAddr, SocketAddr},
    sync::mpsc::{Receiver, SyncSender, TrySendError},
    time::{Duration, SystemTime},
};

use crate::metrics::{PerWorker, RetryOutcome, WorkerMetrics};
use sluice_config::defaults::operations::ACCESS_LOG_BATCH_BYTES;
use sluice_tls::Peer;

pub use writer::{Sink, Writer};

/// What is told of one request, or of a connection that was passed on. Bytes of clients are written as JSON strings, what is
/// not UTF-8 replaced.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When it ended.
    pub time: SystemTime,
    /// The listener it came by.
    pub listener: &'a str,
    /// The route that took it.
    pub route: Option<&'a str>,
    /// The rule of that route.
    pub rule: Option<&'a str>,
    /// The service the last try went to.
    pub service: Option<&'a str>,
    /// The endpoint the last try went to.
    pub endpoint: Option<SocketAddr>,
    /// The server name of the client's TLS hello.
    pub sni: Option<&'a str>,
    /// `HTTP/1.1` and the like; of a connection that was passed on `tls` or `tcp`.
    pub protocol: &'static str,
    /// The request, unless it is a connection that was passed on.
    pub request: Option<Request<'a>>,
    /// Why the gateway answered by itself, or cut the answer; or why the connection ended, unless both sides closed.
    pub reason: Option<Reason<'a>>,
    /// Policies that audit it, or run dry and would have let it pass or denied it.
    pub policies: &'a [Noted<'a>],
    /// From the end of the request's head, or from accept, to its end.
    pub duration: Duration,
    /// From the pick of the last endpoint to the end of its response's head, or to the connection to it.
    pub upstream: Option<Duration>,
    /// Tries sent; endpoints tried.
    pub attempts: u32,
    /// Bytes from the client, of a request head and body.
    pub bytes_received: u64,
    /// Bytes to the client, of a response head and body.
    pub bytes_sent: u64,
    /// The client's address that is believed (behind trusted proxies not the peer's).
    pub client: IpAddr,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Whom the certificate it has shown names.
    pub identity: Option<&'a Peer>,
}

/// What only a request has.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// As received.
    pub method: &'a [u8],
    /// As received, or the target's authority.
    pub host: &'a [u8],
    /// Path and query as received.
    pub path: &'a [u8],
    /// Sent to the client; `None`: it went away before.
    pub status: Option<u16>,
    /// How the call of gRPC ended, where it is one and that is known.
    pub grpc_status: Option<u8>,
    /// Why there was no further try, where the rule asked for one.
    pub retry: Option<RetryOutcome>,
    /// `x-request-id`.
    pub id: &'a [u8],
    /// `user-agent`.
    pub user_agent: Option<&'a [u8]>,
}

/// A reason of the table of failures, such as `no_route` or `bad_request:obs_fold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason<'a> {
    /// From the closed list.
    pub name: &'a str,
    /// After a colon: the rule of a bad request, the policy that denied.
    pub detail: Option<&'a str>,
}

/// What a policy that decided nothing has to tell, such as `dry_run_deny:admins`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted<'a> {
    /// From the closed list.
    pub decision: &'static str,
    /// Its name.
    pub policy: &'a str,
}

/// A worker's side of the log. Dropping it hands on what it holds.
#[derive(Debug)]
pub struct Log {
    worker: usize,
    metrics: PerWorker<WorkerMetrics>,
    stamp: line::Stamp,
    batch: Vec<u8>,
    lines: u64,
    outgoing: SyncSender<Batch>,
    give_back: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
}

/// Whole lines on their way to the writer.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
    give_back: SyncSender<Vec<u8>>,
}

impl Log {
    /// Adds one line, and hands the batch on when it is full. Allocates nothing once buffers have come back from
    /// the writer.
    pub fn write(&mut self, entry: &Entry<'_>) {
        self.stamp.set(entry.time);
        line::write(&mut self.batch, &self.stamp, entry);
        self.lines += 1;
        if self.batch.len() >= ACCESS_LOG_BATCH_BYTES {
            self.flush();
        }
    }

    /// Hands on what there is. To be called some ten times a second, so that lines come soon and in batches.
    pub fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        let full = Batch {
            bytes: std::mem::replace(&mut self.batch, self.returned.try_recv().unwrap_or_default()),
            lines: std::mem::take(&mut self.lines),
            give_back: self.give_back.clone(),
        };
        if let Err(TrySendError::Full(mut lost) | TrySendError::Disconnected(mut lost)) =
            self.outgoing.try_send(full)
        {
            self.metrics.of(self.worker).access_log_dropped.add(lost.lines);
            lost.bytes.clear();
            self.batch = lost.bytes;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests;
