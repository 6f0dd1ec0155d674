//! The behaviour of sluice-io, each test on each driver, all over loopback.
//!
//! Tests wait for events, never for time, and assert no durations.
#![allow(clippy::unwrap_used)]

mod backpressure;
mod cancellation;
mod closing;
mod denied;
mod echo;
mod harness;
mod mailbox;
mod pressure;
mod splice;
mod tasks;
mod timers;
