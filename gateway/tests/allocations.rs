//! What the steady path asks of the allocator: nothing. A warm worker serves keep-alive requests out of what it has;
//! where it does not, the request is named here with what it takes and why.
//!
//! The worker runs in this process, on a thread of its own, under an allocator that counts for the whole process: this
//! file has one test, and its client and its origin work in arrays. When the count is off, `dhat-heap.json` in the
//! folder of the crate holds the stack of each allocation.
#![allow(clippy::unwrap_used)] // What a test asks of its own helpers it may take for granted.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    thread,
};

use sluice::{
    downstream::{Entrance, Live, h1},
    exchange::Context,
    metrics::Registry,
    snapshot::{Transports, compile},
};
use sluice_config::{Model, model::ListenerId};
use sluice_io::{DriverChoice, Options, Runtime, SocketOptions};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// What a deployment has: every default, and timeouts, retries and edits of fields beside.
const CONFIG: &str = r#"
listeners: [{ name: web, bind: "127.0.0.1:80" }]
routes:
- name: everything
  rules:
  - name: all
    backends: [{ service: origin }]
    filters: [{ requestHeaders: { set: { x-env: prod }, remove: [x-debug] } }]
    timeouts: { request: 3s, backend: 1s }
    retry: { attempts: 3, on: [connectFailure, reset, gatewayError] }
services: [{ name: origin, endpoints: [{ address: "@origin@" }] }]
"#;

const GET: &[u8] =
    b"GET /items/42?view=full HTTP/1.1\r\nHost: shop.example.com\r\nAccept: */*\r\nX-Debug: 1\r\n\r\n";
const POST: &[u8] =
    b"POST /items HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 16\r\n\r\n0123456789abcdef";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Length: 8\r\n\r\n01234567";
const REQUESTS: u64 = 1000;

/// How often each request may allocate.
const KNOWN: [(&[u8], u64); 2] = [
    (GET, 0),
    // The body is kept for another try until its answer begins: one buffer of its length.
    (POST, 1),
];

#[test]
fn a_thousand_requests_on_a_warm_connection_allocate_no_more_than_is_known() {
    for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
        for (request, each) in KNOWN {
            let (address, worker) = start(driver);
            let mut client = TcpStream::connect(address).unwrap();
            ask(&mut client, request);
            let counting = dhat::Profiler::builder().testing().build();
            ask(&mut client, request);
            let allocations = dhat::HeapStats::get().total_blocks;
            let shown = request.escape_ascii();
            dhat::assert!(
                allocations <= each * REQUESTS,
                "{driver:?}: {allocations} for {shown}"
            );
            drop(counting);
            drop(client);
            worker.join().unwrap();
        }
    }
}

/// Asks as often as is counted, and waits for each answer.
fn ask(client: &mut TcpStream, request: &[u8]) {
    let mut received = [0; 4096];
    for _ in 0..REQUESTS {
        client.write_all(request).unwrap();
        let mut length = 0;
        while !received[..length].ends_with(b"\r\n\r\n01234567") {
            let count = client.read(&mut received[length..]).unwrap();
            assert!(count > 0, "{}", received[..length].escape_ascii());
            length += count;
        }
    }
}

/// Starts a worker in front of an origin; it ends with its first connection.
fn start(driver: DriverChoice) -> (SocketAddr, thread::JoinHandle<()>) {
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = CONFIG.replace("@origin@", &origin.local_addr().unwrap().to_string());
    let model = Arc::new(Model::from_yaml(&config).unwrap());
    thread::spawn(move || answer(&origin));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || serve(driver, listener, model)))
}

/// An origin that takes each request for whole when its last bytes are here.
fn answer(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut received = [0; 4096];
    let mut length = 0;
    while let Ok(count @ 1..) = stream.read(&mut received[length..]) {
        length += count;
        let request = &received[..length];
        let is_whole = match request.first() {
            Some(b'G') => request.ends_with(b"\r\n\r\n"),
            _ => request.ends_with(b"\r\n\r\n0123456789abcdef"),
        };
        if is_whole {
            stream.write_all(ANSWER).unwrap();
            length = 0;
        }
    }
}

fn serve(driver: DriverChoice, listener: TcpListener, model: Arc<Model>) {
    let options = Options {
        driver,
        ..Options::default()
    };
    let runtime = Runtime::new(&options).unwrap();
    let io = runtime.io();
    runtime.block_on(async {
        let registry = Registry::new(1, []);
        let snapshot = compile(
            model,
            &HashMap::new(),
            &Transports::default(),
            |_, _| true,
            &registry,
            1,
        );
        let context = Rc::new(Context::new(0, io.clone(), registry.worker(), 10));
        let current = context.swap(Arc::new(snapshot), None);
        let id = ListenerId(0);
        let entrance = Rc::new(Entrance::new(Live { current, id }));
        listener.set_nonblocking(true).unwrap();
        let mut listener = io
            .listen(OwnedFd::from(listener), &SocketOptions::default())
            .unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        h1::serve(context, entrance, stream.into(), peer, ()).await;
    });
}
