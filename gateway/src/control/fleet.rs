//! The workers as one.
//!
//! Owns their start, and what is said to all of them. Refuses to know why.

use std::{collections::HashSet, io, net::SocketAddr, os::fd::OwnedFd, sync::Arc, thread, time::Instant};

use sluice_config::defaults::operations::{
    CLAIM_PATIENCE, CONNECTIONS_PER_PIPE, DESCRIPTORS_RESERVED, PING_TIMEOUT, PIPES_MAX,
};
use sluice_io::DriverChoice;
use tokio::sync::oneshot;

use super::upgrade::{predecessor::Inherited, successor::Listening};
use crate::{
    access_log::Log,
    metrics::Registry,
    snapshot::Snapshot,
    worker::{self, Handle, Message, NotStarted, Start, Swap},
};

/// How many workers run, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) workers: usize,
    pub(super) driver: DriverChoice,
    /// Client connections of one worker that the process's file descriptors suffice for.
    pub(super) connections_max: u32,
    /// Pipes of one worker, for large bodies.
    pub(super) pipes: usize,
}

impl Plan {
    /// For a process that may have `descriptors` files open.
    pub(super) fn new(workers: usize, driver: DriverChoice, descriptors: u64) -> Self {
        // Each client connection may need another one to a backend, and a pipe has two ends.
        let pairs = descriptors.saturating_sub(DESCRIPTORS_RESERVED) / 2;
        let each = pairs / u64::try_from(workers).unwrap_or(u64::MAX).max(1);
        let each = u32::try_from(each).unwrap_or(u32::MAX);
        let pipes = (each / CONNECTIONS_PER_PIPE).min(PIPES_MAX);
        Self {
            workers,
            driver,
            connections_max: (each - pipes).max(1),
            pipes: pipes as usize,
        }
    }
}

/// Addresses that cannot be listened at, and why.
pub(super) type Failures = Vec<(SocketAddr, io::Error)>;

/// New listening sockets for each worker.
pub(super) type Sockets = Vec<Vec<(SocketAddr, OwnedFd)>>;

/// Makes sure that nobody else listens at any of these addresses, waiting a while for a process that is about to end.
///
/// # Errors
/// Every address that somebody listens at, or that cannot be bound.
pub(super) fn claim(addresses: &[(SocketAddr, u32)]) -> Result<(), Failures> {
    let give_up_at = Instant::now() + CLAIM_PATIENCE;
    loop {
        let claims = addresses
            .iter()
            .map(|&(address, _)| (address, sluice_io::claim(address)));
        let failures: Failures = claims
            .filter_map(|(address, claim)| Some((address, claim.err()?)))
            .collect();
        if failures.is_empty() {
            return Ok(());
        }
        let in_use = |(_, error): &(SocketAddr, io::Error)| error.kind() == io::ErrorKind::AddrInUse;
        if Instant::now() >= give_up_at || !failures.iter().all(in_use) {
            return Err(failures);
        }
        thread::sleep(CLAIM_PATIENCE / 20);
    }
}

/// A socket of each address for each worker, so that the kernel spreads connections over them. Those that were
/// inherited are all used, lest what waits in their queues be lost. One that joins them takes connections once its worker
/// listens, as this start may still fail, and what came to it alone would be lost.
///
/// # Errors
/// Every address that cannot be bound.
pub(super) fn bind(
    addresses: &[(SocketAddr, u32)],
    workers: usize,
    inherited: &Inherited,
) -> Result<Sockets, Failures> {
    let mut failures = Vec::new();
    let mut sockets: Sockets = (0..workers)
        .map(|_| Vec::with_capacity(addresses.len()))
        .collect();
    for &(address, backlog) in addresses {
        let inherited = inherited.get(&address).map_or(&[][..], Vec::as_slice);
        for index in 0..workers.max(inherited.len()) {
            let socket = match inherited.get(index) {
                Some(socket) => socket.try_clone(),
                None if inherited.is_empty() => sluice_io::bind(address, backlog),
                None => sluice_io::reserve(address),
            };
            match socket {
                Ok(socket) => sockets[index % workers].push((address, socket)),
                Err(error) => {
                    failures.push((address, error));
                    break;
                }
            }
        }
    }
    if failures.is_empty() {
        Ok(sockets)
    } else {
        Err(failures)
    }
}

/// Every worker; none before the first configuration goes live.
pub(super) struct Fleet {
    plan: Plan,
    registry: Arc<Registry>,
    handles: Vec<Handle>,
}

impl Fleet {
    pub(super) const fn new(plan: Plan, registry: Arc<Registry>) -> Self {
        Self {
            plan,
            registry,
            handles: Vec::new(),
        }
    }

    pub(super) const fn workers(&self) -> usize {
        self.plan.workers
    }

    /// Gives every worker `snapshot`, its new sockets and an end of the log. Starts all of them first if none runs yet: a
    /// start that fails has taken no connection.
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub(super) fn publish(
        &mut self,
        snapshot: &Arc<Snapshot>,
        sockets: Sockets,
        log: impl Fn(usize) -> Option<Log>,
    ) -> Result<(), NotStarted> {
        for worker in self.handles.len()..self.plan.workers {
            self.handles.push(self.start(worker)?);
        }
        let mut sockets = sockets.into_iter();
        for (worker, handle) in self.handles.iter().enumerate() {
            // One that has ended is found by `ended`, which ends the process.
            handle.send(Message::Swap(Swap {
                snapshot: Arc::clone(snapshot),
                sockets: sockets.next().unwrap_or_default(),
                log: log(worker),
            }));
        }
        Ok(())
    }

    fn start(&self, worker: usize) -> Result<Handle, NotStarted> {
        let handle = worker::start(Start {
            worker,
            driver: self.plan.driver,
            metrics: self.registry.worker(),
            connections_max: self.plan.connections_max,
            pipes: self.plan.pipes,
        })?;
        let driver = handle.driver.kind.as_str();
        self.registry.worker().of(worker).driver.get_or_init(|| driver);
        // Every worker meets the same kernel: one line for all.
        if worker == 0 {
            match &handle.driver.fallback_reason {
                Some(reason) => tracing::warn!(driver, reason, "io_uring cannot be used"),
                None => tracing::info!(driver, "I/O driver chosen"),
            }
        }
        Ok(handle)
    }

    /// Tells every worker.
    pub(super) fn tell(&self, message: impl Fn() -> Message) {
        for handle in &self.handles {
            // One that has ended is found by `ended`, which ends the process.
            handle.send(message());
        }
    }

    /// A worker that has ended by itself.
    pub(super) fn ended(&self) -> Option<usize> {
        self.handles.iter().position(Handle::is_finished)
    }

    /// Asks every worker for a sign of life; the answer comes with the future, within a bound.
    pub(super) fn ping(&self) -> impl Future<Output = Result<(), String>> + use<> {
        let answers = self.ask(Message::Ping);
        async move { all_answer(answers).await.map(drop) }
    }

    /// Asks every worker by the same message.
    fn ask<T>(&self, message: impl Fn(oneshot::Sender<T>) -> Message) -> Vec<oneshot::Receiver<T>> {
        let ask = |handle: &Handle| {
            let (ask, answered) = oneshot::channel();
            handle.send(message(ask));
            answered
        };
        self.handles.iter().map(ask).collect()
    }

    /// Every worker's listening sockets, once more; they come with the future, within a bound.
    pub(super) fn listening(&self) -> impl Future<Output = Result<Listening, String>> + use<> {
        let answers = self.ask(Message::Listening);
        async move {
            let each: io::Result<Vec<_>> = all_answer(answers).await?.into_iter().collect();
            let each = each.map_err(|error| format!("no copy of the listening sockets: {error}"))?;
            Ok(each.into_iter().flatten().collect())
        }
    }

    /// Tells every worker to end by `until`; the listening sockets of the addresses `kept` go on in another process.
    /// What is received tells whether all ended well; nothing is, when no thread could be started to wait for them.
    pub(super) fn drain(&mut self, until: Instant, kept: HashSet<SocketAddr>) -> oneshot::Receiver<bool> {
        let handles = std::mem::take(&mut self.handles);
        let kept = Arc::new(kept);
        for handle in &handles {
            let kept = Arc::clone(&kept);
            handle.send(Message::Drain { until, kept });
        }
        let (tell, told) = oneshot::channel();
        let wait = move || {
            let failed = handles
                .into_iter()
                .map(Handle::join)
                .filter(|ended_well| !ended_well)
                .count();
            // Nobody listens any more if the process was told to end at once.
            let _ = tell.send(failed == 0);
        };
        if let Err(error) = thread::Builder::new().name("drain".to_owned()).spawn(wait) {
            tracing::error!(%error, "cannot wait for the workers");
        }
        told
    }
}

/// Waits for all within one [`PING_TIMEOUT`] and names those that are silent.
async fn all_answer<T>(asked: Vec<oneshot::Receiver<T>>) -> Result<Vec<T>, String> {
    let until = tokio::time::Instant::now() + PING_TIMEOUT;
    let (mut answers, mut silent) = (Vec::new(), Vec::new());
    for (worker, answer) in asked.into_iter().enumerate() {
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(answer)) => answers.push(answer),
            _ => silent.push(worker.to_string()),
        }
    }
    match silent.len() {
        0 => Ok(answers),
        1 => Err(format!("worker {} does not answer", silent[0])),
        _ => Err(format!("workers {} do not answer", silent.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_gets_a_socket_for_each_address() {
        let free = sluice_io::bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
        let address = std::net::TcpListener::from(free).local_addr().unwrap();
        let sockets = bind(&[(address, 16)], 3, &Inherited::new()).unwrap();
        assert_eq!(sockets.len(), 3);
        assert!(
            sockets
                .iter()
                .all(|worker| worker.len() == 1 && worker[0].0 == address)
        );
    }

    #[test]
    fn every_inherited_socket_is_used_and_the_rest_bound() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let local = |socket: &OwnedFd| {
            let socket = std::net::TcpListener::from(socket.try_clone().unwrap());
            socket.local_addr().unwrap()
        };
        let old: Vec<_> = (0..3).map(|_| sluice_io::bind(address, 1).unwrap()).collect();
        let ports: Vec<_> = old.iter().map(local).collect();
        let inherited = Inherited::from([(address, old)]);
        let ports_of = |workers| {
            let sockets = bind(&[(address, 16)], workers, &inherited).unwrap();
            let of = |worker: &Vec<(SocketAddr, OwnedFd)>| {
                worker.iter().map(|(_, socket)| local(socket)).collect()
            };
            sockets.iter().map(of).collect::<Vec<Vec<_>>>()
        };
        assert_eq!(ports_of(2), [vec![ports[0], ports[2]], vec![ports[1]]]);
        let four = ports_of(4);
        assert_eq!(four[..3], [vec![ports[0]], vec![ports[1]], vec![ports[2]]]);
        assert!(four[3].len() == 1 && !ports.contains(&four[3][0]));
    }

    #[test]
    fn a_clash_is_named_and_binds_nothing() {
        // Without SO_REUSEPORT, as another program has it.
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let failures = bind(&[(address, 16)], 2, &Inherited::new()).unwrap_err();
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].0, address);
        assert_eq!(failures[0].1.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn connections_leave_room_for_backends_and_files() {
        let each = |workers, descriptors| {
            let plan = Plan::new(workers, DriverChoice::Auto, descriptors);
            (plan.connections_max, plan.pipes)
        };
        assert_eq!(each(4, 1_048_576), ((1_048_576 - 256) / 8 - 256, 256));
        assert_eq!(each(1, 1024), (384 - 24, 24));
        assert_eq!(each(1, 100), (1, 0));
        assert_eq!(each(1, u64::MAX), (u32::MAX - 256, 256));
    }

    #[tokio::test(start_paused = true)]
    async fn silent_workers_are_named() {
        let (answers, first) = oneshot::channel();
        answers.send(()).unwrap();
        let (_silent, second) = oneshot::channel();
        let (gone, third) = oneshot::channel();
        drop(gone);
        assert_eq!(
            all_answer(vec![first, second, third]).await,
            Err("workers 1, 2 do not answer".to_owned())
        );
        assert_eq!(
            all_answer(Vec::<oneshot::Receiver<()>>::new()).await,
            Ok(Vec::new())
        );
    }
}
