//! What every base must do, so those that features add too: `.ci/run` runs these on monoio and tokio-uring.

#[path = "../support/harness.rs"]
mod harness;

mod backpressure;
mod bodies;
mod drain;
mod reload;
mod retries;
mod routing;
mod upgrade;
