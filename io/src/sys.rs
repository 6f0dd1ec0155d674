//! The few system calls that neither the standard library nor `socket2` offers, each behind a safe face.
//!
//! Keeps no state and makes no decision.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use socket2::{SockAddr, SockRef};

/// Names the calling thread: no two threads alive at the same time have the same value.
pub(crate) fn thread_token() -> usize {
    // SAFETY: pthread_self has no preconditions.
    let token = unsafe { libc::pthread_self() };
    token as usize
}

/// Returns memory that this thread has freed, and what lies free in the process, to the kernel.
pub(crate) fn return_free_memory() {
    // SAFETY: mi_collect has no preconditions; it touches only what belongs to no live allocation.
    unsafe { libmimalloc_sys::mi_collect(false) }
}

/// Takes `length` bytes of this program's code, from `start`, out of memory; they are read from its file again when they
/// are needed.
pub(crate) fn unmap_clean(start: usize, length: usize) {
    // SAFETY: the range is a private, read-only mapping of the program's file, as /proc/self/maps tells, so no page of it
    // differs from the file, and what is touched again is the same. An error changes nothing.
    unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
}

/// A non-blocking eventfd.
pub(crate) fn event() -> io::Result<File> {
    // SAFETY: eventfd takes no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
    // SAFETY: the descriptor was made just above and nothing else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Makes an eventfd readable.
pub(crate) fn signal(mut event: &File) {
    // The only possible error is a counter at its maximum, and then it is readable already.
    let _ = event.write(&1_u64.to_ne_bytes());
}

/// Makes an eventfd unreadable again.
pub(crate) fn unsignal(mut event: &File) {
    // An error says that it was not readable, which is what is wanted.
    let _ = event.read(&mut [0; 8]);
}

/// Receives at most `limit` bytes into the spare capacity of an empty `buffer`. 0 is the peer's FIN.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
    debug_assert!(buffer.is_empty());
    let room = buffer.spare_capacity_mut();
    let room_bytes = room.len().min(limit);
    let count = SockRef::from(&fd).recv(&mut room[..room_bytes])?;
    filled(buffer, count);
    Ok(count)
}

/// Whether a receive would not have to wait. Takes nothing.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    let peeked = SockRef::from(&fd).recv_with_flags(&mut [MaybeUninit::uninit()], flags);
    !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Says that the kernel wrote the first `count` bytes of an empty `buffer`.
///
/// # Panics
/// When `count` is beyond the capacity.
pub(crate) fn filled(buffer: &mut Vec<u8>, count: usize) {
    assert!(
        buffer.is_empty() && count <= buffer.capacity(),
        "the kernel filled more than it was given"
    );
    // SAFETY: count is within the capacity, and every caller passes what the kernel says it wrote at the
    // start of this very buffer, so those bytes are initialised.
    unsafe { buffer.set_len(count) };
}

/// Takes one connection from a listening socket's queue: non-blocking, close-on-exec.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let accept_one = |storage: *mut socket2::SockAddrStorage, length: *mut libc::socklen_t| {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: storage points to a writable sockaddr_storage and length to its size; both outlive the call.
        let fd = check(unsafe { libc::accept4(listener.as_raw_fd(), storage.cast(), length, flags) })?;
        // SAFETY: accept4 gave a new descriptor that nothing else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    // SAFETY: the closure returns Ok only after accept4 has written the address and its length.
    let (fd, address) = unsafe { SockAddr::try_init(accept_one) }?;
    let address = address
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
    Ok((fd, address))
}

/// Ends a connection at once, with RST: what is pending on it completes.
#[cfg(feature = "hosted")]
pub(crate) fn disconnect(fd: BorrowedFd<'_>) -> io::Result<()> {
    let nobody = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the address outlives the call, which only reads it.
    check(unsafe { libc::connect(fd.as_raw_fd(), &raw const nobody, length) })?;
    Ok(())
}

/// A new epoll instance.
pub(crate) fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: epoll_create1 takes no pointers.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the descriptor was made just above and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Watches `fd` for `events`, edge-triggered; they arrive with `token`.
pub(crate) fn epoll_add(epoll: &OwnedFd, fd: BorrowedFd<'_>, events: i32, token: u64) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: (events | libc::EPOLLET) as u32,
        u64: token,
    };
    let operation = libc::EPOLL_CTL_ADD;
    // SAFETY: both descriptors are open, and the event outlives the call, which copies it.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) })?;
    Ok(())
}

/// Stops watching `fd`; needed where another process may hold the same socket.
pub(crate) fn epoll_remove(epoll: &OwnedFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    let operation = libc::EPOLL_CTL_DEL;
    // SAFETY: both descriptors are open; EPOLL_CTL_DEL ignores the event.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), std::ptr::null_mut()) })?;
    Ok(())
}

/// Waits for events, at most `wait` (for ever without one, rounded up to milliseconds); gives how many of
/// `events` were written.
pub(crate) fn epoll_wait(
    epoll: &OwnedFd,
    events: &mut [libc::epoll_event],
    wait: Option<Duration>,
) -> io::Result<usize> {
    let timeout_ms = match wait {
        None => -1,
        Some(wait) => wait.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32,
    };
    let length = events.len() as i32;
    // SAFETY: the pointer and length are those of one writable slice.
    let count =
        check(unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), length, timeout_ms) })?;
    Ok(count as usize)
}

/// A new pipe, non-blocking: where bytes come out, and where they go in.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors that pipe2 writes.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
    // SAFETY: both descriptors were made just above and nothing else owns them.
    let [output, input] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    Ok((output, input))
}

/// Gives a pipe room for `bytes`, where the kernel lets it: what unprivileged users' pipes hold together is bounded.
pub(crate) fn widen(pipe: BorrowedFd<'_>, bytes: std::ffi::c_int) {
    // SAFETY: the descriptor is open, and this command takes an integer.
    let _ = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
}

/// What came of moving bytes inside the kernel.
pub(crate) enum Splice {
    /// So many. 0 is the peer's FIN.
    Moved(usize),
    /// Nothing has come, or nothing has room.
    NotNow,
    /// Not with these two, or not on this machine.
    Refused,
    /// The connection ended so.
    Broken(i32),
}

/// Moves at most `most` bytes from a socket into a pipe, or from a pipe into a socket. Both are non-blocking.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> Splice {
    let none = std::ptr::null_mut();
    loop {
        // SAFETY: both descriptors are open; without offsets splice takes no pointers.
        let moved = unsafe {
            libc::splice(
                from.as_raw_fd(),
                none,
                to.as_raw_fd(),
                none,
                most,
                libc::SPLICE_F_NONBLOCK,
            )
        };
        if let Ok(count) = usize::try_from(moved) {
            return Splice::Moved(count);
        }
        match io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
            libc::EINTR => {}
            libc::EAGAIN => return Splice::NotNow,
            libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::ENOMEM => return Splice::Refused,
            code => return Splice::Broken(code),
        }
    }
}

/// The error a connection ended with, which this clears. `None` if there is none.
pub(crate) fn take_error(fd: impl AsFd) -> Option<i32> {
    let fd = fd.as_fd();
    SockRef::from(&fd)
        .take_error()
        .ok()
        .flatten()
        .and_then(|error| error.raw_os_error())
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
