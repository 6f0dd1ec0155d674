//! Connections passed on as they are (`protocol: tcp`): every byte both ways, each end for itself, to the end of
//! both or of patience.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use crate::harness::{
    Client, Connection, Driver, GUARD, Gateway, Origin, checksum, eventually, on_both_drivers,
    passing::{echo, ended, line, passing, says},
    pattern,
};

fn passed(driver: Driver, script: impl Fn(Connection) + Send + Sync + 'static) -> (Origin, Gateway) {
    let origin = Origin::serving(script);
    let gateway = Gateway::start(driver, &passing(&[origin.address()], ""));
    (origin, gateway)
}

#[test]
fn bytes_pass_both_ways_and_the_server_may_speak_first() {
    on_both_drivers(|driver| {
        let origin = echo("hello");
        let gateway = Gateway::start(driver, &passing(&[origin.address()], ""));
        let mut client = gateway.client();
        says(&mut client, "hello");
        for message in ["ping", "GET ", "\0\r\n\u{7f}"] {
            client.send(message);
            assert_eq!(client.take(4), message.as_bytes());
        }
        let bytes = |name| gateway.metrics().sum(name, &[("service", "pg")]);
        assert_eq!(bytes("sluice_passthrough_received_bytes_total"), 12.0);
        assert_eq!(bytes("sluice_passthrough_sent_bytes_total"), 17.0);
        let metrics = gateway.metrics();
        let of_listener = |name| metrics.sum(name, &[("listener", "web")]);
        assert_eq!(of_listener("sluice_connections_active"), 1.0);
        assert_eq!(of_listener("sluice_received_bytes_total"), 12.0);
        assert_eq!(metrics.sum("sluice_tunnels_active", &[]), 1.0);
        client.finish();
        client.expect_close();
        let line = line(&gateway, "protocol", "tcp");
        assert_eq!(line["listener"], "web");
        assert_eq!((&line["route"], &line["service"]), (&"db".into(), &"pg".into()));
        assert_eq!(line["endpoint"], origin.address().to_string());
        assert_eq!(
            (line["bytes_received"].as_u64(), line["bytes_sent"].as_u64()),
            (Some(12), Some(17))
        );
        assert_eq!(line["attempts"], 1);
        assert!(
            line.get("reason").is_none() && line.get("status").is_none(),
            "{line}"
        );
        assert_eq!(ended(&gateway, "-"), 1.0);
    });
}

#[test]
fn an_end_is_passed_on_and_leaves_the_other_way_open() {
    on_both_drivers(|driver| {
        // The client ends first, and is answered after.
        let (_origin, gateway) = passed(driver, |mut connection| {
            let received = connection.wait_close();
            connection.send(checksum(&received).to_be_bytes());
            connection.send(pattern(1 << 20));
        });
        let mut client = gateway.client();
        client.send(pattern(100_000));
        client.finish();
        assert_eq!(client.take(8), checksum(&pattern(100_000)).to_be_bytes());
        assert_eq!(checksum(&client.rest()), checksum(&pattern(1 << 20)));
        assert!(!client.was_reset());
        // The backend ends first, and is sent to after.
        let (origin, gateway) = passed(driver, |mut connection| {
            connection.send("bye");
            connection.finish();
            connection.wait_close();
        });
        let mut client = gateway.client();
        assert_eq!(client.rest(), b"bye");
        client.send(pattern(100_000));
        client.finish();
        origin.wait_until("the end", |seen| seen.open == 0);
        assert_eq!(checksum(&origin.bytes()), checksum(&pattern(100_000)));
    });
}

#[test]
fn a_reset_on_one_side_is_one_on_the_other() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = passed(driver, |mut connection| {
            connection.take(4);
            connection.reset();
        });
        let mut client = gateway.client();
        client.send("ping");
        assert!(client.rest().is_empty() && client.was_reset());
        assert_eq!(line(&gateway, "reason", "upstream_reset")["bytes_received"], 4);

        let (told, tell) = std::sync::mpsc::channel();
        let told = std::sync::Mutex::new(told);
        let (_origin, gateway) = passed(driver, move |connection| {
            connection.stream().write_all(b"x").ok();
            let mut rest = Vec::new();
            let outcome = (&mut connection.stream()).read_to_end(&mut rest);
            told.lock()
                .unwrap()
                .send(outcome.map_err(|error| error.kind()))
                .ok();
        });
        let mut client = gateway.client();
        says(&mut client, "x");
        client.reset();
        let outcome = tell.recv_timeout(GUARD).unwrap();
        assert_eq!(outcome.unwrap_err(), std::io::ErrorKind::ConnectionReset);
        line(&gateway, "reason", "client_gone");
        assert_eq!(ended(&gateway, "client_gone"), 1.0);
    });
}

#[test]
fn a_reset_is_heard_while_nothing_can_be_passed_on() {
    on_both_drivers(|driver| {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let (_origin, gateway) = passed(driver, move |_connection| {
            // Reads nothing.
            released.lock().unwrap().recv().ok();
        });
        let client = gateway.client();
        client.stream().set_nonblocking(true).unwrap();
        let piece = pattern(64 * 1024);
        let mut before = 0.0;
        eventually("nothing that is passed on any more", || {
            while client.stream().write(&piece).is_ok() {}
            let metrics = gateway.metrics();
            let now = metrics.sum("sluice_passthrough_received_bytes_total", &[]);
            let stands = now == before && now > 0.0;
            before = now;
            stands.then_some(())
        });
        client.reset();
        line(&gateway, "reason", "client_gone");
        drop(release);
    });
}

#[test]
fn one_that_moves_nothing_ends() {
    on_both_drivers(|driver| {
        let origin = echo("well");
        let config = passing(&[origin.address()], "").listener("timeouts: { tunnelIdle: 200ms }");
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        says(&mut client, "well");
        assert!(client.rest().is_empty());
        origin.wait_until("the end", |seen| seen.open == 0);
        line(&gateway, "reason", "idle_timeout");
    });
}

#[test]
fn open_ones_live_on_while_the_process_drains() {
    on_both_drivers(|driver| {
        let origin = echo("well");
        let mut gateway = Gateway::start(driver, &passing(&[origin.address()], ""));
        let mut client = gateway.client();
        says(&mut client, "well");
        gateway.signal("TERM");
        eventually("no further connection", || {
            Client::try_connect(gateway.address()).err()
        });
        client.send("ping");
        assert_eq!(client.take(4), b"ping");
        client.finish();
        client.expect_close();
        assert_eq!(gateway.wait_exit().code(), Some(0));
    });
}

#[test]
fn drain_has_an_end() {
    on_both_drivers(|driver| {
        let origin = echo("well");
        let config = passing(&[origin.address()], "").top("drain: { timeout: 300ms }");
        let mut gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        says(&mut client, "well");
        gateway.signal("TERM");
        assert!(client.rest().is_empty());
        gateway.wait_exit();
    });
}

#[test]
fn a_hundred_megabytes_come_whole() {
    on_both_drivers(|driver| {
        const PIECE: usize = 1 << 20;
        const PIECES: usize = 100;
        let (_origin, gateway) = passed(driver, |connection| {
            let mut stream = connection.stream().try_clone().unwrap();
            let mut received = vec![0; 256 * 1024];
            // Everything comes back.
            while let Ok(count @ 1..) = stream.read(&mut received) {
                stream.write_all(&received[..count]).unwrap();
            }
        });
        let mut stream = TcpStream::connect(gateway.address()).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        let piece = pattern(PIECE);
        let (mut sending, sent) = (stream.try_clone().unwrap(), piece.clone());
        let sender = thread::spawn(move || {
            for _ in 0..PIECES {
                sending.write_all(&sent).unwrap();
            }
            sending.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = vec![0; PIECE];
        for number in 0..PIECES {
            stream.read_exact(&mut received).unwrap();
            assert!(received == piece, "piece {number} differs");
        }
        assert_eq!(stream.read(&mut received).unwrap(), 0);
        sender.join().unwrap();
        let line = line(&gateway, "protocol", "tcp");
        let all = Some((PIECE * PIECES) as u64);
        assert_eq!(
            (line["bytes_received"].as_u64(), line["bytes_sent"].as_u64()),
            (all, all)
        );
        assert_eq!(
            gateway.metrics().sum("sluice_passthrough_sent_bytes_total", &[]),
            (PIECE * PIECES) as f64
        );
    });
}
