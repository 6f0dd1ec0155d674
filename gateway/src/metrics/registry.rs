//! Which series exist: allotted by names of the configuration, kept over reloads.
//!
//! Owns get-or-create and the dropping of what left the configuration. Called by the control thread alone; its
//! lock is never taken on the request path.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Counter, EndpointMetrics, Gauge, GrpcMethods, ListenerMetrics, PassthroughCounters, PerWorker,
    PlaintextPeers, PolicyCounters, RequestCounters, RetryCounters, ServiceMetrics, WorkerMetrics,
    exposition::Exposition,
};
use sluice_config::defaults::operations::SERIES_RELOADS_KEPT;

/// Every series of this process.
#[derive(Debug)]
pub struct Registry {
    shared: Arc<Shared>,
    text: prometheus_client::registry::Registry,
}

impl Registry {
    /// For `workers` workers. `bad_request_rules` is the closed list of rules a request can break, by which
    /// [`ListenerMetrics::count_bad_request`] counts.
    #[must_use]
    pub fn new(workers: usize, bad_request_rules: impl IntoIterator<Item = &'static str>) -> Self {
        let shared = Arc::new(Shared {
            workers,
            bad_request_rules: bad_request_rules
                .into_iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            worker: PerWorker::new(workers),
            control: ControlMetrics::default(),
            access_log_failed: Arc::default(),
            tables: Mutex::new(Tables::default()),
        });
        let mut text = prometheus_client::registry::Registry::default();
        text.register_collector(Box::new(Exposition::new(Arc::clone(&shared))));
        Self { shared, text }
    }

    /// Requests by listener, route and service; `-` stands for none.
    #[must_use]
    pub fn requests(&self, listener: &str, route: &str, service: &str) -> PerWorker<RequestCounters> {
        self.tables(|tables, workers| tables.requests.get_or_create([listener, route, service], workers))
    }

    /// Connections passed on, by listener, route and service; `-` stands for none.
    #[must_use]
    pub fn passthrough(&self, listener: &str, route: &str, service: &str) -> PerWorker<PassthroughCounters> {
        self.tables(|tables, workers| {
            tables
                .passthrough
                .get_or_create([listener, route, service], workers)
        })
    }

    /// One listener's.
    #[must_use]
    pub fn listener(&self, name: &str) -> PerWorker<ListenerMetrics> {
        let series: PerWorker<ListenerMetrics> =
            self.tables(|tables, workers| tables.listeners.get_or_create([name], workers));
        for worker in series.iter() {
            worker.bad_requests.get_or_init(|| {
                self.shared
                    .bad_request_rules
                    .iter()
                    .map(|rule| (*rule, Counter::default()))
                    .collect()
            });
        }
        series
    }

    /// One service's.
    #[must_use]
    pub fn service(&self, name: &str) -> PerWorker<ServiceMetrics> {
        self.tables(|tables, workers| tables.services.get_or_create([name], workers))
    }

    /// Who spoke plaintext on a listener that speaks TLS too: one for all workers.
    #[must_use]
    pub fn plaintext_peers(&self, listener: &str) -> PerWorker<PlaintextPeers> {
        self.tables(|tables, _| tables.plaintext_peers.get_or_create([listener], 1))
    }

    /// When a certificate of a listener ends, told by the control thread.
    #[must_use]
    pub fn certificate(&self, listener: &str, file: &str) -> PerWorker<Gauge> {
        self.tables(|tables, _| tables.certificates.get_or_create([listener, file], 1))
    }

    /// What the control thread knows of one service's endpoints.
    #[must_use]
    pub fn endpoints(&self, service: &str) -> PerWorker<EndpointMetrics> {
        // There is one control thread.
        self.tables(|tables, _| tables.endpoints.get_or_create([service], 1))
    }

    /// Methods of gRPC of one service.
    #[must_use]
    pub fn grpc_methods(&self, service: &str) -> PerWorker<GrpcMethods> {
        // All workers share it.
        self.tables(|tables, _| tables.grpc_methods.get_or_create([service], 1))
    }

    /// Sets the number of endpoints of every service to 0: those that there are, are counted anew.
    pub fn forget_endpoints(&self) {
        for (_, series) in self.shared.lock().endpoints.iter() {
            series.of(0).healthy.set(0);
            series.of(0).unhealthy.set(0);
        }
    }

    /// Picks of one backend of a rule's split.
    #[must_use]
    pub fn split_picks(&self, route: &str, rule: &str, service: &str) -> PerWorker<Counter> {
        self.tables(|tables, workers| tables.split_picks.get_or_create([route, rule, service], workers))
    }

    /// Retries of one route.
    #[must_use]
    pub fn retries(&self, route: &str) -> PerWorker<RetryCounters> {
        self.tables(|tables, workers| tables.retries.get_or_create([route], workers))
    }

    /// Decisions of one policy.
    #[must_use]
    pub fn policy(&self, name: &str) -> PerWorker<PolicyCounters> {
        self.tables(|tables, workers| tables.policies.get_or_create([name], workers))
    }

    /// The workers' own.
    #[must_use]
    pub fn worker(&self) -> PerWorker<WorkerMetrics> {
        self.shared.worker.clone()
    }

    /// The control thread's own.
    #[must_use]
    pub fn control(&self) -> &ControlMetrics {
        &self.shared.control
    }

    /// Lines of the access log that could not be written, counted by the writing thread.
    #[must_use]
    pub fn access_log_failed(&self) -> Arc<Counter> {
        Arc::clone(&self.shared.access_log_failed)
    }

    /// To be called once after each load of the configuration has been published: drops the series that were not
    /// asked for since [`SERIES_RELOADS_KEPT`] such calls.
    pub fn retain_recent(&self) {
        let mut tables = self.shared.lock();
        tables.requests.retain_recent();
        tables.passthrough.retain_recent();
        tables.listeners.retain_recent();
        tables.plaintext_peers.retain_recent();
        tables.certificates.retain_recent();
        tables.services.retain_recent();
        tables.grpc_methods.retain_recent();
        tables.endpoints.retain_recent();
        tables.split_picks.retain_recent();
        tables.retries.retain_recent();
        tables.policies.retain_recent();
    }

    /// The text of a scrape, in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode_registry(&mut text, &self.text)?;
        Ok(text)
    }

    fn tables<T>(&self, take: impl FnOnce(&mut Tables, usize) -> PerWorker<T>) -> PerWorker<T> {
        take(&mut self.shared.lock(), self.shared.workers)
    }
}

/// What the control thread counts.
#[derive(Debug, Default)]
pub struct ControlMetrics {
    /// Generation of the snapshot last published.
    pub config_generation: Gauge,
    /// Loads that went live, the first one too.
    pub reloads_applied: Counter,
    /// Loads refused for their errors.
    pub reloads_rejected: Counter,
    /// Loads that found the text unchanged.
    pub reloads_unchanged: Counter,
    /// When a load last went live, in seconds since 1970.
    pub config_last_success_seconds: Gauge,
    /// 1 in a process that has taken over from another one.
    pub upgrades_completed: Counter,
    /// Upgrades that ended with this process going on.
    pub upgrades_failed: Counter,
    /// Upgrades that were not begun.
    pub upgrades_refused: Counter,
    /// Changes of certificate, key, CA and CRL files that went live.
    pub certificates_applied: Counter,
    /// Such changes that were bad, so that what was before stays.
    pub certificates_rejected: Counter,
    /// Certificates that the authority of the mesh gave this process.
    pub identity_renewed: Counter,
    /// Attempts to get one that failed.
    pub identity_failed: Counter,
    /// DNS look-ups that failed.
    pub dns_failures: Counter,
    /// Memory of the process that is in RAM, in bytes.
    pub memory_resident_bytes: Gauge,
    /// Up to where it should grow, in bytes; 0 without a bound.
    pub memory_budget_bytes: Gauge,
    /// How little is taken on for want of memory, from 0 (all) to 3 (nothing).
    pub pressure: Gauge,
}

/// What a scrape reads.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) workers: usize,
    pub(super) bad_request_rules: Vec<&'static str>,
    pub(super) worker: PerWorker<WorkerMetrics>,
    pub(super) control: ControlMetrics,
    pub(super) access_log_failed: Arc<Counter>,
    tables: Mutex<Tables>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Tables> {
        // The tables are whole at every point where a panic could come.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) requests: Table<3, RequestCounters>,
    pub(super) passthrough: Table<3, PassthroughCounters>,
    pub(super) listeners: Table<1, ListenerMetrics>,
    pub(super) plaintext_peers: Table<1, PlaintextPeers>,
    pub(super) certificates: Table<2, Gauge>,
    pub(super) services: Table<1, ServiceMetrics>,
    pub(super) grpc_methods: Table<1, GrpcMethods>,
    pub(super) endpoints: Table<1, EndpointMetrics>,
    pub(super) split_picks: Table<3, Counter>,
    pub(super) retries: Table<1, RetryCounters>,
    pub(super) policies: Table<1, PolicyCounters>,
}

/// Series of one kind by their label values, sorted so that two scrapes list them alike.
#[derive(Debug)]
pub(super) struct Table<const N: usize, T> {
    rows: BTreeMap<[String; N], Row<T>>,
    loads: u64,
}

#[derive(Debug)]
struct Row<T> {
    series: PerWorker<T>,
    asked_for_at: u64,
}

impl<const N: usize, T: Default> Table<N, T> {
    fn get_or_create(&mut self, labels: [&str; N], workers: usize) -> PerWorker<T> {
        let row = self.rows.entry(labels.map(str::to_owned)).or_insert_with(|| Row {
            series: PerWorker::new(workers),
            asked_for_at: 0,
        });
        row.asked_for_at = self.loads;
        row.series.clone()
    }

    fn retain_recent(&mut self) {
        self.loads += 1;
        let loads = self.loads;
        self.rows
            .retain(|_, row| loads - row.asked_for_at <= SERIES_RELOADS_KEPT);
    }

    /// Label values and series, in the order of the labels.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[String; N], &PerWorker<T>)> {
        self.rows.iter().map(|(labels, row)| (labels, &row.series))
    }
}

impl<const N: usize, T> Default for Table<N, T> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            loads: 0,
        }
    }
}
