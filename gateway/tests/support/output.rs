//! What a process writes to one of its outputs, kept line by line.
//!
//! Owns the thread that reads it, so that the process never waits for the test.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use super::GUARD;

/// The lines by now.
#[derive(Default)]
pub struct Output {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Output {
    /// Reads `stream` to its end.
    pub fn of(stream: impl Read + Send + 'static) -> Arc<Self> {
        let output = Arc::new(Self::default());
        let filled = Arc::clone(&output);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                filled.lines.lock().expect("no holder panics").push(line);
                filled.changed.notify_all();
            }
        });
        output
    }

    /// A copy of them, for who reports a failure too.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock();
        lines.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line in which `find` finds something.
    pub fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut lines = self.lines.lock().expect("no holder panics");
        loop {
            if let Some(found) = lines.iter().find_map(|line| find(line)) {
                return found;
            }
            let (next, timeout) = self.changed.wait_timeout(lines, GUARD).expect("no holder panics");
            assert!(
                !timeout.timed_out(),
                "never written: {what}\nthere is:\n{}",
                next.join("\n")
            );
            lines = next;
        }
    }
}
