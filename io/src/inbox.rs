//! What arrived at one socket and nobody took: whole buffers, in order, handed on without copying.

use std::collections::VecDeque;

use crate::pool::Pool;

/// A chunk of at most its buffer's capacity divided by this does not keep a whole buffer.
const SMALL_CHUNK: usize = 4;

#[derive(Default)]
pub(crate) struct Inbox {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Inbox {
    /// Bytes that nobody took.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps what arrived; small pieces join.
    pub(crate) fn push(&mut self, buffer: Vec<u8>, pool: &mut Pool) {
        self.bytes += buffer.len();
        match self.chunks.back_mut() {
            Some(last) if last.capacity() - last.len() >= buffer.len() => {
                last.extend_from_slice(&buffer);
                pool.give(buffer);
            }
            _ => self.chunks.push_back(buffer),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        let buffer = self.chunks.pop_front()?;
        self.bytes -= buffer.len();
        Some(buffer)
    }

    /// Before a wait: what nobody took does not keep a buffer it hardly fills.
    pub(crate) fn shrink(&mut self, pool: &mut Pool) {
        if let [only] = self.chunks.make_contiguous()
            && only.len() <= only.capacity() / SMALL_CHUNK
        {
            let small = only.as_slice().to_vec();
            pool.exchange(std::mem::replace(only, small));
        }
    }

    /// Gives up what nobody will take.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.chunks.drain(..).for_each(|buffer| pool.give(buffer));
        self.bytes = 0;
    }
}
