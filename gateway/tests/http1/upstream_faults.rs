//! Origins that break HTTP, close early, hang or say too much (RFC 9112 6.3, 9.3, 11.1): the client never takes a
//! broken answer for a whole one, and nobody gets another's bytes.

use std::sync::{Mutex, mpsc};

use crate::harness::{Broken, Config, Driver, Gateway, Origin, Port, message::Head, ok, on_both_drivers};

/// Serves case `n` of `answers` to `GET /n`, then closes.
fn misbehaving(driver: Driver, answers: &[Vec<u8>], service: &str) -> (Origin, Gateway) {
    let answers = answers.to_vec();
    let origin = Origin::serving(move |mut connection| {
        let Some(head) = connection.head() else { return };
        match case_of(&head) {
            Some(case) => connection.send(&answers[case]),
            None => connection.send(ok("well")),
        };
    });
    let config = Config::new().service_with("v1", &[origin.address()], service);
    (origin, Gateway::start(driver, &config))
}

fn case_of(head: &Head) -> Option<usize> {
    head.second().strip_prefix('/')?.parse().ok()
}

fn shown(answer: &[u8]) -> String {
    String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned()
}

fn bytes(answers: &[&str]) -> Vec<Vec<u8>> {
    answers.iter().map(|answer| answer.as_bytes().to_vec()).collect()
}

fn all_502(driver: Driver, answers: &[Vec<u8>]) {
    let (_origin, gateway) = misbehaving(driver, answers, "");
    let mut client = gateway.client();
    for (case, answer) in answers.iter().enumerate() {
        let response = client.get("h", &format!("/{case}"));
        assert_eq!(response.status, 502, "{:?}", shown(answer));
        assert!(
            !response.text().contains("127.0.0.1"),
            "names no internals: {}",
            response.text()
        );
        let line = gateway.logged(&format!("/{case}"));
        let reason = line["reason"].as_str().unwrap_or("");
        assert!(reason.starts_with("upstream_"), "{:?}: {line}", shown(answer));
    }
    assert_eq!(
        client.get("h", "/well").text(),
        "well",
        "the client's connection goes on"
    );
}

#[test]
fn ambiguous_framing_is_a_bad_gateway() {
    let answers = bytes(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: xchunked\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ]);
    on_both_drivers(|driver| all_502(driver, &answers));
}

#[test]
fn a_malformed_head_is_a_bad_gateway() {
    let answers = bytes(&[
        "hello\n",
        "hello world this is not http\r\n\r\n",
        "HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 99 Low\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 1000 High\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 abc Text\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 -20 Minus\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: \0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: a\x01\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: a\rb\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: empty\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx y: 1\r\ncontent-length: 0\r\n\r\n",
    ]);
    on_both_drivers(|driver| all_502(driver, &answers));
}

#[test]
fn what_may_be_repaired_is_repaired_or_refused_but_never_passed_on() {
    let answers = bytes(&[
        "HTTP/1.1 200 OK\r\nx-a : 1\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\nx-a: 1\ncontent-length: 2\n\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
    ]);
    on_both_drivers(|driver| {
        let (_origin, gateway) = misbehaving(driver, &answers, "");
        for (case, answer) in answers.iter().enumerate() {
            let response = gateway.get("h", &format!("/{case}"));
            let raw = String::from_utf8_lossy(&response.head.raw).replace("\r\n", "");
            assert!(matches!(response.status, 200 | 502), "{:?}", shown(answer));
            assert!(!raw.contains(['\r', '\n']) && !raw.contains("x-a :"), "{raw}");
            assert!(response.headers("content-length").len() == 1);
        }
    });
}

#[test]
fn endless_heads_and_floods_of_interim_answers_are_bounded() {
    let fill = |length: usize| "a".repeat(length);
    let answers = [
        format!(
            "HTTP/1.1 200 OK\r\nx-a: {}\r\ncontent-length: 0\r\n\r\n",
            fill(2 << 20)
        ),
        format!("HTTP/1.1 200 {}\r\ncontent-length: 0\r\n\r\n", fill(2 << 20)),
        format!(
            "HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n",
            "x-a: 1\r\n".repeat(100_000)
        ),
        fill(2 << 20),
        "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100_000),
        format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", fill(60 << 10)).repeat(100),
    ]
    .map(String::into_bytes);
    on_both_drivers(|driver| all_502(driver, &answers));
}

#[test]
fn a_switch_of_protocols_nobody_asked_for_is_a_bad_gateway() {
    let answers = bytes(&[
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nbytes",
        "HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ]);
    on_both_drivers(|driver| all_502(driver, &answers));
}

#[test]
fn an_origin_that_ends_before_its_head_is_a_bad_gateway() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            let Some(head) = connection.head() else { return };
            match head.second() {
                "/closed" => {}
                "/reset" => connection.reset(),
                "/half" => drop(connection.send("HTTP/1.1 200 OK\r\ncontent-le")),
                "/half-reset" => {
                    connection.send("HTTP/1.1 200 OK\r\ncontent-le");
                    connection.reset();
                }
                "/only-interim" => drop(connection.send("HTTP/1.1 103 Early Hints\r\n\r\n")),
                _ => unreachable!("no such case"),
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for target in ["/closed", "/reset", "/half", "/half-reset", "/only-interim"] {
            assert_eq!(gateway.get("h", target).status, 502, "{target}");
            let reason = gateway.logged(target)["reason"].as_str().unwrap().to_owned();
            assert!(reason.starts_with("upstream_"), "{target}: {reason}");
        }
    });
}

#[test]
fn an_origin_that_is_not_there_is_503() {
    on_both_drivers(|driver| {
        let nobody = Port::free();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[nobody.address()]));
        let mut client = gateway.client();
        for target in ["/a", "/b"] {
            let response = client.get("h", target);
            assert_eq!(response.status, 503);
            assert!(!response.text().contains(&nobody.address().to_string()));
            assert_eq!(gateway.logged(target)["reason"], "connect_failed");
        }
    });
}

#[test]
fn a_body_cut_short_is_never_ended_as_if_it_were_whole() {
    let answers = bytes(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: 1\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0x5\r\nworld\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\nworld",
    ]);
    on_both_drivers(|driver| {
        let (_origin, gateway) = misbehaving(driver, &answers, "");
        for (case, answer) in answers.iter().enumerate() {
            let mut client = gateway.client();
            client.send_get("h", &format!("/{case}"));
            match client.try_response("GET") {
                Err(Broken::Closed | Broken::Cut(_)) => {}
                other => panic!("{:?}: {other:?}", shown(answer)),
            }
            let reason = gateway.logged(&format!("/{case}"))["reason"]
                .as_str()
                .unwrap_or("")
                .to_owned();
            assert!(reason.starts_with("upstream_"), "{:?}: {reason:?}", shown(answer));
            // To HTTP/1.0 the end of the connection ends the body: only a reset tells that it was cut.
            let mut old = gateway.client();
            old.send(format!("GET /{case} HTTP/1.0\r\nhost: h\r\n\r\n"));
            let whole = old
                .try_response("GET")
                .is_ok_and(|response| response.status == 200);
            assert!(!whole || old.was_reset(), "{:?}", shown(answer));
        }
    });
}

#[test]
fn endless_chunk_extensions_and_trailers_of_an_origin_are_bounded() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let answers = [
        format!("{head}5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(2 << 20)),
        format!(
            "{head}{}0\r\n\r\n",
            format!("1;{}\r\nx\r\n", "a".repeat(64)).repeat(50_000)
        ),
        format!("{head}5\r\nhello\r\n0\r\nx-a: {}\r\n\r\n", "a".repeat(2 << 20)),
        format!("{head}5\r\nhello\r\n0\r\n{}\r\n", "x-a: 1\r\n".repeat(100_000)),
    ]
    .map(String::into_bytes);
    on_both_drivers(|driver| {
        let (_origin, gateway) = misbehaving(driver, &answers, "");
        for (case, answer) in answers.iter().enumerate() {
            let mut client = gateway.client();
            client.send_get("h", &format!("/{case}"));
            let outcome = client.try_response("GET");
            let whole = outcome.is_ok_and(|response| response.status == 200);
            assert!(!whole, "{:?}", shown(answer));
        }
    });
}

#[test]
fn bytes_after_an_answer_never_reach_anybody() {
    const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            while let Some(head) = connection.head() {
                let answer = match head.second() {
                    "/length" => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                    "/chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                    "/head" => "HTTP/1.1 200 OK\r\ncontent-length: 45\r\n\r\n",
                    "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                    "/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 45\r\n\r\n",
                    _ => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell",
                };
                let poison = if head.second() == "/well" { "" } else { POISON };
                connection.send([answer, poison].concat());
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for (method, target) in [
            ("GET", "/length"),
            ("GET", "/chunked"),
            ("HEAD", "/head"),
            ("GET", "/204"),
            ("GET", "/304"),
        ] {
            let mut client = gateway.client();
            client.send(format!("{method} {target} HTTP/1.1\r\nhost: h\r\n\r\n"));
            let response = client.try_response(method).unwrap();
            assert!(!response.text().contains("poison"), "{target}");
            // The same client and others, several times: none gets what was left over.
            for _ in 0..3 {
                assert_eq!(client.get("h", "/well").text(), "well", "after {target}");
                assert_eq!(gateway.get("h", "/well").text(), "well", "after {target}");
            }
        }
    });
}

#[test]
fn bytes_on_an_idle_pooled_connection_spoil_it() {
    on_both_drivers(|driver| {
        let (go, wait) = mpsc::channel::<()>();
        let (tell, spoilt) = mpsc::channel::<()>();
        let (wait, tell) = (Mutex::new(wait), Mutex::new(tell));
        let origin = Origin::serving(move |mut connection| {
            connection.request();
            connection.send(ok("well"));
            if connection.index == 0 {
                wait.lock().unwrap().recv().ok();
                connection.send(ok("poison"));
                tell.lock().unwrap().send(()).ok();
            }
            while connection.request().is_some() {
                connection.send(ok("well"));
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        assert_eq!(gateway.get("h", "/").text(), "well");
        go.send(()).unwrap();
        spoilt.recv().unwrap(); // on the loopback what was sent has arrived
        for _ in 0..3 {
            assert_eq!(gateway.get("h", "/").text(), "well");
        }
        assert_eq!(origin.connections(), 2);
    });
}
