//! HTTP/2 on the wire, on either side, and what is carried over it: gRPC and WebSockets.

#[path = "../support/harness.rs"]
mod harness;

mod abuse;
mod abuse_headers;
mod conformance;
mod conformance_frames;
mod conformance_messages;
mod conformance_streams;
mod conformance_windows;
mod downgrade;
mod floods;
mod grpc;
mod grpc_web;
mod lasting;
mod pairs;
mod requests;
mod stalls;
mod streams;
mod websocket;
