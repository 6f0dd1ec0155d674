//! HTTP/1 on the wire: framing, fields, bounds, and whoever breaks off on either side.

#[path = "../support/harness.rs"]
mod harness;

mod chunks;
mod curl;
mod disconnects;
mod forwarded;
mod framing;
mod hop_by_hop;
mod large_bodies;
mod limits;
mod paths;
mod pipelining;
mod stale;
mod timeouts;
mod upstream_faults;
