//! The process's own log, on standard error.
//!
//! Owns its thread and its format. Refuses to block whoever logs: a line that finds the queue full is dropped, and the
//! next one written says how many were.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use clap::ValueEnum;
use sluice_config::defaults::operations::{LOG_END_TIMEOUT, LOG_LINES_QUEUED_MAX};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The log. Dropped, it waits until what was logged is written, within a bound.
pub(super) struct Log {
    queue: SyncSender<Item>,
    ended: Receiver<()>,
}

/// What the writing thread gets.
enum Item {
    Line(Vec<u8>),
    End,
}

impl Log {
    /// Logs all that is as severe as `level`, for the rest of the process.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn start(format: Option<Format>, level: tracing::Level) -> io::Result<Self> {
        let terminal = io::stderr().is_terminal();
        let format = format.unwrap_or(if terminal { Format::Text } else { Format::Json });
        let (queue, items) = mpsc::sync_channel(LOG_LINES_QUEUED_MAX);
        let (end, ended) = mpsc::sync_channel(0);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Lines {
            queue: queue.clone(),
            dropped: Arc::clone(&dropped),
        };
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_all(&items, &dropped, &mut io::stderr());
            drop(end);
        })?;
        let builder = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::from_level(level))
            .with_target(false)
            .with_ansi(terminal)
            .with_writer(lines);
        match format {
            Format::Text => builder.init(),
            Format::Json => builder.json().flatten_event(true).init(),
        }
        Ok(Self { queue, ended })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // With a full queue standard error stands still, and waiting helps little.
        let _ = self.queue.try_send(Item::End);
        let _ = self.ended.recv_timeout(LOG_END_TIMEOUT);
    }
}

fn write_all(items: &Receiver<Item>, dropped: &AtomicU64, output: &mut impl Write) {
    while let Ok(Item::Line(line)) = items.recv() {
        // Nobody can be told that telling fails.
        let _ = output.write_all(&line);
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                output,
                "({lost} lines of this log were dropped: nobody read them)"
            );
        }
    }
}

/// Gives tracing a buffer for each line.
struct Lines {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineBuffer<'a>;

    fn make_writer(&'a self) -> LineBuffer<'a> {
        LineBuffer {
            lines: self,
            bytes: Vec::new(),
        }
    }
}

/// One line; handed on when it is dropped.
struct LineBuffer<'a> {
    lines: &'a Lines,
    bytes: Vec<u8>,
}

impl Write for LineBuffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineBuffer<'_> {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.bytes);
        if !line.is_empty() && self.lines.queue.try_send(Item::Line(line)).is_err() {
            self.lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_lines_and_says_how_many() {
        let (queue, items) = mpsc::sync_channel(1);
        let lines = Lines {
            queue,
            dropped: Arc::default(),
        };
        for line in ["one\n", "two\n", "three\n"] {
            lines.make_writer().write_all(line.as_bytes()).unwrap();
        }
        let dropped = Arc::clone(&lines.dropped);
        drop(lines);
        let mut output = Vec::new();
        write_all(&items, &dropped, &mut output);
        assert_eq!(
            String::from_utf8(output).unwrap(),
            "one\n(2 lines of this log were dropped: nobody read them)\n"
        );
    }
}
