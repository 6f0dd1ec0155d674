//! The only path between threads: messages to one receiver, in order.
//!
//! Not bounded by itself: the control thread sends few messages and coalesces them. It is not for traffic.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Sends from any thread.
pub struct Sender<T>(Arc<Shared<T>>);

/// Receives on the worker. Dropping it drops what is unread and refuses what comes later.
pub struct Receiver<T>(Arc<Shared<T>>);

/// The receiver is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of this mailbox is gone")]
pub struct Closed;

struct Shared<T>(Mutex<State<T>>);

struct State<T> {
    messages: VecDeque<T>,
    waiting: Option<Waker>,
    senders: usize,
    open: bool,
}

pub(crate) fn mailbox<T>() -> (Sender<T>, Receiver<T>) {
    let state = State {
        messages: VecDeque::new(),
        waiting: None,
        senders: 1,
        open: true,
    };
    let shared = Arc::new(Shared(Mutex::new(state)));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock, so a poisoned state is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// Queues `message` and wakes the receiver.
    ///
    /// # Errors
    /// [`Closed`] when the receiver is gone; the message is dropped.
    pub fn send(&self, message: T) -> Result<(), Closed> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(Closed);
        }
        state.messages.push_back(message);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        let waiting = if state.senders == 0 {
            state.waiting.take()
        } else {
            None
        };
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> Receiver<T> {
    /// The next message; `None` once every sender is gone and all messages are read. Dropping the future loses
    /// no message.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Self::recv`].
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        if let Some(message) = state.messages.pop_front() {
            return Poll::Ready(Some(message));
        }
        if state.senders == 0 {
            return Poll::Ready(None);
        }
        let before = state.waiting.replace(cx.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = false;
        let messages = std::mem::take(&mut state.messages);
        let waiting = state.waiting.take();
        drop(state);
        drop((messages, waiting));
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}
