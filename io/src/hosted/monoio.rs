//! monoio 0.2: its runtime over io_uring, its operations with owned buffers.
//!
//! Not used of it: `accept` and `connect`, which lose a descriptor when dropped late; its epoll driver, as ours
//! serves where io_uring is denied.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::time::Instant;

use ::monoio::buf::IoBuf;
use ::monoio::io::{AsyncReadRent, AsyncWriteRent};
use ::monoio::net::TcpStream;
use ::monoio::time::TimeDriver;
use ::monoio::{IoUringDriver, RuntimeBuilder};

use crate::options::{DriverKind, Options, StartError};

pub(super) struct Base(RefCell<::monoio::Runtime<TimeDriver<IoUringDriver>>>);

impl Base {
    pub(super) fn new(options: &Options) -> Result<Self, StartError> {
        let mut ring = io_uring_06::IoUring::builder();
        // As our own ring: task work that interrupts the worker would make io_uring dearer than epoll.
        ring.setup_clamp().setup_single_issuer().setup_defer_taskrun();
        RuntimeBuilder::<IoUringDriver>::new()
            .with_entries(options.ring_entries)
            .uring_builder(ring)
            .enable_timer()
            .build()
            .map(|runtime| Self(RefCell::new(runtime)))
            .map_err(StartError::of(DriverKind::Monoio, "io_uring_setup"))
    }

    pub(super) fn block_on(&self, future: impl Future<Output = ()>) {
        self.0.borrow_mut().block_on(future);
    }
}

pub(super) fn spawn(job: impl Future<Output = ()> + 'static) {
    drop(::monoio::spawn(job));
}

pub(super) type Sleep = Pin<Box<::monoio::time::Sleep>>;

pub(super) fn sleep(until: Instant) -> Sleep {
    Box::pin(::monoio::time::sleep_until(until.into()))
}

/// One of monoio's streams on a descriptor that is ours to close. It never closes it.
struct Stream(Option<TcpStream>);

impl Stream {
    fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: the descriptor is open, and its owner outlives this: it stands beside it in its struct. Of this
        // second owner nothing closes it: release gives the number back, and drop forgets it.
        let second = unsafe { std::net::TcpStream::from_raw_fd(fd.as_raw_fd()) };
        // Fails only with monoio's epoll driver, which is not built.
        TcpStream::from_std(second).map(|stream| Self(Some(stream)))
    }

    fn get(&mut self) -> io::Result<&mut TcpStream> {
        self.0.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Only when no operation of it is with the kernel.
    fn release(mut self) {
        if let Some(stream) = self.0.take() {
            let _ours: i32 = stream.into_raw_fd();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Not released, so that an operation may still be with the kernel: monoio would close the descriptor
        // after it, which may then be another's. A few bytes stay instead.
        std::mem::forget(self.0.take());
    }
}

/// A stream for each direction, as monoio wants each to itself while it works.
pub(super) struct Transport {
    receiver: Cell<Option<Stream>>,
    sender: Cell<Option<Stream>>,
    fd: OwnedFd,
}

impl Transport {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            receiver: Cell::new(Some(Stream::new(fd.as_fd())?)),
            sender: Cell::new(Some(Stream::new(fd.as_fd())?)),
            fd,
        })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) async fn receive(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let Some(mut stream) = self.receiver.take() else {
            return (Err(io::ErrorKind::ResourceBusy.into()), buffer);
        };
        let received = match stream.get() {
            Ok(open) => open.read(buffer).await,
            Err(error) => (Err(error), buffer),
        };
        self.receiver.set(Some(stream));
        received
    }

    pub(super) async fn send(&self, chunk: Vec<u8>, start: usize) -> (io::Result<usize>, Vec<u8>) {
        let Some(mut stream) = self.sender.take() else {
            return (Err(io::ErrorKind::ResourceBusy.into()), chunk);
        };
        let sent = match stream.get() {
            Ok(open) => {
                let (result, slice) = open.write(chunk.slice(start..)).await;
                (result, slice.into_inner())
            }
            Err(error) => (Err(error), chunk),
        };
        self.sender.set(Some(stream));
        sent
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        for stream in [&self.receiver, &self.sender] {
            if let Some(stream) = stream.take() {
                stream.release();
            }
        }
    }
}

/// monoio has no type for any descriptor; what its stream does here is a `POLL_ADD`, which takes all.
pub(super) struct Readable {
    stream: Cell<Option<Stream>>,
    // After the stream, which names it.
    _fd: OwnedFd,
}

impl Readable {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            stream: Cell::new(Some(Stream::new(fd.as_fd())?)),
            _fd: fd,
        })
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        let Some(mut stream) = self.stream.take() else {
            return Err(io::ErrorKind::ResourceBusy.into());
        };
        let ready = match stream.get() {
            Ok(open) => open.readable(true).await,
            Err(error) => Err(error),
        };
        self.stream.set(Some(stream));
        ready
    }
}

impl Drop for Readable {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.release();
        }
    }
}
