//! gRPC-Web: calls as browsers make them, over either version of HTTP, for backends that speak gRPC.

use std::sync::mpsc;

use crate::harness::{
    self, Client, Config, Gateway, Response,
    h2::{self, Backend, Session},
    on_both_drivers,
    python::{GRPCIO, Server},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::http::{self, HeaderMap};

/// A message as gRPC frames it.
fn message(bytes: &[u8]) -> Vec<u8> {
    [&[0][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// The message that holds the trailers.
fn trailers(lines: &str) -> Vec<u8> {
    [&[0x80][..], &(lines.len() as u32).to_be_bytes(), lines.as_bytes()].concat()
}

/// Answers each message with the same one, and tells what it saw of the head in its trailers.
fn echo() -> Backend {
    Backend::serving(100, |mut asked| async move {
        let told = |name: &str| asked.request.headers().get(name).cloned();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().expect("a value"));
        for name in ["content-type", "te", "content-length"] {
            let name_out: http::HeaderName = format!("x-got-{name}").parse().expect("a name");
            let value = told(name).unwrap_or_else(|| "none".parse().expect("a value"));
            trailers.insert(name_out, value);
        }
        let Ok((body, _)) = h2::drain(asked.request.body_mut()).await else {
            return;
        };
        let head = http::Response::builder()
            .status(200)
            .header("content-type", "application/grpc+proto");
        let head = head.body(()).expect("a head");
        if let Ok(mut stream) = asked.answer.send_response(head, false) {
            h2::send_all(&mut stream, body.into(), Some(trailers)).await;
        }
    })
}

fn gateway(driver: harness::Driver, backend: &Backend) -> Gateway {
    let config =
        Config::new()
            .listener("grpcWeb: true")
            .service_with("echo", &[backend.address()], "protocol: h2");
    Gateway::start(driver, &config)
}

/// Makes a call in HTTP/1.1, its body in these chunks.
fn call(client: &mut Client, path: &str, content_type: &str, chunks: &[&[u8]]) -> Response {
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: {content_type}\r\nx-grpc-web: 1\r\n\
         transfer-encoding: chunked\r\n\r\n"
    ));
    for chunk in chunks {
        client.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    client.response()
}

const SEEN: &str = "grpc-status:0\r\nx-got-content-type:application/grpc+proto\r\nx-got-te:trailers\r\n\
                    x-got-content-length:none\r\n";

#[test]
fn a_call_in_bytes_is_answered_in_bytes() {
    on_both_drivers(|driver| {
        let backend = echo();
        let gateway = gateway(driver, &backend);
        let mut client = gateway.client();
        for size in [0, 5, 300_000] {
            let sent = message(&vec![b'm'; size]);
            let response = call(&mut client, "/a.A/Do", "application/grpc-web+proto", &[&sent]);
            assert_eq!(response.status, 200);
            assert_eq!(
                response.header("content-type"),
                Some("application/grpc-web+proto")
            );
            assert!(response.trailer("grpc-status").is_empty());
            assert!(response.body == [sent, trailers(SEEN)].concat(), "{size}");
        }
        assert_eq!(gateway.logged("/a.A/Do")["grpc_status"], 0);
    });
}

/// What a text stands for that may be padded in its middle.
fn decoded(text: &[u8]) -> Vec<u8> {
    let groups = text.chunks(4);
    let bytes = groups.flat_map(|group| BASE64_STANDARD.decode(group).expect("base64"));
    bytes.collect()
}

#[test]
fn a_call_in_text_is_answered_in_text() {
    on_both_drivers(|driver| {
        let backend = echo();
        let gateway = gateway(driver, &backend);
        let mut client = gateway.client();
        let (one, two) = (message(b"one"), message(&[0xff; 10_000]));
        // Each message padded by itself, as a client that streams sends them.
        let text = [BASE64_STANDARD.encode(&one), BASE64_STANDARD.encode(&two)].concat();
        let (begin, rest) = text.as_bytes().split_at(3);
        let response = call(
            &mut client,
            "/a.A/Do",
            "application/grpc-web-text+proto",
            &[begin, rest],
        );
        assert_eq!(
            response.header("content-type"),
            Some("application/grpc-web-text+proto")
        );
        assert!(decoded(&response.body) == [one, two, trailers(SEEN)].concat());
    });
}

#[test]
fn a_call_over_http2_is_answered_without_trailers_of_its_own() {
    on_both_drivers(|driver| {
        let backend = echo();
        let gateway = gateway(driver, &backend);
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let mut request = session.request("POST", "/a.A/Do");
            let headers = request.headers_mut();
            headers.insert(
                "content-type",
                "application/grpc-web+proto".parse().expect("a value"),
            );
            headers.insert("accept", "application/grpc-web-text".parse().expect("a value"));
            let sent = message(b"hello");
            let answer = session.send(request, &sent, None).await.expect("an answer");
            assert_eq!(answer.headers["content-type"], "application/grpc-web-text+proto");
            assert!(decoded(&answer.body) == [sent, trailers(SEEN)].concat());
            assert!(answer.trailers.is_none());
        });
    });
}

#[test]
fn what_the_gateway_answers_is_an_answer_to_such_a_call() {
    on_both_drivers(|driver| {
        let backend = echo();
        let config = Config::new()
            .listener("grpcWeb: true")
            .service_with("echo", &[backend.address()], "protocol: h2")
            .routes(
                "\n- name: one\n  rules:\n  - matches: [{ grpc: { service: a.A } }]\n    backends: [{ service: echo }]\n",
            );
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        let response = call(&mut client, "/b.B/Do", "application/grpc-web+proto", &[]);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("grpc-status"), Some("12"));
        assert_eq!(
            response.header("content-type"),
            Some("application/grpc-web+proto")
        );
        let response = call(
            &mut client,
            "/a.A/Do",
            "application/grpc-web-text",
            &[b"no base64!"],
        );
        assert_eq!(response.header("grpc-status"), Some("13"));
        assert_eq!(
            response.header("content-type"),
            Some("application/grpc-web-text+proto")
        );
        assert_eq!(gateway.logged("/a.A/Do")["reason"], "bad_request:grpc_web");
    });
}

#[test]
fn an_answer_that_is_none_of_grpc_stays_as_it_is() {
    on_both_drivers(|driver| {
        let backend = Backend::serving(100, |mut asked| async move {
            let head = http::Response::builder()
                .status(503)
                .header("content-type", "text/plain");
            let mut stream = asked
                .answer
                .send_response(head.body(()).expect("a head"), false)
                .expect("it goes out");
            h2::send_all(&mut stream, "not now".into(), None).await;
        });
        let gateway = gateway(driver, &backend);
        let mut client = gateway.client();
        let response = call(
            &mut client,
            "/a.A/Do",
            "application/grpc-web-text",
            &[b"AAAAAAA="],
        );
        assert_eq!((response.status, response.text().as_str()), (503, "not now"));
    });
}

#[test]
fn a_listener_that_was_not_told_passes_such_calls_on_as_they_are() {
    on_both_drivers(|driver| {
        let (saw, seen) = mpsc::channel();
        let backend = Backend::serving(100, move |mut asked| {
            let saw = saw.clone();
            async move {
                let told = asked.request.headers()["content-type"].clone();
                let body = h2::drain(asked.request.body_mut()).await.expect("a body").0;
                saw.send((told, body)).expect("a listener");
                let head = http::Response::builder().status(200).body(()).expect("a head");
                let _ = asked.answer.send_response(head, true);
            }
        });
        let config = Config::new().service_with("echo", &[backend.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        call(
            &mut gateway.client(),
            "/a.A/Do",
            "application/grpc-web-text",
            &[b"AAAA"],
        );
        let (told, body) = seen.recv_timeout(harness::GUARD).expect("it came");
        assert_eq!(
            (told.as_bytes(), body.as_slice()),
            (&b"application/grpc-web-text"[..], &b"AAAA"[..])
        );
    });
}

#[test]
fn a_real_server_is_called() {
    let Some(server) = Server::start(&GRPCIO) else {
        return;
    };
    on_both_drivers(|driver| {
        let config =
            Config::new()
                .listener("grpcWeb: true")
                .service_with("echo", &[server.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        let kind = "application/grpc-web+proto";
        let sent = message(b"hello");
        let response = call(&mut client, "/test.Echo/Unary", kind, &[&sent]);
        let (came, end) = response.body.split_at(sent.len());
        assert_eq!((came, end[0]), (&sent[..], 0x80));
        let end = String::from_utf8_lossy(&end[5..]);
        assert!(
            end.contains("grpc-status:0\r\n") && end.contains("x-sum:5\r\n"),
            "{end}"
        );
        let response = call(&mut client, "/test.Echo/ServerStream", kind, &[&message(b"2")]);
        let expected = [message(b"message 0"), message(b"message 1")].concat();
        assert_eq!(response.body[..expected.len()], expected);
        let response = call(&mut client, "/test.Echo/Fail", kind, &[&message(b"")]);
        assert_eq!(response.header("grpc-status"), Some("9"));
        assert_eq!(response.header("grpc-message"), Some("not now: 100%25"));
    });
}
