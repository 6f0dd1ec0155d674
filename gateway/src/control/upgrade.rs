//! A process of a new binary takes over from this one, and no connection notices.
//!
//! Owns both sides of it: the [`successor`] that the running process starts and hands its listening sockets to, and the
//! [`predecessor`] that a process so started hears from; and what they say to each other. Refuses to touch what is
//! served: until the successor has said that it serves, the predecessor goes on as if nothing happened.

pub mod predecessor;
pub(super) mod successor;

use std::{ffi::OsString, net::SocketAddr, os::fd::OwnedFd, path::PathBuf};

use super::{Cause, State, file::Watch, supervisor::Supervisor};
use crate::{metrics::Registry, status::Phase};
use successor::{Attempt, Successor};

/// What to start in the place of this process.
#[derive(Debug, Clone)]
pub struct Program {
    /// Where the binary is, by then another one.
    pub path: PathBuf,
    /// The arguments of this process, without its name and without [`INHERIT`].
    pub arguments: Vec<OsString>,
}

/// What a running process knows of upgrades.
pub(super) struct Upgrade {
    program: Option<Program>,
    supervisor: Option<Supervisor>,
    /// Whether this process has taken the place of another one.
    is_successor: bool,
    admin: Option<(SocketAddr, OwnedFd)>,
    attempt: Option<Attempt>,
    /// What asked for a load of the configuration while the attempt ran.
    put_off: Option<Cause>,
}

impl Upgrade {
    pub(super) const fn new(
        program: Option<Program>,
        supervisor: Option<Supervisor>,
        is_successor: bool,
    ) -> Self {
        Self {
            program,
            supervisor,
            is_successor,
            admin: None,
            attempt: None,
            put_off: None,
        }
    }

    pub(super) fn share_admin(&mut self, bind: SocketAddr, socket: OwnedFd) {
        self.admin = Some((bind, socket));
    }

    /// The one under way.
    pub(super) const fn attempt(&mut self) -> Option<&mut Attempt> {
        self.attempt.as_mut()
    }

    /// Whether a load of the configuration has to wait: the new process got the listeners as they are.
    pub(super) fn puts_off(&mut self, cause: Cause) -> bool {
        let waits = self.attempt.is_some();
        if waits && self.put_off != Some(Cause::Hangup) {
            self.put_off = Some(cause);
        }
        waits
    }

    /// The first configuration of this process is live. The service manager hears of a successor from its predecessor,
    /// whom it knows.
    pub(super) fn went_live(&self, registry: &Registry) {
        if self.is_successor {
            registry.control().upgrades_completed.inc();
        } else if let Some(supervisor) = &self.supervisor {
            supervisor.ready();
        }
    }

    /// Ends the attempt, and the process it has started.
    pub(super) fn give_up(&mut self) {
        if self.attempt.take().is_some() {
            tracing::warn!("the upgrade is given up: this process ends");
        }
    }
}

impl State {
    /// SIGUSR2: starts the new binary.
    pub(super) fn start_upgrade(&mut self) {
        let program = match self.may_upgrade() {
            Ok(program) => program,
            Err(reason) => {
                tracing::error!(reason, "the upgrade is refused");
                self.registry.control().upgrades_refused.inc();
                return;
            }
        };
        let admin = self.upgrade.admin.as_ref();
        let admin = admin.and_then(|(bind, socket)| Some((*bind, socket.try_clone().ok()?)));
        tracing::info!(binary = %program.path.display(), "upgrading");
        // The new process reads the files itself.
        if self.pending.take().is_some() {
            self.upgrade.put_off = Some(Cause::Files);
        }
        let start = successor::start(program, self.fleet.listening(), admin);
        self.upgrade.attempt = Some(Box::pin(start));
    }

    fn may_upgrade(&self) -> Result<Program, &'static str> {
        if rustix::process::getpid().is_init() {
            return Err(
                "this process is the first of its container, which would end with it; roll out a new container instead",
            );
        }
        if self.draining.is_some() {
            return Err("this process ends already");
        }
        if self.upgrade.attempt.is_some() {
            return Err("another upgrade is under way");
        }
        if self.live.is_none() {
            return Err("no configuration is live yet");
        }
        let program = self.upgrade.program.clone();
        program.ok_or("this command has no other binary to start")
    }

    /// The new process serves, and this one ends; or not.
    pub(super) fn end_upgrade(&mut self, upgraded: Result<Successor, String>, files: &mut Watch) {
        self.upgrade.attempt = None;
        match upgraded {
            Ok(successor) => self.make_way(successor),
            Err(reason) => {
                tracing::error!(reason, "the upgrade failed; this process goes on");
                self.registry.control().upgrades_failed.inc();
                if let Some(cause) = self.upgrade.put_off.take() {
                    self.reload(cause, files);
                }
            }
        }
    }

    fn make_way(&mut self, Successor { pid, taken }: Successor) {
        tracing::info!(pid, "upgraded: another process has taken over");
        if let Some(supervisor) = &self.upgrade.supervisor {
            supervisor.main_process_is(pid);
        }
        self.upgrade.admin = None;
        self.status.send_modify(|status| status.phase = Phase::Replaced);
        self.empty(None, taken);
    }
}

/// The argument that tells a process that its standard input is a channel to its predecessor.
pub const INHERIT: &str = "--inherit";

/// The words that come with a descriptor: what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    /// The admin server's listening socket.
    Admin(SocketAddr),
    /// One worker's listening socket; the address is that of the configuration.
    Listener(SocketAddr),
    /// That was all: no descriptor.
    All,
}

impl Given {
    fn words(self) -> String {
        match self {
            Self::Admin(address) => format!("admin {address}"),
            Self::Listener(address) => format!("listener {address}"),
            Self::All => "all".to_owned(),
        }
    }

    /// `None` for words of another version: their descriptor is left with the predecessor.
    fn read(words: &str) -> Option<Self> {
        let (kind, address) = words.split_once(' ').unwrap_or((words, ""));
        match kind {
            "all" => Some(Self::All),
            "admin" => address.parse().ok().map(Self::Admin),
            "listener" => address.parse().ok().map(Self::Listener),
            _ => None,
        }
    }
}

/// What the successor answers.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It uses the sockets of this address.
    Takes(SocketAddr),
    /// It serves, and has said all that it takes.
    Ready,
    /// It ends, because of this.
    Failed(String),
}

impl Answer {
    fn words(&self) -> String {
        match self {
            Self::Takes(address) => format!("takes {address}"),
            Self::Ready => "ready".to_owned(),
            Self::Failed(reason) => {
                let end = reason.floor_char_boundary(REASON_BYTES_MAX);
                format!("failed {}", &reason[..end])
            }
        }
    }

    fn read(words: &str) -> Result<Self, String> {
        let (kind, rest) = words.split_once(' ').unwrap_or((words, ""));
        match kind {
            "takes" => match rest.parse() {
                Ok(address) => Ok(Self::Takes(address)),
                Err(error) => Err(format!("it takes an address that is none: {error}")),
            },
            "ready" => Ok(Self::Ready),
            "failed" => Ok(Self::Failed(rest.to_owned())),
            _ => Err("it answered what this version does not know".to_owned()),
        }
    }
}

/// Of a reason, in bytes: a page of problems; the rest is in the log of the one that has them.
const REASON_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let six: SocketAddr = "[::1]:80".parse().unwrap();
        for given in [
            Given::Admin(address),
            Given::Listener(address),
            Given::Listener(six),
            Given::All,
        ] {
            assert_eq!(Given::read(&given.words()), Some(given));
        }
        for answer in [
            Answer::Takes(six),
            Answer::Ready,
            Answer::Failed("a.yaml:1:1: nonsense\nand more".to_owned()),
        ] {
            assert_eq!(Answer::read(&answer.words()), Ok(answer));
        }
    }

    #[test]
    fn other_versions_are_borne() {
        for words in ["", "datagram 127.0.0.1:80", "listener x", "listener"] {
            assert_eq!(Given::read(words), None, "{words}");
        }
        for words in ["", "perhaps", "takes x"] {
            assert!(Answer::read(words).is_err(), "{words}");
        }
    }

    #[test]
    fn a_long_reason_is_cut() {
        let words = Answer::Failed("ä".repeat(REASON_BYTES_MAX)).words();
        assert!(words.len() <= REASON_BYTES_MAX + 7);
    }
}
