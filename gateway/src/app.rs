//! `sluice run`: one process from its limits to its end.
//!
//! Owns what is wired together here and nowhere else: the limits, the runtime of the control thread, the control loop
//! and the admin server. Refuses to decide anything about configurations or requests.

use std::{num::NonZeroU16, path::PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sluice_config::Model;
use sluice_io::DriverChoice;
use tokio::{net::TcpListener, runtime};

use crate::{
    admin,
    control::{self, Control},
};

pub use crate::control::{Failure, file::read};

/// What runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files and folders of the configuration, at least one.
    pub paths: Vec<PathBuf>,
    /// The I/O driver of the workers.
    pub driver: DriverChoice,
    /// Instead of the configuration's `workers`.
    pub workers: Option<NonZeroU16>,
}

/// Runs a gateway on this thread, which becomes its control thread, until a signal or an operator ends it. `on_live` is
/// called once, when requests are taken.
///
/// # Errors
/// When the configuration is refused, or the process cannot start or go on.
pub fn run(options: Options, on_live: impl FnOnce(&Model)) -> Result<(), Failure> {
    let descriptors = raise_descriptors();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("cannot start the control thread: {error}")))?;
    let ended = runtime.block_on(async {
        let Options {
            paths,
            driver,
            workers,
        } = options;
        let (control, view, bind) = Control::start(control::Options {
            paths,
            driver,
            workers,
            descriptors,
        })?;
        let listener = TcpListener::bind(bind)
            .await
            .map_err(|error| Failure::Run(format!("admin: cannot listen on {bind}: {error}")))?;
        tokio::spawn(admin::serve(listener, view));
        control.run(on_live).await
    });
    // Look-ups under way are not waited for.
    runtime.shutdown_background();
    ended
}

/// Raises the number of files this process may open to what it may be raised to, and gives it.
fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            current.unwrap_or(u64::MAX)
        }
    }
}
