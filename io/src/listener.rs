//! Listening sockets: bound by the control thread, accepted from by a worker.
//!
//! Connections stay in the kernel's queue until a task takes them, so nothing is accepted that nobody serves.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::engine::Key;
use crate::options::SocketOptions;
use crate::runtime::Inner;
use crate::stream::{self, TcpStream};
use crate::sys;

/// The most connections one listener gives in one turn while others wait.
const TURN_ACCEPTS: u32 = 64;

/// A bound and listening TCP socket at `address`: [`reserve`] and [`listen`] in one.
///
/// # Errors
/// What the kernel says: address in use, not available, not permitted.
pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<OwnedFd> {
    let socket = reserve(address)?;
    listen(&socket, backlog)?;
    Ok(socket)
}

/// A TCP socket bound to `address`, which no connection reaches before [`listen`]: `SO_REUSEADDR` and `SO_REUSEPORT`,
/// so that each worker and each generation of the process has its own; non-blocking, close-on-exec. An IPv6 address
/// takes IPv6 alone.
///
/// # Errors
/// What the kernel says: address in use, not available, not permitted.
pub fn reserve(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = unbound(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Makes sure that no socket listens at `address` yet, of whichever process: [`reserve`] would share the address with it,
/// and the kernel would give each a part of the connections.
///
/// # Errors
/// What the kernel says: address in use, not available, not permitted.
pub fn claim(address: SocketAddr) -> io::Result<()> {
    let socket = unbound(address)?;
    socket.bind(&SockAddr::from(address))
}

fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        None,
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of earlier sockets that are still closing do not count.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// Opens a bound socket to connections, or gives one that listens another `backlog`: the length of its queue, which the
/// kernel cuts to `net.core.somaxconn`.
///
/// # Errors
/// What the kernel says: address in use.
pub fn listen(socket: &OwnedFd, backlog: u32) -> io::Result<()> {
    SockRef::from(socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// A listening socket of one worker. Dropping it closes it; connections nobody accepted are then reset by the
/// kernel, so empty its queue with [`Self::try_accept`] first.
pub struct TcpListener {
    inner: Rc<Inner>,
    key: Key,
    options: SocketOptions,
    local: SocketAddr,
    turn: u32,
    turn_accepts: u32,
}

/// Classic BPF over the TCP header: lets all pass but what asks for a new connection, SYN without ACK (RFC 9293 3.1).
const NO_REQUESTS: [socket2::SockFilter; 5] = [
    socket2::SockFilter::new((libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16, 0, 0, 13),
    socket2::SockFilter::new((libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16, 0, 0, 0x12),
    socket2::SockFilter::new((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, 0x02),
    socket2::SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0),
    socket2::SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, u32::MAX),
];

impl TcpListener {
    pub(crate) fn new(inner: Rc<Inner>, socket: OwnedFd, options: &SocketOptions) -> io::Result<Self> {
        let reference = SockRef::from(&socket);
        reference.set_nonblocking(true)?;
        stream::configure(&reference, options)?;
        let local = reference
            .local_addr()?
            .as_socket()
            .ok_or(ErrorKind::InvalidInput)?;
        let key = inner.engine.borrow_mut().listen(socket)?;
        Ok(Self {
            inner,
            key,
            options: options.clone(),
            local,
            turn: 0,
            turn_accepts: 0,
        })
    }

    /// Takes the next connection. Dropping the future loses none.
    ///
    /// # Errors
    /// Out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`): the connection stays in the
    /// queue, so the caller waits a while before it calls again. Errors of a single connection are passed over.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`Self::accept`].
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let turn = self.inner.turn.get();
        if self.turn != turn {
            (self.turn, self.turn_accepts) = (turn, 0);
        }
        if self.turn_accepts >= TURN_ACCEPTS {
            self.inner.defer(cx);
            return Poll::Pending;
        }
        loop {
            if self
                .inner
                .engine
                .borrow_mut()
                .poll_acceptable(self.key, cx)
                .is_pending()
            {
                return Poll::Pending;
            }
            if let Some(accepted) = self.try_accept().transpose() {
                self.turn_accepts += 1;
                return Poll::Ready(accepted);
            }
        }
    }

    /// From now on the kernel drops requests for new connections, so that the queue can be emptied before the socket
    /// closes: only those who began before, and whose handshake is still on its way, join it. A client that asks
    /// meanwhile asks again after a second (RFC 6298 2), and then reaches another socket of the port or is refused.
    ///
    /// # Errors
    /// When the kernel has no socket filters; then a connection made in the last moment may be reset.
    pub fn refuse_new(&self) -> io::Result<()> {
        let engine = self.inner.engine.borrow();
        SockRef::from(&engine.fd(self.key)).attach_filter(&NO_REQUESTS)
    }

    /// Takes a connection that is already in the kernel's queue, if there is one.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn try_accept(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let mut engine = self.inner.engine.borrow_mut();
        let (socket, peer) = loop {
            match sys::accept(engine.fd(self.key)) {
                Ok(accepted) => break accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    engine.accepted_all(self.key);
                    return Ok(None);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        };
        let key = engine.attach(socket, self.options.receive_limit, true)?;
        drop(engine);
        Ok(Some((TcpStream::new(Rc::clone(&self.inner), key, peer), peer)))
    }

    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }
}

/// Whether only the connection at the head of the queue failed: accept(2) passes its pending network errors on.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
        )
    )
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.inner.engine.borrow_mut().close(self.key);
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{DriverChoice, Options, Runtime};

    #[test]
    fn accepted_and_connected_sockets_have_their_options() {
        let options = SocketOptions {
            keepalive: Some(Duration::from_millis(1_500)),
            ..SocketOptions::default()
        };
        for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
            let runtime = Runtime::new(&Options {
                driver,
                ..Options::default()
            })
            .unwrap();
            let io = runtime.io();
            let ends = runtime.block_on(async {
                let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap();
                let mut listener = io.listen(socket, &options).unwrap();
                let client = io.connect(listener.local_address(), &options).await.unwrap();
                [listener.accept().await.unwrap().0, client]
            });
            for end in &ends {
                let engine = runtime.engine();
                let fd = engine.fd(end.key());
                let socket = SockRef::from(&fd);
                assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
                assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(1));
                assert!(socket.nonblocking().unwrap());
            }
        }
    }

    #[test]
    fn several_sockets_listen_at_one_address() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap();
        let address = SockRef::from(&first).local_addr().unwrap().as_socket().unwrap();
        let second = bind(address, 1).unwrap();
        assert_eq!(
            SockRef::from(&second).local_addr().unwrap().as_socket(),
            Some(address)
        );
        assert!(bind(SocketAddr::from(([192, 0, 2, 1], 0)), 1).is_err());
    }

    #[test]
    fn an_address_that_is_listened_at_cannot_be_claimed() {
        let socket = reserve(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listen(&socket, 1).unwrap();
        let address = SockRef::from(&socket).local_addr().unwrap().as_socket().unwrap();
        assert_eq!(claim(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(socket);
        claim(address).unwrap();
    }

    #[test]
    fn a_reserved_address_takes_no_connection_before_it_listens() {
        let socket = reserve(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = SockRef::from(&socket).local_addr().unwrap().as_socket().unwrap();
        assert!(std::net::TcpStream::connect(address).is_err());
        listen(&socket, 1).unwrap();
        listen(&socket, 2).unwrap();
        assert!(std::net::TcpStream::connect(address).is_ok());
    }

    #[test]
    fn the_addresses_of_ipv6_are_its_own() {
        let socket = bind(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0)), 1).unwrap();
        assert!(SockRef::from(&socket).only_v6().unwrap());
    }
}
