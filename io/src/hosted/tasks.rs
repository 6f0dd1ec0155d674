//! The tasks that users of this crate spawn: each ends alone when it panics, and all can be dropped at once,
//! whatever the runtime does with what is left.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use slab::Slab;

use crate::executor::Executor;
use crate::runtime::Inner;
use crate::waiter::Waiter;

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// One task: its future until it has ended, and who polls it.
pub(super) struct Task {
    key: usize,
    future: RefCell<Option<Boxed>>,
    runner: RefCell<Waiter>,
}

#[derive(Default)]
pub(crate) struct Tasks {
    all: RefCell<Slab<Rc<Task>>>,
    /// Set while tasks are being dropped: what they spawn is dropped too.
    clearing: Cell<bool>,
}

impl Tasks {
    pub(crate) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    pub(super) fn add(&self, future: Boxed) -> Option<Rc<Task>> {
        if self.clearing.get() {
            return None;
        }
        let mut all = self.all.borrow_mut();
        let entry = all.vacant_entry();
        let task = Rc::new(Task {
            key: entry.key(),
            future: RefCell::new(Some(future)),
            runner: RefCell::default(),
        });
        entry.insert(Rc::clone(&task));
        Some(task)
    }

    /// Drops every task that has not ended; panics go to `executor`.
    pub(super) fn clear(&self, executor: &Executor) {
        self.clearing.set(true);
        let all = std::mem::take(&mut *self.all.borrow_mut());
        for (_, task) in all {
            drop_future(&task, executor);
            // What polled it has nothing left to do but to end.
            task.runner.borrow_mut().wake();
        }
        self.clearing.set(false);
    }

    /// Takes no more tasks.
    pub(super) fn close(&self) {
        self.clearing.set(true);
    }

    fn poll(&self, task: &Task, executor: &Executor, cx: &mut Context<'_>) -> Poll<()> {
        let mut place = task.future.borrow_mut();
        if let Some(future) = &mut *place {
            task.runner.borrow_mut().wait(cx);
            // A panic is told by then; here it ends the task as its return does.
            let _ = ready!(executor.poll_contained(Pin::new(future), cx));
            drop(place);
            drop_future(task, executor);
            self.all.borrow_mut().try_remove(task.key);
        }
        Poll::Ready(())
    }
}

fn drop_future(task: &Task, executor: &Executor) {
    let future = task.future.borrow_mut().take();
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
        executor.report(payload);
    }
}

/// What the runtime polls.
pub(super) async fn run(inner: Rc<Inner>, task: Rc<Task>) {
    poll_fn(|cx| {
        let Some(host) = &inner.host else {
            return Poll::Ready(());
        };
        inner.tick();
        host.tasks().poll(&task, &inner.executor, cx)
    })
    .await;
}
