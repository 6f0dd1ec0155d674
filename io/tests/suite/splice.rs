//! Bytes move from one connection to another inside the kernel: whole, in order, and with nothing left behind.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use sluice_io::{Io, Options, TcpStream};

use crate::harness::{both, both_of_our_own, both_with, pair, pattern, read_all, turn};

const PIECE: usize = 64 * 1024;

/// Moves what comes until `from` ends: inside the kernel as far as that goes, by hand otherwise. Gives how much went
/// which way.
async fn relay(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<(usize, usize)> {
    let (mut unseen, mut seen) = (0, 0);
    loop {
        let moved = poll_fn(|cx| to.poll_splice(from, PIECE, cx)).await?;
        assert!(moved <= PIECE && to.queued() <= PIECE);
        unseen += moved;
        if moved == 0 {
            let count = from.fill().await?.len();
            if count == 0 {
                poll_fn(|cx| to.poll_spliced(cx)).await?;
                return Ok((unseen, seen));
            }
            to.forward(from, count);
            seen += count;
        }
    }
}

/// Sends `bytes` and FIN from a task of its own.
fn send(io: &Io, mut sender: TcpStream, bytes: Vec<u8>) {
    io.spawn(async move {
        sender.write(&bytes);
        sender.flush().await.unwrap();
        sender.shutdown_write().unwrap();
        // Whoever closes with bytes unread resets.
        read_all(&mut sender).await;
    });
}

#[test]
fn they_come_whole_between_what_is_written_before_and_after() {
    both(|io| async move {
        let (mut from, sender) = pair(&io).await;
        let (mut receiver, mut to) = pair(&io).await;
        send(&io, sender, pattern(5_000_000));
        io.spawn(async move {
            to.write(b"before");
            let (unseen, seen) = relay(&mut from, &mut to).await.unwrap();
            assert_eq!(unseen + seen, 5_000_000);
            to.write(b"after");
            to.flush().await.unwrap();
            to.shutdown_write().unwrap();
        });
        let whole = [&b"before"[..], &pattern(5_000_000), b"after"].concat();
        assert!(read_all(&mut receiver).await == whole);
    });
}

#[test]
fn a_slow_receiver_holds_the_sender_back() {
    both_of_our_own(|io| async move {
        let (mut from, sender) = pair(&io).await;
        let (mut receiver, mut to) = pair(&io).await;
        send(&io, sender, pattern(24 << 20));
        let (report, mut reports) = io.mailbox();
        io.spawn(async move {
            let went = relay(&mut from, &mut to).await.unwrap();
            to.shutdown_write().unwrap();
            report.send(went).unwrap();
        });
        while io.counts().pipes_lent == 0 {
            turn(&io).await;
        }
        assert!(read_all(&mut receiver).await == pattern(24 << 20));
        let (unseen, seen) = reports.recv().await.unwrap();
        assert_eq!(unseen + seen, 24 << 20);
        assert!(unseen > seen, "{unseen} bytes unseen, {seen} seen");
    });
}

#[test]
fn what_came_before_a_reset_arrives_and_the_reset_shows() {
    both(|io| async move {
        let (mut from, mut sender) = pair(&io).await;
        let (_receiver, mut to) = pair(&io).await;
        sender.write(&pattern(100_000));
        sender.flush().await.unwrap();
        sender.abort();
        assert!(relay(&mut from, &mut to).await.is_err());
        assert!(from.fill().await.is_err());
    });
}

#[test]
fn a_receiver_that_is_gone_is_an_error() {
    both(|io| async move {
        let (mut from, sender) = pair(&io).await;
        let (receiver, mut to) = pair(&io).await;
        receiver.abort();
        io.spawn(async move {
            let mut sender = sender;
            sender.write(&pattern(24 << 20));
            let _ = sender.flush().await;
        });
        assert!(relay(&mut from, &mut to).await.is_err());
        assert!(to.flush().await.is_err());
    });
}

#[test]
fn half_a_transfer_leaves_nothing_and_the_source_goes_on() {
    both_of_our_own(|io| async move {
        let (mut from, sender) = pair(&io).await;
        let (receiver, mut to) = pair(&io).await;
        send(&io, sender, pattern(24 << 20));
        let mut moved = 0;
        while io.counts().pipes_lent == 0 {
            let step = poll_fn(|cx| Poll::Ready(to.poll_splice(&mut from, PIECE, cx))).await;
            match step {
                Poll::Ready(Ok(0)) => {
                    let count = from.fill().await.unwrap().len();
                    from.consume(count);
                    moved += count;
                }
                Poll::Ready(count) => moved += count.unwrap(),
                Poll::Pending => turn(&io).await,
            }
        }
        drop((to, receiver));
        assert_eq!(io.counts().pipes_lent, 0);
        assert!(read_all(&mut from).await == pattern(24 << 20)[moved..]);
    });
}

#[test]
fn without_pipes_all_is_seen() {
    let options = Options {
        pipes: 0,
        ..Options::default()
    };
    both_with(&options, |io| async move {
        let (mut from, sender) = pair(&io).await;
        let (mut receiver, mut to) = pair(&io).await;
        send(&io, sender, pattern(1_000_000));
        io.spawn(async move {
            assert_eq!(relay(&mut from, &mut to).await.unwrap(), (0, 1_000_000));
            to.flush().await.unwrap();
        });
        assert!(read_all(&mut receiver).await == pattern(1_000_000));
    });
}
