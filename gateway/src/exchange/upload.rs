//! The request's body on its way to a backend, with what is kept of it for another try.

use std::task::{Context as TaskContext, Poll, ready};

use crate::{
    error::Failure,
    exchange::client::Client,
    http::Trailers,
    wire::{
        Wire,
        pass::{self, Broken, Part, Piece},
    },
};

/// Where the request's body stands.
pub(super) struct Upload {
    /// The client has sent all of it.
    pub(super) done: bool,
    /// The backend of this try takes no more of it.
    pub(super) broken: bool,
    /// Bytes of it taken from the client.
    pub(super) bytes: u64,
    /// Bytes kept for another try, all of `bytes` unless `lost`.
    kept: Vec<u8>,
    kept_max: usize,
    /// More came than is kept: the request can be sent once only.
    lost: bool,
}

impl Upload {
    /// Nothing taken yet; keeps at most `kept_max` bytes for another try.
    #[must_use]
    pub(super) const fn new(kept_max: usize) -> Self {
        Self {
            done: false,
            broken: false,
            bytes: 0,
            kept: Vec::new(),
            kept_max,
            lost: false,
        }
    }

    /// Whether another try could send the same request.
    #[must_use]
    pub(super) const fn can_replay(&self) -> bool {
        !self.lost
    }

    /// Begins a try: what is kept goes out first.
    pub(super) fn restart(&mut self, backend: &mut Wire) {
        self.broken = backend.write_body(&self.kept).is_err();
        if self.done {
            self.broken |= backend.end_body(&Trailers::default()).is_err();
        }
    }

    /// Moves on what has come. Ready when the client has sent everything, or the backend takes no more.
    ///
    /// # Errors
    /// When the client's part failed: it is gone, broke its framing or sent more than it may.
    pub(super) fn poll(
        &mut self,
        client: &mut Client,
        backend: &mut Wire,
        buffer: usize,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), Failure>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        if self.done {
            // What was kept may wait for the backend's window still.
            let handed_over = ready!(backend.poll_handed_over(cx));
            self.broken = handed_over.is_err();
            return Poll::Ready(Ok(()));
        }
        // What is kept has to be seen.
        let unseen = self.lost;
        let tap = |piece: Piece<'_>| self.note(piece);
        let Client { wire, web, .. } = client;
        let passed = match web.as_deref_mut().filter(|web| web.is_text()) {
            None => pass::poll_body(wire, backend, buffer, unseen, tap, cx),
            Some(web) => {
                let change = |part: Part<'_>, out: &mut Vec<u8>| match part {
                    Part::Piece(piece) => web.read(piece, out),
                    Part::End(_) => web.finish(),
                };
                pass::poll_changed_body(wire, backend, buffer, change, tap, cx)
            }
        };
        if client.body_bytes_max.is_some_and(|most| self.bytes > most) {
            return Poll::Ready(Err(Failure::BodyTooLarge));
        }
        match passed {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(trailers)) => {
                self.done = true;
                self.lost |= trailers;
            }
            Poll::Ready(Err(Broken::Source(error))) => return Poll::Ready(Err(error.of_client())),
            Poll::Ready(Err(Broken::Sink(_))) => self.broken = true,
        }
        Poll::Ready(Ok(()))
    }

    fn note(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Seen(data) => {
                self.bytes += data.len() as u64;
                self.keep(data);
            }
            Piece::Unseen(count) => self.bytes += count as u64,
        }
    }

    fn keep(&mut self, data: &[u8]) {
        if self.lost || self.kept.len() + data.len() > self.kept_max {
            self.lost = true;
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(data);
        }
    }
}
