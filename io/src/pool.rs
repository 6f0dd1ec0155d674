//! The worker's buffers: one size, reused, with a bound on how many are kept.
//!
//! Every buffer that receives from or sends to a socket comes from here and returns here, so that the steady
//! path does not allocate and an idle socket holds nothing.

pub(crate) struct Pool {
    spare: Vec<Vec<u8>>,
    buffer_bytes: usize,
    spare_max: usize,
    lent: usize,
}

impl Pool {
    pub(crate) fn new(buffer_bytes: usize, spare_max: usize) -> Self {
        Self {
            spare: Vec::new(),
            buffer_bytes,
            spare_max,
            lent: 0,
        }
    }

    /// The capacity of every buffer, in bytes.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Buffers taken and not given back.
    pub(crate) fn lent(&self) -> usize {
        self.lent
    }

    /// An empty buffer of at least [`Self::buffer_bytes`].
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.lent += 1;
        self.take_unlent()
    }

    /// An empty buffer that the kernel will hold, and that is lent only once it comes back filled.
    pub(crate) fn take_unlent(&mut self) -> Vec<u8> {
        self.spare
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(self.buffer_bytes))
    }

    /// The kernel filled a buffer from [`Self::take_unlent`].
    pub(crate) fn lend(&mut self) {
        self.lent += 1;
    }

    /// Takes back a buffer in place of which its holder keeps a smaller one, still counted as lent.
    pub(crate) fn exchange(&mut self, buffer: Vec<u8>) {
        self.lent += 1;
        self.give(buffer);
    }

    /// Takes back a buffer, whatever became of its capacity. One that never held memory is not counted.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 {
            return;
        }
        self.lent = self.lent.saturating_sub(1);
        let usual = self.buffer_bytes..=self.buffer_bytes * 2;
        if usual.contains(&buffer.capacity()) && self.spare.len() < self.spare_max {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_reused_and_the_rest_freed() {
        let mut pool = Pool::new(1024, 1);
        let (mut first, second) = (pool.take(), pool.take());
        first.extend_from_slice(b"abc");
        let address = first.as_ptr();
        pool.give(first);
        pool.give(second);
        assert_eq!((pool.lent(), pool.spare.len()), (0, 1));
        let again = pool.take();
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn odd_sizes_do_not_stay() {
        let mut pool = Pool::new(1024, 8);
        for capacity in [16, 4096] {
            drop(pool.take());
            pool.give(Vec::with_capacity(capacity));
        }
        pool.give(Vec::new());
        assert_eq!((pool.lent(), pool.spare.len()), (0, 0));
    }
}
