//! One core: a thread with its own executor, listeners, pools and counters.
//!
//! Owns the thread and what its mailbox may ask of it. The control thread writes, this one reads.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    rc::Rc,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Instant,
};

use sluice_config::{defaults, model::ListenerId};
use sluice_io::{Driver, DriverChoice, Io, Options, Runtime, StartError, mailbox};
use sluice_routing::overload::Pressure;

use thiserror::Error;

use crate::{
    accept,
    access_log::Log,
    downstream::{Entrance, Live},
    exchange::Context,
    metrics::{PerWorker, WorkerMetrics},
    snapshot::Snapshot,
    upstream,
};

/// What the control thread may ask.
pub enum Message {
    /// Serve by another configuration from now on.
    Swap(Swap),
    /// What health checks say of an endpoint from now on.
    Health(Health),
    /// How much to take on, from now on.
    Pressure(Pressure),
    /// Take no more connections, end when the last has ended, or at a time.
    Drain {
        /// The time.
        until: Instant,
        /// Listeners whose sockets another process has too, and goes on with.
        kept: Arc<HashSet<SocketAddr>>,
    },
    /// Give every listening socket, by its address, without parting with it.
    Listening(tokio::sync::oneshot::Sender<io::Result<Vec<(SocketAddr, OwnedFd)>>>),
    /// Say that it lives.
    Ping(tokio::sync::oneshot::Sender<()>),
}

/// What health checks say of an endpoint.
#[derive(Debug, Clone)]
pub struct Health {
    /// The name of its service.
    pub service: Arc<str>,
    /// Its address.
    pub address: SocketAddr,
    /// Whether it may be picked.
    pub up: bool,
}

/// A configuration that goes live.
pub struct Swap {
    /// It, compiled.
    pub snapshot: Arc<Snapshot>,
    /// Sockets of listeners that are new in it, bound; several of one address are one listener.
    pub sockets: Vec<(SocketAddr, OwnedFd)>,
    /// This worker's end of the access log it asks for.
    pub log: Option<Log>,
}

/// How a worker is started.
pub struct Start {
    /// Which one, from 0.
    pub worker: usize,
    /// Which driver it should run on.
    pub driver: DriverChoice,
    /// Counters of all the workers.
    pub metrics: PerWorker<WorkerMetrics>,
    /// Client connections the process's file descriptors suffice for, for one worker.
    pub connections_max: u32,
    /// Large bodies that may hold bytes inside the kernel at a time.
    pub pipes: usize,
}

/// A running worker, seen from the control thread.
pub struct Handle {
    /// The driver it runs on.
    pub driver: Driver,
    mailbox: mailbox::Sender<Message>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Sends it a message. `false` if it has ended.
    pub fn send(&self, message: Message) -> bool {
        self.mailbox.send(message).is_ok()
    }

    /// Whether its thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end. `false` if it ended by a panic.
    #[must_use]
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

/// Why a worker does not run.
#[derive(Debug, Error)]
pub enum NotStarted {
    /// The driver asked for cannot be had.
    #[error(transparent)]
    Driver(#[from] StartError),
    /// There is no thread for it, or it ended at once.
    #[error("no thread for a worker: {0}")]
    Thread(#[from] io::Error),
}

/// Starts a worker and waits until its driver runs. It has nothing to serve by before the first [`Message::Swap`].
///
/// # Errors
/// When the driver asked for cannot be had, or no thread can be started.
pub fn start(start: Start) -> Result<Handle, NotStarted> {
    let (tell, told) = mpsc::channel();
    let name = format!("worker-{}", start.worker);
    let thread = std::thread::Builder::new()
        .name(name)
        .spawn(move || thread_main(start, &tell));
    let thread = thread?;
    match told.recv() {
        Ok(Ok((driver, mailbox))) => Ok(Handle {
            driver,
            mailbox,
            thread,
        }),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(io::Error::other("it ended before it ran").into()),
    }
}

type Told = Result<(Driver, mailbox::Sender<Message>), StartError>;

fn thread_main(start: Start, tell: &mpsc::Sender<Told>) {
    let counters = start.metrics.clone();
    let number = start.worker;
    let on_panic = move |message: &str| {
        counters.of(number).panics.inc();
        tracing::error!(worker = number, message, "what serves a connection panicked");
    };
    let options = Options {
        driver: start.driver,
        on_panic: Some(Arc::new(on_panic)),
        pipes: start.pipes,
        ..Options::default()
    };
    let runtime = match Runtime::new(&options) {
        Ok(runtime) => runtime,
        Err(error) => {
            // Nobody listens only if the starter is gone, and then nobody needs to know.
            let _ = tell.send(Err(error));
            return;
        }
    };
    let (sender, receiver) = runtime.io().mailbox();
    let _ = tell.send(Ok((runtime.driver().clone(), sender)));
    runtime.block_on(run(runtime.io(), start, receiver));
}

/// The life of a worker: one message after another, then the drain.
async fn run(io: Io, start: Start, mut mailbox: mailbox::Receiver<Message>) {
    let context = Context::new(start.worker, io.clone(), start.metrics, start.connections_max);
    let mut worker = Worker {
        context: Rc::new(context),
        open: HashMap::new(),
    };
    io.spawn(keep_house(Rc::clone(&worker.context)));
    while let Some(message) = mailbox.recv().await {
        match message {
            Message::Swap(swap) => worker.swap(swap),
            Message::Health(health) => {
                worker
                    .context
                    .learn_health(&health.service, health.address, health.up)
            }
            Message::Pressure(pressure) => worker.context.press(pressure),
            Message::Ping(answer) => _ = answer.send(()),
            // Whoever asked may be gone.
            Message::Listening(answer) => _ = answer.send(worker.listening()),
            Message::Drain { until, kept } => {
                worker.drain(&kept);
                io.spawn(answer_pings(mailbox));
                worker.context.wait_until_idle(until).await;
                break;
            }
        }
    }
    worker.context.flush_log();
}

/// A worker's listeners and what they share.
struct Worker {
    context: Rc<Context>,
    open: HashMap<SocketAddr, Open>,
}

/// A listener that is open.
struct Open {
    entrance: Rc<Entrance>,
    /// Its sockets once more, to be given to another process.
    sockets: Vec<OwnedFd>,
}

impl Open {
    /// Whether a listener of `snapshot` takes its connections for the same.
    fn speaks_as(&self, snapshot: &Snapshot, id: ListenerId) -> bool {
        let live = self.entrance.live();
        live.listener().settings.protocol == snapshot.listeners[id.0].settings.protocol
    }
}

impl Worker {
    /// Makes a configuration live. Listeners are known by their address: one that stays keeps its socket and its
    /// connections, one that is gone drains, a new one opens. One whose connections are taken for something else is gone,
    /// and a new one has its sockets.
    fn swap(&mut self, swap: Swap) {
        let current = self.context.swap(swap.snapshot, swap.log);
        let live = |id| Live {
            current: Rc::clone(&current),
            id,
        };
        let ids: HashMap<SocketAddr, ListenerId> = current
            .snapshot
            .listeners
            .iter()
            .map(|listener| (listener.settings.bind, listener.id))
            .collect();
        let mut sockets = swap.sockets;
        self.open.retain(|bind, open| match ids.get(bind) {
            Some(id) if open.speaks_as(&current.snapshot, *id) => {
                open.entrance.swap(live(*id));
                true
            }
            other => {
                open.entrance.kept.set(other.is_some());
                open.entrance.drain.begin();
                let handed = other.map(|_| open.sockets.drain(..));
                sockets.extend(handed.into_iter().flatten().map(|socket| (*bind, socket)));
                false
            }
        });
        for (bind, socket) in sockets {
            if let Some(id) = ids.get(&bind) {
                self.open(bind, socket, live(*id));
            }
        }
        self.context
            .metrics()
            .snapshot_generation
            .set(i64::try_from(current.snapshot.generation).unwrap_or(i64::MAX));
    }

    fn open(&mut self, bind: SocketAddr, socket: OwnedFd, live: Live) {
        let settings = &live.listener().settings;
        let options = upstream::socket_options(settings);
        let opened = sluice_io::listen(&socket, settings.backlog)
            .and_then(|()| socket.try_clone())
            .and_then(|again| Ok((again, self.context.io.listen(socket, &options)?)));
        let (again, listener) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%bind, %error, "cannot accept on a listening socket");
                return;
            }
        };
        let open = self.open.entry(bind).or_insert_with(|| Open {
            entrance: Rc::new(Entrance::new(live)),
            sockets: Vec::new(),
        });
        open.sockets.push(again);
        let entrance = Rc::clone(&open.entrance);
        let accepting = accept::run(Rc::clone(&self.context), entrance, listener);
        self.context.io.spawn(accepting);
    }

    /// All or none: a socket that was left out would end with this process, and what waits in it too.
    fn listening(&self) -> io::Result<Vec<(SocketAddr, OwnedFd)>> {
        let sockets = self.open.iter().flat_map(|(bind, open)| {
            let again = open.sockets.iter().map(OwnedFd::try_clone);
            again.map(|socket| Ok((*bind, socket?)))
        });
        sockets.collect()
    }

    fn drain(&mut self, kept: &HashSet<SocketAddr>) {
        for (bind, open) in self.open.drain() {
            open.entrance.kept.set(kept.contains(&bind));
            open.entrance.drain.begin();
        }
    }
}

/// What is done now and then: idle upstream connections that closed or aged go, free memory goes back, log lines go out.
async fn keep_house(context: Rc<Context>) {
    let mut turn: u32 = 0;
    loop {
        context.io.sleep(defaults::HOUSEKEEPING_INTERVAL.duration()).await;
        context.flush_log();
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(defaults::HOUSEKEEPING_SWEEP_TURNS) {
            context.sweep();
            context.io.return_free_memory();
        }
    }
}

/// A draining worker still lives.
async fn answer_pings(mut mailbox: mailbox::Receiver<Message>) {
    while let Some(message) = mailbox.recv().await {
        if let Message::Ping(answer) = message {
            let _ = answer.send(());
        }
    }
}
