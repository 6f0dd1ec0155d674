//! What a transport above a stream needs of its buffers: to turn one into the other in place, and to keep some of the
//! worker's own.

use super::{SMALL_REST, TcpStream};

impl TcpStream {
    /// [`Self::received_mut`] and [`Self::out`] at once, for what turns the one into the other.
    pub fn received_and_out(&mut self) -> (&mut [u8], &mut Vec<u8>) {
        self.out();
        (&mut self.received[self.start..], &mut self.out)
    }

    /// Starts to send `chunk` from `start` behind what is written, without copying. It is a buffer from
    /// [`Self::take_buffer`], of this or another stream of the worker.
    pub fn send(&mut self, chunk: Vec<u8>, start: usize) {
        self.start_flush();
        self.inner.engine.borrow_mut().send(self.key, chunk, start);
    }

    /// An empty buffer of the worker's, for what a transport above keeps beside this stream. It goes back by
    /// [`Self::give_buffer`].
    #[must_use]
    pub fn take_buffer(&self) -> Vec<u8> {
        self.inner.engine.borrow_mut().pool().take()
    }

    /// Takes a buffer of the worker's back; one that never held memory is nothing.
    pub fn give_buffer(&self, buffer: Vec<u8>) {
        self.inner.engine.borrow_mut().pool().give(buffer);
    }

    /// Before a wait: where `buffer` holds little from `start`, puts a small one in its place and takes it back.
    pub fn shrink_buffer(&self, buffer: &mut Vec<u8>, start: &mut usize) {
        let rest = buffer.len() - *start;
        if rest == 0 || rest > buffer.capacity() / SMALL_REST {
            return;
        }
        let small = buffer[*start..].to_vec();
        let large = std::mem::replace(buffer, small);
        *start = 0;
        self.inner.engine.borrow_mut().pool().exchange(large);
    }
}
