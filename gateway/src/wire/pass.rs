//! Bytes from one connection to another, never more in between than a bound.

use std::{
    io,
    task::{Context, Poll, ready},
};

use super::{BodyError, Wire};

/// Which side ended it.
#[derive(Debug)]
pub enum Broken {
    /// The side that sends.
    Source(BodyError),
    /// The side that receives.
    Sink(io::Error),
}

/// Moves a body on: from `source`'s framing into `sink`'s, showing each piece to `tap`. Ready when the whole body is
/// in `sink`'s out-queue, with whether it had trailers. Stops reading while `sink` holds `high_water` bytes unsent.
///
/// # Errors
/// Which side broke, and how.
pub fn poll_body(
    source: &mut Wire,
    sink: &mut Wire,
    high_water: usize,
    mut tap: impl FnMut(&[u8]),
    cx: &mut Context<'_>,
) -> Poll<Result<bool, Broken>> {
    loop {
        ready!(sink.poll_room(high_water, cx)).map_err(Broken::Sink)?;
        match source.poll_body(cx) {
            Poll::Ready(Ok(Some(length))) => {
                tap(source.front(length));
                sink.forward_body(source, length).map_err(Broken::Sink)?;
            }
            Poll::Ready(Ok(None)) => {
                let trailers = source.trailers();
                sink.end_body(trailers).map_err(Broken::Sink)?;
                sink.start_flush();
                return Poll::Ready(Ok(!trailers.is_empty()));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
            Poll::Pending => break,
        }
    }
    sink.start_flush();
    Poll::Pending
}

/// Moves raw bytes on, as a tunnel does. Ready when `source` has ended and all of it has been sent.
///
/// # Errors
/// Which side broke, and how.
pub fn poll_raw(
    source: &mut Wire,
    sink: &mut Wire,
    high_water: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Broken>> {
    loop {
        ready!(sink.poll_room(high_water, cx)).map_err(Broken::Sink)?;
        match source.poll_raw(cx) {
            Poll::Ready(Ok(0)) => return sink.poll_flush(cx).map_err(Broken::Sink),
            Poll::Ready(Ok(length)) => {
                sink.forward_raw(source, length);
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(BodyError::Broken(error)))),
            Poll::Pending => break,
        }
    }
    sink.start_flush();
    Poll::Pending
}
