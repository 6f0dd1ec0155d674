//! What one socket still has to send: whole buffers, in order, handed on without copying.
//!
//! Knows which of them the kernel is reading, and never touches those. Sends nothing itself.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::pool::Pool;

/// The most buffers one send gathers.
pub(crate) const GATHER: usize = 16;

#[derive(Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Vec<u8>>,
    /// How much of the first chunk is sent.
    sent: usize,
    /// Bytes not sent.
    bytes: usize,
    /// How many of the first chunks the kernel is reading.
    in_flight: usize,
}

impl Outbox {
    /// Bytes not sent, those in flight among them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether bytes follow those in flight.
    pub(crate) fn has_more(&self) -> bool {
        self.chunks.len() > self.in_flight
    }

    /// Appends `chunk` from `start`. Small chunks join the one before, so that a slow peer fed in drops does
    /// not hold a buffer for each drop.
    pub(crate) fn push(&mut self, chunk: Vec<u8>, start: usize, pool: &mut Pool) {
        let fresh = &chunk[start..];
        if fresh.is_empty() {
            return pool.give(chunk);
        }
        self.bytes += fresh.len();
        if self.chunks.len() > self.in_flight
            && let Some(last) = self.chunks.back_mut()
            && last.capacity() - last.len() >= fresh.len()
        {
            last.extend_from_slice(fresh);
            return pool.give(chunk);
        }
        if self.chunks.is_empty() {
            self.sent = start;
            self.chunks.push_back(chunk);
        } else if start == 0 {
            self.chunks.push_back(chunk);
        } else {
            let mut whole = pool.take();
            whole.extend_from_slice(fresh);
            pool.give(chunk);
            self.chunks.push_back(whole);
        }
    }

    /// The unsent part of the only chunk; `None` when there are more, or none.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        match (self.chunks.front(), self.chunks.len()) {
            (Some(chunk), 1) => Some(&chunk[self.sent..]),
            _ => None,
        }
    }

    /// The unsent parts of the first chunks, at most [`GATHER`]; gives how many.
    pub(crate) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; GATHER]) -> usize {
        let mut start = self.sent;
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(&chunk[start..]);
            start = 0;
            count += 1;
        }
        count
    }

    /// The kernel reads the first `count` chunks until [`Self::landed`].
    pub(crate) fn launch(&mut self, count: usize) {
        self.in_flight = count;
    }

    /// The kernel has sent all the chunks it was reading.
    pub(crate) fn delivered(&mut self, pool: &mut Pool) {
        for chunk in self.chunks.drain(..std::mem::take(&mut self.in_flight)) {
            self.bytes -= chunk.len() - std::mem::take(&mut self.sent);
            pool.give(chunk);
        }
    }

    /// The kernel reads none of the chunks any more.
    pub(crate) fn landed(&mut self) {
        self.in_flight = 0;
    }

    /// Takes the first chunk out, with how much of it is sent; its place is kept until [`Self::restore`].
    #[cfg(feature = "hosted")]
    pub(crate) fn lend(&mut self) -> Option<(Vec<u8>, usize)> {
        let chunk = std::mem::take(self.chunks.front_mut()?);
        self.in_flight = 1;
        Some((chunk, self.sent))
    }

    /// Puts the chunk back that was lent.
    #[cfg(feature = "hosted")]
    pub(crate) fn restore(&mut self, chunk: Vec<u8>) {
        if let Some(place) = self.chunks.front_mut() {
            *place = chunk;
        }
        self.landed();
    }

    /// `count` more bytes are sent; emptied chunks return to the pool.
    pub(crate) fn advance(&mut self, count: usize, pool: &mut Pool) {
        self.bytes -= count;
        self.sent += count;
        while let Some(first) = self.chunks.front()
            && self.sent >= first.len()
        {
            self.sent -= first.len();
            if let Some(empty) = self.chunks.pop_front() {
                pool.give(empty);
            }
        }
    }

    /// Drops everything. Only when nothing is in flight.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        debug_assert_eq!(self.in_flight, 0);
        self.chunks.drain(..).for_each(|chunk| pool.give(chunk));
        (self.sent, self.bytes) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(pool: &mut Pool, bytes: &[u8]) -> Vec<u8> {
        let mut chunk = pool.take();
        chunk.extend_from_slice(bytes);
        chunk
    }

    fn gathered(outbox: &Outbox) -> Vec<Vec<u8>> {
        let mut slices = [IoSlice::new(&[]); GATHER];
        let count = outbox.gather(&mut slices);
        slices[..count].iter().map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn small_chunks_join_unless_in_flight() {
        let mut pool = Pool::new(8, 8);
        let mut outbox = Outbox::default();
        for bytes in [b"ab", b"cd"] {
            let chunk = chunk(&mut pool, bytes);
            outbox.push(chunk, 0, &mut pool);
        }
        assert_eq!(gathered(&outbox), [b"abcd"]);
        outbox.launch(1);
        let late = chunk(&mut pool, b"ef");
        outbox.push(late, 0, &mut pool);
        assert_eq!(gathered(&outbox), [&b"abcd"[..], b"ef"]);
        assert_eq!((outbox.bytes(), pool.lent()), (6, 2));
    }

    #[test]
    fn partial_sends_cross_chunks() {
        let mut pool = Pool::new(4, 8);
        let mut outbox = Outbox::default();
        for bytes in [b"abcd", b"efgh"] {
            let chunk = chunk(&mut pool, bytes);
            outbox.push(chunk, 0, &mut pool);
        }
        let late = chunk(&mut pool, b"xyij");
        outbox.push(late, 2, &mut pool);
        outbox.launch(3);
        outbox.landed();
        outbox.advance(5, &mut pool);
        assert_eq!(gathered(&outbox), [&b"fgh"[..], b"ij"]);
        outbox.advance(5, &mut pool);
        assert_eq!((outbox.bytes(), pool.lent()), (0, 0));
    }

    #[test]
    fn a_first_chunk_keeps_its_offset_and_clear_returns_all() {
        let mut pool = Pool::new(4, 8);
        let mut outbox = Outbox::default();
        let first = chunk(&mut pool, b"abcd");
        outbox.push(first, 3, &mut pool);
        assert_eq!(gathered(&outbox), [b"d"]);
        let empty = chunk(&mut pool, b"zz");
        outbox.push(empty, 2, &mut pool);
        outbox.clear(&mut pool);
        assert_eq!((outbox.bytes(), pool.lent()), (0, 0));
    }
}
