//! The two runtimes behind one face, dispatched without a vtable, as the drivers are.
//!
//! Knows nothing of sockets' states.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::process;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

#[cfg(feature = "monoio")]
use super::monoio;
#[cfg(feature = "tokio-uring")]
use super::tokio_uring;
use crate::options::{DriverChoice, DriverKind, Options, StartError};
use crate::waiter::Waiter;

/// Calls the same method of whichever runtime runs.
macro_rules! each {
    ($value:expr, $type:ident($inner:ident) => $call:expr) => {
        match $value {
            #[cfg(feature = "monoio")]
            $type::Monoio($inner) => $call,
            #[cfg(feature = "tokio-uring")]
            $type::TokioUring($inner) => $call,
        }
    };
}

/// The runtime itself.
pub(super) enum Base {
    #[cfg(feature = "monoio")]
    Monoio(monoio::Base),
    #[cfg(feature = "tokio-uring")]
    TokioUring(tokio_uring::Base),
}

impl Base {
    /// `None` when the choice is a driver of our own.
    pub(super) fn new(options: &Options) -> Result<Option<Self>, StartError> {
        match options.driver {
            #[cfg(feature = "monoio")]
            DriverChoice::Monoio => monoio::Base::new(options).map(|base| Some(Self::Monoio(base))),
            #[cfg(feature = "tokio-uring")]
            DriverChoice::TokioUring => {
                tokio_uring::Base::new(options).map(|base| Some(Self::TokioUring(base)))
            }
            DriverChoice::Auto | DriverChoice::Uring | DriverChoice::Epoll => Ok(None),
        }
    }

    pub(super) fn kind(&self) -> DriverKind {
        match self {
            #[cfg(feature = "monoio")]
            Self::Monoio(_) => DriverKind::Monoio,
            #[cfg(feature = "tokio-uring")]
            Self::TokioUring(_) => DriverKind::TokioUring,
        }
    }

    /// Runs until `future` ends; it must not panic.
    pub(super) fn block_on(&self, future: impl Future<Output = ()>) {
        each!(self, Self(base) => base.block_on(future));
    }
}

type Job = Pin<Box<dyn Future<Output = ()>>>;

/// Starts tasks on the runtime, or keeps them until it runs; knows how many there are.
pub(super) struct Spawner {
    kind: DriverKind,
    running: Cell<bool>,
    waiting: RefCell<Vec<Job>>,
    alive: Cell<usize>,
    /// Who waits for jobs, operations or sockets to end.
    settling: RefCell<Waiter>,
}

impl Spawner {
    pub(super) fn new(kind: DriverKind) -> Self {
        Self {
            kind,
            running: Cell::new(false),
            waiting: RefCell::default(),
            alive: Cell::new(0),
            settling: RefCell::default(),
        }
    }

    pub(super) fn kind(&self) -> DriverKind {
        self.kind
    }

    /// Called on the runtime: from now on tasks start at once.
    pub(super) fn begin(&self) {
        if !self.running.replace(true) {
            let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
            waiting.into_iter().for_each(|job| self.spawn(job));
        }
    }

    /// The runtime is about to stop running.
    pub(super) fn pause(&self) {
        self.running.set(false);
    }

    pub(super) fn launch(self: &Rc<Self>, job: impl Future<Output = ()> + 'static) {
        self.alive.set(self.alive.get() + 1);
        let spawner = Rc::clone(self);
        let counted = async move {
            // No panic may pass through the runtime, which would be left with a main future that is gone. Tasks
            // contain their own, so this is a runtime that can no more wait for its ring.
            if contained(job).await.is_err() {
                process::abort();
            }
            spawner.alive.set(spawner.alive.get() - 1);
            spawner.moved();
        };
        if self.running.get() {
            self.spawn(counted);
        } else {
            self.waiting.borrow_mut().push(Box::pin(counted));
        }
    }

    /// Tasks that have not ended.
    pub(super) fn alive(&self) -> usize {
        self.alive.get()
    }

    /// Waits until something has ended.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.settling.borrow_mut().wait(cx);
    }

    /// Something has ended.
    pub(super) fn moved(&self) {
        self.settling.borrow_mut().wake();
    }

    fn spawn(&self, job: impl Future<Output = ()> + 'static) {
        match self.kind {
            #[cfg(feature = "monoio")]
            DriverKind::Monoio => monoio::spawn(job),
            #[cfg(feature = "tokio-uring")]
            DriverKind::TokioUring => tokio_uring::spawn(job),
            DriverKind::Uring | DriverKind::Epoll => unreachable!("a driver of our own has no host"),
        }
    }
}

/// A connected socket: one receive and one send at a time.
pub(super) enum Transport {
    #[cfg(feature = "monoio")]
    Monoio(monoio::Transport),
    #[cfg(feature = "tokio-uring")]
    TokioUring(tokio_uring::Transport),
}

impl Transport {
    pub(super) fn new(kind: DriverKind, fd: OwnedFd) -> io::Result<Self> {
        match kind {
            #[cfg(feature = "monoio")]
            DriverKind::Monoio => monoio::Transport::new(fd).map(Self::Monoio),
            #[cfg(feature = "tokio-uring")]
            DriverKind::TokioUring => tokio_uring::Transport::new(fd).map(Self::TokioUring),
            DriverKind::Uring | DriverKind::Epoll => unreachable!("a driver of our own has no host"),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, Self(transport) => transport.as_fd())
    }

    /// Receives into an empty buffer, up to its capacity. 0 is the peer's FIN.
    pub(super) async fn receive(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        each!(self, Self(transport) => unless_refused(transport.receive(buffer)).await)
    }

    /// Sends what `chunk` holds from `start`, or the first part of it.
    pub(super) async fn send(&self, chunk: Vec<u8>, start: usize) -> (io::Result<usize>, Vec<u8>) {
        each!(self, Self(transport) => unless_refused(transport.send(chunk, start)).await)
    }
}

/// Both runtimes panic where the kernel takes no operation. Here it is an error of the one that was to start.
async fn unless_refused(
    operation: impl Future<Output = (io::Result<usize>, Vec<u8>)>,
) -> (io::Result<usize>, Vec<u8>) {
    // The buffer went with the operation; this one stands in for it where buffers are counted.
    let refused = |_| {
        (
            Err(io::Error::from_raw_os_error(libc::ENOMEM)),
            Vec::with_capacity(1),
        )
    };
    contained(operation).await.unwrap_or_else(refused)
}

/// Ends with what `future` gives, or with its panic.
async fn contained<F: Future>(future: F) -> thread::Result<F::Output> {
    let mut future = pin!(future);
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(outcome) => outcome.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        },
    )
    .await
}

/// Waits until a descriptor is readable, again and again.
pub(super) enum Readable {
    #[cfg(feature = "monoio")]
    Monoio(monoio::Readable),
    #[cfg(feature = "tokio-uring")]
    TokioUring(tokio_uring::Readable),
}

impl Readable {
    /// Made on the runtime.
    pub(super) fn new(kind: DriverKind, fd: OwnedFd) -> io::Result<Self> {
        match kind {
            #[cfg(feature = "monoio")]
            DriverKind::Monoio => monoio::Readable::new(fd).map(Self::Monoio),
            #[cfg(feature = "tokio-uring")]
            DriverKind::TokioUring => tokio_uring::Readable::new(fd).map(Self::TokioUring),
            DriverKind::Uring | DriverKind::Epoll => unreachable!("a driver of our own has no host"),
        }
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        each!(self, Self(readable) => readable.wait().await)
    }
}

/// One wait for a time, which can be moved.
pub(super) enum Sleep {
    #[cfg(feature = "monoio")]
    Monoio(monoio::Sleep),
    #[cfg(feature = "tokio-uring")]
    TokioUring(tokio_uring::Sleep),
}

impl Sleep {
    /// Made on the runtime.
    pub(super) fn new(kind: DriverKind, until: Instant) -> Self {
        match kind {
            #[cfg(feature = "monoio")]
            DriverKind::Monoio => Self::Monoio(monoio::sleep(until)),
            #[cfg(feature = "tokio-uring")]
            DriverKind::TokioUring => Self::TokioUring(tokio_uring::sleep(until)),
            DriverKind::Uring | DriverKind::Epoll => unreachable!("a driver of our own has no host"),
        }
    }

    pub(super) fn reset(&mut self, until: Instant) {
        each!(self, Self(sleep) => sleep.as_mut().reset(until.into()));
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        each!(self, Self(sleep) => sleep.as_mut().poll(cx))
    }
}
