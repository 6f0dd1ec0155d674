//! The process that started this one to take its place.
//!
//! Owns the channel to it and the sockets it gives. Refuses to believe it for ever: every wait is bounded.

use std::{cell::RefCell, collections::HashMap, io, net::SocketAddr, os::fd::OwnedFd};

use sluice_config::defaults::operations::{HANDOFF_SOCKETS_MAX, HANDOFF_TIMEOUT};
use sluice_io::handoff::Channel;

use super::{Answer, Given};

/// Listening sockets by the address they have in the configuration, one for each worker that was.
pub type Inherited = HashMap<SocketAddr, Vec<OwnedFd>>;

/// It, waiting for the word.
#[derive(Debug)]
pub struct Predecessor {
    /// Until it is answered.
    channel: RefCell<Option<Channel>>,
    given: Vec<SocketAddr>,
}

/// All that it gives.
#[derive(Debug)]
pub struct Inheritance {
    /// Whom to answer.
    pub predecessor: Predecessor,
    /// The sockets of its listeners.
    pub listeners: Inherited,
    /// The admin server's, and where it is.
    pub admin: Option<(SocketAddr, OwnedFd)>,
}

impl Inheritance {
    /// Receives everything over standard input.
    ///
    /// # Errors
    /// When standard input is no channel, or what comes over it is not all, or too late.
    pub fn receive() -> io::Result<Self> {
        Self::receive_over(Channel::from_stdin()?)
    }

    fn receive_over(channel: Channel) -> io::Result<Self> {
        channel.set_timeout(HANDOFF_TIMEOUT)?;
        let (mut listeners, mut admin) = (Inherited::new(), None);
        for _ in 0..HANDOFF_SOCKETS_MAX {
            let message = channel.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match (Given::read(&message.words), message.descriptor) {
                (Some(Given::All), _) => {
                    let predecessor = Predecessor {
                        channel: RefCell::new(Some(channel)),
                        given: listeners.keys().copied().collect(),
                    };
                    return Ok(Self {
                        predecessor,
                        listeners,
                        admin,
                    });
                }
                (Some(Given::Admin(address)), Some(socket)) => admin = Some((address, socket)),
                (Some(Given::Listener(address)), Some(socket)) => {
                    listeners.entry(address).or_default().push(socket);
                }
                (Some(_), None) | (None, _) => {}
            }
        }
        Err(io::Error::other("more sockets than can be"))
    }
}

impl Predecessor {
    /// Tells it that this process serves; `listening` are the addresses of its listeners. It ends then.
    pub fn ready(&self, listening: impl Iterator<Item = SocketAddr>) {
        let taken = listening.filter(|address| self.given.contains(address));
        self.answer(taken.map(Answer::Takes).chain([Answer::Ready]));
    }

    /// Tells it, unless it was told otherwise, that this process ends and why. It goes on then.
    pub fn failed(&self, reason: &str) {
        self.answer([Answer::Failed(reason.to_owned())]);
    }

    fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        let Some(channel) = self.channel.take() else {
            return;
        };
        let mut answers = answers.into_iter();
        // Whoever started this process may have been killed since; what is served is served.
        if let Err(error) = answers.try_for_each(|answer| channel.send(&answer.words(), None)) {
            tracing::warn!(%error, "the process that started this one cannot be told how it went");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn sockets_come_by_their_addresses_and_the_answer_names_those_taken() {
        let (old, new) = Channel::pair().unwrap();
        let socket = sluice_io::reserve(address(0)).unwrap();
        for words in [
            "admin 127.0.0.1:9",
            "listener 127.0.0.1:1",
            "listener 127.0.0.1:2",
            "listener 127.0.0.1:1",
            "else",
        ] {
            old.send(words, Some(socket.as_fd())).unwrap();
        }
        old.send("all", None).unwrap();
        let inheritance = Inheritance::receive_over(new).unwrap();
        assert_eq!(inheritance.admin.unwrap().0, address(9));
        assert_eq!(inheritance.listeners[&address(1)].len(), 2);
        assert_eq!(inheritance.listeners[&address(2)].len(), 1);

        inheritance
            .predecessor
            .ready([address(3), address(1)].into_iter());
        inheritance.predecessor.failed("too late");
        drop(inheritance.predecessor);
        assert_eq!(old.receive().unwrap().unwrap().words, "takes 127.0.0.1:1");
        assert_eq!(old.receive().unwrap().unwrap().words, "ready");
        assert!(old.receive().unwrap().is_none(), "one answer");
    }

    #[test]
    fn a_predecessor_that_ends_early_leaves_nothing() {
        let (old, new) = Channel::pair().unwrap();
        old.send("listener 127.0.0.1:1", None).unwrap();
        drop(old);
        let error = Inheritance::receive_over(new).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
