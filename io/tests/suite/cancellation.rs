//! Any future may be dropped at any await: nothing leaks, and nothing that arrived is lost.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sluice_io::{Io, SocketOptions, TcpStream};

use crate::harness::{both, listener, open_descriptors, pair, pattern, read_exactly, settled, turn};

/// Polls `future` until it is ready, but drops it after `polls` that were not.
async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Everything a connecting task waits for.
async fn client(io: Io, to: SocketAddr) {
    io.sleep(Duration::from_millis(1)).await;
    let mut stream = io.connect(to, &SocketOptions::default()).await.unwrap();
    for size in [10, 100_000] {
        stream.write(&pattern(size));
        poll_fn(|cx| stream.poll_drained(cx, size / 2)).await.unwrap();
        stream.flush().await.unwrap();
        stream.fill().await.unwrap();
        while stream.received().len() < size {
            stream.more().await.unwrap();
        }
        stream.consume(size);
    }
    stream.shutdown_write().unwrap();
    poll_fn(|cx| stream.poll_closed(cx)).await.unwrap();
}

/// Everything an accepting task waits for. The peer may go at any time.
async fn server(mut stream: TcpStream) {
    while let Ok([_, ..]) = stream.fill().await {
        let bytes = stream.received().to_vec();
        stream.consume(bytes.len());
        stream.write(&bytes);
        if stream.flush().await.is_err() {
            return;
        }
    }
}

#[test]
fn a_client_dropped_at_any_await_leaves_nothing() {
    both(|io| async move {
        let mut listener = listener(&io, &SocketOptions::default());
        let to = listener.local_address();
        let (before, descriptors) = (io.counts(), open_descriptors());
        let accepting = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                io.spawn(server(stream));
            }
        };
        let dropping = async {
            for polls in 0.. {
                let done = at_most(polls, client(io.clone(), to)).await;
                settled(&io, |counts| {
                    counts.tasks == 0 && counts.sockets == before.sockets
                })
                .await;
                let after = io.counts();
                assert_eq!((after.buffers_lent, after.timers), (0, 0), "after {polls} polls");
                assert_eq!(open_descriptors(), descriptors, "after {polls} polls");
                if done.is_some() {
                    assert!(polls > 5, "the client waited only {polls} times");
                    return;
                }
            }
        };
        tokio::select! {
            () = dropping => {}
            () = accepting => {}
        }
    });
}

#[test]
fn a_server_dropped_at_any_await_leaves_nothing() {
    both(|io| async move {
        let descriptors = open_descriptors();
        for polls in 0.. {
            let mut listener = listener(&io, &SocketOptions::default());
            let to = listener.local_address();
            let peer = io.clone();
            io.spawn(async move {
                let Ok(mut stream) = peer.connect(to, &SocketOptions::default()).await else {
                    return;
                };
                stream.write(&pattern(50_000));
                stream.start_flush();
                let _ = stream.shutdown_write();
                while let Ok([_, ..]) = stream.fill().await {
                    let count = stream.received().len();
                    stream.consume(count);
                }
            });
            let serve = async {
                let (stream, _) = listener.accept().await.unwrap();
                server(stream).await;
            };
            let done = at_most(polls, serve).await;
            drop(listener);
            settled(&io, |counts| counts.tasks == 0 && counts.sockets == 0).await;
            assert_eq!(io.counts().buffers_lent, 0, "after {polls} polls");
            assert_eq!(open_descriptors(), descriptors, "after {polls} polls");
            if done.is_some() {
                return assert!(polls > 2, "the server waited only {polls} times");
            }
        }
    });
}

#[test]
fn a_connection_is_not_lost_with_a_dropped_accept() {
    both(|io| async move {
        let mut listener = listener(&io, &SocketOptions::default());
        assert!(at_most(1, listener.accept()).await.is_none());
        let client = io
            .connect(listener.local_address(), &SocketOptions::default())
            .await
            .unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_address());
        drop(server);
    });
}

#[test]
fn bytes_are_not_lost_with_a_dropped_read() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        let whole = pattern(60_000);
        for piece in whole.chunks(7_000) {
            assert!(at_most(1, server.more()).await.is_none() || !server.received().is_empty());
            client.write(piece);
            client.flush().await.unwrap();
            let _ = at_most(1, server.fill()).await;
        }
        assert!(read_exactly(&mut server, whole.len()).await == whole);
    });
}

#[test]
fn bytes_are_sent_though_the_flush_was_dropped() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.write(&pattern(8_000_000));
        assert!(at_most(1, client.flush()).await.is_none());
        assert!(read_exactly(&mut server, 8_000_000).await == pattern(8_000_000));
    });
}

#[test]
fn a_message_is_not_lost_with_a_dropped_receive() {
    both(|io| async move {
        let (sender, mut receiver) = io.mailbox();
        assert!(at_most(1, receiver.recv()).await.is_none());
        std::thread::spawn(move || sender.send(7))
            .join()
            .unwrap()
            .unwrap();
        assert_eq!(receiver.recv().await, Some(7));
        assert_eq!(receiver.recv().await, None);
    });
}

#[test]
fn a_connect_that_never_answers_can_be_dropped() {
    both(|io| async move {
        // The queue holds one connection; then the kernel drops further SYNs.
        let socket = sluice_io::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 0).unwrap();
        let listener = io.listen(socket, &SocketOptions::default()).unwrap();
        let to = listener.local_address();
        let first = io.connect(to, &SocketOptions::default()).await.unwrap();
        let mut waiting = Box::pin(io.connect(to, &SocketOptions::default()));
        assert!(at_most(1, waiting.as_mut()).await.is_none());
        turn(&io).await;
        assert!(at_most(1, waiting.as_mut()).await.is_none());
        drop((first, waiting));
        settled(&io, |counts| counts.sockets == 1).await;
    });
}
