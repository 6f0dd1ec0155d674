//! `sluice run`: one process from its limits to its end.
//!
//! Owns what is wired together here and nowhere else: the limits, the runtime of the control thread, the control loop
//! and the admin server. Refuses to decide anything about configurations or requests.

use std::{io, net::SocketAddr, num::NonZeroU16, os::fd::OwnedFd, path::PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sluice_config::Model;
use sluice_io::{DriverChoice, startup};
use tokio::{net::TcpListener, runtime};

use crate::{
    admin,
    control::{
        self, Control, enrollment,
        material::Materials,
        upgrade::predecessor::{Inheritance, Inherited},
    },
    status::{Phase, View},
};

pub use crate::control::{
    Failure,
    file::read,
    supervisor::Supervisor,
    upgrade::{INHERIT, Program},
};

/// Looks into the files of certificates that `model` names. Gives what ends soon, and what cannot be told yet, with the
/// place that names it.
///
/// # Errors
/// Each file that is bad, with the place that names it.
pub fn check_material(model: &Model) -> Result<Vec<String>, Vec<String>> {
    let (mut warnings, without) = enrollment::unfetched(model).unzip();
    let model = without.as_ref().unwrap_or(model);
    match Materials::load(model, &Materials::default()) {
        Ok(materials) => Ok(warnings
            .take()
            .into_iter()
            .chain(materials.warnings(model))
            .collect()),
        Err(bad) => Err(bad.problems),
    }
}

/// What runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files and folders of the configuration, at least one.
    pub paths: Vec<PathBuf>,
    /// The I/O driver of the workers.
    pub driver: DriverChoice,
    /// Instead of the configuration's `workers`.
    pub workers: Option<NonZeroU16>,
    /// What SIGUSR2 starts in the place of this process, if anything.
    pub program: Option<Program>,
    /// Whether standard input is a channel to a process whose place this one is to take.
    pub inherit: bool,
    /// Who wants to hear of the process.
    pub supervisor: Option<Supervisor>,
}

/// Runs a gateway on this thread, which becomes its control thread, until a signal, an operator or its successor ends
/// it. `on_live` is called once, when requests are taken.
///
/// # Errors
/// When the configuration is refused, or the process cannot start or go on.
pub fn run(options: Options, on_live: impl FnOnce(&Model)) -> Result<(), Failure> {
    if !options.inherit {
        return serve(options, None, on_live);
    }
    let inheritance = Inheritance::receive().map_err(|error| {
        Failure::Run(format!(
            "{INHERIT} is for a process that SIGUSR2 starts: no sockets come over standard input: {error}"
        ))
    })?;
    let Inheritance {
        predecessor,
        listeners,
        admin,
    } = inheritance;
    let ended = serve(options, Some((listeners, admin)), |model| {
        predecessor.ready(model.listeners.iter().map(|listener| listener.bind));
        on_live(model);
    });
    if let Err(failure) = &ended {
        predecessor.failed(&failure.to_string());
    }
    ended
}

/// Sockets of the process whose place this one takes: those of its listeners, and the admin server's.
type Sockets = (Inherited, Option<(SocketAddr, OwnedFd)>);

fn serve(options: Options, inherited: Option<Sockets>, on_live: impl FnOnce(&Model)) -> Result<(), Failure> {
    let descriptors = raise_descriptors();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("cannot start the control thread: {error}")))?;
    let ended = runtime.block_on(async {
        let (inherited, admin) =
            inherited.map_or((None, None), |(inherited, admin)| (Some(inherited), admin));
        let is_successor = inherited.is_some();
        let (mut control, view, bind) = Control::start(control::Options {
            paths: options.paths,
            driver: options.driver,
            workers: options.workers,
            descriptors,
            program: options.program,
            supervisor: options.supervisor,
            inherited,
        })
        .await?;
        let (listener, again) = admin_listener(bind, admin)
            .map_err(|error| Failure::Run(format!("admin: cannot listen on {bind}: {error}")))?;
        control.share_admin(bind, again);
        tokio::spawn(serve_admin(listener, view, is_successor));
        control
            .run(|model| {
                on_live(model);
                startup::release_code();
            })
            .await
    });
    // Look-ups under way are not waited for.
    runtime.shutdown_background();
    ended
}

/// The socket of the admin server, twice: inherited if it has the address `bind`, else a new one.
fn admin_listener(
    bind: SocketAddr,
    inherited: Option<(SocketAddr, OwnedFd)>,
) -> io::Result<(TcpListener, OwnedFd)> {
    let listener = match inherited {
        Some((address, socket)) if address == bind => std::net::TcpListener::from(socket),
        _ => std::net::TcpListener::bind(bind)?,
    };
    listener.set_nonblocking(true)?;
    let again = listener.try_clone()?.into();
    Ok((TcpListener::from_std(listener)?, again))
}

/// A successor that does not serve yet leaves probes to its predecessor, which does.
async fn serve_admin(listener: TcpListener, view: View, is_successor: bool) {
    let mut status = view.status.clone();
    // The loop that tells is gone only with the process.
    if is_successor
        && status
            .wait_for(|status| status.phase != Phase::Starting)
            .await
            .is_err()
    {
        return;
    }
    admin::serve(listener, view).await;
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
