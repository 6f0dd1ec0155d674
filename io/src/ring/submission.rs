//! The two queues shared with the kernel, and the names given to operations.
//!
//! Never loses an operation: what the submission queue cannot hold waits here in order. Knows no sockets.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};

use crate::engine::Key;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Receive,
    Send,
    Connect,
    /// Readiness of a listener.
    Acceptable,
    /// FIN or RST while nothing is being received.
    Hangup,
    /// Readiness of a stream from which its task takes bytes itself, and of one into which it puts them.
    Readable,
    Writable,
    /// The executor's eventfd.
    Wake,
    /// Cancelling another operation; completes only when there is none.
    Cancel,
}

const OPERATIONS: [Operation; 9] = [
    Operation::Receive,
    Operation::Send,
    Operation::Connect,
    Operation::Acceptable,
    Operation::Hangup,
    Operation::Readable,
    Operation::Writable,
    Operation::Wake,
    Operation::Cancel,
];

/// An operation's name: the socket's key, the 24 bits of its generation, the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) key: Key,
    pub(super) generation: u32,
    pub(super) operation: Operation,
}

/// Generations wrap here.
pub(super) const GENERATION_MASK: u32 = (1 << 24) - 1;

impl Token {
    fn pack(self) -> u64 {
        u64::from(self.key as u32) << 32 | u64::from(self.generation) << 8 | self.operation as u64
    }

    fn unpack(data: u64) -> Self {
        Self {
            key: (data >> 32) as Key,
            generation: (data >> 8) as u32 & GENERATION_MASK,
            operation: OPERATIONS[data as usize & 0xFF],
        }
    }
}

/// One completed operation, or one result of an operation that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub(super) token: Token,
    /// A count, or an error.
    pub(super) result: Result<usize, i32>,
    /// The buffer the kernel filled.
    pub(super) buffer: Option<u16>,
    /// The operation goes on.
    pub(super) more: bool,
}

pub(super) struct Submission {
    uring: IoUring,
    backlog: VecDeque<squeue::Entry>,
}

impl Submission {
    /// Sets a ring up for the calling thread.
    ///
    /// Task work that interrupts the worker makes io_uring dearer than epoll, so a kernel without
    /// `DEFER_TASKRUN` (before 6.1) is refused.
    pub(super) fn new(entries: u32) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_clamp()
            .setup_cqsize(entries.saturating_mul(4))
            .setup_submit_all();
        builder.setup_single_issuer().setup_defer_taskrun();
        // Since 6.6; saves an indirection.
        let built = match builder.clone().setup_no_sqarray().build(entries) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => builder.build(entries),
            built => built,
        };
        Ok(Self {
            uring: built?,
            backlog: VecDeque::new(),
        })
    }

    pub(super) fn uring(&self) -> &IoUring {
        &self.uring
    }

    /// Queues an operation.
    ///
    /// # Safety
    /// What `entry` points to stays valid, and unmoved, until its last completion.
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.pack());
        if self.backlog.is_empty() {
            // SAFETY: passed on to the caller.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    /// Cancels the operation named `token`, which then completes with `ECANCELED` if it has not already.
    pub(super) fn cancel(&mut self, token: Token) {
        let cancel = opcode::AsyncCancel::new(token.pack())
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: a cancellation points to nothing.
        unsafe {
            self.push(
                cancel,
                Token {
                    operation: Operation::Cancel,
                    ..token
                },
            )
        };
    }

    /// Submits everything and waits for one completion, at most `wait` (for ever without one).
    pub(super) fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.refill();
        while !self.backlog.is_empty() {
            let before = self.backlog.len();
            self.enter_once(0, Duration::ZERO)?;
            self.refill();
            if self.backlog.len() == before {
                // The kernel takes nothing before completions are read.
                return Ok(());
            }
        }
        match wait {
            Some(Duration::ZERO) => self.enter_once(0, Duration::ZERO),
            Some(wait) => self.enter_once(1, wait),
            None => self.enter_once(1, Duration::MAX),
        }
    }

    fn enter_once(&mut self, completions_min: u32, wait: Duration) -> io::Result<()> {
        let length = self.uring.submission().len() as u32;
        let timeout = Timespec::from(wait);
        let mut arguments = SubmitArgs::new();
        if wait != Duration::MAX {
            arguments = arguments.timespec(&timeout);
        }
        // GETEVENTS even without waiting: deferred task work runs, and an overflown queue empties, only then.
        let flags = (EnterFlags::GETEVENTS | EnterFlags::EXT_ARG).bits();
        let submitter = self.uring.submitter();
        // SAFETY: the length is that of the submission queue, and EXT_ARG goes with its argument, which outlives
        // the call, as does the timeout it points to.
        match unsafe { submitter.enter(length, completions_min, flags, Some(&arguments)) } {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            // The time is over; or the kernel is short of memory or of room for completions: what was not
            // submitted is still queued, and is tried again once those that are there are read.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ETIME | libc::EBUSY | libc::EAGAIN)
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the kernel has everything.
    pub(super) fn is_empty(&mut self) -> bool {
        self.backlog.is_empty() && self.uring.submission().is_empty()
    }

    /// Reads what has completed.
    pub(super) fn completions(&mut self, into: &mut Vec<Completion>) {
        into.extend(self.uring.completion().map(|entry| Completion {
            token: Token::unpack(entry.user_data()),
            result: usize::try_from(entry.result()).map_err(|_| -entry.result()),
            buffer: cqueue::buffer_select(entry.flags()),
            more: cqueue::more(entry.flags()),
        }));
    }

    fn refill(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let mut queue = self.uring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: promised when it was pushed.
            if unsafe { queue.push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }
}

/// A receive that goes on until FIN, an error, or `total` bytes in all (without that bound when 0), each time
/// into a buffer of the group.
pub(super) fn receive(fd: io_uring::types::Fd, group: u16, total: u32) -> squeue::Entry {
    const { assert!(size_of::<squeue::Entry>() == 64, "an SQE is 64 bytes") };
    let mut entry = opcode::RecvMulti::new(fd, group).build();
    // `optlen`, the last word of the SQE's byte 44 on, bounds a multishot receive since Linux 6.17. The crate
    // has no name for it yet.
    let optlen = (&raw mut entry).cast::<u32>().wrapping_add(11);
    // SAFETY: the entry is repr(C) around the kernel's 64-byte SQE, of which this is a whole, aligned word in
    // which every value is valid.
    unsafe { optlen.write(total) };
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_kernel() {
        for operation in OPERATIONS {
            for (key, generation) in [(0, 0), (u32::MAX as Key, GENERATION_MASK), (7, 1)] {
                let token = Token {
                    key,
                    generation,
                    operation,
                };
                assert_eq!(Token::unpack(token.pack()), token);
            }
        }
    }
}
