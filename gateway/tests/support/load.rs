//! Clients that keep asking while something else happens.
//!
//! Owns the counting of what was lost: a request is lost when it got no whole 200.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use super::Client;

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Report>>,
}

/// What clients got.
#[derive(Debug, Default)]
pub struct Report {
    /// Whole 200s, by the backend that answered.
    pub by_backend: HashMap<String, usize>,
    /// Every other outcome, in words; first whether the connection was `kept` or `fresh`.
    pub lost: Vec<String>,
    /// Times an answer said `connection: close`.
    pub closes: usize,
}

impl Load {
    /// `kept` clients that keep their connection and `fresh` ones that take a new one each time.
    pub fn start(address: SocketAddr, kept: usize, fresh: usize) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |keeps: bool| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            std::thread::spawn(move || ask(address, keeps, &stop, &done))
        };
        let mut clients: Vec<_> = (0..kept).map(|_| client(true)).collect();
        clients.extend((0..fresh).map(|_| client(false)));
        Self { stop, done, clients }
    }

    /// Requests answered by now.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits until `count` further requests were answered.
    pub fn wait_for(&self, count: usize) {
        let target = self.done() + count;
        super::eventually("answers under load", || (self.done() >= target).then_some(()));
    }

    /// Lets every client end its request and counts.
    pub fn finish(self) -> Report {
        self.stop.store(true, Ordering::SeqCst);
        let reports = self
            .clients
            .into_iter()
            .map(|client| client.join().expect("a client ends well"));
        reports.fold(Report::default(), Report::and)
    }

    /// As [`Self::finish`]; fails the test when a request was lost.
    pub fn finish_without_loss(self) -> Report {
        let report = self.finish();
        assert!(
            report.lost.is_empty(),
            "lost {} of {}: {:?}",
            report.lost.len(),
            report.answered(),
            report.lost
        );
        report
    }
}

impl Report {
    /// Whole answers in all.
    pub fn answered(&self) -> usize {
        self.by_backend.values().sum()
    }

    fn and(mut self, other: Self) -> Self {
        for (backend, count) in other.by_backend {
            *self.by_backend.entry(backend).or_default() += count;
        }
        self.lost.extend(other.lost);
        self.closes += other.closes;
        self
    }
}

fn ask(address: SocketAddr, keeps: bool, stop: &AtomicBool, done: &AtomicUsize) -> Report {
    let mut report = Report::default();
    let mut kept: Option<Client> = None;
    // A hundred losses tell as much as a million.
    while !stop.load(Ordering::SeqCst) && report.lost.len() < 100 {
        let on = if kept.is_some() { "kept" } else { "fresh" };
        let mut client = match kept.take().map_or_else(|| Client::try_connect(address), Ok) {
            Ok(client) => client,
            Err(error) => {
                report.lost.push(format!("{on}: connect: {error}"));
                continue;
            }
        };
        if !client.try_send(b"GET /load HTTP/1.1\r\nhost: load.example\r\n\r\n") {
            report
                .lost
                .push(format!("{on}: the connection was closed before the request"));
            continue;
        }
        match client.try_response("GET") {
            Ok(response) if response.status == 200 => {
                *report
                    .by_backend
                    .entry(response.backend().to_owned())
                    .or_default() += 1;
                done.fetch_add(1, Ordering::SeqCst);
                if response.closes() {
                    report.closes += 1;
                } else if keeps {
                    kept = Some(client);
                }
            }
            Ok(response) => report.lost.push(format!("{on}: status {}", response.status)),
            Err(broken) => report.lost.push(format!("{on}: {broken:?}")),
        }
    }
    report
}
