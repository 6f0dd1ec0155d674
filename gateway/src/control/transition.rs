//! What the control thread does on its events.
//!
//! Owns the way of a configuration from its files to the workers, and the end of the process. Refuses to wait.

mod health;
mod rotation;

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    Cause, Draining, Failure, Live, State,
    dns::{Resolved, SystemResolver},
    file::{self, Watch},
    fleet::Sockets,
    material::Materials,
    memory,
    reload::{Candidate, Refusal, names, open_sink, prepare, read},
};
use crate::{
    snapshot::compile,
    status::{Phase, Reload, ReloadResult, Running},
    worker::Message,
};
use sluice_config::defaults::operations::{
    ACCESS_LOG_END_TIMEOUT, DNS_AWAITED, DNS_PUBLISH_DELAY, DRAIN_GRACE,
};
use sluice_routing::overload::Pressure;

impl State {
    /// SIGHUP: opens the access log again, asks for all names again and reads the files again.
    pub(super) fn hang_up(&mut self, files: &mut Watch) {
        if let Some(live) = &self.live {
            match open_sink(&live.model) {
                Ok(sink) => self.writer.replace(sink),
                Err(problem) => tracing::error!(problem, "the access log stays as it is"),
            }
        }
        match SystemResolver::new() {
            Ok(resolver) => self.names.renew(resolver),
            Err(error) => tracing::warn!(error, "the resolver stays as it is"),
        }
        self.reload(Cause::Hangup, files);
    }

    /// Reads the files; what is new in them goes on its way to the workers.
    pub(super) fn reload(&mut self, cause: Cause, files: &mut Watch) {
        if self.draining.is_some() || self.upgrade.puts_off(cause) {
            return;
        }
        files.renew();
        let sources = match file::read(&self.paths) {
            Ok(sources) => sources,
            Err(error) => return self.refuse(&Refusal::Config(vec![error.to_string()])),
        };
        if let Some((candidate, _)) = &mut self.pending
            && candidate.sources == sources
        {
            // Bad files are told of when it goes live and they are looked at again.
            if let Ok(materials) = Materials::load(&candidate.model, &candidate.materials) {
                candidate.materials = materials;
            }
            return;
        }
        if let Some(live) = self.live.take_if(|live| live.sources == sources) {
            return self.rotate(live, cause);
        }
        if cause == Cause::Files && self.refused.as_ref() == Some(&sources) {
            return;
        }
        let text = match read(sources.clone()) {
            Ok(text) => text,
            Err(refusal) => {
                self.refuse(&refusal);
                self.refused = Some(sources);
                return;
            }
        };
        let running = self.live.as_ref().map(|live| &*live.model);
        let workers = self.fleet.workers();
        let none = Materials::default();
        let before = self.live.as_ref().map_or(&none, |live| &live.materials);
        let wanted = text.model.identity.clone();
        match prepare(text, running, before, |_| workers, &self.inherited) {
            Ok(candidate) => {
                self.tell_kept(&candidate.materials);
                self.await_names(candidate, Instant::now());
            }
            Err(refusal) => {
                self.refuse(&refusal);
                match refusal {
                    // Tried again when one of the files changes, those of what runs among them.
                    Refusal::Material(bad) => {
                        // It may be what an identity is to bring, which is new.
                        let live = self.live.iter().filter_map(|live| live.model.identity.as_ref());
                        self.enrollments.follow(live.chain(&wanted));
                        let live = self.live.iter().flat_map(|live| live.materials.files());
                        self.follow = Some(bad.files.into_iter().chain(live).collect());
                    }
                    Refusal::Config(_) | Refusal::System(_) => self.refused = Some(sources),
                }
            }
        }
    }

    /// The text is what runs already. One event too many is of no interest, an answer to a question or to a refused
    /// text is.
    fn keep(&mut self, cause: Cause) {
        self.pending = None;
        if self.refused.take().is_some() || cause == Cause::Hangup {
            tracing::info!("the configuration is unchanged");
            self.registry.control().reloads_unchanged.inc();
            self.tell_reload(ReloadResult::Unchanged, Vec::new());
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        let problems = refusal.problems();
        tracing::error!(
            problems = problems.len(),
            "the configuration is refused; what ran before runs on"
        );
        for problem in problems {
            tracing::error!("{problem}");
        }
        // Any text read from now on is news.
        self.refused = Some(Vec::new());
        self.registry.control().reloads_rejected.inc();
        self.tell_reload(ReloadResult::Rejected, problems.to_vec());
    }

    /// Looks up the names that are new in a candidate before it goes live, so that no request finds it without
    /// endpoints.
    pub(super) fn await_names(&mut self, candidate: Candidate, now: Instant) {
        let live = self
            .live
            .as_ref()
            .map(|live| names(&live.model))
            .unwrap_or_default();
        self.names.follow(live.union(&candidate.names));
        self.refused = None;
        self.pending = Some((candidate, now + DNS_AWAITED));
    }

    /// When [`State::publish_what_is_due`] has something to do at the latest.
    pub(super) fn publish_at(&self) -> Option<Instant> {
        let pending = self.pending.as_ref().map(|(_, until)| *until);
        pending.or_else(|| self.stale_since.map(|since| since + DNS_PUBLISH_DELAY))
    }

    /// Publishes a candidate whose names are known, or have been waited for long enough; else the new addresses of what
    /// runs.
    pub(super) fn publish_what_is_due(&mut self, now: Instant) -> Result<(), Failure> {
        let ready = self
            .pending
            .take_if(|(candidate, until)| now >= *until || self.names.all_answered(&candidate.names));
        if let Some((candidate, _)) = ready {
            return self.publish(candidate);
        }
        let stale = self.pending.is_none()
            && self
                .stale_since
                .is_some_and(|since| now >= since + DNS_PUBLISH_DELAY);
        if stale && let Some(mut live) = self.live.take() {
            live.generation += 1;
            self.send(live, Sockets::new())?;
        }
        Ok(())
    }

    fn publish(&mut self, candidate: Candidate) -> Result<(), Failure> {
        let Candidate {
            sources,
            model,
            materials,
            sockets,
            sink,
            names,
        } = candidate;
        self.names.follow(&names);
        if !self.names.all_answered(&names) {
            tracing::warn!("some endpoints' names are not resolved yet; services without any answer 503");
        }
        if let Some(sink) = sink {
            self.writer.replace(sink);
        }
        let generation = self.live.as_ref().map_or(0, |live| live.generation) + 1;
        self.send(
            Live {
                sources,
                model: Arc::clone(&model),
                materials,
                generation,
            },
            sockets,
        )?;
        self.registry.retain_recent();
        let now = SystemTime::now();
        self.status.send_modify(|status| {
            status.phase = Phase::Serving;
            status.running = Some(Running {
                generation,
                model,
                loaded_at: now,
                since: Instant::now(),
            });
        });
        let control = self.registry.control();
        control.reloads_applied.inc();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        control
            .config_last_success_seconds
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.tell_reload(ReloadResult::Applied, Vec::new());
        tracing::info!(generation, "the configuration is live");
        Ok(())
    }

    /// Compiles what is to run and gives it to the workers.
    fn send(&mut self, live: Live, sockets: Sockets) -> Result<(), Failure> {
        self.stale_since = None;
        let addresses = self.names.addresses();
        let snapshot = Arc::new(compile(
            Arc::clone(&live.model),
            &addresses,
            &live.materials.transports,
            |service, address| self.probes.is_up(service, address),
            &self.registry,
            live.generation,
        ));
        let logs = live.model.access_log.is_some();
        self.fleet
            .publish(&snapshot, sockets, |worker| logs.then(|| self.writer.log(worker)))
            .map_err(|error| Failure::Run(format!("cannot start a worker: {error}")))?;
        self.budget.set(live.model.limits.memory);
        self.probes.follow(&snapshot.services);
        self.enrollments.follow(&live.model.identity);
        self.count_endpoints(&snapshot.services);
        for (listener, file, ends) in live.materials.expiries(&live.model) {
            self.registry
                .certificate(&listener, &file.to_string_lossy())
                .of(0)
                .set(ends);
        }
        self.follow = Some(live.materials.files());
        let generation = live.generation;
        self.registry
            .control()
            .config_generation
            .set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.status.send_modify(|status| {
            if let Some(running) = &mut status.running {
                running.generation = generation;
            }
        });
        self.live = Some(live);
        Ok(())
    }

    /// Takes in what a look-up found.
    pub(super) fn learn(&mut self, resolved: Resolved, now: Instant) {
        if resolved.outcome.is_err() {
            self.registry.control().dns_failures.inc();
        }
        if self.names.learn(resolved, now) && self.live.is_some() && self.draining.is_none() {
            self.stale_since.get_or_insert(now);
        }
    }

    /// Begins to end, if that has not begun: no new connections, and what runs has its time. `failure` is what makes
    /// it end, if it is not wanted.
    pub(super) fn drain(&mut self, failure: Option<String>) {
        if self.draining.is_some() {
            return;
        }
        self.upgrade.give_up();
        self.status.send_modify(|status| status.phase = Phase::Draining);
        self.empty(failure, HashSet::new());
    }

    /// Takes no new connections, and gives what runs its time. Those that come to the addresses `kept` are another
    /// process's.
    pub(super) fn empty(&mut self, failure: Option<String>, kept: HashSet<SocketAddr>) {
        let timeout = self
            .live
            .as_ref()
            .map(|live| live.model.drain.timeout.duration())
            .unwrap_or_default();
        tracing::info!(?timeout, "draining");
        self.pending = None;
        self.stale_since = None;
        // Workers that drain hear no more of it.
        self.probes.follow(&[]);
        self.enrollments.follow(None);
        let until = Instant::now() + timeout;
        let ended = self.fleet.drain(until, kept);
        self.draining = Some(Draining {
            ended,
            give_up_at: until + DRAIN_GRACE,
            failure,
        });
    }

    /// Ends the process when a worker has ended by itself: its share of the connections would be lost for good.
    pub(super) fn look_after_workers(&mut self) {
        if let Some(worker) = self.fleet.ended().filter(|_| self.draining.is_none()) {
            tracing::error!(worker, "a worker has ended by itself; the process ends too");
            self.drain(Some(format!("worker {worker} has ended by itself")));
        }
    }

    /// Looks how much memory is held, and has the workers take on less when it comes close to what may be.
    pub(super) fn look_after_memory(&mut self) {
        let (used, budget) = (memory::resident(), self.budget.bytes());
        let metrics = self.registry.control();
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        metrics.memory_resident_bytes.set(gauge(used));
        metrics.memory_budget_bytes.set(gauge(budget.unwrap_or(0)));
        let Some(pressure) = self.budget.used(used) else {
            return;
        };
        metrics.pressure.set(pressure.level());
        let budget = budget.unwrap_or(0);
        match pressure {
            Pressure::None => tracing::info!(used, budget, "there is memory again"),
            _ => tracing::warn!(used, budget, step = ?pressure, "memory runs out: less is taken on"),
        }
        self.fleet.tell(|| Message::Pressure(pressure));
    }

    /// All workers have ended, or were waited for long enough.
    pub(super) fn end(self, well: bool) -> Result<(), Failure> {
        if !self.writer.finish(ACCESS_LOG_END_TIMEOUT) {
            tracing::warn!("the last lines of the access log are lost");
        }
        match self.draining.and_then(|draining| draining.failure) {
            Some(failure) => Err(Failure::Run(failure)),
            None if well => Ok(()),
            None => Err(Failure::Run("a worker did not end well".to_owned())),
        }
    }

    fn tell_reload(&self, result: ReloadResult, problems: Vec<String>) {
        let reload = Reload {
            result,
            at: SystemTime::now(),
            problems,
        };
        self.status
            .send_modify(|status| status.last_reload = Some(reload));
    }
}
