//! The process: one binary, `sluice`, in rooms.
//!
//! Each room may use only those to its right:
//! `main > cli > app > control, admin > status, authority > worker > accept > downstream > exchange > upstream >
//! answer, access_log > wire > http > snapshot > metrics > error`. `gateway/tests/tidy.rs` checks it.

pub mod accept;
pub mod access_log;
pub mod admin;
pub mod answer;
pub mod app;
pub mod authority;
pub mod cli;
pub mod control;
pub mod downstream;
pub mod error;
pub mod exchange;
pub mod http;
pub mod metrics;
pub mod snapshot;
pub mod status;
pub mod upstream;
pub mod wire;
pub mod worker;
