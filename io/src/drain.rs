//! The graceful end as a value: one side begins it, many connections on the same thread hear of it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use slab::Slab;

/// The side that begins the end. Clones share it.
#[derive(Clone, Default)]
pub struct Drain(Rc<State>);

/// The side that hears of it; one for each task that must end.
pub struct Watch {
    state: Rc<State>,
    slot: Option<usize>,
}

#[derive(Default)]
struct State {
    begun: Cell<bool>,
    wakers: RefCell<Slab<Waker>>,
}

impl Drain {
    /// Not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins: every watch is ready from now on. Beginning twice is beginning once.
    pub fn begin(&self) {
        self.0.begun.set(true);
        // The wakers leave the cell first: a woken task may register or drop a watch.
        let wakers = std::mem::take(&mut *self.0.wakers.borrow_mut());
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.begun.get()
    }

    /// A watch of it.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            state: Rc::clone(&self.0),
            slot: None,
        }
    }
}

impl Watch {
    /// Whether the end has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.state.begun.get()
    }

    /// Ready once the end has begun; the task is woken then. Polling again from the same task costs a comparison.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.begun.get() {
            return Poll::Ready(());
        }
        let mut wakers = self.state.wakers.borrow_mut();
        match self.slot.and_then(|slot| wakers.get_mut(slot)) {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.slot = Some(wakers.insert(cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.state.wakers.borrow_mut().try_remove(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll, Wake, Waker},
    };

    use super::Drain;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_watch_is_woken_once_and_ready_ever_after() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let drain = Drain::new();
        let mut watches = [drain.watch(), drain.watch()];
        for watch in &mut watches {
            assert_eq!(watch.poll_begun(&mut cx), Poll::Pending);
            assert_eq!(watch.poll_begun(&mut cx), Poll::Pending);
        }
        drain.begin();
        drain.begin();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(
            watches
                .iter_mut()
                .all(|watch| watch.poll_begun(&mut cx).is_ready())
        );
    }

    #[test]
    fn a_dropped_watch_leaves_nothing() {
        let waker = Waker::noop();
        let drain = Drain::new();
        let mut watch = drain.watch();
        assert!(watch.poll_begun(&mut Context::from_waker(waker)).is_pending());
        assert_eq!(drain.0.wakers.borrow().len(), 1);
        drop(watch);
        assert!(drain.0.wakers.borrow().is_empty());
    }
}
