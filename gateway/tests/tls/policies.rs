//! Policies: who gets 403, what is told of it, and what a reload changes.

use crate::harness::{Config, Driver, Gateway, Origin, load::Load, on_both_drivers};

/// An echo origin behind one route, and policies, each a line without its dash.
fn guarded(policies: &[&str]) -> (Origin, Config) {
    let origin = Origin::echo("v1");
    let config = Config::new().service("v1", &[origin.address()]);
    let config = config.top(&written(policies));
    (origin, config)
}

fn written(policies: &[&str]) -> String {
    let lines: String = policies.iter().map(|policy| format!("- {policy}\n")).collect();
    format!("policies:\n{lines}")
}

fn start(driver: Driver, policies: &[&str]) -> (Origin, Gateway) {
    let (origin, config) = guarded(policies);
    let gateway = Gateway::start(driver, &config);
    (origin, gateway)
}

/// How often a policy decided so.
fn decisions(gateway: &Gateway, policy: &str, decision: &str) -> f64 {
    gateway.metrics().sum(
        "sluice_policy_decisions_total",
        &[("policy", policy), ("decision", decision)],
    )
}

#[test]
fn what_is_denied_gets_403_without_reaching_a_backend_and_is_told() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(
            driver,
            &["{ name: no-admin, action: deny, to: [{ paths: [/admin, /admin/*] }] }"],
        );
        let mut client = gateway.client();
        for target in ["/admin", "/admin/x?y", "/a/../admin/x", "//admin", "/%61dmin"] {
            let response = client.get("h", target);
            assert_eq!(response.status, 403, "{target}");
            assert!(!response.closes() && response.backend().is_empty(), "{target}");
            assert!(
                !response.text().contains("no-admin"),
                "clients learn no internals"
            );
        }
        for target in ["/", "/administrator", "/x/admin"] {
            assert_eq!(client.get("h", target).status, 200, "{target}");
        }
        assert_eq!(origin.requests().len(), 3);
        let line = gateway.logged("/admin");
        assert_eq!(line["reason"], "denied:no-admin");
        assert_eq!(line["status"], 403);
        assert_eq!(line["attempts"], 0);
        assert!(gateway.logged("/").get("reason").is_none());
        assert_eq!(decisions(&gateway, "no-admin", "deny"), 5.0);
    });
}

#[test]
fn deny_comes_before_allow_and_an_allow_closes_the_rest() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(
            driver,
            &[
                "{ name: reading, action: allow, to: [{ methods: [GET, HEAD] }] }",
                "{ name: posting, action: allow, to: [{ methods: [POST], paths: [/form] }] }",
                "{ name: secret, action: deny, to: [{ paths: ['*/secret'] }] }",
            ],
        );
        for (method, target, status) in [
            ("GET", "/", 200),
            ("POST", "/form", 200),
            ("POST", "/", 403),
            ("DELETE", "/form", 403),
            ("GET", "/a/secret", 403),
            ("get", "/", 403),
        ] {
            let request = format!("{method} {target} HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(gateway.ask(request).status, status, "{method} {target}");
        }
        assert_eq!(decisions(&gateway, "reading", "allow"), 1.0);
        assert_eq!(decisions(&gateway, "posting", "allow"), 1.0);
        assert_eq!(decisions(&gateway, "secret", "deny"), 1.0);
        assert_eq!(
            decisions(&gateway, "reading", "deny"),
            3.0,
            "in the name of the first"
        );
    });
}

#[test]
fn a_dry_run_and_an_audit_tell_and_let_pass() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(
            driver,
            &[
                "{ name: seen, action: audit, to: [{ paths: [/x*] }] }",
                "{ name: no-x, action: deny, dryRun: true, to: [{ paths: [/x] }] }",
                "{ name: only-y, action: allow, dryRun: true, to: [{ paths: [/y] }] }",
            ],
        );
        for target in ["/x", "/y", "/z"] {
            assert_eq!(gateway.get("h", target).status, 200, "{target}");
        }
        let noted = |target: &str| gateway.logged(target)["policies"].clone();
        let list = |notes: &[&str]| serde_json::json!(notes);
        assert_eq!(
            noted("/x"),
            list(&["audit:seen", "dry_run_deny:no-x", "dry_run_deny:only-y"])
        );
        assert_eq!(noted("/y"), list(&["dry_run_allow:only-y"]));
        assert_eq!(noted("/z"), list(&["dry_run_deny:only-y"]));
        assert_eq!(decisions(&gateway, "seen", "audit"), 1.0);
        assert_eq!(decisions(&gateway, "no-x", "dry_run_deny"), 1.0);
        assert_eq!(decisions(&gateway, "only-y", "dry_run_deny"), 2.0);
        assert_eq!(decisions(&gateway, "only-y", "dry_run_allow"), 1.0);
    });
}

#[test]
fn addresses_are_the_peers_and_behind_trusted_proxies_the_clients() {
    on_both_drivers(|driver| {
        let (_origin, config) = guarded(&[
            "{ name: near, action: allow, from: [{ cidrs: [127.0.0.0/8], not: { remoteCidrs: [203.0.113.0/24] } }] }",
        ]);
        let asked = |gateway: &Gateway, field: &str| {
            gateway
                .ask(format!("GET / HTTP/1.1\r\nhost: h\r\n{field}\r\n"))
                .status
        };
        let gateway = Gateway::start(driver, &config.clone().listener("trustedProxies: [127.0.0.1]"));
        assert_eq!(asked(&gateway, ""), 200);
        assert_eq!(asked(&gateway, "x-forwarded-for: 198.51.100.1\r\n"), 200);
        assert_eq!(asked(&gateway, "x-forwarded-for: 203.0.113.7\r\n"), 403);
        let untrusting = Gateway::start(driver, &config);
        assert_eq!(asked(&untrusting, "x-forwarded-for: 203.0.113.7\r\n"), 200);
        let (_origin, far) = start(
            driver,
            &["{ name: far, action: allow, from: [{ cidrs: [10.0.0.0/8] }] }"],
        );
        assert_eq!(asked(&far, "x-forwarded-for: 10.0.0.1\r\n"), 403);
    });
}

#[test]
fn headers_hosts_and_templates_decide() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(
            driver,
            &[
                "{ name: team, action: allow, to: [{ hosts: ['*.example.com'], paths: ['/v1/{*}/items/{**}'] }], \
                  when: [{ headers: { x-team: { exact: a } } }, { headers: { x-team: { exact: b } } }] }",
            ],
        );
        for (host, target, field, status) in [
            ("a.example.com", "/v1/shop/items/7", "x-team: a", 200),
            ("A.Example.com:80", "/v1/shop/items/", "x-team: b", 200),
            ("a.example.com", "/v1/shop/items/7/8", "X-Team: b", 200),
            ("a.example.com", "/v1/shop/items/7", "x-team: c", 403),
            ("a.example.com", "/v1/shop/items/7", "x-other: a", 403),
            ("example.com", "/v1/shop/items/7", "x-team: a", 403),
            ("a.example.com", "/v1/items/7", "x-team: a", 403),
            ("a.example.com", "/v1/a/b/items/7", "x-team: a", 403),
            ("a.example.com", "/v1/shop/items/../../x", "x-team: a", 403),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{field}\r\n\r\n");
            assert_eq!(gateway.ask(request).status, status, "{host} {target} {field}");
        }
    });
}

#[test]
fn nobody_has_an_identity_on_plaintext() {
    on_both_drivers(|driver| {
        for (policy, status) in [
            (
                "{ name: p, action: allow, from: [{ namespaces: [default] }] }",
                403,
            ),
            (
                "{ name: p, action: allow, from: [{ not: { namespaces: [default] } }] }",
                403,
            ),
            (
                "{ name: p, action: allow, from: [{ spiffe: ['spiffe://*/**'] }] }",
                403,
            ),
            (
                "{ name: p, action: deny, from: [{ namespaces: [default] }] }",
                200,
            ),
            (
                "{ name: p, action: deny, from: [{ not: { namespaces: [default] } }] }",
                403,
            ),
            ("{ name: p, action: allow, when: [{ sni: [h] }] }", 403),
        ] {
            let (_origin, gateway) = start(driver, &[policy]);
            assert_eq!(gateway.get("h", "/").status, status, "{policy}");
        }
    });
}

#[test]
fn a_rule_for_peers_takes_no_request_on_plaintext() {
    on_both_drivers(|driver| {
        let (v1, v2) = (Origin::echo("v1"), Origin::echo("v2"));
        let config = Config::new()
            .service("v1", &[v1.address()])
            .service("v2", &[v2.address()])
            .routes(
                "
- name: all
  rules:
  - { matches: [{ peer: { spiffe: ['spiffe://*/**'] } }], backends: [{ service: v1 }] }
  - { backends: [{ service: v2 }] }
",
            );
        let gateway = Gateway::start(driver, &config);
        let forged = "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-client-cert: URI=spiffe://a/b\r\n\r\n";
        assert_eq!(gateway.ask(forged).backend(), "v2");
    });
}

/// Two routes, one of which rewrites and splits, with policies on a listener, a route and a service.
const PLACES: &str = "
policies:
- { name: no-puts, action: deny, to: [{ methods: [PUT] }] }
- { name: own-page, action: deny, target: { routes: [own] }, to: [{ paths: [/own/closed] }] }
- { name: no-admin, action: deny, target: { services: [v2] }, to: [{ paths: [/admin*] }] }
- { name: host, action: allow, target: { services: [v2] }, to: [{ hosts: [inside.example] }] }
";

const ROUTES: &str = "
- name: own
  rules:
  - matches: [{ path: { prefix: /own } }]
    filters: [{ direct: { status: 200, body: own } }]
- name: split
  rules:
  - matches: [{ path: { prefix: /public } }]
    filters: [{ rewrite: { host: 'inside.example:8080', path: { prefix: / } } }]
    backends: [{ service: v1, weight: 1 }, { service: v2, weight: 1 }]
  - matches: [{ path: { prefix: /plain } }]
    backends: [{ service: v2 }]
";

#[test]
fn each_place_is_asked_and_a_service_of_what_it_would_get() {
    on_both_drivers(|driver| {
        let (v1, v2) = (Origin::echo("v1"), Origin::echo("v2"));
        let config = Config::new()
            .service("v1", &[v1.address()])
            .service("v2", &[v2.address()])
            .routes(ROUTES)
            .top(PLACES);
        let gateway = Gateway::start(driver, &config);
        let ask = |method: &str, target: &str| {
            gateway
                .ask(format!(
                    "{method} {target} HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"
                ))
                .status
        };
        assert_eq!(ask("PUT", "/own"), 403);
        assert_eq!(
            ask("PUT", "/nowhere"),
            403,
            "before it is known that there is no route"
        );
        assert_eq!(ask("GET", "/nowhere"), 404);
        assert_eq!((ask("GET", "/own"), ask("GET", "/own/closed")), (200, 403));
        // Two in turn: one backend is asked of `/admin`, the other is not.
        let mut turns = [ask("GET", "/public/admin"), ask("GET", "/public/admin")];
        turns.sort_unstable();
        assert_eq!(turns, [200, 403]);
        assert_eq!([ask("GET", "/public/a"), ask("GET", "/public/a")], [200, 200]);
        assert_eq!(ask("GET", "/plain"), 403, "the host it would get is another");
        assert!(v2.requests().iter().all(|request| request.target() == "/a"));
        let line = gateway.logged("/plain");
        assert_eq!(
            (&line["reason"], &line["service"]),
            (&"denied:host".into(), &"v2".into())
        );
    });
}

#[test]
fn a_reload_adds_a_policy_under_load_without_losing_a_request() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new().service("v1", &[origin.address()]);
        let gateway = Gateway::start(driver, &config);
        let mut kept = gateway.client();
        let load = Load::start(gateway.address(), 4, 2);
        for turn in 0..20 {
            let path = format!("/turn{turn}");
            assert_eq!(kept.get("h", &path).status, 200);
            let policy = format!("{{ name: p{turn}, action: deny, to: [{{ paths: [{path}] }}] }}");
            gateway.reload(&config.clone().top(&written(&[&policy])));
            assert_eq!(kept.get("h", &path).status, 403, "on the connection that is open");
            load.wait_for(10);
        }
        let report = load.finish();
        assert!(
            report.lost.is_empty(),
            "{:?} of {}",
            report.lost,
            report.answered()
        );
        gateway.reload(&config);
        assert_eq!(kept.get("h", "/turn19").status, 200);
    });
}

#[test]
fn a_body_that_was_denied_is_not_taken_for_a_request() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(
            driver,
            &["{ name: no-posts, action: deny, to: [{ methods: [POST] }] }"],
        );
        let mut client = gateway.client();
        let smuggled = "GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n";
        let length = smuggled.len();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{smuggled}"
        ));
        assert_eq!(client.response().status, 403);
        assert_eq!(client.get("h", "/next").status, 200);
        assert!(
            origin
                .requests()
                .iter()
                .all(|request| request.target() == "/next")
        );
    });
}

#[test]
fn explain_and_check_tell_of_policies() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(
            driver,
            &["{ name: web-only, action: allow, from: [{ serviceAccounts: [web] }] }"],
        );
        let page = |more: &str| {
            let page = gateway.admin("GET", &format!("/explain?url=http://h/{more}"));
            assert_eq!(page.status, 200, "{}", page.text());
            page.text()
        };
        let text = page("");
        assert!(text.contains("403, denied by web-only"), "{text}");
        assert!(text.contains("there is none"), "{text}");
        let text = page("&spiffe=spiffe://a.example/ns/x/sa/web&source=10.0.0.1");
        assert!(text.contains("listener web: passes"), "{text}");
        assert!(
            text.contains("10.0.0.1, spiffe://a.example/ns/x/sa/web"),
            "{text}"
        );
        assert_eq!(
            gateway.admin("GET", "/explain?url=http://h/&spiffe=web").status,
            400
        );
        assert_eq!(
            gateway.admin("GET", "/explain?url=http://h/&source=x").status,
            400
        );
    });
}
