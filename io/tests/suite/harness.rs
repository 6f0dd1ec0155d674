//! Runs a test on each driver, and checks that nothing is left behind: descriptors, buffers, operations, tasks.
#![allow(unsafe_code)]

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use sluice_io::{
    Counts, DriverChoice, DriverKind, Io, Options, Runtime, SocketOptions, TcpListener, TcpStream, bind,
};

/// One test at a time, for descriptors are counted in the whole process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    static FIRST: Once = Once::new();
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first runtime of tokio in a process opens a pair of sockets for signals, which stays for all later ones.
    FIRST.call_once(|| {
        for &driver in HOSTED {
            let options = Options {
                driver,
                ..Options::default()
            };
            // Where it is refused, the test says so.
            drop(Runtime::new(&options));
        }
    });
    one
}

/// The two drivers of our own.
pub(crate) const OWN: &[DriverChoice] = &[DriverChoice::Uring, DriverChoice::Epoll];
/// The bases that features add.
pub(crate) const HOSTED: &[DriverChoice] = &[
    #[cfg(feature = "monoio")]
    DriverChoice::Monoio,
    #[cfg(feature = "tokio-uring")]
    DriverChoice::TokioUring,
];

/// Every driver there is.
pub(crate) fn every_driver() -> impl Iterator<Item = DriverChoice> {
    OWN.iter().chain(HOSTED).copied()
}

/// Runs `test` on each driver with default options.
pub(crate) fn both<F: Future<Output = ()>>(test: impl Fn(Io) -> F) {
    both_with(&Options::default(), test);
}

/// As [`both`], but not on the bases that features add; the test says why.
pub(crate) fn both_of_our_own<F: Future<Output = ()>>(test: impl Fn(Io) -> F) {
    on_each(OWN.iter().copied(), &Options::default(), test);
}

/// These options with a hook that notes the messages of panics, in order.
pub(crate) fn noting_panics(options: Options) -> (Options, Arc<Mutex<Vec<String>>>) {
    let panics = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&panics);
    let on_panic = Arc::new(move |message: &str| log.lock().unwrap().push(message.to_owned()));
    let options = Options {
        on_panic: Some(on_panic),
        ..options
    };
    (options, panics)
}

/// Runs `test` on each driver. Fails when a task panics, or when anything is left behind.
pub(crate) fn both_with<F: Future<Output = ()>>(options: &Options, test: impl Fn(Io) -> F) {
    on_each(every_driver(), options, test);
}

fn kind(driver: DriverChoice) -> DriverKind {
    match driver {
        DriverChoice::Auto | DriverChoice::Uring => DriverKind::Uring,
        DriverChoice::Epoll => DriverKind::Epoll,
        #[cfg(feature = "monoio")]
        DriverChoice::Monoio => DriverKind::Monoio,
        #[cfg(feature = "tokio-uring")]
        DriverChoice::TokioUring => DriverKind::TokioUring,
    }
}

fn on_each<F: Future<Output = ()>>(
    drivers: impl Iterator<Item = DriverChoice>,
    options: &Options,
    test: impl Fn(Io) -> F,
) {
    let _alone = alone();
    for driver in drivers {
        let (options, panics) = noting_panics(Options {
            driver,
            ..options.clone()
        });
        let descriptors = open_descriptors();
        let runtime = Runtime::new(&options).unwrap();
        eprintln!("on {}", runtime.driver().kind.as_str());
        assert_eq!(runtime.driver().kind, kind(driver));
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
