//! Which endpoint gets a request: by weight, by health, by name.

#[path = "../support/harness.rs"]
mod harness;

mod dns;
mod health;
mod health_tls;
mod split;
