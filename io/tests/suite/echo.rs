//! Bytes go there and back, whole and in order.

use std::net::SocketAddr;

use sluice_io::{Io, SocketOptions, TcpStream};

use crate::harness::{both, listener, pair, pattern, read_all, read_exactly, settled};

async fn echo(mut stream: TcpStream) {
    loop {
        let bytes = stream.fill().await.unwrap().to_vec();
        if bytes.is_empty() {
            stream.flush().await.unwrap();
            return stream.shutdown_write().unwrap();
        }
        stream.consume(bytes.len());
        stream.write(&bytes);
        stream.flush().await.unwrap();
    }
}

async fn call(io: Io, to: SocketAddr, bytes: Vec<u8>, rounds: usize) {
    let mut stream = io.connect(to, &SocketOptions::default()).await.unwrap();
    for _ in 0..rounds {
        stream.write(&bytes);
        stream.flush().await.unwrap();
        assert_eq!(read_exactly(&mut stream, bytes.len()).await, bytes);
    }
    stream.shutdown_write().unwrap();
    assert_eq!(read_all(&mut stream).await, b"");
}

#[test]
fn bytes_come_back() {
    both(|io| async move {
        let mut listener = listener(&io, &SocketOptions::default());
        let to = listener.local_address();
        let (done, mut all_done) = io.mailbox();
        for client in 0..20 {
            let (io, done) = (io.clone(), done.clone());
            io.clone().spawn(async move {
                call(io, to, pattern(1 + client * 997), 50).await;
                done.send(()).unwrap();
            });
        }
        for _ in 0..20 {
            let (stream, peer) = listener.accept().await.unwrap();
            assert_eq!((stream.peer_address(), stream.local_address()), (peer, to));
            io.spawn(echo(stream));
        }
        for _ in 0..20 {
            all_done.recv().await.unwrap();
        }
    });
}

#[test]
fn a_large_message_passes_in_both_directions_at_once() {
    both(|io| async move {
        let (server, client) = pair(&io).await;
        let (done, mut all_done) = io.mailbox();
        for stream in [server, client] {
            let done = done.clone();
            io.spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(stream);
                let send = async {
                    use tokio::io::AsyncWriteExt;
                    writer.write_all(&pattern(3_000_000)).await.unwrap();
                    writer.shutdown().await.unwrap();
                };
                let receive = async {
                    use tokio::io::AsyncReadExt;
                    let mut all = Vec::new();
                    reader.read_to_end(&mut all).await.unwrap();
                    assert!(all == pattern(3_000_000));
                };
                tokio::join!(send, receive);
                done.send(()).unwrap();
            });
        }
        all_done.recv().await.unwrap();
        all_done.recv().await.unwrap();
    });
}

#[test]
fn received_bytes_are_forwarded_whole() {
    both(|io| async move {
        let (mut from, mut sender) = pair(&io).await;
        let (mut receiver, mut to) = pair(&io).await;
        io.spawn(async move {
            sender.write(&pattern(2_000_000));
            sender.flush().await.unwrap();
            sender.shutdown_write().unwrap();
        });
        io.spawn(async move {
            let mut odd = false;
            loop {
                let count = from.fill().await.unwrap().len();
                if count == 0 {
                    to.shutdown_write().unwrap();
                    return to.flush().await.unwrap();
                }
                odd = !odd;
                let part = if odd { count.div_ceil(2) } else { count };
                to.forward(&mut from, part);
                std::future::poll_fn(|cx| to.poll_drained(cx, 64 * 1024))
                    .await
                    .unwrap();
            }
        });
        assert!(read_all(&mut receiver).await == pattern(2_000_000));
    });
}

#[test]
fn more_joins_what_came_before() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        let whole = pattern(70_000);
        for piece in whole.chunks(9_999) {
            let before = server.received().len();
            client.write(piece);
            client.flush().await.unwrap();
            while server.received().len() < before + piece.len() {
                assert!(server.more().await.unwrap() > 0);
            }
        }
        assert!(server.received() == whole);
        server.consume(10);
        assert_eq!(server.fill().await.unwrap()[0], whole[10]);
        client.shutdown_write().unwrap();
        assert_eq!(server.more().await.unwrap(), 0);
        assert_eq!(server.received().len(), 69_990);
        server.consume(69_990);
        assert_eq!(server.fill().await.unwrap(), b"");
        assert_eq!(server.fill().await.unwrap(), b"");
    });
}

#[test]
fn libraries_on_tokios_traits_run_on_it() {
    both(|io| async move {
        let (mut outer, mut front) = pair(&io).await;
        let (mut back, mut inner) = pair(&io).await;
        io.spawn(async move {
            let (up, down) = tokio::io::copy_bidirectional(&mut front, &mut inner)
                .await
                .unwrap();
            assert_eq!((up, down), (700_000, 1_400_000));
        });
        io.spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(&mut back);
            let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            assert_eq!(copied, 700_000);
            use tokio::io::AsyncWriteExt;
            writer.write_all(&pattern(700_000)).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        outer.write(&pattern(700_000));
        outer.shutdown_write().unwrap();
        let answer = read_all(&mut outer).await;
        assert!(answer[..700_000] == pattern(700_000) && answer[700_000..] == pattern(700_000));
        settled(&io, |counts| counts.tasks == 0).await;
    });
}
