//! Descriptors given from one process to the next, with words that say what they are.
//!
//! Owns the pair of connected unix sockets between the two and the passing of one message at a time. Refuses to know
//! what the words mean. A socket that was given is the same socket in both processes, with one queue: it goes on as
//! long as either has it open.

use std::{
    fmt,
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    cmsg_space,
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg,
        socketpair,
    },
    stdio,
};
use socket2::SockRef;

/// Longest words of one message, in bytes: an address, or a page of reasons.
pub const WORDS_BYTES_MAX: usize = 8 * 1024;

/// One end.
pub struct Channel(OwnedFd);

/// What came.
#[derive(Debug)]
pub struct Message {
    /// The words, as they were given to [`Channel::send`].
    pub words: String,
    /// The descriptor that came with them, close-on-exec.
    pub descriptor: Option<OwnedFd>,
}

impl Channel {
    /// Two ends, both close-on-exec and blocking. The one for the new process is to become its standard input.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn pair() -> io::Result<(Self, Self)> {
        // Sequenced packets keep the borders of messages, and tell the end of the peer.
        let (first, second) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(first), Self(second)))
    }

    /// Takes this process's standard input for an end, and leaves the null device in its place. A descriptor in that
    /// place is what a process can be started with without another word about numbers.
    ///
    /// # Errors
    /// When standard input is no such end, or the null device cannot be opened.
    pub fn from_stdin() -> io::Result<Self> {
        let input = stdio::stdin();
        let socket = SockRef::from(&input);
        if socket.domain()? != socket2::Domain::UNIX || socket.r#type()? != socket2::Type::SEQPACKET {
            return Err(io::Error::new(ErrorKind::InvalidInput, "another kind of socket"));
        }
        let channel = Self(input.try_clone_to_owned()?);
        stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(channel)
    }

    /// Bounds every later wait of a blocking end.
    ///
    /// # Errors
    /// When the kernel refuses the bound: zero.
    pub fn set_timeout(&self, longest: Duration) -> io::Result<()> {
        let socket = SockRef::from(&self.0);
        socket.set_read_timeout(Some(longest))?;
        socket.set_write_timeout(Some(longest))
    }

    /// From now on an operation that would have to wait gives [`ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// None that is known.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        SockRef::from(&self.0).set_nonblocking(true)
    }

    /// Sends words, at least one byte and at most [`WORDS_BYTES_MAX`], and perhaps a descriptor, all or nothing.
    ///
    /// # Errors
    /// When there are no words or too many; when the peer is gone; what the kernel says.
    pub fn send(&self, words: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        if words.is_empty() || words.len() > WORDS_BYTES_MAX {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_ref().map(std::slice::from_ref);
        if let Some(descriptors) = descriptors {
            let fits = control.push(SendAncillaryMessage::ScmRights(descriptors));
            debug_assert!(fits, "the space is for one descriptor");
        }
        let bytes = [IoSlice::new(words.as_bytes())];
        sendmsg(&self.0, &bytes, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next message; `None` when the peer is gone.
    ///
    /// # Errors
    /// When what came is no message of [`Self::send`], or the kernel has no descriptor left for it.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let mut words = vec![0; WORDS_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let bytes = &mut [IoSliceMut::new(&mut words)];
        let received = match recvmsg(&self.0, bytes, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => received,
            // Gone, and it had not received all that was sent to it.
            Err(Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        if received
            .flags
            .intersects(ReturnFlags::CTRUNC | ReturnFlags::TRUNC)
        {
            return Err(ErrorKind::InvalidData.into());
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        words.truncate(received.bytes);
        let words = String::from_utf8(words).map_err(|_| ErrorKind::InvalidData)?;
        Ok(Some(Message { words, descriptor }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listening_socket_keeps_its_queue_on_the_way() {
        let (old, new) = Channel::pair().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        old.send("web", Some(listener.as_fd())).unwrap();
        drop(listener);
        old.send("all", None).unwrap();
        drop(old);

        let given = new.receive().unwrap().unwrap();
        assert_eq!(given.words, "web");
        let taken = TcpListener::from(given.descriptor.unwrap());
        let (_, peer): (_, SocketAddr) = taken.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());

        let last = new.receive().unwrap().unwrap();
        assert!(last.words == "all" && last.descriptor.is_none());
        assert!(new.receive().unwrap().is_none(), "the peer is gone");
    }

    #[test]
    fn messages_have_bounds_and_waits_too() {
        let (old, new) = Channel::pair().unwrap();
        assert!(old.send("", None).is_err());
        assert!(old.send(&"x".repeat(WORDS_BYTES_MAX + 1), None).is_err());
        let longest = "x".repeat(WORDS_BYTES_MAX);
        old.send(&longest, None).unwrap();
        assert_eq!(new.receive().unwrap().unwrap().words, longest);
        new.set_timeout(Duration::from_millis(1)).unwrap();
        assert_eq!(new.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(new);
        assert_eq!(old.send("x", None).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_peer_that_ends_without_listening_is_gone() {
        let (old, new) = Channel::pair().unwrap();
        old.send("unheard", None).unwrap();
        drop(new);
        assert!(old.receive().unwrap().is_none());
    }
}
