//! A queue that sits in shared memory and still belongs to one thread, so that it needs no lock.
//!
//! Refuses every other thread.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::collections::VecDeque;

use crate::sys;

pub(crate) struct LocalQueue<T> {
    owner: usize,
    items: UnsafeCell<VecDeque<T>>,
}

// SAFETY: the items are reached only through methods that compare the calling thread with the owner first, so
// one thread at most touches them; T is Send, so it may be dropped wherever the queue is.
unsafe impl<T: Send> Sync for LocalQueue<T> {}

impl<T> LocalQueue<T> {
    /// An empty queue of the calling thread.
    pub(crate) fn new() -> Self {
        Self {
            owner: sys::thread_token(),
            items: UnsafeCell::default(),
        }
    }

    pub(crate) fn is_owner(&self) -> bool {
        sys::thread_token() == self.owner
    }

    /// Gives the item back when the calling thread is not the owner.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        if !self.is_owner() {
            return Err(item);
        }
        let items = self.items.get();
        // SAFETY: only the owner gets here, and no method calls out while it holds the reference, so it is the
        // only one.
        unsafe { &mut *items }.push_back(item);
        Ok(())
    }

    /// `None` when empty, or when the calling thread is not the owner.
    pub(crate) fn pop(&self) -> Option<T> {
        if !self.is_owner() {
            return None;
        }
        let items = self.items.get();
        // SAFETY: as in push.
        unsafe { &mut *items }.pop_front()
    }

    /// True when empty, or when the calling thread is not the owner.
    pub(crate) fn is_empty(&self) -> bool {
        if !self.is_owner() {
            return true;
        }
        let items = self.items.get();
        // SAFETY: as in push.
        unsafe { &*items }.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_thread_is_refused() {
        let queue = LocalQueue::new();
        queue.push(1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!((queue.push(2), queue.pop()), (Err(2), None));
                assert!(queue.is_empty() && !queue.is_owner());
            });
        });
        assert!(!queue.is_empty());
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
    }
}
