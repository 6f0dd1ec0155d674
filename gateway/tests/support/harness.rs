//! What every behaviour test stands on: the real binary, a raw client, scripted origins.
//!
//! Owns waiting (for events, with a guard that only turns a hang into a failure) and running a
//! behaviour on both drivers. Refuses to know any behaviour: those live one file each in the folders beside this one.
#![allow(dead_code, unused_imports, unreachable_pub)] // each test program uses its own part of it

use std::{
    thread,
    time::{Duration, Instant},
};

pub mod certificates;
pub mod client;
pub mod config;
pub mod conformance;
pub mod flood;
pub mod frames;
pub mod gateway;
pub mod h2;
pub mod hpack;
pub mod load;
pub mod mesh;
pub mod message;
pub mod metrics;
pub mod namespace;
pub mod origin;
pub mod output;
pub mod passing;
pub mod peer;
pub mod python;
pub mod secure;

pub use client::{Client, Response};
pub use config::{Config, Port, Ports};
pub use gateway::{Gateway, Run};
pub use message::{Broken, Head};
pub use origin::{Connection, Origin, ok};

/// How long anything may take before a test fails instead of hanging.
pub const GUARD: Duration = Duration::from_secs(20);

/// Which base the gateway runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Uring,
    Epoll,
    Monoio,
    TokioUring,
}

/// What behaviours are tested on: the two drivers of our own, or the bases that features add, which are tested
/// beside a run without them.
const DRIVERS: &[Driver] = if cfg!(any(feature = "monoio", feature = "tokio-uring")) {
    &[
        #[cfg(feature = "monoio")]
        Driver::Monoio,
        #[cfg(feature = "tokio-uring")]
        Driver::TokioUring,
    ]
} else {
    &[Driver::Uring, Driver::Epoll]
};

impl Driver {
    /// As `--io` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
            Self::Monoio => "monoio",
            Self::TokioUring => "tokio-uring",
        }
    }

    /// False where the kernel or a seccomp profile denies io_uring, which all but epoll stand on.
    fn is_allowed(self) -> bool {
        let options = sluice_io::Options {
            driver: sluice_io::DriverChoice::Uring,
            ..Default::default()
        };
        self == Self::Epoll || sluice_io::Runtime::new(&options).is_ok()
    }
}

/// Runs `behaviour` on each driver, all at once.
pub fn on_both_drivers(behaviour: impl Fn(Driver) + Sync) {
    thread::scope(|scope| {
        for &driver in DRIVERS {
            let behaviour = &behaviour;
            let builder = thread::Builder::new().name(driver.as_str().to_owned());
            builder
                .spawn_scoped(scope, move || {
                    if driver.is_allowed() {
                        behaviour(driver);
                    } else {
                        println!("io_uring is denied here: not tested on {}", driver.as_str());
                    }
                })
                .expect("a thread for each driver");
        }
    });
}

/// Asks until `probe` gives a value; for what can only be asked, not awaited (metrics, exit, `/proc`).
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let guard = Instant::now() + GUARD;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < guard, "never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// `length` bytes that differ from place to place, so that a shifted or repeated block shows.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// FNV-1a, to compare long bodies without printing them.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
