//! The identity of this process: a certificate that the authority of its mesh gives it, and renews.
//!
//! Owns when the authority is asked, and for how long it may be away. Refuses to make a certificate live: what was got lies
//! in a folder whose files are watched like any other, so that a renewal is a changed file and nothing else.

mod client;
mod store;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_config::{
    Model,
    defaults::operations::{
        IDENTITY_LOOK_INTERVAL, IDENTITY_RETRY_MAX, IDENTITY_RETRY_MIN, IDENTITY_START_PATIENCE,
    },
    model::{ClientAuth, Enrollment},
};
use tokio::{sync::Notify, task::AbortHandle, time::sleep};

use super::material::now;
use crate::metrics::Registry;
use client::{Fault, fetch};
use store::stored;

/// The identities that are kept good: that of what runs, and that of what is to run once its identity is there.
pub(super) struct Enrollments {
    kept: Vec<Kept>,
    registry: Arc<Registry>,
    /// Told of each renewal, for the watch over the files may be denied.
    changed: Arc<Notify>,
}

struct Kept {
    enrollment: Enrollment,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Enrollments {
    /// Of nobody yet.
    pub(super) fn new(registry: Arc<Registry>, changed: Arc<Notify>) -> Self {
        Self {
            kept: Vec::new(),
            registry,
            changed,
        }
    }

    /// Keeps these good from now on, and no others.
    pub(super) fn follow<'e>(&mut self, wanted: impl IntoIterator<Item = &'e Enrollment>) {
        let mut before = std::mem::take(&mut self.kept);
        for enrollment in wanted {
            // One folder has one who writes to it.
            if self
                .kept
                .iter()
                .any(|kept| kept.enrollment.folder == enrollment.folder)
            {
                continue;
            }
            let known = before.iter().position(|kept| kept.enrollment == *enrollment);
            let kept = known.map_or_else(|| self.start(enrollment), |index| before.swap_remove(index));
            self.kept.push(kept);
        }
    }

    fn start(&self, enrollment: &Enrollment) -> Kept {
        let task = renew(
            enrollment.clone(),
            Arc::clone(&self.registry),
            Arc::clone(&self.changed),
        );
        Kept {
            enrollment: enrollment.clone(),
            task: tokio::spawn(task).abort_handle(),
        }
    }
}

/// Waits for a first certificate where none is stored that holds.
///
/// # Errors
/// In words: what the authority said, or that it was away for longer than a start may wait.
pub(super) async fn first(enrollment: &Enrollment) -> Result<(), String> {
    let Err(reason) = stored(enrollment, now()) else {
        return Ok(());
    };
    let authority = &enrollment.authority;
    tracing::info!(%authority, reason, "the identity has no certificate yet");
    let give_up_at = Instant::now() + IDENTITY_START_PATIENCE;
    let mut pauses = Pauses::new();
    loop {
        match fetch(enrollment).await {
            Ok(got) => {
                tracing::info!(spiffe = got.spiffe, until = got.until, %authority, "the identity has a certificate");
                return Ok(());
            }
            Err(Fault::Away(reason)) if Instant::now() < give_up_at => {
                tracing::warn!(%authority, reason, "the authority does not answer yet");
                sleep(pauses.next()).await;
            }
            Err(fault) => {
                return Err(format!(
                    "{}: identity: there is no certificate to serve with: {fault}",
                    enrollment.place
                ));
            }
        }
    }
}

/// What cannot be told of a configuration whose identity has no certificate that holds, and what is left of it without
/// all that shows or believes that; `None` where there is one.
pub(crate) fn unfetched(model: &Model) -> Option<(String, Model)> {
    let enrollment = model.identity.as_ref()?;
    let reason = stored(enrollment, now()).err()?;
    let warning = format!(
        "{}: identity: {reason}: the first start asks {} for one; until then nothing can be told of what shows it or \
         believes its root",
        enrollment.place, enrollment.authority
    );
    let (own, roots) = (enrollment.certificate(), enrollment.roots());
    let mut model = model.clone();
    for listener in &mut model.listeners {
        let Some(tls) = &mut listener.tls else { continue };
        tls.certificates.retain(|pair| *pair != own);
        if tls.client_auth.ca.contains(&roots) {
            tls.client_auth = ClientAuth::default();
        }
    }
    for service in &mut model.services {
        let uses = |tls: &sluice_config::model::ServiceTls| {
            tls.identity.as_ref() == Some(&own) || tls.ca.contains(&roots)
        };
        service.tls = service.tls.take().filter(|tls| !uses(tls));
    }
    model.identity = None;
    Some((warning, model))
}

/// Renews in time, for ever.
async fn renew(enrollment: Enrollment, registry: Arc<Registry>, changed: Arc<Notify>) {
    let (authority, metrics) = (enrollment.authority.clone(), registry.control());
    let mut rng = fastrand::Rng::new();
    loop {
        let jitter = rng.f64();
        while let Some(left) = left(&enrollment, jitter) {
            sleep(left.min(IDENTITY_LOOK_INTERVAL)).await;
        }
        let mut pauses = Pauses::new();
        loop {
            match fetch(&enrollment).await {
                Ok(got) => {
                    metrics.identity_renewed.inc();
                    tracing::info!(spiffe = got.spiffe, until = got.until, %authority, "the identity has a new certificate");
                    break;
                }
                Err(fault) => {
                    metrics.identity_failed.inc();
                    tracing::warn!(%authority, reason = %fault, "no new certificate; the one before stays in use");
                    sleep(pauses.next()).await;
                }
            }
        }
        changed.notify_one();
        // Whatever the clocks of both hosts say, an authority is not asked without a pause.
        sleep(IDENTITY_RETRY_MIN).await;
    }
}

/// How long until the stored certificate is to be renewed; `None` when it is time, or none is stored.
fn left(enrollment: &Enrollment, jitter: f64) -> Option<Duration> {
    let now = now();
    let stored = stored(enrollment, now).ok()?;
    let due = due(stored.identity.not_before(), stored.identity.not_after(), jitter);
    let left = u64::try_from(due - now).unwrap_or_default();
    (left > 0).then(|| Duration::from_secs(left))
}

/// When a certificate is to be renewed, in seconds since 1970: at two thirds of its life, or up to a tenth of that sooner,
/// so that those who started together do not come back together. `jitter` is from 0 to 1.
fn due(not_before: i64, not_after: i64, jitter: f64) -> i64 {
    let life = Duration::from_secs(u64::try_from(not_after - not_before).unwrap_or_default());
    let waited = life.mul_f64(2.0 / 3.0 * (1.0 - jitter / 10.0));
    not_before + i64::try_from(waited.as_secs()).unwrap_or(i64::MAX)
}

/// Waits that double, each by up to a quarter shorter than it could be.
struct Pauses {
    next: Duration,
    rng: fastrand::Rng,
}

impl Pauses {
    fn new() -> Self {
        Self {
            next: IDENTITY_RETRY_MIN,
            rng: fastrand::Rng::new(),
        }
    }

    fn next(&mut self) -> Duration {
        let pause = self.next.mul_f64(1.0 - self.rng.f64() / 4.0);
        self.next = (self.next * 2).min(IDENTITY_RETRY_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life_or_a_little_sooner() {
        assert_eq!(due(1000, 1000 + 86_400, 0.0), 1000 + 57_600);
        assert_eq!(due(1000, 1000 + 86_400, 1.0), 1000 + 51_840);
        assert_eq!(due(1000, 1000, 0.5), 1000);
        assert_eq!(due(1000, 900, 0.5), 1000, "its ends are the wrong way round");
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut pauses = Pauses::new();
        let all: Vec<Duration> = (0..20).map(|_| pauses.next()).collect();
        assert!(all[0] <= IDENTITY_RETRY_MIN && all[0] >= IDENTITY_RETRY_MIN * 3 / 4);
        assert!(all[19] <= IDENTITY_RETRY_MAX && all[19] >= IDENTITY_RETRY_MAX * 3 / 4);
    }
}
