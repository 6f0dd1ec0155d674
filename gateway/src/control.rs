//! The control thread: it turns the outside world (files, signals, DNS, health checks, an operator's wishes) into snapshots for the
//! workers.
//!
//! Owns one loop over one closed [`Event`] enum, and all state that outlives an event. Refuses to serve requests, and
//! to wait inside an event: what takes time comes back as another event.

mod debounce;
mod dns;
pub(crate) mod enrollment;
pub mod file;
mod fleet;
mod inputs;
pub(crate) mod material;
mod memory;
mod probe;
mod reload;
pub mod supervisor;
mod transition;
pub mod upgrade;

use std::{
    collections::BTreeSet, net::SocketAddr, num::NonZeroU16, os::fd::OwnedFd, path::PathBuf, sync::Arc,
    time::Instant,
};

use sluice_config::defaults::operations::EVENTS_QUEUED_MAX;
use sluice_config::{Model, Source, model::Workers};
use sluice_io::DriverChoice;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    access_log::Writer,
    http::{BadBody, BadRequest},
    metrics::Registry,
    status::{Ask, Status, View},
};
use dns::{Names, Resolved, SystemResolver};
use enrollment::Enrollments;
use fleet::{Fleet, Plan};
use inputs::Inputs;
use material::{BadMaterial, Materials};
use memory::Budget;
use probe::{Answer, Network, Probes};
use reload::{Candidate, Refusal, prepare, read};
use supervisor::Supervisor;
use upgrade::{Program, Upgrade, predecessor::Inherited, successor::Successor};

/// What runs.
#[derive(Debug)]
pub struct Options {
    /// Files and folders of the configuration.
    pub paths: Vec<PathBuf>,
    /// The I/O driver of the workers.
    pub driver: DriverChoice,
    /// Instead of the configuration's `workers`.
    pub workers: Option<NonZeroU16>,
    /// File descriptors this process may have open.
    pub descriptors: u64,
    /// What SIGUSR2 starts in the place of this process, if anything.
    pub program: Option<Program>,
    /// Who wants to hear of the process.
    pub supervisor: Option<Supervisor>,
    /// The sockets of the process whose place this one takes, if it takes any.
    pub inherited: Option<Inherited>,
}

/// Why the process ends other than well.
#[derive(Debug, Error)]
pub enum Failure {
    /// The configuration is wrong: each problem with its place.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
    /// Something the system or a worker did.
    #[error("{0}")]
    Run(String),
}

/// All that can happen to the control thread.
enum Event {
    /// The files have changed, and not for a moment since.
    FilesChanged,
    /// SIGHUP.
    Hangup,
    /// SIGTERM or SIGINT.
    Terminate,
    /// SIGUSR2.
    Upgrade,
    /// Another process is ready to take over, or none is, and why.
    Upgraded(Result<Successor, String>),
    /// A look-up has ended.
    Resolved(Resolved),
    /// A health check has ended.
    Checked(Answer),
    /// The admin server asks.
    Asked(Ask),
    /// Time to look whether anything waits to be published, whether all workers live, and how much memory there is.
    Tick,
    /// The workers have ended: all well, or not.
    Drained(bool),
}

/// The control thread's loop, ready to run.
pub struct Control {
    state: State,
    inputs: Inputs,
}

/// What outlives an event.
struct State {
    paths: Vec<PathBuf>,
    registry: Arc<Registry>,
    fleet: Fleet,
    writer: Writer,
    names: Names<SystemResolver>,
    probes: Probes<Network>,
    enrollments: Enrollments,
    budget: Budget,
    /// What runs; `None` until the first configuration is live.
    live: Option<Live>,
    /// Files to watch beside the configuration's own, where they are others than before.
    follow: Option<BTreeSet<PathBuf>>,
    /// A configuration whose names are being looked up, and until when it waits for them.
    pending: Option<(Candidate, Instant)>,
    /// The text last refused: it is not tried again until it changes or someone asks.
    refused: Option<Vec<Source>>,
    /// Since when the names of what runs have other addresses than were published.
    stale_since: Option<Instant>,
    /// Whether a signal to end was received.
    signalled: bool,
    draining: Option<Draining>,
    upgrade: Upgrade,
    /// Sockets to listen with, until the first configuration is live.
    inherited: Inherited,
    status: watch::Sender<Status>,
}

/// The configuration that runs.
struct Live {
    sources: Vec<Source>,
    model: Arc<Model>,
    materials: Materials,
    generation: u64,
}

/// The end of the process, under way.
struct Draining {
    /// Tells whether all workers ended well.
    ended: oneshot::Receiver<bool>,
    /// When to end without them.
    give_up_at: Instant,
    /// What went wrong before, and made the process end.
    failure: Option<String>,
}

/// What a load was asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Files,
    Hangup,
}

impl Control {
    /// Loads the first configuration, waits for the identity it asks for, if it asks for one and has none, and takes over
    /// the signals of the process. To be called on the runtime that [`Control::run`] will run on. The last value is where
    /// the admin server is to listen.
    ///
    /// # Errors
    /// When the configuration is refused, the authority of its mesh gives no certificate, or the system refuses a thread, a
    /// port or a signal.
    pub async fn start(options: Options) -> Result<(Self, View, SocketAddr), Failure> {
        // Watched before they are read, so that no change falls in between.
        let files = file::Watch::new(options.paths.clone());
        let sources = file::read(&options.paths).map_err(|error| Failure::Config(vec![error.to_string()]))?;
        let workers = |model: &Model| worker_count(model, options.workers);
        let upgrade = Upgrade::new(options.program, options.supervisor, options.inherited.is_some());
        let inherited = options.inherited.unwrap_or_default();
        let first = Materials::default();
        let text = read(sources)?;
        if let Some(identity) = &text.model.identity {
            enrollment::first(identity).await.map_err(Failure::Run)?;
        }
        let candidate = prepare(text, None, &first, workers, &inherited)?;
        let admin = candidate.model.admin.bind;
        let plan = Plan::new(workers(&candidate.model), options.driver, options.descriptors);
        let bad_requests = BadRequest::ALL.iter().map(|bad| bad.rule);
        let bad_bodies = BadBody::ALL.iter().map(|bad| bad.rule);
        let registry = Arc::new(Registry::new(plan.workers, bad_requests.chain(bad_bodies)));
        let (status, told) = watch::channel(Status::default());
        let (ask, asks) = mpsc::channel(EVENTS_QUEUED_MAX);
        let (tell, resolved) = mpsc::channel(EVENTS_QUEUED_MAX);
        let (tell_check, checked) = mpsc::channel(EVENTS_QUEUED_MAX);
        let inputs = Inputs::new(files, resolved, checked, asks)
            .map_err(|error| Failure::Run(format!("cannot receive signals: {error}")))?;
        let view = View {
            registry: Arc::clone(&registry),
            status: told,
            asks: ask,
        };
        let mut state = State {
            paths: options.paths,
            writer: Writer::start(&registry)
                .map_err(|error| Failure::Run(format!("cannot start the access log: {error}")))?,
            fleet: Fleet::new(plan, Arc::clone(&registry)),
            names: Names::new(SystemResolver::new().map_err(Failure::Run)?, tell),
            probes: Probes::new(Network, tell_check),
            enrollments: Enrollments::new(Arc::clone(&registry), inputs.files.changes()),
            budget: Budget::new(),
            live: None,
            follow: None,
            pending: None,
            refused: None,
            stale_since: None,
            signalled: false,
            draining: None,
            upgrade,
            inherited,
            status,
            registry,
        };
        state.await_names(candidate, Instant::now());
        Ok((Self { state, inputs }, view, admin))
    }

    /// Lets a process that takes this one's place have the admin server's socket too, whose address in the configuration
    /// is `bind`.
    pub fn share_admin(&mut self, bind: SocketAddr, socket: OwnedFd) {
        self.state.upgrade.share_admin(bind, socket);
    }

    /// Runs until told to end. `on_live` is called once, when the first configuration has gone live.
    ///
    /// # Errors
    /// When a worker cannot be started or has ended by itself.
    pub async fn run(self, on_live: impl FnOnce(&Model)) -> Result<(), Failure> {
        let Self {
            mut state,
            mut inputs,
        } = self;
        let mut on_live = Some(on_live);
        loop {
            state.publish_what_is_due(Instant::now())?;
            if let Some(live) = &state.live
                && let Some(on_live) = on_live.take()
            {
                state.upgrade.went_live(&state.registry);
                state.inherited = Inherited::new();
                on_live(&live.model);
            }
            if let Some(files) = state.follow.take() {
                inputs.files.follow(files);
            }
            let publish_at = state.publish_at();
            let event = inputs.next(publish_at, state.draining.as_mut(), state.upgrade.attempt());
            match event.await {
                Event::FilesChanged => state.reload(Cause::Files, &mut inputs.files),
                Event::Hangup => state.hang_up(&mut inputs.files),
                Event::Terminate if state.signalled => return Ok(()),
                Event::Terminate => {
                    state.signalled = true;
                    state.drain(None);
                }
                Event::Upgrade => state.start_upgrade(),
                Event::Upgraded(upgraded) => state.end_upgrade(upgraded, &mut inputs.files),
                Event::Resolved(resolved) => state.learn(resolved, Instant::now()),
                Event::Checked(answer) => state.learn_health(&answer),
                Event::Asked(Ask::Ready(answer)) => {
                    let pings = state.fleet.ping();
                    // Whoever asked may be gone by the time the workers have answered.
                    tokio::spawn(async move { drop(answer.send(pings.await)) });
                }
                Event::Asked(Ask::Drain(answer)) => {
                    state.drain(None);
                    // Whoever asked may be gone.
                    let _ = answer.send(());
                }
                Event::Tick => {
                    state.look_after_memory();
                    state.look_after_workers();
                }
                Event::Drained(well) => return state.end(well),
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Material(BadMaterial { problems, .. }) | Refusal::Config(problems) => {
                Self::Config(problems)
            }
            Refusal::System(problems) => Self::Run(problems.join("\n")),
        }
    }
}

/// By the command line, else by the configuration, else one for each core this process may use.
fn worker_count(model: &Model, wanted: Option<NonZeroU16>) -> usize {
    let count = match (wanted, model.workers) {
        (Some(count), _) | (None, Workers::Count(count)) => Some(usize::from(count.get())),
        (None, Workers::Auto) => None,
    };
    count.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_says_how_many_workers() {
        let model = |more: &str| {
            Model::from_yaml(&format!(
                "listeners: [{{ name: web, bind: \"127.0.0.1:80\" }}]\n{more}"
            ))
            .unwrap()
        };
        assert_eq!(worker_count(&model("workers: 3"), NonZeroU16::new(2)), 2);
        assert_eq!(worker_count(&model("workers: 3"), None), 3);
        assert!(worker_count(&model(""), None) >= 1);
    }
}
