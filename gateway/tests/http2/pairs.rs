//! HTTP/1 and HTTP/2 on either side: whatever goes in on one side comes out on the other, and back.

use crate::harness::{
    self, Client, Config, Gateway, Origin, checksum,
    h2::{self, Backend, Session},
    on_both_drivers, pattern,
};
use hyper::http::HeaderMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    H1,
    H2,
}

const VERSIONS: [Version; 2] = [Version::H1, Version::H2];

/// What a client got of an echo: the body, and the value of one trailer.
struct Echoed {
    status: u16,
    body: Vec<u8>,
    trailer: Option<String>,
}

/// A backend of either version that gives back bodies and trailers.
enum Echo {
    H1(Origin),
    H2(Backend),
}

impl Echo {
    fn new(version: Version) -> Self {
        match version {
            Version::H2 => Self::H2(Backend::echo()),
            Version::H1 => Self::H1(Origin::answering(|request| {
                let body = &request.body;
                let Some((name, value)) = request.trailers.first() else {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    return [head.as_bytes(), body].concat();
                };
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let chunk = match body.len() {
                    0 => Vec::new(),
                    length => [format!("{length:x}\r\n").as_bytes(), body, b"\r\n"].concat(),
                };
                let end = format!("0\r\n{name}: {value}\r\n\r\n");
                [head.as_bytes(), &chunk, end.as_bytes()].concat()
            })),
        }
    }

    fn config(&self) -> Config {
        match self {
            Self::H1(origin) => Config::new().service("echo", &[origin.address()]),
            Self::H2(backend) => Config::new().service_with("echo", &[backend.address()], "protocol: h2"),
        }
    }
}

/// Sends a POST by this version, with a trailer if `trailer` says so.
fn post(version: Version, gateway: &Gateway, body: &[u8], trailer: Option<&str>) -> Echoed {
    match version {
        Version::H1 => {
            let mut client = gateway.client();
            let mut head = format!("POST /echo HTTP/1.1\r\nhost: {}\r\n", gateway.address());
            match trailer {
                None => {
                    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
                    client.send([head.as_bytes(), body].concat());
                }
                Some(value) => {
                    head.push_str("transfer-encoding: chunked\r\n\r\n");
                    let end = format!("0\r\nx-sum: {value}\r\n\r\n");
                    let size = format!("{:x}\r\n", body.len());
                    let chunk = match body.len() {
                        0 => Vec::new(),
                        _ => [size.as_bytes(), body, b"\r\n"].concat(),
                    };
                    client.send([head.as_bytes(), &chunk, end.as_bytes()].concat());
                }
            }
            let answer = client.response();
            Echoed {
                status: answer.status,
                trailer: answer.trailer("x-sum").first().map(|value| (*value).to_owned()),
                body: answer.body,
            }
        }
        Version::H2 => h2::run(async {
            let session = Session::open(gateway.address()).await;
            let trailers = trailer.map(|value| {
                let mut map = HeaderMap::new();
                map.insert("x-sum", value.parse().expect("a value"));
                map
            });
            let request = session.request("POST", "/echo");
            let answer = session.send(request, body, trailers).await.expect("an answer");
            let sum = |map: &HeaderMap| {
                map.get("x-sum")
                    .map(|value| value.to_str().expect("text").to_owned())
            };
            Echoed {
                status: answer.status,
                trailer: answer.trailers.as_ref().and_then(sum),
                body: answer.body,
            }
        }),
    }
}

#[test]
fn bodies_of_any_length_go_both_ways() {
    on_both_drivers(|driver| {
        for backend in VERSIONS {
            let echo = Echo::new(backend);
            let gateway = Gateway::start(driver, &echo.config());
            for client in VERSIONS {
                for length in [0, 1, 5000, 70_000, 3 << 20] {
                    let body = pattern(length);
                    let echoed = post(client, &gateway, &body, None);
                    assert_eq!(echoed.status, 200, "{client:?} to {backend:?}");
                    assert_eq!(
                        (echoed.body.len(), checksum(&echoed.body)),
                        (length, checksum(&body)),
                        "{client:?} to {backend:?}"
                    );
                }
            }
        }
    });
}

#[test]
fn trailers_go_both_ways() {
    on_both_drivers(|driver| {
        for backend in VERSIONS {
            let echo = Echo::new(backend);
            let gateway = Gateway::start(driver, &echo.config());
            for client in VERSIONS {
                for body in [&b""[..], b"some bytes"] {
                    let echoed = post(client, &gateway, body, Some("a-sum"));
                    assert_eq!(echoed.body, body, "{client:?} to {backend:?}");
                    assert_eq!(
                        echoed.trailer.as_deref(),
                        Some("a-sum"),
                        "{client:?} to {backend:?}"
                    );
                }
            }
        }
    });
}

#[test]
fn what_is_for_one_hop_stays_there() {
    on_both_drivers(|driver| {
        let backend = Backend::echo();
        let config = Config::new().service_with("echo", &[backend.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        let answer = gateway.ask(
            "GET /x?y=z HTTP/1.1\r\nHost: Example.com\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: \
             timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-End: 2\r\n\r\n",
        );
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-path"), Some("/x?y=z"));
        assert_eq!(answer.header("x-authority"), Some("example.com"));
        assert_eq!(answer.header("x-got-x-end"), Some("2"));
        assert_eq!(answer.header("x-got-te"), Some("trailers"));
        assert_eq!(answer.header("x-got-x-forwarded-for"), Some("127.0.0.1"));
        for gone in ["host", "connection", "x-hop", "keep-alive", "proxy-connection"] {
            assert_eq!(answer.header(&format!("x-got-{gone}")), None, "{gone}");
        }
        // Back: what HTTP/2 has no words for is not put into HTTP/1's mouth either.
        assert_eq!(answer.header("transfer-encoding"), None);
    });
}

const EDITS: &str = "
- name: all
  rules:
  - backends: [{ service: echo }]
    filters:
    - requestHeaders: { set: { x-set: new }, add: { x-added: 'yes' }, remove: [x-removed] }
    - responseHeaders: { set: { x-path: hidden }, add: { x-more: 'yes' }, remove: [x-method] }
";

#[test]
fn a_head_of_http2_goes_on_as_http2_by_the_same_rules() {
    on_both_drivers(|driver| {
        let backend = Backend::echo();
        let config = Config::new()
            .service_with("echo", &[backend.address()], "protocol: h2")
            .routes(EDITS);
        let gateway = Gateway::start(driver, &config);
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            for crumbs in [1, 3] {
                let mut request = session.request("GET", "/x");
                let fields = [
                    ("x-twice", "1"),
                    ("x-twice", "2"),
                    ("x-set", "old"),
                    ("x-removed", "1"),
                    ("x-forwarded-for", "6.6.6.6"),
                    ("x_underscore", "1"),
                    ("te", "trailers"),
                    ("accept", "*/*"),
                ];
                let cookies = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")];
                for (name, value) in fields.iter().chain(&cookies[..crumbs]) {
                    request
                        .headers_mut()
                        .append(*name, value.parse().expect("a value"));
                }
                let answer = session.send(request, b"", None).await.expect("an answer");
                let told = |name: &str| {
                    let values = answer.headers.get_all(name).iter();
                    let values: Vec<_> = values.map(|value| value.to_str().expect("text")).collect();
                    values.join(" | ")
                };
                assert_eq!(told("x-got-x-twice"), "1 | 2");
                assert_eq!(told("x-got-x-set"), "new");
                assert_eq!(told("x-got-x-added"), "yes");
                assert_eq!(told("x-got-x-forwarded-for"), "127.0.0.1");
                assert_eq!(told("x-got-te"), "trailers");
                assert_eq!(told("x-got-accept"), "*/*");
                assert_eq!(told("x-got-cookie"), ["a=1", "a=1 | b=2 | c=3"][crumbs / 2]);
                assert_eq!(told("x-got-x-request-id").len(), 36);
                for gone in ["x-removed", "x_underscore", "host"] {
                    assert_eq!(told(&format!("x-got-{gone}")), "", "{gone}");
                }
                assert_eq!((told("x-path"), told("x-more")), ("hidden".into(), "yes".into()));
                assert_eq!(
                    (told("x-method"), told("x-connection")),
                    (String::new(), "0".into())
                );
                assert_eq!(told("date").len(), "Sun, 06 Nov 1994 08:49:37 GMT".len());
            }
        });
    });
}

#[test]
fn a_request_of_http2_becomes_one_well_formed_request_of_http1() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let mut request = session.request("GET", "/a%62/../c?d=e");
            for crumb in ["a=1", "b=2", "c=3"] {
                request
                    .headers_mut()
                    .append("cookie", crumb.parse().expect("a value"));
            }
            request
                .headers_mut()
                .insert("te", "trailers".parse().expect("a value"));
            let answer = session.send(request, b"", None).await.expect("an answer");
            assert_eq!(answer.status, 200);
            // A body whose length is not told is chunked, whatever the method.
            let (response, mut stream) = session
                .begin(session.request("DELETE", "/x"), false)
                .await
                .expect("it begins");
            h2::send_all(&mut stream, "abc".into(), None).await;
            assert_eq!(h2::read(response).await.expect("an answer").status, 200);
            // None at all is said to be none where there could be one.
            let answer = session.send(session.request("POST", "/y"), b"", None).await;
            assert_eq!(answer.expect("an answer").status, 200);
        });
        let seen = origin.requests();
        assert_eq!((seen[0].method(), seen[0].target()), ("GET", "/c?d=e"));
        assert_eq!(seen[0].head.values("cookie"), ["a=1; b=2; c=3"]);
        assert_eq!(seen[0].head.values("host"), [gateway.address().to_string()]);
        assert_eq!(seen[0].head.value("te"), None);
        assert_eq!(seen[0].head.value("content-length"), None);
        assert_eq!(seen[1].head.values("transfer-encoding"), ["chunked"]);
        assert_eq!(seen[1].body, b"abc");
        assert_eq!(seen[2].head.values("content-length"), ["0"]);
        assert!(origin.seen().unclean.is_empty());
    });
}

#[test]
fn many_requests_share_a_connection_on_either_side() {
    on_both_drivers(|driver| {
        let backend = Backend::echo();
        let config = Config::new().service_with("echo", &[backend.address()], "protocol: h2");
        let gateway = harness::Run::on(driver).workers(1).start(&config);
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let bodies: Vec<Vec<u8>> = (0..50).map(|at| pattern(1000 + at)).collect();
            let asked = bodies.iter().map(|body| {
                let session = session.clone();
                let body = body.clone();
                tokio::task::spawn_local(async move {
                    let request = session.request("POST", "/many");
                    let answer = session.send(request, &body, None).await.expect("an answer");
                    assert_eq!(answer.body, body);
                })
            });
            for asked in asked.collect::<Vec<_>>() {
                asked.await.expect("it was answered");
            }
        });
        assert_eq!((backend.connections(), backend.requests()), (1, 50));
        let mut client = Client::connect(gateway.address());
        assert_eq!(client.get("example.com", "/one").status, 200);
        assert_eq!(client.get("example.com", "/two").status, 200);
        assert_eq!(backend.connections(), 1, "a client of HTTP/1 uses it too");
    });
}
