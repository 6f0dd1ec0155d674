//! Pipes, through which bytes pass from socket to socket inside the kernel: reused, with a bound on how many there are.
//!
//! A pipe is lent only while it holds bytes, so a few serve many transfers.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys;

/// A pipe and what is in it.
pub(crate) struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
    /// Bytes in it.
    pub(crate) held: usize,
}

impl Pipe {
    /// The end that bytes go into.
    pub(crate) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// The end that bytes come out of.
    pub(crate) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

/// One worker's pipes.
pub(crate) struct Pipes {
    spare: Vec<Pipe>,
    lent: usize,
    most: usize,
}

impl Pipes {
    /// At most `most` at a time, each with two descriptors.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            spare: Vec::new(),
            lent: 0,
            most,
        }
    }

    /// Pipes taken and not given back.
    pub(crate) fn lent(&self) -> usize {
        self.lent
    }

    /// An empty pipe. `None` where all are lent, or the kernel gives none.
    pub(crate) fn take(&mut self) -> Option<Pipe> {
        if self.lent == self.most {
            return None;
        }
        let is_wide = self.lent < WIDE_MAX;
        let pipe = self.spare.pop().or_else(|| Self::open(is_wide).ok())?;
        self.lent += 1;
        Some(pipe)
    }

    /// Takes a pipe back; one that still holds bytes is closed with them.
    pub(crate) fn give(&mut self, pipe: Pipe) {
        self.lent -= 1;
        if pipe.held == 0 {
            self.spare.push(pipe);
        }
    }

    fn open(is_wide: bool) -> io::Result<Pipe> {
        let (output, input) = sys::pipe()?;
        if is_wide {
            sys::widen(input.as_fd(), PIPE_BYTES);
        }
        Ok(Pipe {
            output,
            input,
            held: 0,
        })
    }
}

/// Room of a pipe. It is counted in pages, and one read of a socket fills many with less than they hold: with the usual
/// sixteen a read of 64 KiB comes in pieces.
const PIPE_BYTES: c_int = 256 * 1024;
/// Pipes with that room. What all pipes of an unprivileged user have together is bounded (pipe(7): 64 MiB by default), and
/// past the bound new ones are tiny: so many of each worker's, and the rest as the kernel makes them.
const WIDE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_pipes_are_reused_full_ones_closed_and_their_number_bounded() {
        let mut pipes = Pipes::new(2);
        let (first, mut second) = (pipes.take().unwrap(), pipes.take().unwrap());
        assert!(pipes.take().is_none());
        second.held = 1;
        pipes.give(first);
        pipes.give(second);
        assert_eq!((pipes.spare.len(), pipes.lent), (1, 0));
        let _again = pipes.take().unwrap();
        assert_eq!((pipes.spare.len(), pipes.lent), (0, 1));
    }
}
