//! Bytes from one connection to another inside the kernel (splice(2)): neither copied here nor seen.

use std::io;
use std::task::{Context, Poll, ready};

use super::TcpStream;

impl TcpStream {
    /// Moves what has come on `from` to this connection inside the kernel. Ready with how many bytes left `from`: at
    /// most `most`, and never more than that between the two. With 0 nothing can be moved so: bytes that were received
    /// come first, or `from` has ended, which [`Self::poll_more`] tells; or no pipe is free.
    ///
    /// What was moved counts as [queued](Self::queued), and nothing may be written behind it before
    /// [`Self::poll_spliced`] is ready.
    ///
    /// # Errors
    /// How this connection ended, from then on.
    pub fn poll_splice(
        &mut self,
        from: &mut Self,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.inner.engine.borrow_mut().receive_by_hand(from.key);
        ready!(self.poll_spliced(cx))?;
        if !from.received().is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_flush(cx))?;
        ready!(from.poll_turn(cx));
        let Some(mut pipe) = self.inner.pipes.borrow_mut().take() else {
            return Poll::Ready(Ok(0));
        };
        let mut engine = self.inner.engine.borrow_mut();
        let moved = engine.poll_splice_in(from.key, pipe.input(), most, cx);
        drop(engine);
        let Poll::Ready(count @ 1..) = moved else {
            self.inner.pipes.borrow_mut().give(pipe);
            return moved.map(Ok);
        };
        from.gave(count);
        pipe.held = count;
        self.pipe = Some(Box::new(pipe));
        // What does not fit now goes before anything else does.
        match self.poll_spliced(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    /// Waits until the kernel's socket has taken what was moved by [`Self::poll_splice`].
    ///
    /// # Errors
    /// How the connection ended, from then on.
    pub fn poll_spliced(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        while let Some(pipe) = &mut self.pipe
            && pipe.held > 0
        {
            let mut engine = self.inner.engine.borrow_mut();
            let sent = engine.poll_splice_out(self.key, pipe.output(), pipe.held, cx);
            pipe.held -= ready!(sent)?;
        }
        self.give_pipe();
        Poll::Ready(Ok(()))
    }

    /// Bytes in the pipe.
    pub(super) fn held(&self) -> usize {
        self.pipe.as_ref().map_or(0, |pipe| pipe.held)
    }

    pub(super) fn give_pipe(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            self.inner.pipes.borrow_mut().give(*pipe);
        }
    }
}
