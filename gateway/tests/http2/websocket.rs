//! WebSockets: by a real client to a real server over HTTP/1.1, and over streams of HTTP/2 (RFC 8441).

use std::sync::mpsc;

use crate::harness::{
    self, Config, Gateway, Origin,
    h2::{self, Backend, Session},
    on_both_drivers,
    python::{Server, WEBSOCKETS},
};
use ::h2::ext::Protocol;
use bytes::Bytes;
use hyper::http::Response;

#[test]
fn a_real_client_talks_to_a_real_server() {
    let Some(server) = Server::start(&WEBSOCKETS) else {
        return;
    };
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[server.address()]));
        let (said, errors) = WEBSOCKETS.call(gateway.address());
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            ["chat", "True", "True", "True", "True", "True", "1000"],
            "{errors}"
        );
        assert_eq!(gateway.logged("/chat")["status"], 101);
        gateway.wait_metrics("the tunnel has ended", |metrics| {
            metrics.sum("sluice_tunnels_active", &[]) == 0.0
        });
    });
}

#[test]
fn a_real_client_talks_to_a_real_server_through_streams_between_gateways() {
    let Some(server) = Server::start(&WEBSOCKETS) else {
        return;
    };
    on_both_drivers(|driver| {
        let inner = Gateway::start(driver, &Config::new().service("v1", &[server.address()]));
        let config = Config::new().service_with("v1", &[inner.address()], "protocol: h2");
        let outer = Gateway::start(driver, &config);
        let (said, errors) = WEBSOCKETS.call(outer.address());
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            ["chat", "True", "True", "True", "True", "True", "1000"],
            "{errors}"
        );
        for gateway in [outer, inner] {
            assert_eq!(gateway.logged("/chat")["status"], 101);
            gateway.wait_metrics("the tunnel has ended", |metrics| {
                metrics.sum("sluice_tunnels_active", &[]) == 0.0
            });
        }
    });
}

/// What opens a WebSocket in HTTP/1.1, with the key of RFC 6455 1.3.
const OPENING: &str = "GET /chat?x=y HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A backend over HTTP/2 that takes WebSockets: answers `status`, and then echoes.
fn echoes(status: u16) -> Backend {
    let mut builder = ::h2::server::Builder::new();
    Backend::with(builder.enable_connect_protocol(), move |mut asked| async move {
        let request = &asked.request;
        let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
        let head = Response::builder()
            .status(status)
            .header("sec-websocket-protocol", "chat")
            .header("x-method", request.method().as_str())
            .header("x-protocol", protocol.unwrap_or_default())
            .header("x-uri", request.uri().to_string())
            .header(
                "x-fields",
                request
                    .headers()
                    .keys()
                    .map(|name| name.as_str())
                    .collect::<Vec<_>>()
                    .join(" "),
            )
            .body(())
            .expect("a head");
        let mut stream = asked.answer.send_response(head, false).expect("it goes out");
        let _ = stream.send_data(Bytes::from_static(b"hello"), status != 200);
        let body = asked.request.body_mut();
        while let Some(Ok(piece)) = body.data().await {
            let _ = body.flow_control().release_capacity(piece.len());
            let _ = stream.send_data(piece, false);
        }
        let _ = stream.send_data(Bytes::new(), true);
    })
}

#[test]
fn a_websocket_goes_to_a_stream() {
    on_both_drivers(|driver| {
        let backend = echoes(200);
        let config = Config::new().service_with("v1", &[backend.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        for _ in 0..2 {
            let mut client = gateway.client();
            client.send(OPENING);
            let head = client.head().expect("an answer");
            assert_eq!(head.start, "HTTP/1.1 101 Switching Protocols");
            assert_eq!(head.value("upgrade"), Some("websocket"));
            assert_eq!(head.value("connection"), Some("upgrade"));
            assert_eq!(
                head.value("sec-websocket-accept"),
                Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            );
            assert_eq!(head.value("sec-websocket-protocol"), Some("chat"));
            assert_eq!(head.value("x-method"), Some("CONNECT"));
            assert_eq!(head.value("x-protocol"), Some("websocket"));
            assert_eq!(head.value("x-uri"), Some("http://h/chat?x=y"));
            let fields = head.value("x-fields").expect("a list");
            assert!(fields.contains("sec-websocket-version"), "{fields}");
            for gone in ["sec-websocket-key", "upgrade", "connection", "host"] {
                assert!(!fields.split(' ').any(|name| name == gone), "{gone}: {fields}");
            }
            assert_eq!(client.take(5), b"hello");
            client.send("and back");
            assert_eq!(client.take(8), b"and back");
            client.finish();
            assert!(client.rest().is_empty());
        }
        assert_eq!(backend.connections(), 1);
    });
}

#[test]
fn a_websocket_refused_on_a_stream_is_an_ordinary_answer() {
    on_both_drivers(|driver| {
        let backend = echoes(403);
        let config = Config::new().service_with("v1", &[backend.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        for _ in 0..2 {
            client.send(OPENING);
            let response = client.response();
            assert_eq!((response.status, response.text().as_str()), (403, "hello"));
            assert_eq!(response.header("sec-websocket-accept"), None);
        }
    });
}

#[test]
fn a_backend_whose_settings_allow_no_websocket_is_not_asked_for_one() {
    on_both_drivers(|driver| {
        let backend = Backend::echo();
        let config = Config::new().service_with("v1", &[backend.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        client.send(OPENING);
        assert_eq!(client.response().status, 502);
        assert_eq!(
            gateway.logged("/chat?x=y")["reason"],
            "upstream_protocol:no_tunnels"
        );
        assert_eq!(backend.requests(), 0);
        assert_eq!(client.get("h", "/").status, 200);
    });
}

/// A CONNECT that asks for a WebSocket (RFC 8441 4).
fn websocket(session: &Session) -> hyper::http::Request<()> {
    let mut request = session.request("CONNECT", "/chat?x=y");
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let headers = request.headers_mut();
    headers.insert("sec-websocket-version", "13".parse().expect("a value"));
    headers.insert("sec-websocket-protocol", "chat".parse().expect("a value"));
    request
}

#[test]
fn a_websocket_goes_over_a_stream() {
    on_both_drivers(|driver| {
        let (saw, seen) = mpsc::channel();
        let origin = Origin::serving(move |mut connection| {
            let Some(head) = connection.head() else { return };
            saw.send(head).expect("a listener");
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                 sec-websocket-accept: x\r\nsec-websocket-protocol: chat\r\n\r\nhello",
            );
            while let Some(bytes) = connection.take(4) {
                connection.send(bytes);
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            // The gateway's settings tell that it may be asked.
            session.get_status("/%00").await;
            let (response, mut stream) = session
                .begin(websocket(&session), false)
                .await
                .expect("it begins");
            // Sent early, it waits for the answer.
            stream
                .send_data(Bytes::from_static(b"earl"), false)
                .expect("it goes out");
            let (head, mut body) = response.await.expect("an answer").into_parts();
            assert_eq!(head.status, 200);
            assert_eq!(head.headers["sec-websocket-protocol"], "chat");
            assert!(!head.headers.contains_key("sec-websocket-accept"));
            let mut came = Vec::new();
            while came.len() < b"helloearl".len() {
                came.extend_from_slice(&body.data().await.expect("bytes").expect("bytes"));
            }
            assert_eq!(came, b"helloearl");
            stream
                .send_data(Bytes::from_static(b"late"), true)
                .expect("it goes out");
            let (rest, _) = h2::drain(&mut body).await.expect("an end");
            assert_eq!(rest, b"late");
        });
        let head = seen.recv().expect("a request");
        assert_eq!(head.start, "GET /chat?x=y HTTP/1.1");
        assert_eq!(head.value("upgrade"), Some("websocket"));
        assert_eq!(head.value("sec-websocket-version"), Some("13"));
        assert_eq!(head.value("sec-websocket-key").map(str::len), Some(24));
    });
}

#[test]
fn a_backend_that_does_not_switch_gives_no_tunnel() {
    on_both_drivers(|driver| {
        let origin = Origin::answering(|request| match request.target() {
            "/chat?x=y" => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno".to_vec(),
            _ => harness::ok("other"),
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            session.get_status("/").await;
            let (response, _stream) = session
                .begin(websocket(&session), false)
                .await
                .expect("it begins");
            assert_eq!(response.await.expect("an answer").status(), 502);
        });
        assert_eq!(
            gateway.logged("/chat?x=y")["reason"],
            "upstream_protocol:switch_refused"
        );
        assert!(origin.seen().unclean.is_empty());
    });
}
