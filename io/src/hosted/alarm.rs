//! A timer kept by the host: its sleep is made once, and moved only when it must.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::base::Sleep;
use crate::runtime::Inner;
use crate::waiter::Waiter;

/// The farthest a sleep is set; later times are reached by several. Wheels of the runtimes end at two years.
const FARTHEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The part of a [`crate::Timer`] that waits. Costs nothing until first set.
#[derive(Default)]
pub(crate) struct Alarm {
    sleep: Option<(Sleep, Instant)>,
    waiter: Waiter,
    is_counted: bool,
}

impl Alarm {
    /// Takes note of a time set.
    pub(crate) fn set(&mut self, at: Instant, inner: &Inner) {
        if let Some(host) = &inner.host
            && !std::mem::replace(&mut self.is_counted, true)
        {
            host.timers().set(host.timers().get() + 1);
        }
        // Later than the sleep is a store; for an earlier time whoever waits asks again, and moves the sleep.
        if self.sleep.as_ref().is_none_or(|(_, until)| at < *until) {
            self.waiter.wake();
        }
    }

    /// Waits for `deadline`, for ever without one.
    pub(crate) fn poll(
        &mut self,
        deadline: Option<Instant>,
        inner: &Inner,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.waiter.wait(cx);
        let (Some(deadline), Some(host)) = (deadline, &inner.host) else {
            return Poll::Pending;
        };
        let kind = host.kind();
        loop {
            let next = deadline.min(inner.now.get() + FARTHEST);
            let (sleep, until) = match &mut self.sleep {
                Some(sleep) => sleep,
                none => none.insert((Sleep::new(kind, next), next)),
            };
            if *until > deadline {
                sleep.reset(next);
                *until = next;
            }
            ready!(sleep.poll(cx));
            if *until >= deadline {
                // Made and over within one poll, the sleep is ahead of the time this poll began with.
                inner.now.set(inner.now.get().max(deadline));
                return Poll::Ready(());
            }
            sleep.reset(next);
            *until = next;
        }
    }

    /// Forgets what was counted.
    pub(crate) fn end(&mut self, inner: &Inner) {
        if let Some(host) = &inner.host
            && std::mem::take(&mut self.is_counted)
        {
            host.timers().set(host.timers().get() - 1);
        }
    }
}
