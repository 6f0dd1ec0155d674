//! A connection's bytes, as the `h2` crate reads and writes them, and as whoever drives it looks at them.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use sluice_tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Facts, Meter};

/// The bytes of one connection.
pub struct Link {
    stream: RefCell<Stream>,
    heard: Cell<u64>,
    written: Cell<u64>,
    /// The length of the peer's first frame, of which so many bytes are known.
    first: Cell<(u32, u8)>,
    /// Who waits for that frame.
    waiting: RefCell<Vec<Waker>>,
    /// None where nobody asks what the peer costs.
    meter: Option<RefCell<Meter>>,
}

impl Link {
    /// Over `stream`, with what was received and not taken; its glitches are counted by `meter`, if there is one.
    #[must_use]
    pub fn new(stream: Stream, meter: Option<Meter>) -> Self {
        Self {
            stream: RefCell::new(stream),
            heard: Cell::new(0),
            written: Cell::new(0),
            first: Cell::new((0, 0)),
            waiting: RefCell::default(),
            meter: meter.map(RefCell::new),
        }
    }

    /// What streams tell of it.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let stream = self.stream.borrow();
        Facts {
            transport: stream.transport().clone(),
            peer_address: stream.peer_address(),
            local_address: stream.local_address(),
        }
    }

    /// Lends what counts its glitches.
    pub fn with_meter<T>(&self, look: impl FnOnce(&mut Meter) -> T) -> Option<T> {
        let meter = self.meter.as_ref()?;
        Some(look(&mut meter.borrow_mut()))
    }

    /// Bytes received.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard.get()
    }

    /// Waits until the peer's settings are there, which are its first frame (RFC 9113 3.4).
    pub(super) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_settled() {
            return Poll::Ready(());
        }
        self.waiting.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    /// Nothing more will come: who waits need not.
    pub fn end(&self) {
        self.first.set((0, LENGTH_BYTES));
        self.heard.set(self.heard.get().max(HEAD_BYTES));
        self.settled();
    }

    const fn is_settled(&self) -> bool {
        let (length, known) = self.first.get();
        known == LENGTH_BYTES && self.heard.get() >= HEAD_BYTES + length as u64
    }

    fn settled(&self) {
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Notes what was received.
    fn hear(&self, bytes: &[u8]) {
        let (mut length, mut known) = self.first.get();
        if known < LENGTH_BYTES {
            for byte in bytes.iter().take(usize::from(LENGTH_BYTES - known)) {
                (length, known) = (length << 8 | u32::from(*byte), known + 1);
            }
            self.first.set((length, known));
        }
        self.heard.set(self.heard.get() + bytes.len() as u64);
        if !self.waiting.borrow().is_empty() && self.is_settled() {
            self.settled();
        }
    }

    /// Bytes written and not taken by the kernel.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.stream.borrow().queued()
    }

    /// Grows with every byte received and every byte that has left.
    #[must_use]
    pub fn progress(&self) -> u64 {
        (self.heard.get() + self.written.get()).saturating_sub(self.queued() as u64)
    }

    fn read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.stream.borrow_mut();
        let received = ready!(stream.poll_fill(cx))?;
        let count = received.len().min(into.remaining());
        into.put_slice(&received[..count]);
        self.with_meter(|meter| meter.received(&received[..count]));
        self.hear(&received[..count]);
        stream.consume(count);
        Poll::Ready(Ok(()))
    }

    /// Waits for room, and writes as much of `slices` as there is room for.
    fn write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        if stream.queued() >= QUEUED_BYTES_MAX {
            ready!(stream.poll_drained(cx, QUEUED_BYTES_MAX / 2))?;
        }
        let room = QUEUED_BYTES_MAX - stream.queued();
        let mut count = 0;
        for slice in slices {
            let part = slice.len().min(room - count);
            stream.write(&slice[..part]);
            self.with_meter(|meter| meter.sent(&slice[..part]));
            count += part;
        }
        self.written.set(self.written.get() + count as u64);
        Poll::Ready(Ok(count))
    }
}

/// A connection with the traits of tokio. What is written gathers, and goes out at the end of the turn: a flush only
/// begins it, as the next write waits where too much is queued.
pub struct Socket(Rc<Link>);

impl Socket {
    /// Of this connection.
    #[must_use]
    pub const fn new(link: Rc<Link>) -> Self {
        Self(link)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.stream.borrow_mut().start_flush();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.0.stream.borrow_mut();
        ready!(stream.poll_flush(cx))?;
        Poll::Ready(stream.shutdown_write())
    }
}

/// Of the length that a frame begins with (RFC 9113 4.1).
const LENGTH_BYTES: u8 = 3;
/// Of the whole head of a frame.
const HEAD_BYTES: u64 = 9;
/// Bytes that may wait to be sent, as many as one direction of a connection of HTTP/1 may hold by default.
const QUEUED_BYTES_MAX: usize = 64 * 1024;
