//! Where the events of the control thread come from.
//!
//! Owns the signals, the watch over the files, and the order in which events are taken when several are there: the end
//! of the process first. Refuses to act on them.

use std::{io, time::Instant};

use sluice_config::defaults::operations::WORKERS_CHECK_INTERVAL;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval, sleep_until, timeout_at},
};

use super::{
    Draining, Event,
    debounce::Debounce,
    dns::Resolved,
    file::Watch,
    probe::Answer,
    upgrade::successor::{Attempt, Successor},
};
use crate::status::Ask;

/// All inputs but those of the workers.
pub(super) struct Inputs {
    pub(super) files: Watch,
    debounce: Debounce,
    resolved: mpsc::Receiver<Resolved>,
    checked: mpsc::Receiver<Answer>,
    asks: mpsc::Receiver<Ask>,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    upgrade: Signal,
    tick: Interval,
}

impl Inputs {
    /// Takes over the signals of the process.
    ///
    /// # Errors
    /// What the system said to that.
    pub(super) fn new(
        files: Watch,
        resolved: mpsc::Receiver<Resolved>,
        checked: mpsc::Receiver<Answer>,
        asks: mpsc::Receiver<Ask>,
    ) -> io::Result<Self> {
        let mut tick = interval(WORKERS_CHECK_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            files,
            debounce: Debounce::default(),
            resolved,
            checked,
            asks,
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            upgrade: signal(SignalKind::user_defined2())?,
            tick,
        })
    }

    /// The next event; a tick at `publish_at` at the latest.
    pub(super) async fn next(
        &mut self,
        publish_at: Option<Instant>,
        mut draining: Option<&mut Draining>,
        mut attempt: Option<&mut Attempt>,
    ) -> Event {
        loop {
            tokio::select! {
                biased;
                Some(()) = self.terminate.recv() => return Event::Terminate,
                Some(()) = self.interrupt.recv() => return Event::Terminate,
                well = ended(draining.as_deref_mut()) => return Event::Drained(well),
                upgraded = answered(attempt.as_deref_mut()) => return Event::Upgraded(upgraded),
                Some(()) = self.upgrade.recv() => return Event::Upgrade,
                Some(()) = self.hangup.recv() => return Event::Hangup,
                () = at(self.debounce.due()) => {
                    self.debounce.clear();
                    return Event::FilesChanged;
                }
                () = at(publish_at) => return Event::Tick,
                Some(resolved) = self.resolved.recv() => return Event::Resolved(resolved),
                Some(ask) = self.asks.recv() => return Event::Asked(ask),
                _ = self.tick.tick() => return Event::Tick,
                () = self.files.changed() => self.debounce.changed(Instant::now()),
                // Last: there are many, and none may keep the others from being heard.
                Some(answer) = self.checked.recv() => return Event::Checked(answer),
            }
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// What became of an upgrade. It is not to be asked again after that.
async fn answered(attempt: Option<&mut Attempt>) -> Result<Successor, String> {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

/// Whether the workers ended well; waiting for them has a bound.
async fn ended(draining: Option<&mut Draining>) -> bool {
    match draining {
        Some(Draining {
            ended, give_up_at, ..
        }) => {
            matches!(timeout_at((*give_up_at).into(), ended).await, Ok(Ok(true)))
        }
        None => std::future::pending().await,
    }
}
