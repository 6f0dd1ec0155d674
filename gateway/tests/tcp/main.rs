//! Connections that are passed on as they are, and the PROXY headers before any connection.

#[path = "../support/harness.rs"]
mod harness;

mod connections;
mod endpoints;
mod proxy_protocol;
mod proxy_protocol_sent;
