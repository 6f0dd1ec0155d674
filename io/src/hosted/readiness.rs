//! Readiness, for what these runtimes have no sound operation for: a listener's connections, a connect that can be
//! given up, a FIN behind bytes nobody reads. One epoll instance a worker, itself awaited by the runtime.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::engine::Key;
use crate::sys;

/// Events taken by one look.
const EVENTS: usize = 256;
/// The token of the eventfd; no socket has it, for generations are 31 bits wide.
const WAKE: u64 = u64::MAX;
const GENERATION_MASK: u32 = u32::MAX >> 1;

/// A socket's key, and which of those that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) key: Key,
    pub(super) generation: u32,
}

impl Name {
    pub(super) fn after(generation: u32) -> u32 {
        generation.wrapping_add(1) & GENERATION_MASK
    }
}

pub(super) struct Readiness {
    epoll: OwnedFd,
    /// The same, for who waits until there is something to take.
    waited: Option<OwnedFd>,
    wake: File,
    events: Vec<libc::epoll_event>,
}

impl Readiness {
    pub(super) fn new(wake: File) -> io::Result<Self> {
        let epoll = sys::epoll()?;
        sys::epoll_add(&epoll, wake.as_fd(), libc::EPOLLIN, WAKE)?;
        Ok(Self {
            waited: Some(epoll.try_clone()?),
            epoll,
            wake,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
        })
    }

    /// Readable when [`Self::take`] has something to give. Given once, and made before anything can want for it.
    pub(super) fn descriptor(&mut self) -> Option<OwnedFd> {
        self.waited.take()
    }

    pub(super) fn watch(&self, fd: BorrowedFd<'_>, events: i32, name: Name) -> io::Result<()> {
        let token = u64::from(name.generation) << 32 | name.key as u64;
        sys::epoll_add(&self.epoll, fd, events, token)
    }

    pub(super) fn forget(&self, fd: BorrowedFd<'_>) {
        // An error says that it was not watched, which is what is wanted.
        let _ = sys::epoll_remove(&self.epoll, fd);
    }

    /// Makes the descriptor readable.
    pub(super) fn signal(&self) {
        sys::signal(&self.wake);
    }

    /// What has become ready.
    pub(super) fn take(&mut self) -> Vec<Name> {
        let mut ready = Vec::new();
        loop {
            let count = match sys::epoll_wait(&self.epoll, &mut self.events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // No peer can cause it; then nothing is ready.
                outcome => outcome.unwrap_or(0),
            };
            for event in &self.events[..count] {
                let token = event.u64;
                if token == WAKE {
                    sys::unsignal(&self.wake);
                } else {
                    ready.push(Name {
                        key: token as u32 as Key,
                        generation: (token >> 32) as u32,
                    });
                }
            }
            if count < EVENTS {
                return ready;
            }
        }
    }
}
