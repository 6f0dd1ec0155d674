//! Health checks of endpoints.
//!
//! Owns who is asked and when, and what is held of each. What stays the same over a reload keeps it; what is asked no more
//! is forgotten. Refuses to publish: it says what changed, and the control loop does the rest.

mod check;
mod http2;

use std::{collections::HashMap, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use sluice_config::{
    defaults::operations::HEALTH_CHECKS_AT_ONCE_MAX,
    model::{Health, ProxyProtocol, ServiceProtocol},
};
use sluice_routing::health::Checked;
use sluice_tls::ClientContext;
use tokio::{
    sync::{Semaphore, mpsc},
    task::AbortHandle,
    time::sleep_until,
};

use crate::snapshot::{Endpoint, Service};
pub(super) use check::{Fault, Network};

/// The outcome of one check.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) service: String,
    pub(super) address: SocketAddr,
    pub(super) outcome: Result<(), Fault>,
    /// Which asking it is an answer to.
    asking: u64,
}

/// What an answer makes of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// It is no longer asked, or asked something else.
    Nothing,
    /// What was held of it holds.
    Unchanged,
    /// It is up again, or down from now on.
    Changed {
        /// Which.
        up: bool,
    },
}

/// One question to one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The endpoint's; what is asked may have another port.
    address: SocketAddr,
    health: Arc<Health>,
    protocol: ServiceProtocol,
    /// The header it begins with, which tells that nobody else asks.
    header: Option<ProxyProtocol>,
    secure: Option<Secured>,
}

impl Question {
    /// Whether both ask the same in the same way.
    fn is(&self, other: &Self) -> bool {
        self.health == other.health
            && self.protocol == other.protocol
            && self.header == other.header
            && Secured::is(self.secure.as_ref(), other.secure.as_ref())
    }
}

/// How an endpoint is asked over TLS: as requests go to it.
#[derive(Debug, Clone)]
struct Secured {
    context: Arc<ClientContext>,
    host: Arc<str>,
}

impl Secured {
    fn of(service: &Service, endpoint: &Endpoint) -> Option<Self> {
        Some(Self {
            context: service.tls.clone()?,
            host: endpoint.host.clone()?,
        })
    }

    /// Whether both ask in the same way; a changed certificate makes another context.
    fn is(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(&one.context, &other.context) && one.host == other.host,
            _ => false,
        }
    }
}

/// Asks an endpoint.
pub(super) trait Ask: Send + Sync + 'static {
    /// Asks, within the time the question allows.
    fn ask(&self, question: &Question) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// The endpoints that are checked, by service and address, and what is held of them.
pub(super) struct Probes<A> {
    watched: HashMap<String, HashMap<SocketAddr, Watched>>,
    asker: Arc<A>,
    /// Checks at once.
    turns: Arc<Semaphore>,
    tell: mpsc::Sender<Answer>,
    askings: u64,
}

struct Watched {
    checked: Checked,
    question: Question,
    asking: u64,
    task: AbortHandle,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<A: Ask> Probes<A> {
    /// Of no endpoint. Answers are told through `tell`, to be given back to [`Probes::learn`].
    pub(super) fn new(asker: A, tell: mpsc::Sender<Answer>) -> Self {
        Self {
            watched: HashMap::new(),
            asker: Arc::new(asker),
            turns: Arc::new(Semaphore::new(HEALTH_CHECKS_AT_ONCE_MAX)),
            tell,
            askings: 0,
        }
    }

    /// Asks the endpoints of these services from now on, and no others.
    pub(super) fn follow(&mut self, services: &[Service]) {
        let mut before = std::mem::take(&mut self.watched);
        for service in services {
            let Some(health) = &service.settings.health else {
                continue;
            };
            let (name, health) = (service.settings.name.as_str(), Arc::new(health.clone()));
            let mut known = before.remove(name).unwrap_or_default();
            let watched = service.endpoints.iter().map(|endpoint| {
                let known = known.remove(&endpoint.address);
                let question = Question {
                    address: endpoint.address,
                    health: Arc::clone(&health),
                    protocol: service.settings.protocol,
                    header: service.settings.proxy_protocol,
                    secure: Secured::of(service, endpoint),
                };
                (endpoint.address, self.watch(name, question, known))
            });
            let watched = watched.collect();
            self.watched.insert(name.to_owned(), watched);
        }
    }

    fn watch(&mut self, service: &str, question: Question, known: Option<Watched>) -> Watched {
        let address = question.address;
        let mut checked = Checked::default();
        if let Some(known) = known {
            if known.question.is(&question) {
                return known;
            }
            checked = known.checked;
            let (before, now) = (&known.question.health, &question.health);
            if before.check != now.check || before.port != now.port {
                checked.unsettle();
            }
        }
        self.askings += 1;
        let (service, asking) = (service.to_owned(), self.askings);
        let answer = move |outcome| Answer {
            service: service.clone(),
            address,
            outcome,
            asking,
        };
        let (asker, turns) = (Arc::clone(&self.asker), Arc::clone(&self.turns));
        let asked = ask(asker, turns, question.clone(), answer, self.tell.clone());
        Watched {
            checked,
            question,
            asking,
            task: tokio::spawn(asked).abort_handle(),
        }
    }

    /// Takes in an answer.
    pub(super) fn learn(&mut self, answer: &Answer) -> Learned {
        let service = self.watched.get_mut(&answer.service);
        let watched = service
            .and_then(|service| service.get_mut(&answer.address))
            .filter(|watched| watched.asking == answer.asking);
        let Some(watched) = watched else {
            return Learned::Nothing;
        };
        if !watched
            .checked
            .on_answer(answer.outcome.is_ok(), &watched.question.health)
        {
            return Learned::Unchanged;
        }
        Learned::Changed {
            up: watched.checked.is_up(),
        }
    }

    /// Whether this endpoint may be picked, which one that is not checked always may.
    pub(super) fn is_up(&self, service: &str, address: SocketAddr) -> bool {
        let service = self.watched.get(service);
        let watched = service.and_then(|service| service.get(&address));
        watched.is_none_or(|watched| watched.checked.is_up())
    }
}

/// Asks one endpoint for ever.
async fn ask<A: Ask>(
    asker: Arc<A>,
    turns: Arc<Semaphore>,
    question: Question,
    answer: impl Fn(Result<(), Fault>) -> Answer,
    tell: mpsc::Sender<Answer>,
) {
    let mut random = fastrand::Rng::new();
    while let Ok(turn) = turns.acquire().await {
        let next = tokio::time::Instant::now() + pause(question.health.interval.duration(), &mut random);
        let outcome = asker.ask(&question).await;
        drop(turn);
        if tell.send(answer(outcome)).await.is_err() {
            return;
        }
        sleep_until(next).await;
    }
}

/// Up to a tenth more or less than the interval, so that many endpoints are not asked in step.
fn pause(interval: Duration, random: &mut fastrand::Rng) -> Duration {
    interval.mul_f64(0.9 + random.f64() / 5.0)
}

#[cfg(test)]
mod tests;
