//! A session inside one process: what it weighs, and what a fault of the gateway itself does to it.

use std::{
    collections::HashMap,
    future::poll_fn,
    io::{Read as _, Write as _},
    net,
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
};

use sluice_config::{Model, model::ListenerId};
use sluice_io::{DriverChoice, Options, Runtime, SocketOptions};

use super::*;
use crate::{
    metrics::Registry,
    snapshot::{Transports, compile},
};

fn size_of_future<A, B, C, D, E, F: Future>(_: fn(A, B, C, D, E) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_connection_costs_no_more_than_is_known() {
    // Every open connection holds one, idle ones too: what grows it grows the memory of 10,000 by as much.
    let bytes = size_of_future(serve::<()>);
    assert!(bytes <= 1760, "{bytes} bytes");
}

const CONFIG: &str = r#"
listeners: [{ name: web, bind: "127.0.0.1:80" }]
routes:
- name: r
  rules:
  - { name: well, matches: [{ path: { exact: /well } }], filters: [{ direct: { status: 200, body: well } }] }
  - { name: lost, matches: [{ path: { exact: /lost } }], filters: [{ direct: { status: 200, body: lost } }] }
"#;

/// Serves two connections on a snapshot that lacks the rule `lost`, which its table still finds: an index out of bounds.
fn serve_with_a_fault(driver: DriverChoice, listener: net::TcpListener, told: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(told);
    let options = Options {
        driver,
        on_panic: Some(Arc::new(move |message: &str| {
            log.lock().unwrap().push(message.to_owned());
        })),
        ..Options::default()
    };
    let runtime = Runtime::new(&options).unwrap();
    let io = runtime.io();
    runtime.block_on(async {
        let registry = Registry::new(1, []);
        let model = Arc::new(Model::from_yaml(CONFIG).unwrap());
        let mut snapshot = compile(
            model,
            &HashMap::new(),
            &Transports::default(),
            |_, _| true,
            &registry,
            1,
        );
        snapshot.rules.truncate(1);
        let context = Rc::new(Context::new(0, io.clone(), registry.worker(), 10));
        let current = context.swap(Arc::new(snapshot), None);
        let id = ListenerId(0);
        let entrance = Rc::new(Entrance::new(Live { current, id }));
        listener.set_nonblocking(true).unwrap();
        let mut listener = io
            .listen(OwnedFd::from(listener), &SocketOptions::default())
            .unwrap();
        for turn in 0..2 {
            let (stream, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            let session = serve(Rc::clone(&context), Rc::clone(&entrance), stream.into(), peer, ());
            if turn == 0 {
                io.spawn(session);
            } else {
                session.await;
            }
        }
    });
}

fn ask(stream: &mut net::TcpStream, target: &str) -> String {
    stream
        .write_all(format!("GET {target} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn a_request_that_panics_is_answered_and_no_other_is_touched() {
    for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        let server = std::thread::spawn(move || serve_with_a_fault(driver, listener, &log));
        let mut beside = net::TcpStream::connect(address).unwrap();
        assert!(ask(&mut beside, "/well").starts_with("HTTP/1.1 200"));
        let mut faulty = net::TcpStream::connect(address).unwrap();
        assert!(ask(&mut faulty, "/well").starts_with("HTTP/1.1 200"));
        let answer = ask(&mut faulty, "/lost");
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(!answer.contains("panic"), "{answer}");
        assert!(ask(&mut beside, "/well").starts_with("HTTP/1.1 200"));
        assert_eq!(faulty.read(&mut [0; 1]).unwrap(), 0);
        drop(faulty);
        server.join().unwrap();
        let told = told.lock().unwrap();
        assert!(told.len() == 1 && told[0].contains("out of bounds"), "{told:?}");
    }
}
