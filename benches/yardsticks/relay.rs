//! One connection of a proxy without features, on any runtime whose reads and writes own their buffer: a head is found
//! and sent on as it came, a body follows by its length, both ways through one buffer.
//!
//! It has one origin and one pool of connections to it. It refuses, by ending the connection, what it does not know:
//! chunked bodies, requests sent ahead of an answer. It has no routes, no counters, no timeouts, and takes no answer to
//! have less of a body than its length says, as that to a HEAD has.

use std::{cell::RefCell, env, error::Error, io, net::SocketAddr, rc::Rc};

use crate::head::{self, Head};

/// A stream of such a runtime. Writes are not delayed to be gathered.
pub(crate) trait Stream: Sized {
    async fn connect(address: SocketAddr) -> io::Result<Self>;
    /// Reads behind what the buffer holds, as much as it has room for at most; nothing more is the end.
    async fn read(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>>;
    /// Writes all that the buffer holds and gives it back.
    async fn write_all(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>>;
}

/// The origin, with the connections to it that rest.
pub(crate) struct Pool<S> {
    origin: SocketAddr,
    resting: RefCell<Vec<S>>,
}

impl<S: Stream> Pool<S> {
    pub(crate) fn new(origin: SocketAddr) -> Rc<Self> {
        let resting = RefCell::default();
        Rc::new(Self { origin, resting })
    }

    async fn take(&self) -> io::Result<S> {
        let kept = self.resting.borrow_mut().pop();
        match kept {
            Some(stream) => Ok(stream),
            None => S::connect(self.origin).await,
        }
    }
}

/// Serves a client until it leaves, or until anything fails.
pub(crate) async fn serve<S: Stream>(mut client: S, pool: Rc<Pool<S>>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (request, mut answer);
        (buffer, request) = receive(&mut client, buffer).await?;
        let Some(request) = request else {
            return Ok(());
        };
        let mut origin = pool.take().await?;
        buffer = forward(&mut client, &mut origin, buffer, &request).await?;
        (buffer, answer) = receive(&mut origin, buffer).await?;
        let answer = answer.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        if !request.is_kept {
            head::close(&mut buffer, answer);
        }
        buffer = forward(&mut origin, &mut client, buffer, answer).await?;
        if answer.is_kept {
            pool.resting.borrow_mut().push(origin);
        }
        if !request.is_kept {
            return Ok(());
        }
    }
}

/// Reads until a head is whole; none when the peer has ended before.
async fn receive<S: Stream>(from: &mut S, mut buffer: Vec<u8>) -> io::Result<(Vec<u8>, Option<Head>)> {
    buffer.clear();
    loop {
        let before = buffer.len();
        buffer = from.read(buffer).await?;
        // What is longer than the buffer ends so too: no head has room for more.
        if buffer.len() == before {
            return Ok((buffer, None));
        }
        if let Some(head) = head::read(&mut buffer)? {
            return Ok((buffer, Some(head)));
        }
    }
}

/// Sends the head on with what came behind it, then the rest of the body as it comes.
async fn forward<S: Stream>(
    from: &mut S,
    to: &mut S,
    mut buffer: Vec<u8>,
    head: &Head,
) -> io::Result<Vec<u8>> {
    let mut missing = head.bytes + head.body_bytes;
    loop {
        // More than the message: the next one, sent ahead.
        missing = missing
            .checked_sub(buffer.len())
            .ok_or(io::ErrorKind::Unsupported)?;
        buffer = to.write_all(buffer).await?;
        if missing == 0 {
            return Ok(buffer);
        }
        buffer.clear();
        buffer = from.read(buffer).await?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What the bench starts a yardstick with: where to listen, where the origin is.
pub(crate) fn arguments() -> Result<(SocketAddr, SocketAddr), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let mut next = || words.next().ok_or("arguments: LISTEN ORIGIN");
    Ok((next()?.parse()?, next()?.parse()?))
}

/// Of the runtime's ring: a turn of a thousand busy connections is one system call.
pub(crate) const RING_ENTRIES: u32 = 4096;

/// Large enough that a body of a mebibyte takes few reads; what is not touched of it takes no memory.
const BUFFER_BYTES: usize = 64 * 1024;
