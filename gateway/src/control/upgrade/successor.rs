//! The process that is to take this one's place.
//!
//! Owns its start, what it is given and the wait for its answer. Refuses to leave one behind that did not make it: it is
//! killed, also when the attempt is dropped.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    pin::Pin,
    process::ExitStatus,
};

use sluice_config::defaults::operations::{UPGRADE_END_TIMEOUT, UPGRADE_TIMEOUT};
use sluice_io::handoff::Channel;
use tokio::{
    io::Interest,
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

use super::{Answer, Given, INHERIT, Program};

/// A successor that serves.
#[derive(Debug)]
pub(in crate::control) struct Successor {
    /// Its process.
    pub(in crate::control) pid: u32,
    /// The addresses whose sockets go on in it.
    pub(in crate::control) taken: HashSet<SocketAddr>,
}

/// Listening sockets with the addresses they have in the configuration.
pub(in crate::control) type Listening = Vec<(SocketAddr, OwnedFd)>;

/// One under way. Dropping it ends it, and the process it has started.
pub(in crate::control) type Attempt = Pin<Box<dyn Future<Output = Result<Successor, String>>>>;

/// Starts `program` and waits until it serves by what `listening` gives and by the `admin` socket.
///
/// # Errors
/// Why it does not, in words; it has ended then.
pub(in crate::control) async fn start(
    program: Program,
    listening: impl Future<Output = Result<Listening, String>>,
    admin: Option<(SocketAddr, OwnedFd)>,
) -> Result<Successor, String> {
    let listening = listening.await?;
    let (ours, theirs) = Channel::pair().map_err(|error| format!("no channel to a new process: {error}"))?;
    let path = program.path.display();
    let child = Command::new(&program.path)
        .args(&program.arguments)
        .arg(INHERIT)
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .map_err(|error| format!("cannot start {path}: {error}"))?;
    let mut newcomer = Newcomer(Some(child));
    match timeout(UPGRADE_TIMEOUT, hand_over(ours, listening, admin)).await {
        Ok(Ok(taken)) => newcomer.keep(taken),
        Ok(Err(reason)) => Err(match newcomer.ended().await {
            Some(status) => format!("{reason}; it ended with {status}"),
            None => format!("{reason}; it was killed"),
        }),
        Err(_) => Err(format!(
            "{path} was not ready within {UPGRADE_TIMEOUT:?}; it was killed"
        )),
    }
}

/// Gives everything away and waits for the answer.
async fn hand_over(
    channel: Channel,
    listening: Listening,
    admin: Option<(SocketAddr, OwnedFd)>,
) -> Result<HashSet<SocketAddr>, String> {
    let talk = Talk::over(channel).map_err(|error| format!("no channel to a new process: {error}"))?;
    let listening = listening
        .into_iter()
        .map(|(address, socket)| (Given::Listener(address), socket));
    let admin = admin.map(|(address, socket)| (Given::Admin(address), socket));
    for (given, socket) in admin.into_iter().chain(listening) {
        talk.send(given, Some(socket)).await?;
    }
    talk.send(Given::All, None).await?;
    let mut taken = HashSet::new();
    loop {
        match Answer::read(&talk.receive().await?)? {
            Answer::Takes(address) => _ = taken.insert(address),
            Answer::Ready => return Ok(taken),
            Answer::Failed(reason) => return Err(reason),
        }
    }
}

/// The channel, where nobody blocks.
struct Talk {
    channel: Channel,
    /// The same socket once more. Only its readiness is asked for, which does not depend on its type.
    readiness: UnixStream,
}

impl Talk {
    fn over(channel: Channel) -> io::Result<Self> {
        channel.set_nonblocking()?;
        let again = channel.as_fd().try_clone_to_owned()?;
        Ok(Self {
            channel,
            readiness: UnixStream::from_std(again.into())?,
        })
    }

    async fn send(&self, given: Given, socket: Option<OwnedFd>) -> Result<(), String> {
        let words = given.words();
        let socket = socket.as_ref().map(OwnedFd::as_fd);
        let send = || self.channel.send(&words, socket);
        let sent = self.readiness.async_io(Interest::WRITABLE, send).await;
        sent.map_err(|error| format!("the new process does not take the sockets: {error}"))
    }

    async fn receive(&self) -> Result<String, String> {
        let receive = || self.channel.receive();
        match self.readiness.async_io(Interest::READABLE, receive).await {
            Ok(Some(message)) => Ok(message.words),
            Ok(None) => Err("the new process ended without a word".to_owned()),
            Err(error) => Err(format!("the new process cannot be understood: {error}")),
        }
    }
}

/// A process that does not serve yet. Dropped, it is killed; the runtime takes its exit status then.
struct Newcomer(Option<Child>);

impl Newcomer {
    fn keep(&mut self, taken: HashSet<SocketAddr>) -> Result<Successor, String> {
        let pid = self.0.as_ref().and_then(Child::id);
        let pid = pid.ok_or("the new process ended as soon as it was ready")?;
        self.0 = None;
        Ok(Successor { pid, taken })
    }

    /// How it ended, if it does so by itself.
    async fn ended(&mut self) -> Option<ExitStatus> {
        let child = self.0.as_mut()?;
        timeout(UPGRADE_END_TIMEOUT, child.wait()).await.ok()?.ok()
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself, which is as good.
            let _ = child.start_kill();
        }
    }
}
