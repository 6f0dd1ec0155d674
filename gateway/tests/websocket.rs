//! WebSockets: by a real client to a real server over HTTP/1.1, and over streams of HTTP/2 (RFC 8441).

#[path = "support/harness.rs"]
mod harness;

use std::sync::mpsc;

use bytes::Bytes;
use harness::{
    Config, Gateway, Origin,
    h2::{self, Session},
    on_both_drivers,
    python::{Script, Server},
};

const WEBSOCKETS: Script = Script {
    file: "websocket_peer.py",
    package: "websockets",
};

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

/// A CONNECT that asks for a WebSocket (RFC 8441 4).
fn websocket(session: &Session) -> hyper::http::Request<()> {
    let mut request = session.request("CONNECT", "/chat?x=y");
    let protocol = ::h2::ext::Protocol::from_static("websocket");
    request.extensions_mut().insert(protocol);
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
