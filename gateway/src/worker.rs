//! One core: a thread with its own executor, listeners, pools and counters.
//!
//! Owns the thread and what its mailbox may ask of it. The control thread writes, this one reads.

use std::{
    collections::HashMap,
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
    /// Take no more connections, end when the last has ended, or at this time.
    Drain(Instant),
    /// What health checks say of an endpoint from now on.
    Health(Health),
    /// How much to take on, from now on.
    Pressure(Pressure),
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
    /// Sockets of listeners that are new in it, bound and listening.
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
    /// The first configuration.
    pub first: Swap,
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
    Thread(#[from] std::io::Error),
}

/// Starts a worker and waits until its driver runs.
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
        Err(_) => Err(std::io::Error::other("it ended before it ran").into()),
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
        entrances: HashMap::new(),
    };
    worker.swap(start.first);
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
            Message::Drain(until) => {
                worker.drain();
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
    entrances: HashMap<SocketAddr, Rc<Entrance>>,
}

impl Worker {
    /// Makes a configuration live. Listeners are known by their address: one that stays keeps its socket and its
    /// connections, one that is gone drains, a new one opens.
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
        self.entrances.retain(|bind, entrance| match ids.get(bind) {
            Some(id) => {
                entrance.swap(live(*id));
                true
            }
            None => {
                entrance.drain.begin();
                false
            }
        });
        for (bind, socket) in swap.sockets {
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
        let options = upstream::socket_options(&live.listener().settings);
        match self.context.io.listen(socket, &options) {
            Ok(listener) => {
                let entrance = Rc::new(Entrance::new(live));
                self.context.io.spawn(accept::run(
                    Rc::clone(&self.context),
                    Rc::clone(&entrance),
                    listener,
                ));
                self.entrances.insert(bind, entrance);
            }
            Err(error) => tracing::error!(%bind, %error, "cannot accept on a listening socket"),
        }
    }

    fn drain(&mut self) {
        for (_, entrance) in self.entrances.drain() {
            entrance.drain.begin();
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
