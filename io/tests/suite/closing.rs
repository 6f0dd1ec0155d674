//! How connections end: FIN in one direction, RST, and what each side learns of it.

use std::future::poll_fn;
use std::io::ErrorKind;

use sluice_io::{Io, SocketOptions, TcpStream};

use crate::harness::{
    both, both_of_our_own, listener, pair, pair_with, pattern, read_all, read_exactly, settled,
};

#[test]
fn a_half_closed_connection_still_carries_the_answer() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.write(b"request");
        // Without a flush: the FIN waits for what was written before it.
        client.shutdown_write().unwrap();
        client.flush().await.unwrap();
        assert_eq!(read_all(&mut server).await, b"request");
        server.write(&pattern(200_000));
        server.shutdown_write().unwrap();
        let send = server.flush();
        let receive = read_all(&mut client);
        let (sent, received) = tokio::join!(send, receive);
        sent.unwrap();
        assert!(received == pattern(200_000));
    });
}

#[test]
fn writing_after_fin_fails() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.shutdown_write().unwrap();
        client.write(b"late");
        assert_eq!(client.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(client.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        client.write(b"later");
        assert_eq!(client.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(read_all(&mut server).await, b"");
    });
}

#[test]
fn a_reset_is_not_an_end_of_file() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.write(b"begun");
        client.flush().await.unwrap();
        assert_eq!(read_exactly(&mut server, 5).await, b"begun");
        client.abort();
        for _ in 0..2 {
            assert_eq!(
                server.fill().await.unwrap_err().kind(),
                ErrorKind::ConnectionReset
            );
        }
        server.write(b"answer");
        assert!(server.flush().await.is_err());
    });
}

#[test]
fn a_reset_ends_a_send_in_the_middle() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.write(b"go");
        client.flush().await.unwrap();
        server.fill().await.unwrap();
        server.write(&pattern(16_000_000));
        server.start_flush();
        // The peer has read a part when it goes.
        read_exactly(&mut client, 100_000).await;
        client.abort();
        let error = server.flush().await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{error}"
        );
        assert_eq!(server.queued(), 0);
    });
}

#[test]
fn the_end_is_seen_behind_unread_bytes() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.write(b"unread");
        client.shutdown_write().unwrap();
        client.flush().await.unwrap();
        poll_fn(|cx| server.poll_closed(cx)).await.unwrap();
        assert!(server.is_readable_or_closed());
        assert_eq!(read_all(&mut server).await, b"unread");
        poll_fn(|cx| server.poll_closed(cx)).await.unwrap();
    });
}

#[test]
fn the_end_is_seen_behind_more_than_the_limit() {
    both(|io| async move {
        let options = SocketOptions {
            receive_limit: 4096,
            ..SocketOptions::default()
        };
        let (mut server, mut client) = pair_with(&io, &options).await;
        client.write(&pattern(100_000));
        client.flush().await.unwrap();
        assert_eq!(server.fill().await.unwrap()[0], pattern(1)[0]);
        io.spawn(async move {
            client.shutdown_write().unwrap();
            // Stays open until the peer has closed in turn.
            poll_fn(|cx| client.poll_closed(cx)).await.unwrap();
        });
        poll_fn(|cx| server.poll_closed(cx)).await.unwrap();
        assert!(read_all(&mut server).await == pattern(100_000));
        drop(server);
        settled(&io, |counts| counts.tasks == 0).await;
    });
}

#[test]
fn a_reset_is_told_behind_more_than_the_limit() {
    both_of_our_own(|io| async move {
        let options = SocketOptions {
            receive_limit: 1000,
            ..SocketOptions::default()
        };
        let (mut server, mut client) = pair_with(&io, &options).await;
        client.write(&pattern(100_000));
        client.flush().await.unwrap();
        // Until it reads no more by itself.
        server.more().await.unwrap();
        io.spawn(async move {
            client.abort();
        });
        assert!(poll_fn(|cx| server.poll_closed(cx)).await.is_err());
        while let Ok(count @ 1..) = poll_fn(|cx| server.poll_more(cx)).await {
            assert!(count <= 100_000);
        }
        assert!(server.more().await.is_err());
    });
}

#[test]
fn a_reset_wakes_who_watches_for_the_end() {
    both(|io| async move {
        let (mut server, client) = pair(&io).await;
        assert!(!server.is_readable_or_closed());
        io.spawn(async move { client.abort() });
        assert!(poll_fn(|cx| server.poll_closed(cx)).await.is_err());
        assert!(server.is_readable_or_closed());
        assert_eq!(
            server.fill().await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    });
}

/// An idle connection shows that it cannot be used again, without being polled for it.
async fn idle_ends(io: Io, mut idle: TcpStream, end: impl FnOnce(TcpStream), other: TcpStream) {
    assert!(!idle.is_readable_or_closed());
    end(other);
    settled(&io, |_| idle.is_readable_or_closed()).await;
    let _ = poll_fn(|cx| idle.poll_closed(cx)).await;
    assert!(idle.is_readable_or_closed());
}

#[test]
fn an_idle_connection_shows_that_it_is_stale() {
    both(|io| async move {
        for used in [false, true] {
            for end in [drop, TcpStream::abort] {
                let (mut server, mut client) = pair(&io).await;
                if used {
                    server.write(b"x");
                    server.flush().await.unwrap();
                    assert_eq!(read_exactly(&mut client, 1).await, b"x");
                }
                idle_ends(io.clone(), client, end, server).await;
            }
        }
    });
}

#[test]
fn dropping_a_stream_closes_it() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.write(b"whole");
        client.flush().await.unwrap();
        drop(client);
        assert_eq!(read_all(&mut server).await, b"whole");
    });
}

#[test]
fn dropping_a_stream_gives_up_a_send_nobody_reads() {
    both(|io| async move {
        let (server, mut client) = pair(&io).await;
        client.write(&pattern(16_000_000));
        client.start_flush();
        settled(&io, |_| server.is_readable_or_closed()).await;
        drop(client);
        settled(&io, |counts| counts.sockets == 1).await;
        drop(server);
    });
}

#[test]
fn a_refused_connect_says_so() {
    both(|io| async move {
        let gone = listener(&io, &SocketOptions::default()).local_address();
        settled(&io, |counts| counts.sockets == 0).await;
        let error = io.connect(gone, &SocketOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn the_queue_of_a_listener_can_be_emptied_before_it_closes() {
    both(|io| async move {
        let mut listener = listener(&io, &SocketOptions::default());
        assert!(listener.try_accept().unwrap().is_none());
        let to = listener.local_address();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(io.connect(to, &SocketOptions::default()).await.unwrap());
        }
        let mut accepted = 0;
        while let Some((stream, peer)) = listener.try_accept().unwrap() {
            assert_eq!(peer, clients[accepted].local_address());
            drop(stream);
            accepted += 1;
        }
        assert_eq!(accepted, 3);
    });
}
