//! One place where at most one task waits.
//!
//! Keeps the waker between waits, so that waiting again costs no reference count.

use std::task::{Context, Waker};

#[derive(Default)]
pub(crate) struct Waiter {
    waker: Option<Waker>,
    waiting: bool,
}

impl Waiter {
    /// The task of `cx` waits from now on; one that waited before is forgotten.
    pub(crate) fn wait(&mut self, cx: &Context<'_>) {
        self.waiting = true;
        match &mut self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            slot => *slot = Some(cx.waker().clone()),
        }
    }

    /// Whether a task waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Wakes the task that waits, once.
    pub(crate) fn wake(&mut self) {
        if self.waiting {
            self.waiting = false;
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// Who waits, or waited last.
    #[cfg(feature = "hosted")]
    pub(crate) fn waker(&self) -> &Waker {
        self.waker.as_ref().unwrap_or(Waker::noop())
    }

    /// Lets go of the task.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}
