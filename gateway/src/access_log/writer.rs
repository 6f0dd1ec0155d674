//! The thread that writes the access log.
//!
//! Owns the sink and the queue of batches. Refuses to be waited for: workers drop what does not fit, and the end of
//! the process waits a bounded time.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::fd::AsFd as _,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::Duration,
};

use sluice_config::defaults::operations::{ACCESS_LOG_BATCHES_QUEUED_MAX, ACCESS_LOG_BUFFERS_RETURNED_MAX};
use sluice_config::model::AccessLog;

use super::{Batch, Log, line::Stamp};
use crate::metrics::{Counter, PerWorker, Registry, WorkerMetrics};

/// Where lines go, opened.
#[derive(Debug)]
pub struct Sink(File);

impl Sink {
    /// Opens what the configuration names; a file is made if it is absent, and appended to.
    ///
    /// # Errors
    /// Those of open(2), or of dup(2) for the standard streams.
    pub fn open(target: &AccessLog) -> io::Result<Self> {
        match target {
            AccessLog::Stdout => io::stdout()
                .as_fd()
                .try_clone_to_owned()
                .map(|fd| Self(fd.into())),
            AccessLog::Stderr => io::stderr()
                .as_fd()
                .try_clone_to_owned()
                .map(|fd| Self(fd.into())),
            AccessLog::File(path) => OpenOptions::new().append(true).create(true).open(path).map(Self),
        }
    }

    #[cfg(test)]
    pub(super) fn from_pipe(pipe: io::PipeWriter) -> Self {
        Self(std::os::fd::OwnedFd::from(pipe).into())
    }
}

/// The control thread's side of the writing thread.
#[derive(Debug)]
pub struct Writer {
    outgoing: SyncSender<Batch>,
    metrics: PerWorker<WorkerMetrics>,
    /// A sink that the thread has not taken up yet; `Some(None)` throws lines away.
    next: Arc<Mutex<Option<Option<Sink>>>>,
    /// Nothing is ever sent: it closes when the thread ends.
    ended: Receiver<()>,
}

impl Writer {
    /// Starts the thread, without a sink.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(registry: &Registry) -> io::Result<Self> {
        let (outgoing, batches) = mpsc::sync_channel(ACCESS_LOG_BATCHES_QUEUED_MAX);
        let (end, ended) = mpsc::sync_channel(0);
        let next = Arc::new(Mutex::new(None));
        let thread = Thread {
            next: Arc::clone(&next),
            sink: None,
            batches,
            failed: registry.access_log_failed(),
            failing: false,
            _end: end,
        };
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self {
            outgoing,
            metrics: registry.worker(),
            next,
            ended,
        })
    }

    /// A new end of the log for one worker.
    #[must_use]
    pub fn log(&self, worker: usize) -> Log {
        let (give_back, returned) = mpsc::sync_channel(ACCESS_LOG_BUFFERS_RETURNED_MAX);
        Log {
            worker,
            metrics: self.metrics.clone(),
            stamp: Stamp::default(),
            batch: Vec::new(),
            lines: 0,
            outgoing: self.outgoing.clone(),
            give_back,
            returned,
        }
    }

    /// Writes what comes from now on to `sink`, or throws it away.
    pub fn replace(&self, sink: Option<Sink>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    /// Waits until every line is written. To be called when all [`Log`]s are dropped; gives up after `patience` and
    /// says so by `false`.
    #[must_use]
    pub fn finish(self, patience: Duration) -> bool {
        drop(self.outgoing);
        matches!(
            self.ended.recv_timeout(patience),
            Err(RecvTimeoutError::Disconnected)
        )
    }
}

struct Thread {
    next: Arc<Mutex<Option<Option<Sink>>>>,
    sink: Option<Sink>,
    batches: Receiver<Batch>,
    failed: Arc<Counter>,
    failing: bool,
    _end: SyncSender<()>,
}

impl Thread {
    fn run(mut self) {
        while let Ok(mut batch) = self.batches.recv() {
            if let Some(sink) = self.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
                self.sink = sink;
            }
            self.write(&batch);
            batch.bytes.clear();
            // A buffer too many is freed.
            let _ = batch.give_back.try_send(batch.bytes);
        }
    }

    fn write(&mut self, batch: &Batch) {
        let Some(sink) = &mut self.sink else {
            return;
        };
        match sink.0.write_all(&batch.bytes) {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.failed.add(batch.lines);
                // Once for each row of failures: a full disk must not fill the other log.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the access log cannot be written; lines are dropped");
                }
            }
        }
    }
}
