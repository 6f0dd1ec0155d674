//! Runs tasks on one thread. Wakes from that thread cost a push on a plain queue; wakes from others go through
//! a lock and an eventfd.
//!
//! Owns the tasks: catches their panics, and drops those that are left. Knows neither sockets nor time.

mod local;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_task::Runnable;
use slab::Slab;

use crate::options::PanicHook;
use crate::sys;
use local::LocalQueue;

/// The part of the executor that wakers reach, from any thread.
pub(crate) struct Queue {
    local: LocalQueue<Runnable>,
    remote: Mutex<VecDeque<Runnable>>,
    /// Set by the first remote wake, cleared by the owner before it looks: one eventfd write for a burst.
    signalled: AtomicBool,
    event: File,
}

impl Queue {
    fn schedule(&self, runnable: Runnable) {
        if let Err(runnable) = self.local.push(runnable) {
            self.remote
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(runnable);
            self.signal();
        }
    }

    /// Ends the owner's wait. Called from other threads.
    fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            sys::signal(&self.event);
        }
    }

    /// Moves what other threads woke to the local queue. Only the owner calls this.
    fn collect(&self) {
        self.signalled.swap(false, Ordering::AcqRel);
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        for runnable in remote.drain(..) {
            // A foreign thread cannot get here: the executor that calls this is not Send.
            let _ = self.local.push(runnable);
        }
    }
}

pub(crate) struct Executor {
    queue: Arc<Queue>,
    /// A waker of every task, to reach those that are left at the end.
    tasks: RefCell<Slab<Waker>>,
    /// Set while tasks are being dropped: what they spawn is dropped too.
    clearing: Cell<bool>,
    on_panic: Option<PanicHook>,
}

impl Executor {
    pub(crate) fn new(on_panic: Option<PanicHook>) -> io::Result<Self> {
        let queue = Queue {
            local: LocalQueue::new(),
            remote: Mutex::default(),
            signalled: AtomicBool::new(false),
            event: sys::event()?,
        };
        Ok(Self {
            queue: Arc::new(queue),
            tasks: RefCell::default(),
            clearing: Cell::new(false),
            on_panic,
        })
    }

    /// Readable when another thread woke a task; then [`Self::collect`] is due.
    pub(crate) fn event(&self) -> io::Result<File> {
        self.queue.event.try_clone()
    }

    pub(crate) fn collect(&self) {
        self.queue.collect();
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.queue.local.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    pub(crate) fn spawn(self: &Rc<Self>, future: impl Future<Output = ()> + 'static) {
        if self.clearing.get() {
            return;
        }
        let key = self.tasks.borrow_mut().insert(Waker::noop().clone());
        let registration = Registration {
            executor: Rc::clone(self),
            key,
        };
        let task = Guarded {
            future: Some(Box::pin(future)),
            registration,
        };
        let queue = Arc::clone(&self.queue);
        let (runnable, task) = async_task::spawn_local(task, move |runnable| queue.schedule(runnable));
        self.tasks.borrow_mut()[key] = runnable.waker();
        task.detach();
        runnable.schedule();
    }

    /// Runs tasks until none is ready, or `budget` polls are spent.
    pub(crate) fn run(&self, budget: usize) {
        for _ in 0..budget {
            let Some(runnable) = self.queue.local.pop() else {
                return;
            };
            runnable.run();
        }
    }

    /// Drops every task that has not ended.
    pub(crate) fn clear(&self) {
        self.clearing.set(true);
        // Waking puts each task in a queue, and dropping it there drops its future. A task that another thread
        // is waking right now may come late, so this goes on until each has gone.
        while self.len() > 0 {
            let wakers: Vec<Waker> = self
                .tasks
                .borrow()
                .iter()
                .map(|(_, waker)| waker.clone())
                .collect();
            wakers.into_iter().for_each(Waker::wake);
            self.queue.collect();
            let before = self.len();
            while let Some(runnable) = self.queue.local.pop() {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(runnable))) {
                    self.report(payload);
                }
            }
            if self.len() == before {
                std::thread::yield_now();
            }
        }
        self.clearing.set(false);
    }

    /// Tells the hook what a panic said.
    pub(crate) fn report(&self, payload: Box<dyn Any + Send>) {
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a message");
        if let Some(hook) = &self.on_panic {
            hook(message);
        }
    }
}

/// A task's future, whose panic ends that task alone.
struct Guarded<F> {
    future: Option<Pin<Box<F>>>,
    registration: Registration,
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Ready(());
        };
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            outcome => outcome,
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future = None));
        for payload in [outcome.err(), dropped.err()].into_iter().flatten() {
            this.registration.executor.report(payload);
        }
        Poll::Ready(())
    }
}

struct Registration {
    executor: Rc<Executor>,
    key: usize,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // The waker goes after the borrow: dropping it may free the task.
        let waker = self.executor.tasks.borrow_mut().remove(self.key);
        drop(waker);
    }
}

impl Executor {
    /// Polls a part of a task; a panic ends that part alone.
    pub(crate) fn poll_contained<F: Future>(
        &self,
        part: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Panicked>> {
        match catch_unwind(AssertUnwindSafe(|| part.poll(cx))) {
            Ok(outcome) => outcome.map(Ok),
            Err(payload) => {
                self.report(payload);
                Poll::Ready(Err(Panicked))
            }
        }
    }
}

/// A part of a task panicked; the hook in [`Options::on_panic`](crate::Options::on_panic) was told why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Wakes the future that `block_on` drives.
pub(crate) struct Root {
    queue: Arc<Queue>,
    ready: AtomicBool,
}

impl Root {
    /// A root that is ready once.
    pub(crate) fn new(executor: &Executor) -> Arc<Self> {
        Arc::new(Self {
            queue: Arc::clone(&executor.queue),
            ready: AtomicBool::new(true),
        })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn take_ready(&self) -> bool {
        // Read first: an exchange on every turn would cost more than the turn's other bookkeeping.
        self.is_ready() && self.ready.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.store(true, Ordering::Release);
        if !self.queue.local.is_owner() {
            self.queue.signal();
        }
    }
}
