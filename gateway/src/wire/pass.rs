//! Bytes from one connection to another, never more in between than a bound; inside the kernel, where they take none of the
//! process' memory, four times as many.

use std::{
    io,
    task::{Context, Poll, ready},
};

use super::{BodyError, H1, Wire};
use crate::http::{BadBody, Trailers};

/// Which side ended it.
#[derive(Debug)]
pub enum Broken {
    /// The side that sends.
    Source(BodyError),
    /// The side that receives.
    Sink(io::Error),
}

/// Part of a body that has been moved on.
#[derive(Debug)]
pub enum Piece<'a> {
    /// These bytes.
    Seen(&'a [u8]),
    /// So many bytes, which never left the kernel.
    Unseen(usize),
}

/// Moves a body on: from `source`'s framing into `sink`'s, showing each piece to `tap`; where that may be `unseen`, much
/// of it inside the kernel. Ready when the whole body is in `sink`'s out-queue, with whether it had trailers. Never more
/// than `buffer_bytes` are between the two, or four times as many inside the kernel.
///
/// # Errors
/// Which side broke, and how.
pub fn poll_body(
    source: &mut Wire,
    sink: &mut Wire,
    buffer_bytes: usize,
    unseen: bool,
    mut tap: impl FnMut(Piece<'_>),
    cx: &mut Context<'_>,
) -> Poll<Result<bool, Broken>> {
    loop {
        // Inside the kernel bytes go only between connections.
        if unseen && let (Wire::H1(source), Wire::H1(sink)) = (&mut *source, &mut *sink) {
            match sink.poll_splice_body(source, most_in_kernel(buffer_bytes), cx) {
                Poll::Ready(Ok(0)) => {}
                Poll::Ready(Ok(count)) => {
                    tap(Piece::Unseen(count));
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Sink(error))),
                Poll::Pending => break,
            }
        }
        ready!(sink.poll_room(high_water(buffer_bytes), cx)).map_err(Broken::Sink)?;
        match source.poll_body(cx) {
            Poll::Ready(Ok(Some(length))) => {
                tap(Piece::Seen(source.front(length)));
                sink.forward_body(source, length).map_err(Broken::Sink)?;
            }
            Poll::Ready(Ok(None)) => {
                let trailers = source.trailers();
                sink.end_body(trailers).map_err(Broken::Sink)?;
                sink.start_flush();
                ready!(sink.poll_handed_over(cx)).map_err(Broken::Sink)?;
                return Poll::Ready(Ok(!trailers.is_empty()));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
            Poll::Pending => break,
        }
    }
    sink.start_flush();
    Poll::Pending
}

/// A part of a body on its way.
#[derive(Debug)]
pub enum Part<'a> {
    /// Some bytes.
    Piece(&'a [u8]),
    /// Its end, which may come twice.
    End(&'a Trailers),
}

/// Moves a body on as [`poll_body`] does, changed: `change` appends to its second argument what is sent in place of a
/// part. Trailers are a part, and not sent on.
///
/// # Errors
/// Which side broke, and how; the source where it cannot be changed.
pub fn poll_changed_body(
    source: &mut Wire,
    sink: &mut Wire,
    buffer_bytes: usize,
    mut change: impl FnMut(Part<'_>, &mut Vec<u8>) -> Result<(), BadBody>,
    mut tap: impl FnMut(Piece<'_>),
    cx: &mut Context<'_>,
) -> Poll<Result<bool, Broken>> {
    let mut changed = Vec::new();
    loop {
        ready!(sink.poll_room(high_water(buffer_bytes), cx)).map_err(Broken::Sink)?;
        let length = match source.poll_body(cx) {
            Poll::Ready(Ok(length)) => length,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
            Poll::Pending => break,
        };
        changed.clear();
        let part = match length {
            Some(length) => Part::Piece(source.front(length)),
            None => Part::End(source.trailers()),
        };
        change(part, &mut changed).map_err(|bad| Broken::Source(BodyError::Bad(bad)))?;
        if !changed.is_empty() {
            tap(Piece::Seen(&changed));
            sink.write_body(&changed).map_err(Broken::Sink)?;
        }
        let Some(length) = length else {
            sink.end_body(&Trailers::default()).map_err(Broken::Sink)?;
            sink.start_flush();
            ready!(sink.poll_handed_over(cx)).map_err(Broken::Sink)?;
            return Poll::Ready(Ok(!source.trailers().is_empty()));
        };
        source.take(length);
    }
    sink.start_flush();
    Poll::Pending
}

/// How one direction of a tunnel flows: in bulk its bytes go from socket to socket inside the kernel, which costs less
/// than seeing them, while of small pieces each would cost more.
#[derive(Debug, Default)]
pub struct Flow {
    /// Bytes of large pieces that came one after the other.
    run: u64,
}

impl Flow {
    fn moved(&mut self, bytes: usize) {
        self.run = if bytes < PIECE_BYTES_MIN {
            0
        } else {
            self.run.saturating_add(bytes as u64)
        };
    }

    const fn is_bulk(&self) -> bool {
        self.run >= SPLICE_BYTES_MIN
    }
}

/// Moves raw bytes on, as a tunnel does. Ready when `source` has ended and all of it has been sent.
///
/// # Errors
/// Which side broke, and how.
pub fn poll_raw(
    source: &mut Wire,
    sink: &mut Wire,
    flow: &mut Flow,
    buffer_bytes: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Broken>> {
    loop {
        if flow.is_bulk()
            && let (Wire::H1(from), Wire::H1(to)) = (&mut *source, &mut *sink)
        {
            match to.poll_splice_raw(from, most_in_kernel(buffer_bytes), cx) {
                Poll::Ready(Ok(0)) => {}
                Poll::Ready(Ok(count)) => {
                    flow.moved(count);
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Sink(error))),
                Poll::Pending => return poll_source(source, cx),
            }
        }
        if poll_room_raw(sink, high_water(buffer_bytes), cx)
            .map_err(Broken::Sink)?
            .is_pending()
        {
            return poll_source(source, cx);
        }
        match source.poll_raw(cx) {
            Poll::Ready(Ok(0)) => return sink.poll_flush(cx).map_err(Broken::Sink),
            Poll::Ready(Ok(length)) => {
                sink.forward_raw(source, length).map_err(Broken::Sink)?;
                flow.moved(length);
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(BodyError::Broken(error)))),
            Poll::Pending => break,
        }
    }
    sink.start_flush();
    Poll::Pending
}

/// While `sink` takes nothing, nothing of `source` is read, and yet its reset is to be heard.
fn poll_source(source: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
    match source.poll_closed(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(Broken::Source(BodyError::Broken(error)))),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
    }
}

/// Bytes that may be inside the kernel: large pieces cost less there, and are nobody's memory but the sockets'.
const fn most_in_kernel(buffer_bytes: usize) -> usize {
    buffer_bytes.saturating_mul(4)
}

/// Bytes that may wait to be sent when more is read: what the bound leaves beside one read.
const fn high_water(buffer_bytes: usize) -> usize {
    buffer_bytes / 4
}

/// Waits until bytes may be written again: what was moved inside the kernel has left, and of what was written fewer than
/// `high_water` are queued.
fn poll_room_raw(sink: &mut Wire, high_water: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    if let Wire::H1(sink) = sink {
        ready!(sink.stream.poll_spliced(cx))?;
    }
    sink.poll_room(high_water, cx)
}

impl H1 {
    /// Moves a piece of `source`'s body into the one that goes out inside the kernel, if the body is large, at most
    /// `most` bytes. Gives how many; with 0 [`Self::poll_body`] is the way.
    ///
    /// # Errors
    /// When this connection broke.
    fn poll_splice_body(
        &mut self,
        source: &mut Self,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let run = source.reader.run();
        if source.reader.received() + run < SPLICE_BYTES_MIN || !self.writer.is_bare() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.stream.poll_spliced(cx))?;
        if run == 0 {
            return Poll::Ready(Ok(0));
        }
        let most = most.min(usize::try_from(run).unwrap_or(usize::MAX));
        let count = ready!(self.stream.poll_splice(&mut source.stream, most, cx))?;
        let bytes = count as u64;
        source.reader.pass_unread(bytes);
        source.taken += bytes;
        self.written += bytes;
        self.writer.pass_unread(bytes).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    /// As [`Self::poll_splice_body`], of bytes that are no body.
    fn poll_splice_raw(
        &mut self,
        source: &mut Self,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream.poll_splice(&mut source.stream, most, cx))?;
        source.taken += count as u64;
        self.written += count as u64;
        Poll::Ready(Ok(count))
    }
}

/// A piece of a tunnel below this is no bulk.
const PIECE_BYTES_MIN: usize = 16 * 1024;
/// With smaller bodies changing over costs more than copying.
const SPLICE_BYTES_MIN: u64 = 128 * 1024;
