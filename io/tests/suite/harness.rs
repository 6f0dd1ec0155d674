//! Runs a test on both drivers, and checks that nothing is left behind: descriptors, buffers, operations, tasks.
#![allow(unsafe_code)]

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_io::{
    Counts, DriverChoice, DriverKind, Io, Options, Runtime, SocketOptions, TcpListener, TcpStream, bind,
};

/// One test at a time, for descriptors are counted in the whole process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `test` on both drivers with default options.
pub(crate) fn both<F: Future<Output = ()>>(test: impl Fn(Io) -> F) {
    both_with(&Options::default(), test);
}

/// Runs `test` on both drivers. Fails when a task panics, or when anything is left behind.
pub(crate) fn both_with<F: Future<Output = ()>>(options: &Options, test: impl Fn(Io) -> F) {
    let _alone = alone();
    for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
        let panics = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&panics);
        let on_panic = Arc::new(move |message: &str| log.lock().unwrap().push(message.to_owned()));
        let options = Options {
            driver,
            on_panic: Some(on_panic),
            ..options.clone()
        };
        let descriptors = open_descriptors();
        let runtime = Runtime::new(&options).unwrap();
        eprintln!("on {}", runtime.driver().kind.as_str());
        let kind = if driver == DriverChoice::Epoll {
            DriverKind::Epoll
        } else {
            DriverKind::Uring
        };
        assert_eq!(runtime.driver().kind, kind);
        let io = runtime.io();
        runtime.block_on(test(io.clone()));
        drop(io);
        let counts = runtime.io().counts();
        assert_eq!(counts, Counts::default(), "left behind on {driver:?}");
        drop(runtime);
        assert_eq!(
            open_descriptors(),
            descriptors,
            "descriptors left open on {driver:?}"
        );
        assert_eq!(
            *panics.lock().unwrap(),
            Vec::<String>::new(),
            "tasks panicked on {driver:?}"
        );
    }
}

/// The numbers of all open descriptors.
pub(crate) fn open_descriptors() -> Vec<String> {
    let directory = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut open: Vec<_> = directory
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    open.sort();
    open
}

/// A listener on a free loopback port.
pub(crate) fn listener(io: &Io, options: &SocketOptions) -> TcpListener {
    let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 4096).unwrap();
    assert!(socket.as_raw_fd() >= 0);
    io.listen(socket, options).unwrap()
}

/// Two ends of one connection: the accepted, and the connecting.
pub(crate) async fn pair_with(io: &Io, options: &SocketOptions) -> (TcpStream, TcpStream) {
    let mut listener = listener(io, options);
    let client = io.connect(listener.local_address(), options).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server, client)
}

/// As [`pair_with`], with default options.
pub(crate) async fn pair(io: &Io) -> (TcpStream, TcpStream) {
    pair_with(io, &SocketOptions::default()).await
}

/// Reads until the peer's FIN.
pub(crate) async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = stream.fill().await.unwrap();
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(bytes);
        let count = bytes.len();
        stream.consume(count);
    }
}

/// Reads exactly `count` bytes.
pub(crate) async fn read_exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    while stream.received().len() < count {
        assert!(
            stream.more().await.unwrap() > 0,
            "FIN after {} of {count} bytes",
            stream.received().len()
        );
    }
    let bytes = stream.received()[..count].to_vec();
    stream.consume(count);
    bytes
}

/// Bytes in which a lost, doubled or moved piece shows.
pub(crate) fn pattern(count: usize) -> Vec<u8> {
    (0..count)
        .map(|index| (index % 251) as u8 ^ (index / 251) as u8)
        .collect()
}

/// Lets the loop turn until `done`.
pub(crate) async fn settled(io: &Io, mut done: impl FnMut(Counts) -> bool) {
    while !done(io.counts()) {
        turn(io).await;
    }
}

/// One more turn of the loop: a timer of the shortest time.
pub(crate) async fn turn(io: &Io) {
    io.sleep(Duration::from_millis(1)).await;
}

/// Lets this process open as many descriptors as it may.
pub(crate) fn raise_descriptor_limit() {
    let limit = descriptor_limit();
    set_descriptor_limit(libc::rlimit {
        rlim_cur: limit.rlim_max,
        ..limit
    });
}

/// Leaves room for a few more descriptors than are open; gives the limit before.
pub(crate) fn lower_descriptor_limit() -> libc::rlimit {
    let limit = descriptor_limit();
    set_descriptor_limit(libc::rlimit {
        rlim_cur: 64,
        ..limit
    });
    limit
}

fn descriptor_limit() -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a writable rlimit.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(result, 0);
    limit
}

pub(crate) fn set_descriptor_limit(limit: libc::rlimit) {
    // SAFETY: the pointer is to a readable rlimit.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(result, 0);
}
