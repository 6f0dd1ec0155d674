//! Bytes, threads and time of the workers.
//!
//! Owns the executor, the timer wheel, both drivers (io_uring and epoll), TCP streams and listeners, and the
//! mailbox. Refuses to know any protocol above TCP. The only crate with `unsafe`.
//!
//! A worker makes one [`Runtime`] on its own thread and passes the [`Io`] handle to whatever needs sockets or
//! time; there is no ambient runtime. Everything is `!Send` but the sending end of a [`mailbox`].
//!
//! One turn of the loop runs the ready tasks, starts what they queued to send, and then makes one system call
//! that submits, waits and collects. Every future may be dropped at any await: the driver owns what the kernel
//! uses until the kernel is done with it, and bytes that arrived stay with their stream.
//!
//! `io/asan.sh` runs all tests, each on both drivers, under AddressSanitizer. `examples/relay.rs` and
//! `examples/load.rs` measure the floor: what a proxied request costs before any gateway is built on it.

pub mod drain;
mod engine;
mod epoll;
mod executor;
pub mod handoff;
#[cfg(feature = "hosted")]
mod hosted;
mod inbox;
mod listener;
pub mod mailbox;
mod options;
mod outbox;
mod pipe;
mod pool;
mod ring;
mod runtime;
mod sending;
pub mod startup;
mod stream;
mod sys;
mod timer;
mod waiter;
mod wheel;

pub use executor::Panicked;
pub use listener::{TcpListener, bind, claim, listen, reserve};
pub use options::{Counts, Driver, DriverChoice, DriverKind, Options, PanicHook, SocketOptions, StartError};
pub use runtime::{Io, Runtime};
pub use stream::TcpStream;
pub use timer::Timer;
