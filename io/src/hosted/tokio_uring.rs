//! tokio-uring 0.5: tokio's current-thread runtime, and operations with owned buffers on a ring beside it.
//!
//! Not used of it: `accept` and `connect`, which cannot be taken back.
#![allow(unsafe_code)]

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::time::Instant;

use ::tokio_uring::buf::BoundedBuf;
use ::tokio_uring::net::TcpStream;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::options::{DriverKind, Options, StartError};

pub(super) struct Base(::tokio_uring::Runtime);

impl Base {
    pub(super) fn new(options: &Options) -> Result<Self, StartError> {
        // Where io_uring is denied, tokio-uring says so only after it has lost two descriptors: asked for first.
        drop(io_uring::IoUring::new(1).map_err(StartError::of(DriverKind::TokioUring, "io_uring_setup"))?);
        let mut ring = ::tokio_uring::uring_builder();
        // DEFER_TASKRUN is not for it: it waits for its ring by epoll and never enters for completions alone.
        ring.setup_clamp().setup_coop_taskrun();
        let mut builder = ::tokio_uring::builder();
        builder.entries(options.ring_entries.max(1)).uring_builder(&ring);
        ::tokio_uring::Runtime::new(&builder)
            .map(Self)
            .map_err(StartError::of(DriverKind::TokioUring, "io_uring_setup"))
    }

    pub(super) fn block_on(&self, future: impl Future<Output = ()>) {
        self.0.block_on(future);
    }
}

pub(super) fn spawn(job: impl Future<Output = ()> + 'static) {
    drop(::tokio_uring::spawn(job));
}

pub(super) type Sleep = Pin<Box<tokio::time::Sleep>>;

pub(super) fn sleep(until: Instant) -> Sleep {
    Box::pin(tokio::time::sleep_until(until.into()))
}

/// A stream that owns its descriptor, and closes it after its last operation.
pub(super) struct Transport(TcpStream);

impl Transport {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let stream = std::net::TcpStream::from(fd);
        // It reads and writes by `READ` and `WRITE`, which on older kernels do not wait where the descriptor is
        // non-blocking.
        stream.set_nonblocking(false)?;
        Ok(Self(TcpStream::from_std(stream)))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns the descriptor and keeps it open while it is borrowed here.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }

    pub(super) async fn receive(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.0.read(buffer).await
    }

    pub(super) async fn send(&self, chunk: Vec<u8>, start: usize) -> (io::Result<usize>, Vec<u8>) {
        let (result, slice) = self.0.write(chunk.slice(start..)).submit().await;
        (result, slice.into_inner())
    }
}

pub(super) struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: it owns the descriptor, and nothing here replaces or closes it while it is registered.
        Ok(Self(unsafe {
            AsyncFd::register_with_interest(fd, Interest::READABLE)
        }?))
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        // Cleared before the look at what is ready, so that nothing later is missed.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}
