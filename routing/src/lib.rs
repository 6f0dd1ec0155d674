//! Decisions: which rule takes a request, whether it may pass, which backend, which endpoint, whether to try again.
//!
//! Owns matching, policies, filters, splits, balancing, retry, ejection, health and overload. Refuses I/O, clocks and
//! async: it computes from its arguments alone.

pub mod authorize;
pub mod balance;
pub mod filter;
pub mod health;
pub mod outlier;
pub mod overload;
pub mod request;
pub mod retry;
pub mod split;
pub mod table;
mod turns;

pub use request::{Arrival, RequestView};
