//! gRPC: calls of all kinds by a real client to a real server, and what the gateway itself answers calls with.

use std::sync::mpsc;

use crate::harness::{
    self, Config, Gateway, Port,
    h2::{self, Answer, Backend, Session},
    on_both_drivers,
    python::{GRPCIO, Server},
};
use ::h2::Reason;
use hyper::http::{HeaderMap, Request, Response};

#[test]
fn calls_of_all_kinds_go_through() {
    let Some(server) = Server::start(&GRPCIO) else {
        return;
    };
    on_both_drivers(|driver| {
        let options = "protocol: h2\ngrpcMethodMetrics: 5";
        let config = Config::new().service_with("echo", &[server.address()], options).routes(
            "\n- name: echo\n  rules:\n  - matches: [{ grpc: { service: test.Echo } }]\n    backends: [{ service: echo \
             }]\n- name: secret\n  rules:\n  - matches: [{ grpc: { method: Method, service: secret.Service } }]\n    \
             backends: [{ service: echo }]\n",
        );
        let config =
            config.document("policies:\n- { name: no, action: deny, target: { routes: [secret] } }\n");
        let gateway = Gateway::start(driver, &config);
        let (said, errors) = GRPCIO.call(gateway.address());
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "unary (True, '5')",
                "large (True, '1000000')",
                "server_stream 200",
                "client_stream 100 messages",
                "both got 0,got 1,got 2",
                "fail FAILED_PRECONDITION not now: 100%",
                "half one,DATA_LOSS",
                "unknown UNIMPLEMENTED Method not found!",
                "unrouted UNIMPLEMENTED no route takes this request",
                "denied PERMISSION_DENIED a policy denies this request",
            ],
            "{errors}"
        );
        let line = gateway.logged("/test.Echo/Half");
        assert_eq!(
            (line["status"].as_u64(), line["grpc_status"].as_u64()),
            (Some(200), Some(15))
        );
        let line = gateway.logged("/test.Echo/Fail");
        assert_eq!(
            (line["protocol"].as_str(), line["grpc_status"].as_u64()),
            (Some("HTTP/2"), Some(9))
        );
        assert_eq!(gateway.logged("/secret.Service/Method")["reason"], "denied:no");
        let metrics = gateway.metrics();
        let calls = |service, method, status| {
            let labels = [
                ("grpc_service", service),
                ("grpc_method", method),
                ("grpc_status", status),
            ];
            metrics.sum("sluice_grpc_requests_total", &labels)
        };
        assert_eq!(calls("test.Echo", "Unary", "0"), 2.0);
        assert_eq!(calls("test.Echo", "Fail", "9"), 1.0);
        // The sixth method there is, and one that the server does not know.
        assert_eq!(calls("other", "other", "15"), 1.0);
        assert_eq!(calls("other", "other", "12"), 1.0);
        let named = [("service", "echo"), ("grpc_method", "Unary")];
        assert_eq!(
            metrics.sum("sluice_grpc_request_duration_seconds_count", &named),
            2.0
        );
    });
}

fn call(session: &Session, path: &str, timeout: Option<&str>) -> Request<()> {
    let mut request = session.request("POST", path);
    let headers = request.headers_mut();
    headers.insert("content-type", "application/grpc".parse().expect("a value"));
    headers.insert("te", "trailers".parse().expect("a value"));
    if let Some(timeout) = timeout {
        headers.insert("grpc-timeout", timeout.parse().expect("a value"));
    }
    request
}

/// An answer without a message says how the call ended in its head, and is 200 in HTTP.
fn ended(answer: &Answer) -> Option<&str> {
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.headers["content-type"], "application/grpc");
    answer.headers.get("grpc-status")?.to_str().ok()
}

#[test]
fn what_the_gateway_answers_ends_the_call_as_its_client_expects() {
    on_both_drivers(|driver| {
        let nobody = Port::free();
        let backend = Backend::serving(100, |mut asked| async move {
            asked.answer.send_reset(Reason::INTERNAL_ERROR);
        });
        let config = Config::new()
            .service_with("nobody", &[nobody.address()], "protocol: h2")
            .service_with("broken", &[backend.address()], "protocol: h2")
            .routes(
                "\n- name: all\n  rules:\n  - matches: [{ path: { prefix: /nobody } }]\n    backends: [{ service: nobody \
                 }]\n  - matches: [{ path: { prefix: /broken } }]\n    backends: [{ service: broken }]\n",
            );
        let gateway = Gateway::start(driver, &config);
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            for (path, status) in [("/nobody/x", "14"), ("/broken/x", "14"), ("/none/x", "12")] {
                let answer = session
                    .send(call(&session, path, None), b"\0\0\0\0\0", None)
                    .await;
                assert_eq!(ended(&answer.expect("an answer")), Some(status), "{path}");
            }
        });
    });
}

#[test]
fn a_deadline_bounds_the_call_and_reaches_the_backend() {
    on_both_drivers(|driver| {
        let (saw, seen) = mpsc::channel();
        let backend = Backend::serving(100, move |mut asked| {
            let saw = saw.clone();
            async move {
                let told = asked.request.headers().get("grpc-timeout").cloned();
                let reset = std::future::poll_fn(|cx| asked.answer.poll_reset(cx)).await;
                saw.send((told, reset.expect("a reset"))).expect("a listener");
            }
        });
        let config = Config::new().service_with("slow", &[backend.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let answer = session
                .send(call(&session, "/a/b", Some("100m")), b"\0\0\0\0\0", None)
                .await;
            let answer = answer.expect("an answer");
            assert_eq!(ended(&answer), Some("4"));
        });
        let (told, reset) = seen.recv_timeout(harness::GUARD).expect("it reached the backend");
        assert_eq!(told.expect("a value"), "100m");
        assert_eq!(reset, Reason::CANCEL);
        assert_eq!(gateway.logged("/a/b")["reason"], "request_timeout");
    });
}

#[test]
fn a_call_is_tried_again_for_the_statuses_named_and_no_other() {
    on_both_drivers(|driver| {
        let backend = Backend::serving(100, |mut asked| async move {
            let wanted = asked
                .request
                .uri()
                .path()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            let head = Response::builder()
                .status(200)
                .header("content-type", "application/grpc")
                .header("grpc-status", wanted);
            let _ = asked.answer.send_response(head.body(()).expect("a head"), true);
        });
        let config = Config::new()
            .service_with("backend", &[backend.address()], "protocol: h2")
            .routes(
                "\n- name: all\n  rules:\n  - backends: [{ service: backend }]\n    retry: { attempts: 2, on: \
                 [unavailable, resourceExhausted], unsafeMethods: true, backoff: { base: 1ms, max: 1ms }, budget: { \
                 percent: 100, minPerSecond: 100 } }\n",
            );
        let gateway = Gateway::start(driver, &config);
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            for (status, tries) in [("14", 3), ("8", 3), ("13", 1), ("0", 1)] {
                let before = backend.requests();
                let request = call(&session, &format!("/service/{status}"), None);
                let answer = session
                    .send(request, b"\0\0\0\0\0", None)
                    .await
                    .expect("an answer");
                assert_eq!(ended(&answer), Some(status));
                assert_eq!(backend.requests() - before, tries, "status {status}");
            }
        });
    });
}

#[test]
fn a_status_after_messages_comes_as_a_trailer() {
    on_both_drivers(|driver| {
        let backend = Backend::serving(100, |mut asked| async move {
            let head = Response::builder()
                .status(200)
                .header("content-type", "application/grpc");
            let head = head.body(()).expect("a head");
            let mut stream = asked.answer.send_response(head, false).expect("it goes out");
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "5".parse().expect("a value"));
            trailers.insert("grpc-message", "no such thing".parse().expect("a value"));
            h2::send_all(&mut stream, "\0\0\0\0\0".into(), Some(trailers)).await;
        });
        let config = Config::new().service_with("backend", &[backend.address()], "protocol: h2");
        let gateway = Gateway::start(driver, &config);
        h2::run(async {
            let session = Session::open(gateway.address()).await;
            let answer = session
                .send(call(&session, "/a/b", None), b"\0\0\0\0\0", None)
                .await;
            let trailers = answer.expect("an answer").trailers.expect("trailers");
            assert_eq!(trailers["grpc-status"], "5");
            assert_eq!(trailers["grpc-message"], "no such thing");
        });
        assert_eq!(gateway.logged("/a/b")["grpc_status"], 5);
    });
}
