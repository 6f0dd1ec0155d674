//! Timers on the wheel. Moving one later, or clearing it, is a store: its place in the wheel is left alone, and
//! when that place comes the entry moves on by itself.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::runtime::Inner;
use crate::waiter::Waiter;
use crate::wheel::{Key, Wheel};

/// The wheel, its clock, and who waits for each entry.
pub(crate) struct Timers {
    wheel: Wheel<Pending>,
    epoch: Instant,
}

struct Pending {
    /// The time wanted; `None` when cleared.
    at: Option<Instant>,
    /// The time of its place in the wheel; `None` without one.
    linked: Option<Instant>,
    waiter: Waiter,
}

impl Timers {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            wheel: Wheel::new(),
            epoch,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.wheel.len()
    }

    /// How long the loop may wait; `None` for ever.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let tick = self.wheel.next()?;
        let at = self.epoch.checked_add(Duration::from_millis(tick))?;
        Some(at.saturating_duration_since(now))
    }

    /// Wakes whoever waits for a time up to `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        let tick = now.saturating_duration_since(self.epoch).as_millis() as u64;
        while let Some(key) = self.wheel.expire(tick) {
            let pending = self.wheel.value(key);
            pending.linked = None;
            match pending.at {
                None => {}
                Some(at) if at > now => self.link(key, at),
                Some(_) => pending.waiter.wake(),
            }
        }
    }

    fn set(&mut self, key: Key, at: Instant) {
        let pending = self.wheel.value(key);
        pending.at = Some(at);
        if pending.linked.is_none_or(|linked| at < linked) {
            self.link(key, at);
        }
    }

    fn link(&mut self, key: Key, at: Instant) {
        // Rounded up, so that a timer never fires early.
        let since = at.saturating_duration_since(self.epoch);
        let ticks = u64::from(since.subsec_nanos()).div_ceil(1_000_000);
        self.wheel.value(key).linked = Some(at);
        self.wheel
            .link(key, since.as_secs().saturating_mul(1000).saturating_add(ticks));
    }
}

/// One point in time to wait for, moved as often as wanted. Costs nothing until first set.
pub struct Timer {
    inner: Rc<Inner>,
    key: Option<Key>,
    deadline: Option<Instant>,
    #[cfg(feature = "hosted")]
    alarm: crate::hosted::Alarm,
}

impl Timer {
    pub(crate) fn new(inner: Rc<Inner>) -> Self {
        Self {
            inner,
            key: None,
            deadline: None,
            #[cfg(feature = "hosted")]
            alarm: Default::default(),
        }
    }

    /// Expires at `at`, to the millisecond, never before. Replaces what was set.
    pub fn set(&mut self, at: Instant) {
        self.deadline = Some(at);
        #[cfg(feature = "hosted")]
        if self.inner.host.is_some() {
            return self.alarm.set(at, &self.inner);
        }
        let mut timers = self.inner.timers.borrow_mut();
        let key = *self.key.get_or_insert_with(|| {
            timers.wheel.add(Pending {
                at: None,
                linked: None,
                waiter: Waiter::default(),
            })
        });
        timers.set(key, at);
    }

    /// Never expires, until set again.
    pub fn clear(&mut self) {
        self.deadline = None;
        if let Some(key) = self.key {
            self.inner.timers.borrow_mut().wheel.value(key).at = None;
        }
    }

    /// What is set.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ready once the time set has come, and from then on until it is set anew. Pending while cleared.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline.is_some_and(|at| at <= self.inner.now.get()) {
            return Poll::Ready(());
        }
        #[cfg(feature = "hosted")]
        if self.inner.host.is_some() {
            return self.alarm.poll(self.deadline, &self.inner, cx);
        }
        if let Some(key) = self.key {
            self.inner.timers.borrow_mut().wheel.value(key).waiter.wait(cx);
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        #[cfg(feature = "hosted")]
        self.alarm.end(&self.inner);
        if let Some(key) = self.key {
            let pending = self.inner.timers.borrow_mut().wheel.remove(key);
            drop(pending);
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("deadline", &self.deadline).finish()
    }
}
