//! A TCP connection: bytes received and not consumed, bytes written and not sent.
//!
//! Owns the buffers a caller can borrow from; everything the kernel may touch belongs to the driver. Refuses to
//! know what the bytes mean.

mod buffers;
mod splice;
mod tokio;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use crate::engine::Key;
use crate::options::SocketOptions;
use crate::pipe::Pipe;
use crate::runtime::Inner;

/// The most bytes one stream gives in one turn while others wait.
const TURN_BYTES: u32 = 256 * 1024;
/// A received rest of at most its buffer's capacity divided by this is copied out before a wait.
const SMALL_REST: usize = 4;

/// A TCP connection of one worker.
///
/// Received bytes stay in the stream until [consumed](Self::consume); written bytes gather in its out-queue and
/// go out when flushed. While idle it holds no buffer. Dropping it closes the connection and discards what is
/// not sent.
pub struct TcpStream {
    inner: Rc<Inner>,
    key: Key,
    received: Vec<u8>,
    /// How much of `received` is consumed.
    start: usize,
    out: Vec<u8>,
    /// What goes before anything written later.
    pipe: Option<Box<Pipe>>,
    peer: SocketAddr,
    turn: u32,
    turn_bytes: u32,
}

impl TcpStream {
    pub(crate) fn new(inner: Rc<Inner>, key: Key, peer: SocketAddr) -> Self {
        Self {
            inner,
            key,
            received: Vec::new(),
            start: 0,
            out: Vec::new(),
            pipe: None,
            peer,
            turn: 0,
            turn_bytes: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// The bytes received and not consumed. Waits for nothing, and never changes by itself.
    pub fn received(&self) -> &[u8] {
        &self.received[self.start..]
    }

    /// As [`Self::received`], to be changed in place.
    pub fn received_mut(&mut self) -> &mut [u8] {
        &mut self.received[self.start..]
    }

    /// The bytes received and not consumed, as soon as there are any. Empty at the peer's FIN, from then on.
    ///
    /// # Errors
    /// Once all bytes are consumed: how the connection ended, from then on.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.start == self.received.len() {
            let buffer = ready!(self.poll_receive(cx))?;
            self.release_received();
            self.received = buffer;
        }
        Poll::Ready(Ok(self.received()))
    }

    /// As [`Self::poll_fill`].
    ///
    /// # Errors
    /// As [`Self::poll_fill`].
    pub async fn fill(&mut self) -> io::Result<&[u8]> {
        poll_fn(|cx| self.poll_fill(cx).map_ok(drop)).await?;
        Ok(self.received())
    }

    /// Waits for bytes beyond those not consumed and gives how many came; then [`Self::received`] holds both,
    /// joined. 0 at the peer's FIN. Has no limit of its own: the caller stops asking.
    ///
    /// # Errors
    /// How the connection ended; what was received before stays.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Poll::Ready(outcome) = self.poll_receive(cx) else {
            self.shrink_received();
            return Poll::Pending;
        };
        let buffer = outcome?;
        let count = buffer.len();
        self.join(buffer);
        Poll::Ready(Ok(count))
    }

    /// As [`Self::poll_more`].
    ///
    /// # Errors
    /// As [`Self::poll_more`].
    pub async fn more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    /// Forgets the first `count` bytes of [`Self::received`].
    ///
    /// # Panics
    /// When there are fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(
            count <= self.received.len() - self.start,
            "consumed more than was received"
        );
        self.start += count;
        if self.start == self.received.len() {
            self.release_received();
        }
    }

    /// The bytes written and not yet given to the driver; append here. They go out with the next flush.
    pub fn out(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.pipe.is_none(), "written before what was spliced has left");
        if self.out.capacity() == 0 {
            self.out = self.inner.engine.borrow_mut().pool().take();
        }
        &mut self.out
    }

    /// Appends to the out-queue. Sends nothing by itself.
    pub fn write(&mut self, bytes: &[u8]) {
        self.out().extend_from_slice(bytes);
    }

    /// Moves the first `count` received bytes of `from` to this stream's out-queue and starts to send; without
    /// copying when they are all it has.
    ///
    /// # Panics
    /// When `from` has fewer.
    pub fn forward(&mut self, from: &mut Self, count: usize) {
        if count < from.received().len() {
            self.write(&from.received()[..count]);
            self.start_flush();
            return from.consume(count);
        }
        assert!(count == from.received().len(), "forwarded more than was received");
        self.start_flush();
        let (chunk, start) = (
            std::mem::take(&mut from.received),
            std::mem::take(&mut from.start),
        );
        self.inner.engine.borrow_mut().send(self.key, chunk, start);
    }

    /// Bytes written and not yet taken by the kernel.
    pub fn queued(&self) -> usize {
        self.out.len() + self.held() + self.inner.engine.borrow().unsent(self.key)
    }

    /// Starts to send what is written, without waiting. Sends leave at the end of the turn, together.
    pub fn start_flush(&mut self) {
        if !self.out.is_empty() {
            let chunk = std::mem::take(&mut self.out);
            self.inner.engine.borrow_mut().send(self.key, chunk, 0);
        }
    }

    /// Starts to send, and waits until the kernel has taken everything.
    ///
    /// # Errors
    /// How the connection ended, from then on; what was not sent is lost.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx, 0)
    }

    /// As [`Self::poll_flush`].
    ///
    /// # Errors
    /// As [`Self::poll_flush`].
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Starts to send, and waits until at most `below` bytes are [queued](Self::queued).
    ///
    /// # Errors
    /// As [`Self::poll_flush`].
    pub fn poll_drained(&mut self, cx: &mut Context<'_>, below: usize) -> Poll<io::Result<()>> {
        self.start_flush();
        let mut outcome = self.poll_spliced(cx);
        if let Poll::Ready(Ok(())) = outcome {
            outcome = self.inner.engine.borrow_mut().poll_sent(self.key, cx, below);
        }
        if outcome.is_pending() {
            self.shrink_received();
        }
        outcome
    }

    /// Sends FIN after everything written so far. Later writes fail.
    ///
    /// # Errors
    /// When the connection has already ended.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        self.start_flush();
        self.inner.engine.borrow_mut().shutdown_write(self.key)
    }

    /// Closes with RST, so that the peer cannot take what it got for the whole.
    pub fn abort(self) {
        self.reset_on_close();
    }

    /// From now on, dropping it closes with RST.
    pub fn reset_on_close(&self) {
        let engine = self.inner.engine.borrow();
        // The socket is open, so the only error there could be is a connection that has already gone.
        let _ = SockRef::from(&engine.fd(self.key)).set_linger(Some(Duration::ZERO));
    }

    /// Who is at the other end.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    /// This end, by a system call; the unspecified address if the kernel does not say.
    pub fn local_address(&self) -> SocketAddr {
        let engine = self.inner.engine.borrow();
        let address = SockRef::from(&engine.fd(self.key))
            .local_addr()
            .ok()
            .and_then(|local| local.as_socket());
        address.unwrap_or(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)))
    }

    /// Ready once the peer has sent FIN or RST, even behind bytes that nobody has read.
    ///
    /// # Errors
    /// How the connection ended, unless by FIN.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.inner.engine.borrow_mut().poll_closed(self.key, cx);
        if outcome.is_pending() {
            self.shrink_received();
        }
        outcome
    }

    /// Whether bytes, FIN or an error have come and were not consumed: an idle connection of which this is true
    /// is not to be used again.
    pub fn is_readable_or_closed(&self) -> bool {
        !self.received().is_empty() || self.inner.engine.borrow_mut().is_readable(self.key)
    }

    /// Ready while the stream has not given its share of this turn; later in the next.
    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        let turn = self.inner.turn.get();
        if self.turn != turn {
            (self.turn, self.turn_bytes) = (turn, 0);
        }
        if self.turn_bytes >= TURN_BYTES {
            self.inner.defer(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Counts what it gave in this turn: with one receive more than its share at most.
    fn gave(&mut self, count: usize) {
        self.turn_bytes = self
            .turn_bytes
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        ready!(self.poll_turn(cx));
        let buffer = ready!(self.inner.engine.borrow_mut().poll_receive(self.key, cx))?;
        self.gave(buffer.len());
        Poll::Ready(Ok(buffer))
    }

    /// Puts `buffer` behind what is received.
    fn join(&mut self, buffer: Vec<u8>) {
        if self.start == self.received.len() {
            self.release_received();
            self.received = buffer;
            return;
        }
        let mut engine = self.inner.engine.borrow_mut();
        if self.received.capacity() - self.received.len() < buffer.len() {
            let rest = self.received.len() - self.start;
            let mut joined = engine.pool().take();
            // At least doubled, so that many small arrivals do not each copy all that is there.
            joined.reserve(rest + buffer.len().max(rest));
            joined.extend_from_slice(&self.received[self.start..]);
            engine.pool().give(std::mem::replace(&mut self.received, joined));
            self.start = 0;
        }
        self.received.extend_from_slice(&buffer);
        engine.pool().give(buffer);
    }

    /// Before a wait: lets a whole buffer go that holds little.
    fn shrink_received(&mut self) {
        let (mut received, mut start) = (std::mem::take(&mut self.received), self.start);
        self.shrink_buffer(&mut received, &mut start);
        (self.received, self.start) = (received, start);
    }

    fn release_received(&mut self) {
        self.start = 0;
        if self.received.capacity() > 0 {
            let buffer = std::mem::take(&mut self.received);
            self.inner.engine.borrow_mut().pool().give(buffer);
        }
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.give_pipe();
        let mut engine = self.inner.engine.borrow_mut();
        engine.close(self.key);
        engine.pool().give(std::mem::take(&mut self.received));
        engine.pool().give(std::mem::take(&mut self.out));
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("peer", &self.peer)
            .field("received", &self.received().len())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

pub(crate) async fn connect(
    inner: Rc<Inner>,
    to: SocketAddr,
    options: SocketOptions,
) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(to),
        Type::STREAM.nonblocking().cloexec(),
        None,
    )?;
    configure(&SockRef::from(&socket), &options)?;
    let key = inner
        .engine
        .borrow_mut()
        .connect(socket.into(), to, options.receive_limit)?;
    // From here on the stream closes the socket, also when this future is dropped.
    let stream = TcpStream::new(inner, key, to);
    poll_fn(|cx| stream.inner.engine.borrow_mut().poll_connected(key, cx)).await?;
    Ok(stream)
}

/// Sets what an accepted socket inherits from its listener, and a connecting one needs itself.
pub(crate) fn configure(socket: &SockRef<'_>, options: &SocketOptions) -> io::Result<()> {
    if options.nodelay {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(idle) = options.keepalive {
        let idle = idle.max(Duration::from_secs(1));
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    }
    Ok(())
}
