//! The ways of kernels older than this one, which its own never takes.

use std::net::SocketAddr;

use crate::engine::Engine;
use crate::{DriverChoice, Io, Options, Runtime, SocketOptions, TcpStream, bind};

async fn pair(io: &Io, receive_limit: usize) -> (TcpStream, TcpStream) {
    let options = SocketOptions {
        receive_limit,
        ..SocketOptions::default()
    };
    let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap();
    let mut listener = io.listen(socket, &options).unwrap();
    let client = io.connect(listener.local_address(), &options).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server, client)
}

#[test]
fn without_a_bound_of_the_kernels_own_receiving_is_cancelled_and_goes_on() {
    let runtime = Runtime::new(&Options {
        driver: DriverChoice::Uring,
        ..Options::default()
    })
    .unwrap();
    match &mut *runtime.engine() {
        Engine::Ring(ring) => ring.bounded = false,
        _ => panic!("io_uring was asked for"),
    }
    let io = runtime.io();
    runtime.block_on(async {
        let (mut server, mut client) = pair(&io, 20_000).await;
        for round in 0..20 {
            client.write(&vec![round; 100_000]);
            client.flush().await.unwrap();
            let mut left = 100_000;
            while left > 0 {
                let bytes = server.fill().await.unwrap();
                assert!(bytes.iter().all(|byte| *byte == round));
                let count = bytes.len();
                left -= count;
                server.consume(count);
                // Lets more arrive than the limit before the next look.
                io.sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        assert_eq!(io.counts().buffers_lent, 0);
    });
}

#[test]
fn a_kernel_that_refuses_the_bound_is_asked_without_it() {
    let runtime = Runtime::new(&Options {
        driver: DriverChoice::Uring,
        ..Options::default()
    })
    .unwrap();
    let io = runtime.io();
    runtime.block_on(async {
        let (mut server, mut client) = pair(&io, 20_000).await;
        let refused = |engine: &mut Engine| {
            let Engine::Ring(ring) = engine else {
                panic!("io_uring was asked for")
            };
            let (key, _) = ring.sockets.iter().next().unwrap();
            ring.sockets[key].receiving = super::Receiving::Armed;
            ring.on_receive(key, Err(libc::EINVAL), None, false);
            assert!(!ring.bounded && ring.sockets[key].wanting && ring.sockets[key].end.is_none());
        };
        refused(&mut runtime.engine());
        client.write(b"bytes");
        client.flush().await.unwrap();
        assert_eq!(server.fill().await.unwrap(), b"bytes");
    });
}
