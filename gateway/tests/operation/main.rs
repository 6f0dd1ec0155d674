//! What an operator has in hand: the commands, the admin server, the access log, the next binary.

#[path = "../support/harness.rs"]
mod harness;

mod access_log;
mod admin;
mod cli;
mod handoff;
