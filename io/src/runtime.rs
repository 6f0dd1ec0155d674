//! The loop of one worker, and the handle by which tasks reach it.
//!
//! Joins executor, timers and driver; holds no socket's state itself.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::executor::{Executor, Panicked, Root};
#[cfg(feature = "hosted")]
use crate::hosted;
use crate::listener::TcpListener;
use crate::mailbox;
use crate::options::{Counts, Driver, Options, SocketOptions, StartError};
use crate::pipe::Pipes;
use crate::stream::{self, TcpStream};
use crate::sys;
use crate::timer::{Timer, Timers};

/// Polls of tasks between two looks at the sockets.
const POLLS_PER_TURN: usize = 512;
/// How often tasks run again in one turn because their sends were done at once.
const ROUNDS_PER_TURN: usize = 4;

/// One worker's loop. Made and run on that worker's thread.
pub struct Runtime {
    inner: Rc<Inner>,
    driver: Driver,
}

/// A worker's handle to its loop: cheap to clone, passed on to whatever needs sockets or time.
#[derive(Clone)]
pub struct Io(Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) now: Cell<Instant>,
    /// Counts the turns, to bound what one task does in one of them.
    pub(crate) turn: Cell<u32>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) engine: RefCell<Engine>,
    pub(crate) pipes: RefCell<Pipes>,
    pub(crate) executor: Rc<Executor>,
    /// Tasks that did their share of this turn.
    pub(crate) deferred: RefCell<Vec<Waker>>,
    running: Cell<bool>,
    /// The runtime that runs all this in place of the loop below.
    #[cfg(feature = "hosted")]
    pub(crate) host: Option<hosted::Host>,
}

impl Runtime {
    /// Makes the loop of the calling thread.
    ///
    /// With [`DriverChoice::Auto`](crate::DriverChoice::Auto) any error of io_uring chooses epoll, and
    /// [`Self::driver`] says why.
    ///
    /// # Errors
    /// [`StartError`] when the chosen driver cannot be made.
    pub fn new(options: &Options) -> Result<Self, StartError> {
        let executor = Executor::new(options.on_panic.clone()).map_err(StartError::epoll("eventfd"))?;
        #[cfg(feature = "hosted")]
        let (host, engine, driver) = hosted::start(options, &executor)?;
        #[cfg(not(feature = "hosted"))]
        let (engine, driver) = Engine::new(options, &executor)?;
        let now = Instant::now();
        let inner = Inner {
            now: Cell::new(now),
            turn: Cell::new(0),
            timers: RefCell::new(Timers::new(now)),
            engine: RefCell::new(engine),
            pipes: RefCell::new(Pipes::new(options.pipes)),
            executor: Rc::new(executor),
            deferred: RefCell::default(),
            running: Cell::new(false),
            #[cfg(feature = "hosted")]
            host,
        };
        let inner = Rc::new(inner);
        #[cfg(feature = "hosted")]
        hosted::join(&inner);
        Ok(Self { inner, driver })
    }

    /// The driver in use.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> std::cell::RefMut<'_, Engine> {
        self.inner.engine.borrow_mut()
    }

    /// A handle to this loop.
    pub fn io(&self) -> Io {
        Io(Rc::clone(&self.inner))
    }

    /// Runs until `future` ends, and every spawned task beside it. Tasks that are left then are dropped, and
    /// sockets given up are waited for until the kernel is done with them.
    ///
    /// # Panics
    /// When called from inside itself; when `future` panics; when the driver's own descriptor fails, which no
    /// peer can cause.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !self.inner.running.replace(true),
            "block_on was called from inside block_on"
        );
        let ending = Ending(&self.inner);
        #[cfg(feature = "hosted")]
        if let Some(host) = &self.inner.host {
            let output = host.run(&self.inner, future);
            drop(ending);
            return output;
        }
        let output = {
            let root = Root::new(&self.inner.executor);
            let waker = Waker::from(Arc::clone(&root));
            let mut future = pin!(future);
            loop {
                if root.take_ready()
                    && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
                {
                    break output;
                }
                self.inner.turn(&root);
            }
        };
        drop(ending);
        output
    }
}

/// Leaves no task behind, whether `block_on` returns or unwinds.
struct Ending<'a>(&'a Inner);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
        self.0.running.set(false);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Tasks spawned after the last block_on hold handles to this very runtime.
        self.inner.end();
        #[cfg(feature = "hosted")]
        if let Some(host) = &self.inner.host {
            host.finish(&self.inner);
        }
    }
}

impl Inner {
    fn turn(&self, root: &Root) {
        for _ in 0..ROUNDS_PER_TURN {
            self.executor.run(POLLS_PER_TURN);
            self.engine.borrow_mut().flush();
            if !self.executor.is_ready() {
                break;
            }
        }
        let busy = root.is_ready() || self.executor.is_ready() || !self.deferred.borrow().is_empty();
        let wait = if busy {
            Some(Duration::ZERO)
        } else {
            self.timers.borrow().wait(Instant::now())
        };
        self.enter(wait);
    }

    fn enter(&self, wait: Option<Duration>) {
        let signalled = match self.engine.borrow_mut().enter(wait) {
            Ok(signalled) => signalled,
            Err(error) => panic!("the driver failed: {error}"),
        };
        let now = Instant::now();
        self.now.set(now);
        self.turn.set(self.turn.get().wrapping_add(1));
        if signalled {
            self.executor.collect();
        }
        self.timers.borrow_mut().expire(now);
        self.deferred.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Drops what is left and waits until the kernel has let go of it.
    fn end(&self) {
        #[cfg(feature = "hosted")]
        if let Some(host) = &self.host {
            return host.end(self);
        }
        self.executor.clear();
        self.deferred.borrow_mut().clear();
        self.engine.borrow_mut().flush();
        while self.engine.borrow().closing() > 0 {
            self.enter(None);
        }
    }

    /// The task goes on in the next turn, after the sockets were looked at.
    pub(crate) fn defer(&self, cx: &Context<'_>) {
        self.deferred.borrow_mut().push(cx.waker().clone());
        #[cfg(feature = "hosted")]
        if self.host.is_some() {
            self.hosted(|driver| driver.signal());
        }
    }
}

impl Io {
    /// The time, as read once in this turn of the loop.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// Runs `future` beside the others, until it ends or `block_on` does. If it panics, the hook in
    /// [`Options::on_panic`] is told and the others go on.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        #[cfg(feature = "hosted")]
        if let Some(host) = &self.0.host {
            return host.spawn(&self.0, future);
        }
        self.0.executor.spawn(future);
    }

    /// Runs `part` of this task, whose panic the rest of the task outlives.
    ///
    /// # Errors
    /// When it panicked, after the hook in [`Options::on_panic`] was told. What it had borrowed is as it left it.
    pub fn contain<'p, F: Future>(
        &'p self,
        mut part: Pin<&'p mut F>,
    ) -> impl Future<Output = Result<F::Output, Panicked>> + 'p {
        poll_fn(move |cx| self.0.executor.poll_contained(part.as_mut(), cx))
    }

    /// Waits for `duration` from [`Self::now`], to the millisecond, never less.
    pub async fn sleep(&self, duration: Duration) {
        let mut timer = self.timer();
        if let Some(at) = self.now().checked_add(duration) {
            timer.set(at);
        }
        poll_fn(|cx| timer.poll_expired(cx)).await;
    }

    /// A timer that is not set.
    pub fn timer(&self) -> Timer {
        Timer::new(Rc::clone(&self.0))
    }

    /// Connects to `to`. Dropping the future gives the attempt up.
    ///
    /// # Errors
    /// What the kernel says: refused, unreachable, out of descriptors or ports.
    pub fn connect(
        &self,
        to: SocketAddr,
        options: &SocketOptions,
    ) -> impl Future<Output = io::Result<TcpStream>> + use<> {
        stream::connect(Rc::clone(&self.0), to, options.clone())
    }

    /// Takes over a socket that is bound and listening, such as [`bind`](crate::bind) gives. Its accepted
    /// connections get `options`.
    ///
    /// # Errors
    /// When the socket refuses the options or cannot be watched.
    pub fn listen(&self, socket: OwnedFd, options: &SocketOptions) -> io::Result<TcpListener> {
        TcpListener::new(Rc::clone(&self.0), socket, options)
    }

    /// A path by which other threads reach this worker.
    pub fn mailbox<T: Send + 'static>(&self) -> (mailbox::Sender<T>, mailbox::Receiver<T>) {
        mailbox::mailbox()
    }

    /// Gives memory that this thread no longer uses back to the kernel. mimalloc does so by itself only while more is
    /// freed, so that what the last burst took would be kept for ever. Nothing where another allocator is in use.
    pub fn return_free_memory(&self) {
        sys::return_free_memory();
    }

    /// What this runtime holds now.
    pub fn counts(&self) -> Counts {
        let mut engine = self.0.engine.borrow_mut();
        Counts {
            sockets: engine.sockets(),
            buffers_lent: engine.pool().lent(),
            pipes_lent: self.0.pipes.borrow().lent(),
            operations: engine.operations(),
            #[cfg(feature = "hosted")]
            tasks: self.0.executor.len() + self.0.host.as_ref().map_or(0, |host| host.tasks().len()),
            #[cfg(not(feature = "hosted"))]
            tasks: self.0.executor.len(),
            #[cfg(feature = "hosted")]
            timers: self.0.timers.borrow().len() + self.0.host.as_ref().map_or(0, |host| host.timers().get()),
            #[cfg(not(feature = "hosted"))]
            timers: self.0.timers.borrow().len(),
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("counts", &self.counts()).finish()
    }
}
