//! The admin HTTP server: what an operator, a scraper or an orchestrator asks of the process.
//!
//! Owns its paths and what they answer. Refuses to change anything by itself: what needs the state of the process is
//! asked of the control loop.
//!
//! It has no authentication, so it listens on loopback unless told otherwise.

pub mod explain;
mod page;
mod server;

pub use page::ConfigPage;
pub use server::serve;
