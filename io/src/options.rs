//! What the caller chooses and what it is told: options with their bounds, the driver in use, counts, errors.
//!
//! Holds no behaviour beyond defaults and names.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Which driver the caller wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where the kernel gives it, epoll where it does not.
    #[default]
    Auto,
    /// io_uring, or [`StartError`].
    Uring,
    /// epoll.
    Epoll,
    /// monoio on io_uring, or [`StartError`].
    #[cfg(feature = "monoio")]
    Monoio,
    /// tokio-uring, or [`StartError`].
    #[cfg(feature = "tokio-uring")]
    TokioUring,
}

/// Which driver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// Completions through io_uring.
    Uring,
    /// Readiness through epoll.
    Epoll,
    /// Everything through monoio.
    #[cfg(feature = "monoio")]
    Monoio,
    /// Everything through tokio-uring.
    #[cfg(feature = "tokio-uring")]
    TokioUring,
}

impl DriverKind {
    /// The name used in logs and metrics: `uring`, `epoll`, or that of another runtime.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
            #[cfg(feature = "monoio")]
            Self::Monoio => "monoio",
            #[cfg(feature = "tokio-uring")]
            Self::TokioUring => "tokio-uring",
        }
    }
}

/// The driver in use, and why it is not the first choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Which driver runs.
    pub kind: DriverKind,
    /// Set when [`DriverChoice::Auto`] fell back to epoll: the failed step and the kernel's error.
    pub fallback_reason: Option<String>,
}

/// What is called with the message of a panic that ended a task.
pub type PanicHook = Arc<dyn Fn(&str) + Send + Sync>;

/// How a [`Runtime`](crate::Runtime) is made. All memory it may take is bounded by these figures and by the
/// number of sockets.
#[derive(Clone)]
pub struct Options {
    /// Which driver to use.
    pub driver: DriverChoice,
    /// Entries of the submission queue, rounded up to a power of two; the completion queue has four times as
    /// many. More operations than this in one turn are submitted in parts. 1 to 32,768.
    pub ring_entries: u32,
    /// How many receive buffers the kernel may fill between two turns, rounded up to a power of two;
    /// 1 to 32,768. The epoll driver does not use it.
    pub receive_buffers: u16,
    /// Bytes of one receive buffer: the most one receive gives. 512 bytes to 1 MiB.
    pub receive_buffer_bytes: u32,
    /// How many free buffers are kept for reuse, beyond those the kernel holds.
    pub spare_buffers: usize,
    /// How many transfers may hold bytes in a pipe at a time, each with two descriptors more; others copy. 0 is none.
    pub pipes: usize,
    /// Called on the worker's thread when a task panics. The task ends, the others go on.
    pub on_panic: Option<PanicHook>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            driver: DriverChoice::Auto,
            // One entry for each operation of a turn; a busy worker starts a few hundred.
            ring_entries: 1024,
            // 16 MiB for each worker, touched only as far as traffic fills it.
            receive_buffers: 256,
            // What a socket's buffer usually holds of a large body; each call less is time won.
            receive_buffer_bytes: 64 * 1024,
            // 4 MiB, so that a burst does not go to the allocator twice.
            spare_buffers: 64,
            // As many descriptors as 256 connections with their backends take.
            pipes: 256,
            on_panic: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("driver", &self.driver)
            .field("ring_entries", &self.ring_entries)
            .field("receive_buffers", &self.receive_buffers)
            .field("receive_buffer_bytes", &self.receive_buffer_bytes)
            .field("spare_buffers", &self.spare_buffers)
            .field("pipes", &self.pipes)
            .field("on_panic", &self.on_panic.is_some())
            .finish()
    }
}

/// How one socket behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// `TCP_NODELAY`: a write goes out at once. On by default; writes gather in the out-queue instead.
    pub nodelay: bool,
    /// `SO_KEEPALIVE` with this idle time (`TCP_KEEPIDLE`, whole seconds, at least 1). Off by default.
    pub keepalive: Option<Duration>,
    /// Receiving stops when this many bytes wait unread for the task, and goes on once they are taken.
    /// 64 KiB by default.
    pub receive_limit: usize,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: None,
            receive_limit: 64 * 1024,
        }
    }
}

/// What a runtime holds at this moment, for leak tests and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams and listeners whose descriptor is open, those still closing among them.
    pub sockets: usize,
    /// Buffers out of the pool: filled and not consumed, or queued for sending. Those the kernel holds to
    /// receive into are not among them.
    pub buffers_lent: usize,
    /// Pipes that hold bytes.
    pub pipes_lent: usize,
    /// Operations the kernel has accepted for sockets and not completed. Always 0 with epoll.
    pub operations: usize,
    /// Tasks spawned and not ended.
    pub tasks: usize,
    /// Timers made and not dropped, whether set or not.
    pub timers: usize,
}

/// Why a runtime could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the {} driver: {step}: {source}", driver.as_str())]
pub struct StartError {
    /// The driver that failed.
    pub driver: DriverKind,
    /// The system call, or the part of it, that failed.
    pub step: &'static str,
    /// What the kernel said.
    pub source: io::Error,
}

impl StartError {
    pub(crate) fn epoll(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            driver: DriverKind::Epoll,
            step,
            source,
        }
    }

    #[cfg(feature = "hosted")]
    pub(crate) fn of(driver: DriverKind, step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { driver, step, source }
    }

    pub(crate) fn uring(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            driver: DriverKind::Uring,
            step,
            source,
        }
    }
}
