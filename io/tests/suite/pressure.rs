//! Shortage: of receive buffers, of room in the queues, of descriptors. One connection's share never stops another.

use std::cell::Cell;
use std::rc::Rc;

use sluice_io::{Io, Options, SocketOptions, TcpStream};

use crate::harness::{
    both, both_with, listener, pair, pattern, raise_descriptor_limit, read_exactly, settled,
};

const STALLED: usize = 2_200;

async fn round_trip(server: &mut TcpStream, client: &mut TcpStream, bytes: &[u8]) {
    for _ in 0..2 {
        let (flushed, received) = tokio::join!(
            async {
                client.write(bytes);
                client.flush().await
            },
            read_exactly(server, bytes.len())
        );
        flushed.unwrap();
        assert!(received == bytes);
        std::mem::swap(&mut *server, &mut *client);
    }
}

/// Connections whose peers have sent data that is never consumed.
async fn stalled(io: &Io, count: usize, bytes: &[u8]) -> Vec<(TcpStream, TcpStream)> {
    let options = SocketOptions {
        receive_limit: 20_000,
        ..SocketOptions::default()
    };
    let mut listener = listener(io, &options);
    let mut pairs = Vec::new();
    for _ in 0..count {
        let mut client = io.connect(listener.local_address(), &options).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write(bytes);
        client.start_flush();
        // Shown and kept: the stream holds a buffer from now on, and receiving goes on behind it.
        server.fill().await.unwrap();
        pairs.push((server, client));
    }
    pairs
}

#[test]
fn thousands_of_stalled_peers_do_not_stop_another() {
    raise_descriptor_limit();
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        let mut pairs = stalled(&io, STALLED, &pattern(30_000)).await;
        for _ in 0..100 {
            round_trip(&mut server, &mut client, &pattern(40_000)).await;
        }
        for (server, _) in &mut pairs {
            assert!(read_exactly(server, 30_000).await == pattern(30_000));
        }
    });
}

#[test]
fn a_handful_of_receive_buffers_serves_everyone() {
    let options = Options {
        receive_buffers: 2,
        receive_buffer_bytes: 512,
        ..Options::default()
    };
    both_with(&options, |io| async move {
        let (mut server, mut client) = pair(&io).await;
        let mut pairs = stalled(&io, 50, &pattern(10_000)).await;
        round_trip(&mut server, &mut client, &pattern(100_000)).await;
        for (server, _) in &mut pairs {
            assert!(read_exactly(server, 10_000).await == pattern(10_000));
        }
    });
}

async fn crowd(io: Io, clients: usize) {
    let mut listener = listener(&io, &SocketOptions::default());
    let to = listener.local_address();
    let done = Rc::new(Cell::new(0));
    for _ in 0..clients {
        let (io, done) = (io.clone(), Rc::clone(&done));
        io.clone().spawn(async move {
            let mut stream = io.connect(to, &SocketOptions::default()).await.unwrap();
            for _ in 0..20 {
                stream.write(&pattern(3_000));
                stream.flush().await.unwrap();
                assert!(read_exactly(&mut stream, 3_000).await == pattern(3_000));
            }
            done.set(done.get() + 1);
        });
    }
    for _ in 0..clients {
        let (mut stream, _) = listener.accept().await.unwrap();
        io.spawn(async move {
            while !stream.fill().await.unwrap().is_empty() {
                let bytes = stream.received().to_vec();
                stream.consume(bytes.len());
                stream.write(&bytes);
                stream.flush().await.unwrap();
            }
        });
    }
    settled(&io, |counts| counts.tasks == 0).await;
    assert_eq!(done.get(), clients);
}

#[test]
fn a_completion_queue_of_four_entries_loses_nothing() {
    let options = Options {
        ring_entries: 1,
        ..Options::default()
    };
    both_with(&options, |io| crowd(io, 150));
}

#[test]
fn tiny_queues_and_buffers_together_lose_nothing() {
    let options = Options {
        ring_entries: 2,
        receive_buffers: 1,
        receive_buffer_bytes: 700,
        ..Options::default()
    };
    both_with(&options, |io| crowd(io, 60));
}

#[test]
fn without_descriptors_accepting_waits_and_goes_on() {
    both(|io| async move {
        let mut listener = listener(&io, &SocketOptions::default());
        let client = io
            .connect(listener.local_address(), &SocketOptions::default())
            .await
            .unwrap();
        let mut taken = Vec::new();
        let limit = crate::harness::lower_descriptor_limit();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
        for _ in 0..3 {
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        }
        drop(taken);
        let (server, _) = listener.accept().await.unwrap();
        crate::harness::set_descriptor_limit(limit);
        drop((server, client));
    });
}
