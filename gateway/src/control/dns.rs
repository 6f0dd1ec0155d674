//! The addresses of endpoints that are known by name.
//!
//! Owns when a name is asked for again, and what holds while it cannot be answered: the last addresses, for an hour.
//! Refuses to publish: it says what changed, and the control loop does the rest.
//!
//! IPv4 addresses are asked for first, and IPv6 ones only where a name has none: a host without a route to one family
//! then still reaches every name. `/etc/hosts` and `/etc/resolv.conf` hold as they do for other programs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    config::{LookupIpStrategy, ResolveHosts, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use sluice_config::defaults::operations::{
    DNS_ADDRESSES_MAX, DNS_KEPT, DNS_LOOKUP_TIMEOUT, DNS_LOOKUPS_AT_ONCE_MAX, DNS_REFRESH_MAX,
    DNS_REFRESH_MIN, DNS_RETRY_MAX,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::AbortHandle,
};

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// In any order, maybe twice.
    pub(super) addresses: Vec<IpAddr>,
    /// How long it may be believed, by its records.
    pub(super) lifetime: Duration,
}

/// The outcome of one look-up; `Err` is what went wrong, for people.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) name: String,
    pub(super) outcome: Result<Answer, String>,
}

/// Finds addresses.
pub(super) trait Lookup: Send + Sync + 'static {
    /// Looks a name up, in bounded time.
    fn lookup(&self, name: &str) -> impl Future<Output = Result<Answer, String>> + Send;
}

/// The system's resolver.
pub(super) struct SystemResolver {
    resolver: TokioResolver,
    /// Look-ups at once.
    turns: Semaphore,
}

impl SystemResolver {
    /// By `/etc/resolv.conf` and `/etc/hosts` as they are now. Without a readable `resolv.conf` only the hosts file
    /// answers.
    ///
    /// # Errors
    /// What the resolver says of its configuration.
    pub(super) fn new() -> Result<Self, String> {
        let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no resolver configuration can be read; only the hosts file resolves names");
            let no_servers = ResolverConfig::from_name_servers(Vec::new());
            TokioResolver::builder_with_config(no_servers, TokioRuntimeProvider::default())
        });
        Self::of(builder)
    }

    fn of(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, String> {
        let options = builder.options_mut();
        // What is kept is kept here, where its age is known.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Always;
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        let resolver = builder.build().map_err(|error| error.to_string())?;
        Ok(Self {
            resolver,
            turns: Semaphore::new(DNS_LOOKUPS_AT_ONCE_MAX),
        })
    }
}

impl Lookup for SystemResolver {
    async fn lookup(&self, name: &str) -> Result<Answer, String> {
        let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
        let lookup = tokio::time::timeout(DNS_LOOKUP_TIMEOUT, self.resolver.lookup_ip(name)).await;
        let found = lookup
            .map_err(|_| "timed out".to_owned())?
            .map_err(|error| error.to_string())?;
        Ok(Answer {
            addresses: found.iter().collect(),
            lifetime: found.valid_until().saturating_duration_since(Instant::now()),
        })
    }
}

/// The names in use and what is known of them.
pub(super) struct Names<L> {
    known: BTreeMap<String, Known>,
    resolver: Arc<L>,
    tell: mpsc::Sender<Resolved>,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<IpAddr>,
    /// When a look-up last succeeded.
    good_at: Option<Instant>,
    /// Whether any look-up has ended.
    answered: bool,
    asking: AbortHandle,
}

impl<L: Lookup> Names<L> {
    /// Without a name. Outcomes are told through `tell`, to be given back to [`Names::learn`].
    pub(super) fn new(resolver: L, tell: mpsc::Sender<Resolved>) -> Self {
        Self {
            known: BTreeMap::new(),
            resolver: Arc::new(resolver),
            tell,
        }
    }

    /// Asks for these names from now on, and for no others.
    pub(super) fn follow<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) {
        let names: BTreeSet<&String> = names.into_iter().collect();
        self.known.retain(|name, _| names.contains(name));
        for name in names {
            if !self.known.contains_key(name) {
                let asking = self.start(name);
                let known = Known {
                    addresses: Vec::new(),
                    good_at: None,
                    answered: false,
                    asking,
                };
                self.known.insert(name.clone(), known);
            }
        }
    }

    /// Asks for every name anew, by another resolver. What is known of them stays until they are answered.
    pub(super) fn renew(&mut self, resolver: L) {
        self.resolver = Arc::new(resolver);
        let names: Vec<String> = self.known.keys().cloned().collect();
        for name in names {
            let asking = self.start(&name);
            if let Some(known) = self.known.get_mut(&name) {
                std::mem::replace(&mut known.asking, asking).abort();
            }
        }
    }

    fn start(&self, name: &str) -> AbortHandle {
        tokio::spawn(ask(
            Arc::clone(&self.resolver),
            name.to_owned(),
            self.tell.clone(),
        ))
        .abort_handle()
    }

    /// Takes in an outcome. `true` if the addresses of the name changed.
    pub(super) fn learn(&mut self, resolved: Resolved, now: Instant) -> bool {
        let Some(known) = self.known.get_mut(&resolved.name) else {
            return false;
        };
        known.answered = true;
        let addresses = match resolved.outcome {
            Ok(answer) => {
                known.good_at = Some(now);
                settled(answer.addresses)
            }
            Err(error) => {
                let kept = known
                    .good_at
                    .is_some_and(|at| now.saturating_duration_since(at) < DNS_KEPT);
                tracing::warn!(
                    name = resolved.name,
                    error,
                    kept,
                    "an endpoint's name does not resolve"
                );
                if kept {
                    return false;
                }
                Vec::new()
            }
        };
        if known.addresses == addresses {
            return false;
        }
        tracing::info!(
            name = resolved.name,
            ?addresses,
            "an endpoint's addresses changed"
        );
        known.addresses = addresses;
        true
    }

    /// Whether each of `names` has been answered, well or badly.
    pub(super) fn all_answered(&self, names: &BTreeSet<String>) -> bool {
        names
            .iter()
            .all(|name| self.known.get(name).is_some_and(|known| known.answered))
    }

    /// The addresses now, by name.
    pub(super) fn addresses(&self) -> HashMap<String, Vec<IpAddr>> {
        self.known
            .iter()
            .map(|(name, known)| (name.clone(), known.addresses.clone()))
            .collect()
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// Looks one name up for ever, each time when the last answer has grown old.
async fn ask<L: Lookup>(resolver: Arc<L>, name: String, tell: mpsc::Sender<Resolved>) {
    let mut random = fastrand::Rng::new();
    let mut failures = 0;
    loop {
        let outcome = resolver.lookup(&name).await;
        failures = if outcome.is_ok() { 0 } else { failures + 1 };
        let wait = match &outcome {
            Ok(answer) => refresh_in(answer.lifetime, &mut random),
            Err(_) => retry_in(failures, &mut random),
        };
        if tell
            .send(Resolved {
                name: name.clone(),
                outcome,
            })
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

/// Sorted, once each, and not more than [`DNS_ADDRESSES_MAX`]: the order of an answer changes without meaning.
fn settled(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(DNS_ADDRESSES_MAX);
    addresses
}

/// Up to a tenth later than the records say, so that many instances do not ask in step.
fn refresh_in(lifetime: Duration, random: &mut fastrand::Rng) -> Duration {
    lifetime
        .clamp(DNS_REFRESH_MIN, DNS_REFRESH_MAX)
        .mul_f64(1.0 + random.f64() / 10.0)
}

/// Doubling from one second to half a minute, half of it by chance.
fn retry_in(failures: u32, random: &mut fastrand::Rng) -> Duration {
    let longest = DNS_REFRESH_MIN
        .saturating_mul(1 << failures.clamp(1, 8))
        .min(DNS_RETRY_MAX);
    longest.mul_f64(0.5 + random.f64() / 2.0)
}

#[cfg(test)]
mod tests;
