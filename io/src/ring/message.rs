//! What a gathering send points to: several slices and the header that names them.
#![allow(unsafe_code)]

use std::io::IoSlice;

use crate::outbox::{GATHER, Outbox};

pub(super) struct Message {
    slices: [libc::iovec; GATHER],
    header: libc::msghdr,
}

impl Message {
    pub(super) fn new() -> Box<Self> {
        let empty = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: a msghdr consists of integers and pointers, for which zero is valid.
        let header = unsafe { std::mem::zeroed() };
        Box::new(Self {
            slices: [empty; GATHER],
            header,
        })
    }

    /// Points at the first chunks of `outbox`; gives how many. Nothing is read through it here.
    pub(super) fn fill(&mut self, outbox: &Outbox) -> usize {
        let mut slices = [IoSlice::new(&[]); GATHER];
        let count = outbox.gather(&mut slices);
        for (to, from) in self.slices.iter_mut().zip(&slices[..count]) {
            *to = libc::iovec {
                iov_base: from.as_ptr().cast_mut().cast(),
                iov_len: from.len(),
            };
        }
        self.header.msg_iov = self.slices.as_mut_ptr();
        self.header.msg_iovlen = count;
        count
    }

    pub(super) fn header(&self) -> *const libc::msghdr {
        &raw const self.header
    }
}
