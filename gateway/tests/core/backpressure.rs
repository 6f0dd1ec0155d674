//! A slow side slows the other side; it does not fill the gateway's memory.

use std::{
    io::{ErrorKind, Write},
    net::TcpStream,
    sync::{Mutex, mpsc},
    time::Duration,
};

use crate::harness::{self, Config, Gateway, Origin, checksum, on_both_drivers, pattern};

const PIECE: usize = 1 << 20;
const PIECES: usize = 64;
/// 64 KiB a direction are held by default; the rest of this is the allocator's and the test's slack.
const GROWTH_MAX: u64 = 8 << 20;

/// Sends `PIECES` times the pattern; tells `stalled` how far it came when the other side first takes nothing
/// for a while, or at the end. That pause is the event waited for: too short a one only asks early.
fn pour(mut stream: &TcpStream, stalled: &mpsc::Sender<usize>) {
    let piece = pattern(PIECE);
    stream
        .set_write_timeout(Some(Duration::from_millis(700)))
        .expect("a pause");
    let mut sent = 0;
    let mut tell = Some(stalled);
    while sent < PIECE * PIECES {
        match stream.write(&piece[sent % PIECE..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let Some(stalled) = tell.take() else { continue };
                stalled.send(sent).expect("somebody waits");
            }
            Err(_gone) => return,
        }
    }
    if let Some(stalled) = tell {
        stalled.send(sent).expect("somebody waits");
    }
}

#[test]
fn a_client_that_does_not_read_stops_the_origin() {
    on_both_drivers(|driver| {
        let (tell, stalled) = mpsc::channel();
        let tell = Mutex::new(tell);
        let origin = Origin::serving(move |mut connection| {
            connection.request();
            connection.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                PIECE * PIECES
            ));
            let tell = tell.lock().unwrap().clone();
            pour(connection.stream(), &tell);
            connection.wait_close();
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let before = gateway.memory_peak();
        let mut client = gateway.client();
        client.send_get("h", "/big");
        let sent = stalled.recv_timeout(harness::GUARD).unwrap();
        assert!(sent < PIECE * PIECES, "nothing held the origin back");
        let grown = gateway.memory_peak() - before;
        assert!(grown < GROWTH_MAX, "grew by {grown} bytes with {sent} sent");
        let head = client.head().unwrap();
        assert_eq!(
            head.value("content-length"),
            Some((PIECE * PIECES).to_string().as_str())
        );
        let sum = checksum(&pattern(PIECE));
        for piece in 0..PIECES {
            assert_eq!(checksum(&client.take(PIECE)), sum, "piece {piece}");
        }
        let grown = gateway.memory_peak() - before;
        assert!(grown < GROWTH_MAX, "grew by {grown} bytes in all");
    });
}

#[test]
fn an_origin_that_does_not_read_stops_the_client() {
    on_both_drivers(|driver| {
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let origin = Origin::serving(move |mut connection| {
            connection.head();
            gone.lock().unwrap().recv().ok();
            let sum = checksum(&pattern(PIECE));
            let whole = (0..PIECES).all(|_| {
                connection
                    .take(PIECE)
                    .is_some_and(|piece| checksum(&piece) == sum)
            });
            connection.send(harness::ok(if whole { "whole" } else { "broken" }));
            connection.wait_close();
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let before = gateway.memory_peak();
        let mut client = gateway.client();
        client.send(format!(
            "PUT /big HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
            PIECE * PIECES
        ));
        let (tell, stalled) = mpsc::channel();
        let stream = client.stream().try_clone().unwrap();
        let sender = std::thread::spawn(move || pour(&stream, &tell));
        let sent = stalled.recv_timeout(harness::GUARD).unwrap();
        assert!(sent < PIECE * PIECES, "nothing held the client back");
        let grown = gateway.memory_peak() - before;
        assert!(grown < GROWTH_MAX, "grew by {grown} bytes with {sent} sent");
        go.send(()).unwrap();
        sender.join().unwrap();
        assert_eq!(client.response().text(), "whole");
        let grown = gateway.memory_peak() - before;
        assert!(grown < GROWTH_MAX, "grew by {grown} bytes in all");
    });
}

#[test]
fn many_slow_clients_do_not_hold_up_others() {
    on_both_drivers(|driver| {
        let big = harness::ok(pattern(4 << 20));
        let origin = Origin::answering(move |request| match request.target() {
            "/big" => big.clone(),
            _ => harness::ok("small"),
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let before = gateway.memory_peak();
        let mut slow: Vec<_> = (0..20).map(|_| gateway.client()).collect();
        for client in &mut slow {
            client.send_get("h", "/big");
            assert_eq!(client.head().unwrap().second(), "200");
        }
        for _ in 0..20 {
            assert_eq!(gateway.get("h", "/").text(), "small");
        }
        let grown = gateway.memory_peak() - before;
        assert!(grown < 2 * GROWTH_MAX, "grew by {grown} bytes");
        let sum = checksum(&pattern(4 << 20));
        for mut client in slow {
            assert_eq!(checksum(&client.take(4 << 20)), sum);
        }
    });
}
