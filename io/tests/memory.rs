//! What a connection costs: no allocation on the steady path, and less than a kilobyte while idle.
//!
//! Alone in its process, for it counts every allocation there is.
#![allow(clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sluice_io::{DriverChoice, Io, Options, Runtime, SocketOptions, TcpListener, TcpStream, bind};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

async fn pair(io: &Io, listener: &mut TcpListener) -> (TcpStream, TcpStream) {
    let client = io
        .connect(listener.local_address(), &SocketOptions::default())
        .await
        .unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server, client)
}

/// A request and its answer, each received, handed on and flushed, with a timer set and cleared as a gateway does.
async fn exchange(io: &Io, server: &mut TcpStream, client: &mut TcpStream, timer: &mut sluice_io::Timer) {
    for _ in 0..2 {
        timer.set(io.now() + std::time::Duration::from_secs(5));
        client.write(&[b'r'; 300]);
        client.start_flush();
        let count = server.fill().await.unwrap().len();
        assert_eq!(count, 300);
        server.consume(count);
        timer.clear();
        std::mem::swap(&mut *server, &mut *client);
    }
}

async fn steady_path(io: &Io, listener: &mut TcpListener) {
    let mut pairs = Vec::new();
    for _ in 0..20 {
        pairs.push(pair(io, listener).await);
    }
    let mut timer = io.timer();
    let mut before = 0;
    for round in 0..200 {
        if round == 20 {
            before = ALLOCATIONS.load(Relaxed);
        }
        for (server, client) in &mut pairs {
            exchange(io, server, client, &mut timer).await;
        }
    }
    assert_eq!(
        ALLOCATIONS.load(Relaxed) - before,
        0,
        "allocations in 7,200 messages"
    );
}

async fn idle(io: &Io, listener: &mut TcpListener) {
    const PAIRS: usize = 1_000;
    let mut pairs = Vec::with_capacity(PAIRS);
    let mut timer = io.timer();
    let before = BYTES.load(Relaxed);
    for _ in 0..PAIRS {
        let (mut server, mut client) = pair(io, listener).await;
        exchange(io, &mut server, &mut client, &mut timer).await;
        pairs.push((server, client));
    }
    let each = (BYTES.load(Relaxed) - before) / (2 * PAIRS) + size_of::<TcpStream>();
    eprintln!("{each} bytes for an idle stream");
    assert!(each < 1_024, "{each} bytes");
}

#[test]
fn connections_cost_what_was_promised() {
    for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
        let runtime = Runtime::new(&Options {
            driver,
            ..Options::default()
        })
        .unwrap();
        let io = runtime.io();
        runtime.block_on(async {
            let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 16).unwrap();
            let mut listener = io.listen(socket, &SocketOptions::default()).unwrap();
            steady_path(&io, &mut listener).await;
            idle(&io, &mut listener).await;
        });
    }
}
