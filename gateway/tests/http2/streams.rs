//! Streams of HTTP/2: interim and early answers, resets both ways, refusals, windows, and when a connection ends.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use crate::harness::{
    self, Config, Gateway, Origin, Run, checksum, eventually,
    h2::{self, Backend, Session},
    on_both_drivers, pattern,
};
use ::h2::{Reason, client};
use bytes::Bytes;
use hyper::http::Response;

fn to(backend: &Backend) -> Config {
    Config::new().service_with("backend", &[backend.address()], "protocol: h2")
}

#[test]
fn interim_answers_pass() {
    on_both_drivers(|driver| {
        let backend = Backend::serving(100, |mut asked| async move {
            let hints = Response::builder()
                .status(103)
                .header("link", "</x>")
                .body(())
                .expect("a head");
            asked.answer.send_informational(hints).expect("it goes out");
            let head = Response::builder().status(204).body(()).expect("a head");
            asked.answer.send_response(head, true).expect("it goes out");
        });
        let gateway = Gateway::start(driver, &to(&backend));
        let answer = h2::run(async { Session::open(gateway.address()).await.get("/").await });
        assert_eq!((answer.status, answer.interim), (204, vec![103]));
        let answer = gateway.get("example.com", "/");
        assert_eq!(answer.status, 204);
        assert_eq!(answer.interim[0].value("link"), Some("</x>"));
    });
}

#[test]
fn an_answer_may_come_before_the_request_is_whole() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.head();
            connection.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
            connection.wait_close();
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let request = session.request("POST", "/");
            let (response, mut stream) = session.begin(request, false).await.expect("it begins");
            stream
                .send_data(Bytes::from_static(b"some"), false)
                .expect("it goes out");
            let answer = h2::read(response).await.expect("an answer");
            assert_eq!((answer.status, answer.body.as_slice()), (403, b"no".as_slice()));
            // The client is told to send no more, and nothing else on the connection is hurt (RFC 9113 8.1).
            let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            assert_eq!(reset.expect("a reset"), Reason::NO_ERROR);
            assert_eq!(session.get("/nowhere").await.status, 403);
        });
    });
}

#[test]
fn a_client_that_resets_ends_the_work() {
    on_both_drivers(|driver| {
        let (began, begun) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let backend = Backend::serving(100, move |mut asked| {
            let (began, ended) = (began.clone(), ended.clone());
            async move {
                began.send(()).expect("a listener");
                let reset = std::future::poll_fn(|cx| asked.answer.poll_reset(cx)).await;
                ended.send(reset.expect("a reset")).expect("a listener");
            }
        });
        let gateway = Gateway::start(driver, &to(&backend));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let (response, mut stream) = session
                .begin(session.request("GET", "/"), true)
                .await
                .expect("it begins");
            let arrived = tokio::task::spawn_blocking(move || begun.recv_timeout(harness::GUARD));
            arrived.await.expect("a thread").expect("it reaches the backend");
            stream.send_reset(Reason::CANCEL);
            drop(response);
            let told = tokio::task::spawn_blocking(move || end.recv_timeout(harness::GUARD));
            let reason = told.await.expect("a thread").expect("it ends there");
            assert_eq!(reason, Reason::CANCEL);
        });
        assert_eq!(gateway.logged("/")["reason"], "client_gone");
    });
}

#[test]
fn a_backend_that_resets_in_the_middle_is_never_taken_for_whole() {
    on_both_drivers(|driver| {
        let backend = Backend::serving(100, |mut asked| async move {
            let head = Response::builder().status(200).body(()).expect("a head");
            let mut stream = asked.answer.send_response(head, false).expect("it goes out");
            stream
                .send_data(Bytes::from_static(b"half"), false)
                .expect("it goes out");
            // The connection's task, woken by both, writes them before this one goes on.
            tokio::task::yield_now().await;
            stream.send_reset(Reason::INTERNAL_ERROR);
        });
        let gateway = Gateway::start(driver, &to(&backend));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let error = session
                .send(session.request("GET", "/cut"), b"", None)
                .await
                .expect_err("a reset");
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        });
        assert_eq!(gateway.logged("/cut")["reason"], "upstream_reset");
        let mut client = gateway.client();
        client.send_get("example.com", "/cut1");
        assert!(client.try_response("GET").is_err(), "an answer that looks whole");
    });
}

#[test]
fn what_a_backend_refuses_is_sent_again() {
    on_both_drivers(|driver| {
        let refused = AtomicBool::new(false);
        let backend = Backend::serving(100, move |mut asked| {
            let is_first = !refused.swap(true, Ordering::SeqCst);
            async move {
                if is_first {
                    return asked.answer.send_reset(Reason::REFUSED_STREAM);
                }
                let head = Response::builder().status(200).body(()).expect("a head");
                let (body, _) = h2::drain(asked.request.body_mut()).await.expect("a body");
                let mut stream = asked.answer.send_response(head, false).expect("it goes out");
                h2::send_all(&mut stream, body.into(), None).await;
            }
        });
        let gateway = Gateway::start(driver, &to(&backend));
        // Even a POST, and without a retry policy: nothing was done with it.
        let answer = gateway.ask("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc");
        assert_eq!((answer.status, answer.text().as_str()), (200, "abc"));
        assert_eq!(backend.requests(), 2);
    });
}

#[test]
fn a_backend_that_says_goodbye_loses_no_request() {
    on_both_drivers(|driver| {
        let backend = Backend::serving(100, |mut asked| async move {
            asked.goodbye.send(None).expect("a connection");
            let head = Response::builder().status(200).body(()).expect("a head");
            asked.answer.send_response(head, true).expect("it goes out");
        });
        let gateway = Run::on(driver).workers(1).start(&to(&backend));
        let mut client = gateway.client();
        for at in 0..50 {
            assert_eq!(client.get("example.com", "/").status, 200, "request {at}");
        }
        assert!(backend.connections() > 1);
    });
}

#[test]
fn a_full_connection_has_another_beside_it() {
    on_both_drivers(|driver| {
        let (release, _) = tokio::sync::broadcast::channel::<()>(1);
        let released = release.clone();
        let backend = Backend::serving(2, move |mut asked| {
            let mut released = released.subscribe();
            async move {
                let _ = released.recv().await;
                let head = Response::builder().status(200).body(()).expect("a head");
                let _ = asked.answer.send_response(head, true);
            }
        });
        let gateway = Run::on(driver).workers(1).start(&to(&backend));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let mut answers = Vec::new();
            for at in 0..5 {
                let request = session.request("GET", "/");
                let (response, _) = session.begin(request, true).await.expect("it begins");
                answers.push(response);
                // One after the other, so that the backend's settings are known: two of its connections fill up.
                backend.wait_requests(at + 1).await;
            }
            assert_eq!(backend.connections(), 3);
            release.send(()).expect("listeners");
            for answer in answers {
                assert_eq!(answer.await.expect("an answer").status(), 200);
            }
        });
    });
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_else_and_little_memory() {
    on_both_drivers(|driver| {
        let large = 8 << 20;
        let backend = Backend::serving(100, move |mut asked| async move {
            let length = if asked.request.uri().path() == "/large" {
                large
            } else {
                10
            };
            let head = Response::builder().status(200).body(()).expect("a head");
            let mut stream = asked.answer.send_response(head, false).expect("it goes out");
            h2::send_all(&mut stream, pattern(length).into(), None).await;
        });
        let gateway = Run::on(driver).workers(1).start(&to(&backend));
        h2::run(async {
            let mut builder = client::Builder::new();
            let session = Session::with(gateway.address(), builder.initial_window_size(65_535)).await;
            let (response, _) = session
                .begin(session.request("GET", "/large"), true)
                .await
                .expect("it begins");
            let (head, mut body) = response.await.expect("an answer").into_parts();
            assert_eq!(head.status, 200);
            // It is not read; another connection's requests are answered meanwhile.
            let other = Session::open(gateway.address()).await;
            for _ in 0..20 {
                assert_eq!(other.get("/small").await.body, pattern(10));
            }
            let (bytes, _) = h2::drain(&mut body).await.expect("the body");
            assert_eq!(checksum(&bytes), checksum(&pattern(large)));
        });
        assert!(gateway.memory_peak() < 64 << 20, "{}", gateway.memory_peak());
    });
}

#[test]
fn a_drain_ends_with_the_last_stream() {
    on_both_drivers(|driver| {
        let (release, _) = tokio::sync::broadcast::channel::<()>(1);
        let released = release.clone();
        let backend = Backend::serving(100, move |mut asked| {
            let mut released = released.subscribe();
            async move {
                let _ = released.recv().await;
                let head = Response::builder().status(200).body(()).expect("a head");
                let mut stream = asked.answer.send_response(head, false).expect("it goes out");
                h2::send_all(&mut stream, pattern(100_000).into(), None).await;
            }
        });
        let mut gateway = Gateway::start(driver, &to(&backend));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let begun = session.begin(session.request("GET", "/slow"), true).await;
            let (response, _) = begun.expect("it begins");
            backend.wait_requests(1).await;
            gateway.signal("TERM");
            // The second GOAWAY comes after a round trip; from then on the client opens no more.
            while session.begin(session.request("GET", "/late"), true).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            release.send(()).expect("listeners");
            let answer = h2::read(response).await.expect("an answer");
            assert_eq!(checksum(&answer.body), checksum(&pattern(100_000)));
            session.ended().await;
        });
        assert!(gateway.wait_exit().success());
    });
}

#[test]
fn a_request_that_takes_too_long_is_ended_on_both_sides() {
    on_both_drivers(|driver| {
        let (ended, end) = mpsc::channel();
        let backend = Backend::serving(100, move |mut asked| {
            let ended = ended.clone();
            async move {
                let reset = std::future::poll_fn(|cx| asked.answer.poll_reset(cx)).await;
                ended.send(reset.expect("a reset")).expect("a listener");
            }
        });
        let config = to(&backend).routes(
            "\n- name: all\n  rules:\n  - backends: [{ service: backend }]\n    timeouts: { request: 100ms }\n",
        );
        let gateway = Gateway::start(driver, &config);
        let answer = h2::run(async { Session::open(gateway.address()).await.get("/").await });
        assert_eq!(answer.status, 504);
        let reason = end.recv_timeout(harness::GUARD).expect("it ends there");
        assert_eq!(reason, Reason::CANCEL);
    });
}

#[test]
fn what_is_no_request_of_http2_is_answered_or_reset() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let mut other_host = session.request("GET", "/");
            other_host
                .headers_mut()
                .insert("host", "other.example".parse().expect("a value"));
            let mut many_fields = session.request("GET", "/");
            for at in 0..101 {
                many_fields
                    .headers_mut()
                    .append("cookie", format!("c{at}=1").parse().expect("a value"));
            }
            let mut large = session.request("GET", "/");
            large
                .headers_mut()
                .insert("x-large", "x".repeat(66_000).parse().expect("a value"));
            let mut expects = session.request("POST", "/");
            expects
                .headers_mut()
                .insert("expect", "a-miracle".parse().expect("a value"));
            let long = session.request("GET", &format!("/{}", "x".repeat(9000)));
            let cases = [
                (other_host, 400),
                (session.request("GET", "/%00"), 400),
                (session.request("GET", "/a%2fb"), 400),
                (many_fields, 431),
                (large, 431),
                (expects, 417),
                (long, 414),
            ];
            for (request, status) in cases {
                let shown = format!("{request:?}");
                let answer = session.send(request, b"", None).await.expect("an answer");
                assert_eq!(answer.status, status, "{}", &shown[..shown.len().min(200)]);
            }
            // Nothing of it ended the connection.
            assert_eq!(session.get("/").await.status, 200);
        });
        assert_eq!(origin.requests().len(), 1);
        eventually("what was refused is counted", || {
            let counted = gateway.metrics().sum("sluice_bad_requests_total", &[]);
            (counted >= 6.0).then_some(())
        });
    });
}

#[test]
fn http2_begins_with_a_connection_or_not_at_all() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        assert_eq!(client.get("example.com", "/").status, 200);
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let answer = client.response();
        assert_eq!((answer.status, answer.closes()), (400, true));
        gateway.log_line("the preface", |line| {
            line["reason"] == "bad_request:http2_preface"
        });
    });
}
