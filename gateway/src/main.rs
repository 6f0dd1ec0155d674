//! The binary. Owns the allocator and the exit status, nothing else.

use std::process::ExitCode;

/// Threads that share nothing want an allocator that shares little.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sluice::cli::run(std::env::args_os())
}
