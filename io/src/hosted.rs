//! The same face on another runtime: monoio or tokio-uring run the tasks, keep the time, wake across threads, and
//! receive and send; built only with the feature of that name.
//!
//! A receive or a send, once started, is never dropped before the kernel has completed it: it belongs to its
//! socket's slot or to a job of ours, and closing makes it complete. So nothing rests on what these runtimes do
//! with an operation nobody waits for. Refuses to reach past their public faces.

mod alarm;
mod base;
mod driver;
mod jobs;
#[cfg(feature = "monoio")]
mod monoio;
mod readiness;
mod socket;
mod tasks;
#[cfg(feature = "tokio-uring")]
mod tokio_uring;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::engine::Engine;
use crate::executor::Executor;
use crate::options::{Driver as DriverInUse, DriverKind, Options, StartError};
use crate::runtime::Inner;
pub(crate) use alarm::Alarm;
use base::{Base, Spawner};
pub(crate) use driver::Driver;
use tasks::Tasks;

/// The runtime that runs this worker's loop, and the tasks on it.
pub(crate) struct Host {
    tasks: Tasks,
    spawner: Rc<Spawner>,
    /// Timers made, and set at least once, and not dropped.
    timers: Cell<usize>,
    base: Base,
}

/// Makes what [`Options::driver`] asks for: another runtime with its driver, or one of our own drivers alone.
pub(crate) fn start(
    options: &Options,
    executor: &Executor,
) -> Result<(Option<Host>, Engine, DriverInUse), StartError> {
    let Some(base) = Base::new(options)? else {
        let (engine, driver) = Engine::new(options, executor)?;
        return Ok((None, engine, driver));
    };
    let kind = base.kind();
    let spawner = Rc::new(Spawner::new(kind));
    let driver = Driver::new(options, executor, Rc::clone(&spawner))?;
    let host = Host {
        tasks: Tasks::default(),
        spawner,
        timers: Cell::new(0),
        base,
    };
    let in_use = DriverInUse {
        kind,
        fallback_reason: None,
    };
    Ok((Some(host), Engine::Hosted(Box::new(driver)), in_use))
}

/// Tells the driver whose it is.
pub(crate) fn join(inner: &Rc<Inner>) {
    if inner.host.is_some() {
        inner.hosted(|driver| driver.join(inner));
    }
}

impl Inner {
    /// A task begins: it reads the time once, and its share of a turn is that of one poll.
    pub(crate) fn tick(&self) {
        self.now.set(Instant::now());
        self.turn.set(self.turn.get().wrapping_add(1));
    }

    /// Calls the driver, which is that of a host.
    pub(crate) fn hosted<T>(&self, call: impl FnOnce(&mut Driver) -> T) -> T {
        match &mut *self.engine.borrow_mut() {
            Engine::Hosted(driver) => call(driver),
            Engine::Ring(_) | Engine::Epoll(_) => unreachable!("only what runs on a host gets here"),
        }
    }
}

impl Host {
    /// As [`crate::Runtime::block_on`], but for what is left at the end.
    pub(crate) fn run<F: Future>(&self, inner: &Inner, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut outcome = None;
        inner.hosted(Driver::look);
        self.block_on(|cx| {
            inner.tick();
            // A panic must not pass through the base, which would be left with a future that is gone.
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(output)) => outcome = Some(Ok(output)),
                Err(payload) => outcome = Some(Err(payload)),
            }
            Poll::Ready(())
        });
        match outcome {
            Some(Ok(output)) => output,
            Some(Err(payload)) => resume_unwind(payload),
            None => unreachable!("the base runs until the future is ready"),
        }
    }

    /// Runs `future` beside the others, until it ends or [`Self::end`] comes.
    pub(crate) fn spawn(&self, inner: &Rc<Inner>, future: impl Future<Output = ()> + 'static) {
        if let Some(task) = self.tasks.add(Box::pin(future)) {
            self.spawner.launch(tasks::run(Rc::clone(inner), task));
        }
    }

    /// Drops every task that is left, and runs until each socket given up is closed.
    pub(crate) fn end(&self, inner: &Inner) {
        self.tasks.clear(&inner.executor);
        inner.deferred.borrow_mut().clear();
        self.settle(|| inner.hosted(|driver| driver.closing()) == 0);
    }

    /// Ends all operations, also of sockets that are still held, and all tasks: the loop never runs again.
    pub(crate) fn finish(&self, inner: &Inner) {
        self.tasks.close();
        inner.hosted(Driver::finish);
        self.settle(|| self.spawner.alive() == 0 && inner.hosted(|driver| driver.operations()) == 0);
    }

    pub(crate) fn kind(&self) -> DriverKind {
        self.spawner.kind()
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(crate) fn timers(&self) -> &Cell<usize> {
        &self.timers
    }

    fn settle(&self, done: impl Fn() -> bool) {
        self.block_on(|cx| {
            if done() {
                return Poll::Ready(());
            }
            self.spawner.wait(cx);
            Poll::Pending
        });
    }

    fn block_on(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
        self.base.block_on(poll_fn(|cx| {
            self.spawner.begin();
            let outcome = poll(cx);
            if outcome.is_ready() {
                self.spawner.pause();
            }
            outcome
        }));
    }
}
