//! A look at what has come, without taking it.

use std::task::{Context, Poll, ready};

use super::Wire;

impl Wire {
    /// Waits until `look` has seen enough: it is shown all that was received and not taken, of which there is more each
    /// time, and says `None` until then. `None` if the peer closed or the connection broke first.
    pub fn poll_look<T>(
        &mut self,
        mut look: impl FnMut(&[u8]) -> Option<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        loop {
            if let Some(seen) = look(self.stream.received()) {
                return Poll::Ready(Some(seen));
            }
            match ready!(self.stream.poll_more(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(None),
                Ok(_) => {}
            }
        }
    }
}
