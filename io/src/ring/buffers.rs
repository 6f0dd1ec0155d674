//! The ring of receive buffers the kernel fills (`IORING_REGISTER_PBUF_RING`).
//!
//! A buffer belongs either to the kernel, and then nobody here touches it, or to whoever took it: none is ever
//! lent by number, so none has to come back for the ring to be full again.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::pool::Pool;
use crate::sys;

/// The kernel's name of the one group of buffers.
pub(super) const GROUP: u16 = 0;
/// How many buffers the kernel has at first; twice as many each time they did not suffice. Fewer that come
/// round again stay in the processor's cache, and an idle worker stays small.
const FIRST: usize = 64;
/// The kernel wants the ring on a page of its own.
const PAGE_BYTES: usize = 4096;

pub(super) struct Buffers {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    /// By buffer id: what the kernel may write to. Without capacity where it has none.
    held: Vec<Vec<u8>>,
    /// The ids without a buffer.
    vacant: Vec<u16>,
    /// How many buffers the kernel is to have.
    wanted: usize,
    /// They did not suffice in this turn.
    short: bool,
    tail: u16,
    /// The kernel may still use the memory.
    leaked: bool,
}

impl Buffers {
    /// Registers an empty ring of `count` buffers, a power of two.
    pub(super) fn new(uring: &IoUring, count: u16) -> io::Result<Self> {
        let layout = Layout::array::<BufRingEntry>(usize::from(count))
            .and_then(|layout| layout.align_to(PAGE_BYTES))
            .map_err(io::Error::other)?;
        // SAFETY: the layout is not empty, for count is at least one.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(memory.cast()) else {
            handle_alloc_error(layout)
        };
        let held = (0..count).map(|_| Vec::new()).collect();
        let buffers = Self {
            entries,
            layout,
            held,
            vacant: (0..count).rev().collect(),
            wanted: FIRST.min(usize::from(count)),
            short: false,
            tail: 0,
            leaked: false,
        };
        let address = buffers.entries.as_ptr() as u64;
        let submitter = uring.submitter();
        // SAFETY: the memory holds count entries and is freed in drop, which the ring driver lets happen only
        // after it has unregistered the group.
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0) }?;
        Ok(buffers)
    }

    /// The kernel ran out of buffers in this turn.
    pub(super) fn run_short(&mut self) {
        self.short = true;
    }

    /// Gives the kernel a buffer for each one it has filled.
    pub(super) fn refill(&mut self, pool: &mut Pool) {
        if std::mem::take(&mut self.short) {
            self.wanted = (self.wanted * 2).min(self.held.len());
        }
        let unused = self.held.len() - self.wanted;
        if self.vacant.len() <= unused {
            return;
        }
        while self.vacant.len() > unused
            && let Some(id) = self.vacant.pop()
        {
            let buffer = pool.take_unlent();
            self.write_entry(id, buffer.as_ptr() as u64, pool.buffer_bytes() as u32);
            self.held[usize::from(id)] = buffer;
        }
        self.tail().store(self.tail, Ordering::Release);
    }

    /// Takes buffer `id`, of which the kernel wrote the first `count` bytes.
    ///
    /// # Panics
    /// When the kernel names a buffer it does not hold, or filled more than there is.
    pub(super) fn take(&mut self, id: u16, count: usize) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.held[usize::from(id)]);
        assert!(
            buffer.capacity() > 0,
            "the kernel filled a buffer it did not hold"
        );
        self.vacant.push(id);
        sys::filled(&mut buffer, count);
        buffer
    }

    /// Gives up all memory without freeing it, for the kernel may still use it.
    pub(super) fn leak(&mut self) {
        std::mem::forget(std::mem::take(&mut self.held));
        self.leaked = true;
    }

    fn write_entry(&mut self, id: u16, address: u64, length: u32) {
        let index = usize::from(self.tail) & (self.held.len() - 1);
        // SAFETY: the index is below the number of entries the allocation was made for.
        let entry = unsafe { self.entries.add(index) };
        // SAFETY: the kernel does not read beyond the published tail, which this entry is; only this thread
        // writes; and the last field, which is the tail in entry 0, is not among those set here.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(address);
        entry.set_len(length);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn tail(&self) -> &AtomicU16 {
        // SAFETY: entries points to the first entry of the ring.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is aligned, lives as long as self, and is shared only with the kernel, which reads it.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        // SAFETY: allocated in new with this very layout, and no longer registered.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}
