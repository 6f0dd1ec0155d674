//! Which rule takes a request and what its filters do, as a client and an origin see it.

use crate::harness::{self, Config, Gateway, Origin, on_both_drivers};

fn backends(names: &[&str]) -> (Vec<Origin>, Config) {
    let origins: Vec<_> = names.iter().map(|name| Origin::echo(name)).collect();
    let mut config = Config::new();
    for (name, origin) in names.iter().zip(&origins) {
        config = config.service(name, &[origin.address()]);
    }
    (origins, config)
}

#[test]
fn hosts_are_exact_before_wildcard_and_without_case_or_port() {
    let (_origins, config) = backends(&["exact", "near", "far", "any"]);
    let config = config.routes(
        "
- { name: any, rules: [{ backends: [{ service: any }] }] }
- { name: far, hosts: ['*.example.com'], rules: [{ backends: [{ service: far }] }] }
- { name: near, hosts: ['*.shop.example.com'], rules: [{ backends: [{ service: near }] }] }
- { name: exact, hosts: [a.shop.example.com], rules: [{ backends: [{ service: exact }] }] }
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        for (host, backend) in [
            ("a.shop.example.com", "exact"),
            ("A.Shop.Example.COM", "exact"),
            ("a.shop.example.com:8080", "exact"),
            ("a.shop.example.com.", "exact"),
            ("b.shop.example.com", "near"),
            ("x.y.shop.example.com", "near"),
            ("shop.example.com", "far"),
            ("example.com", "any"),
            ("badexample.com", "any"),
            ("10.1.2.3:80", "any"),
            ("[::1]:80", "any"),
        ] {
            assert_eq!(client.get(host, "/").backend(), backend, "{host}");
        }
    });
}

#[test]
fn paths_are_exact_before_the_longest_prefix_by_element() {
    let (_origins, config) = backends(&["root", "api", "v2", "exact", "regex"]);
    let config = config.routes(
        "
- name: all
  rules:
  - { backends: [{ service: root }] }
  - { matches: [{ path: { prefix: /api } }], backends: [{ service: api }] }
  - { matches: [{ path: { prefix: /api/v2 } }], backends: [{ service: v2 }] }
  - { matches: [{ path: { exact: /api/v2/x } }], backends: [{ service: exact }] }
  - { matches: [{ path: { regex: '/item/[0-9]+' } }], backends: [{ service: regex }] }
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        for (target, backend) in [
            ("/", "root"),
            ("/apis", "root"),
            ("/api", "api"),
            ("/api/", "api"),
            ("/api/v1?x=/api/v2", "api"),
            ("/api/v2", "v2"),
            ("/api/v2/xy", "v2"),
            ("/api/v2/x", "exact"),
            ("/api/v2/x/", "v2"),
            ("/item/12", "regex"),
            ("/item/12a", "root"),
            ("/API", "root"),
        ] {
            let response = client.get("a.example", target);
            assert_eq!(response.backend(), backend, "{target}");
            assert_eq!(response.seen().target(), target, "forwarded as it came");
        }
    });
}

#[test]
fn methods_headers_and_queries_decide_in_the_order_of_gateway_api() {
    let (_origins, config) = backends(&["plain", "post", "one", "two", "query", "prefix", "absent"]);
    let config = config.routes(
        "
- name: all
  rules:
  - { matches: [{ path: { prefix: / } }], backends: [{ service: plain }] }
  - { matches: [{ query: { debug: { exact: '1' } } }], backends: [{ service: query }] }
  - { matches: [{ headers: { x-a: { exact: '1' } } }], backends: [{ service: one }] }
  - { matches: [{ headers: { x-a: { exact: '1' }, x-b: { regex: '[0-9]+' } } }], backends: [{ service: two }] }
  - { matches: [{ method: POST }], backends: [{ service: post }] }
  - { matches: [{ headers: { x-p: { prefix: 'be' } } }], backends: [{ service: prefix }] }
  - name: needs-no-cookie
    matches: [{ path: { prefix: /nocookie }, headers: { cookie: { present: false } } }]
    backends: [{ service: absent }]
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        for (line, fields, backend) in [
            ("GET /", "", "plain"),
            ("POST /", "content-length: 0\r\n", "post"),
            ("POST /", "content-length: 0\r\nx-a: 1\r\nx-b: 2\r\n", "post"),
            ("GET /", "x-a: 1\r\n", "one"),
            ("GET /", "X-A: 1\r\nx-b: 22\r\n", "two"),
            ("GET /", "x-a: 1\r\nx-b: 2x\r\n", "one"),
            ("GET /", "x-a: 11\r\n", "plain"),
            ("GET /", "x-p: before\r\n", "prefix"),
            ("GET /?debug=1", "", "query"),
            ("GET /?a=b&debug=%31", "", "query"),
            ("GET /?debug=1", "x-a: 1\r\n", "one"),
            ("GET /?debug=2", "", "plain"),
            ("GET /nocookie", "", "absent"),
            ("GET /nocookie", "cookie: a=b\r\n", "plain"),
        ] {
            let response = gateway.ask(format!("{line} HTTP/1.1\r\nhost: a.example\r\n{fields}\r\n"));
            assert_eq!(response.backend(), backend, "{line} {fields:?}");
        }
    });
}

#[test]
fn any_of_several_matches_takes_the_request() {
    let (_origins, config) = backends(&["mine", "other"]);
    let config = config.routes(
        "
- name: all
  rules:
  - name: mine
    matches: [{ path: { prefix: /a } }, { headers: { x-mine: { present: true } } }]
    backends: [{ service: mine }]
  - { backends: [{ service: other }] }
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        assert_eq!(gateway.get("h", "/a/b").backend(), "mine");
        assert_eq!(
            gateway
                .ask("GET /b HTTP/1.1\r\nhost: h\r\nx-mine: \r\n\r\n")
                .backend(),
            "mine"
        );
        assert_eq!(gateway.get("h", "/b").backend(), "other");
    });
}

#[test]
fn what_no_rule_takes_gets_404_and_the_connection_goes_on() {
    let (origins, config) = backends(&["v1"]);
    let config = config.routes(
        "
- name: known
  hosts: [known.example]
  rules: [{ matches: [{ path: { prefix: /here } }], backends: [{ service: v1 }] }]
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        assert_eq!(client.get("other.example", "/here").status, 404);
        assert_eq!(client.get("known.example", "/there").status, 404);
        assert_eq!(client.get("known.example", "/here").backend(), "v1");
        assert_eq!(gateway.logged("/there")["reason"], "no_route");
    });
    assert_eq!(origins[0].requests().len(), 2, "one a driver");
}

#[test]
fn direct_answers_come_from_the_gateway() {
    let config = Config::new().routes(
        "
- name: all
  rules:
  - matches: [{ path: { exact: /denied } }]
    filters: [{ direct: { status: 403, body: 'not here', headers: { x-why: closed } } }]
  - matches: [{ path: { exact: /json } }]
    filters: [{ direct: { status: 200, body: '{}', headers: { content-type: application/json } } }]
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        let denied = client.get("h", "/denied");
        assert_eq!((denied.status, denied.text().as_str()), (403, "not here"));
        assert_eq!(denied.header("x-why"), Some("closed"));
        assert_eq!(denied.header("content-type"), Some("text/plain; charset=utf-8"));
        let json = client.get("h", "/json");
        assert_eq!(json.headers("content-type"), ["application/json"]);
        client.send("HEAD /denied HTTP/1.1\r\nhost: h\r\n\r\n");
        let head = client.try_response("HEAD").unwrap();
        assert_eq!((head.status, head.header("content-length")), (403, Some("8")));
        assert_eq!(
            client.get("h", "/json").status,
            200,
            "no body came after the answer to HEAD"
        );
    });
}

#[test]
fn redirects_fill_in_from_the_request() {
    let config = Config::new().routes(
        "
- name: all
  rules:
  - { matches: [{ path: { prefix: /tls } }], filters: [{ redirect: { scheme: https, status: 301 } }] }
  - { matches: [{ path: { prefix: /old } }], filters: [{ redirect: { path: { prefix: /new } } }] }
  - matches: [{ path: { prefix: /full } }]
    filters: [{ redirect: { host: b.example, port: 8443, path: { full: /x }, status: 308 } }]
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        let location = |response: harness::Response| {
            (
                response.status,
                response.header("location").unwrap_or("").to_owned(),
            )
        };
        let (status, to) = location(client.get("a.example", "/tls/a?b=c"));
        assert_eq!((status, to.as_str()), (301, "https://a.example/tls/a?b=c"));
        let (status, to) = location(client.get("a.example", "/old/a?b=c"));
        assert_eq!(status, 302);
        assert!(
            to.starts_with("http://a.example") && to.ends_with("/new/a?b=c"),
            "{to}"
        );
        let (status, to) = location(client.get("a.example", "/full/a"));
        assert_eq!((status, to.as_str()), (308, "http://b.example:8443/x"));
    });
}

#[test]
fn rewrites_change_host_and_path_and_keep_the_query() {
    let (_origins, config) = backends(&["v1"]);
    let config = config.routes(
        "
- name: all
  rules:
  - matches: [{ path: { prefix: /shop } }]
    filters: [{ rewrite: { host: inner.example, path: { prefix: /s } } }]
    backends: [{ service: v1 }]
  - matches: [{ path: { prefix: /strip } }]
    filters: [{ rewrite: { path: { prefix: / } } }]
    backends: [{ service: v1 }]
  - matches: [{ path: { prefix: /one } }]
    filters: [{ rewrite: { path: { full: /only } } }]
    backends: [{ service: v1 }]
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        for (target, seen, host) in [
            ("/shop/a?x=1", "/s/a?x=1", "inner.example"),
            ("/shop", "/s", "inner.example"),
            ("/strip/a/b", "/a/b", "a.example"),
            ("/strip", "/", "a.example"),
            ("/strip?x", "/?x", "a.example"),
            ("/one/two?q=1", "/only?q=1", "a.example"),
        ] {
            let request = client.get("a.example", target).seen();
            assert_eq!(
                (request.target(), request.header("host")),
                (seen, Some(host)),
                "{target}"
            );
        }
    });
}

#[test]
fn header_filters_set_add_and_remove_for_the_rule_and_for_each_backend() {
    let (_origins, config) = backends(&["v1", "v2"]);
    let config = config.routes(
        "
- name: all
  rules:
  - filters:
    - requestHeaders: { set: { x-env: prod }, add: { x-list: c }, remove: [x-debug] }
    - responseHeaders: { set: { x-served: sluice }, remove: [x-gone] }
    backends:
    - service: v1
      filters: [{ requestHeaders: { set: { x-which: one } } }, { responseHeaders: { add: { x-which: one } } }]
    - service: v2
      filters: [{ requestHeaders: { set: { x-which: two } } }, { responseHeaders: { add: { x-which: two } } }]
",
    );
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        for _ in 0..2 {
            client.send(
                "GET / HTTP/1.1\r\nhost: h\r\nX-Env: dev\r\nx-env: test\r\nx-list: a\r\nX-LIST: b\r\nX-Debug: 1\r\n\r\n",
            );
            let response = client.response();
            let seen = response.seen();
            assert_eq!(seen.headers("x-env"), ["prod"]);
            assert_eq!(seen.headers("x-list").join(", "), "a, b, c");
            assert_eq!(seen.header("x-debug"), None);
            let which = if response.backend() == "v1" { "one" } else { "two" };
            assert_eq!(seen.headers("x-which"), [which]);
            assert_eq!(response.headers("x-which"), [which]);
            assert_eq!(response.header("x-served"), Some("sluice"));
        }
    });
}

#[test]
fn a_route_serves_only_the_listeners_it_names() {
    let (_origins, config) = backends(&["v1", "v2"]);
    on_both_drivers(|driver| {
        let other = harness::Port::free();
        let config = config.clone().add_listener("side", other.address()).routes(
            "
- { name: one, listeners: [web], rules: [{ matches: [{ path: { prefix: /one } }], backends: [{ service: v1 }] }] }
- { name: both, rules: [{ matches: [{ path: { prefix: /both } }], backends: [{ service: v2 }] }] }
",
        );
        let gateway = Gateway::start(driver, &config);
        assert_eq!(gateway.get("h", "/one").backend(), "v1");
        assert_eq!(gateway.get("h", "/both").backend(), "v2");
        let mut side = harness::Client::connect(other.address());
        assert_eq!(side.get("h", "/both").backend(), "v2");
        assert_eq!(side.get("h", "/one").status, 404);
    });
}
