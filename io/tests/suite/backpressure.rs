//! A fast side never makes memory grow for a slow one, and goes on once the slow one does.

use std::future::poll_fn;
use std::io::{ErrorKind, Write};
use std::net::TcpStream as BlockingStream;

use sluice_io::{Io, SocketOptions, TcpStream};

use crate::harness::{both, listener, pair, pattern, read_all, turn};

const MEGABYTE: usize = 1 << 20;

#[test]
fn a_slow_reader_holds_the_writer_back() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        let whole = pattern(24 * MEGABYTE);
        let (report, mut reports) = io.mailbox();
        let sent = whole.clone();
        io.spawn(async move {
            for piece in sent.chunks(10_000) {
                server.write(piece);
                poll_fn(|cx| server.poll_drained(cx, 64 * 1024)).await.unwrap();
                assert!(server.queued() <= 64 * 1024);
            }
            server.flush().await.unwrap();
            server.shutdown_write().unwrap();
            report.send(()).unwrap();
        });
        // Until the kernel's own buffers are full.
        let mut lent = 0;
        loop {
            turn(&io).await;
            let now = io.counts().buffers_lent;
            if now == lent && now > 0 {
                break;
            }
            lent = now;
        }
        assert!(lent <= 9, "{lent} buffers for 64 KiB");
        assert!(read_all(&mut client).await == whole);
        reports.recv().await.unwrap();
    });
}

/// Writes until the other side takes no more for several turns of its loop; gives how much it took.
async fn flood(io: &Io, flooder: &mut BlockingStream, mut check: impl FnMut()) -> usize {
    flooder.set_nonblocking(true).unwrap();
    let (mut total, mut refusals) = (0, 0);
    while refusals < 20 {
        match flooder.write(&pattern(64 * 1024)) {
            Ok(count) => (total, refusals) = (total + count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refusals += 1;
                turn(io).await;
                check();
            }
            Err(error) => panic!("{error}"),
        }
    }
    flooder.set_nonblocking(false).unwrap();
    total
}

async fn flooded(io: &Io) -> (TcpStream, BlockingStream) {
    let mut listener = listener(io, &SocketOptions::default());
    let flooder = BlockingStream::connect(listener.local_address()).unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server, flooder)
}

#[test]
fn a_flood_nobody_reads_stays_bounded_and_goes_on_later() {
    both(|io| async move {
        let (mut server, mut flooder) = flooded(&io).await;
        // The first wait starts the receiving.
        flooder.write_all(b"first").unwrap();
        assert_eq!(server.fill().await.unwrap(), b"first");
        for _ in 0..3 {
            let total = flood(&io, &mut flooder, || {
                let lent = io.counts().buffers_lent;
                // 64 KiB in one buffer or, as they came, in two, and the one the stream shows.
                assert!(lent <= 2 + 1, "{lent} buffers lent");
            })
            .await;
            let mut left = total;
            while left > 0 {
                let count = server.fill().await.unwrap().len().min(left);
                server.consume(count);
                left -= count;
            }
        }
        drop(flooder);
    });
}

#[test]
fn a_drip_nobody_reads_does_not_take_a_buffer_a_drop() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        client.write(b"!");
        client.flush().await.unwrap();
        assert_eq!(server.fill().await.unwrap(), b"!");
        for _ in 0..3_000 {
            client.write(b"?");
            client.flush().await.unwrap();
        }
        turn(&io).await;
        // The one the stream shows, one that was shrunk, and those since.
        assert!(io.counts().buffers_lent <= 4, "{:?}", io.counts());
        client.shutdown_write().unwrap();
        assert_eq!(read_all(&mut server).await.len(), 3_001);
    });
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    both(|io| async move {
        let (mut server, mut client) = pair(&io).await;
        for _ in 0..3 {
            client.write(b"ping");
            client.flush().await.unwrap();
            server.fill().await.unwrap();
            let count = server.received().len();
            server.consume(count);
        }
        assert_eq!(io.counts().buffers_lent, 0);
    });
}
