//! Listeners that pass connections on, and their routes: what they are, and what may not stand there.

use super::*;
use crate::model::{ListenerId, Protocol};

const LISTENERS: &str = "\
listeners:
- { name: web, bind: '0.0.0.0:80' }
- { name: through, bind: '0.0.0.0:443', protocol: tls }
- { name: db, bind: '0.0.0.0:5432', protocol: tcp }
services:
- { name: a, endpoints: [{ address: 'a:1' }] }
- { name: s, endpoints: [{ address: 's:1' }], tls: { ca: ca.crt } }
";

/// Routes that serve every listener, after which tests add what they are about.
const ROUTED: &str = "\
routes:
- { name: shop, listeners: [through], hosts: [a.example, '*.b.example'], rules: [{ backends: [{ service: a }] }] }
- { name: pg, listeners: [db], rules: [{ backends: [{ service: a, weight: 9 }, { service: s }], sticky: { sourceAddress: true } }] }
- { name: http, rules: [{ backends: [{ service: a }] }] }
";

fn without_places(problems: Vec<String>) -> Vec<String> {
    let text = |problem: &String| problem.split_once(": ").unwrap().1.to_owned();
    problems.iter().map(text).collect()
}

/// What is wrong with a route, after its name.
fn wrong(route: &str) -> Vec<String> {
    without_places(problems(&format!("{LISTENERS}routes: [{{ name: r, {route} }}]")))
}

#[test]
fn they_become_what_is_passed_on() {
    let text = format!("{LISTENERS}{ROUTED}");
    assert_eq!(warnings(&text), [""; 0]);
    let model = Model::from_yaml(&text).unwrap();
    let protocols: Vec<Protocol> = model.listeners.iter().map(|listener| listener.protocol).collect();
    assert_eq!(protocols, [Protocol::Http, Protocol::Tls, Protocol::Tcp]);
    assert_eq!(model.routes[0].listeners, [ListenerId(1)]);
    assert_eq!(model.routes[1].listeners, [ListenerId(2)]);
    // One without listeners serves those for HTTP alone.
    assert_eq!(model.routes[2].listeners, [ListenerId(0)]);
}

#[test]
fn a_route_passes_on_or_serves_requests() {
    let rules = "rules: [{ backends: [{ service: a }] }]";
    assert_eq!(
        wrong(&format!("listeners: [web, db], {rules}")),
        [
            "routes[0].listeners: a route serves listeners for HTTP or such that pass connections on, not both: make it two routes"
        ]
    );
    assert_eq!(wrong(&format!("listeners: [through, db], {rules}")), [""; 0]);
    let alone = "listeners: [{ name: db, bind: '0.0.0.0:1', protocol: tcp }]\n\
                 services: [{ name: a, endpoints: [{ address: 'a:1' }] }]\n";
    assert_eq!(
        without_places(problems(&format!("{alone}routes: [{{ name: r, {rules} }}]"))),
        [
            "routes[0]: a route without `listeners` serves those for HTTP, and there is none: name the listeners it serves"
        ]
    );
}

#[test]
fn tcp_names_no_host_and_has_one_route() {
    let rules = "rules: [{ backends: [{ service: a }] }]";
    assert_eq!(
        wrong(&format!("listeners: [db], hosts: [a.example], {rules}")),
        [
            "routes[0].hosts: with `protocol: tcp` a client names no host: leave `hosts` out, or write `protocol: tls`"
        ]
    );
    let second = format!("{LISTENERS}{ROUTED}- {{ name: more, listeners: [db], {rules} }}\n");
    assert_eq!(
        problems(&second),
        ["12:3: routes[3]: a listener with `protocol: tcp` has one route, and has one already, at f:10:3"]
    );
}

#[test]
fn what_needs_http_has_no_place_in_them() {
    let unread = "connections are passed on unread here, and";
    assert_eq!(
        wrong(
            "listeners: [through], rules: [{ matches: [{ method: GET }], timeouts: { request: 1s }, retry: { on: [reset] }, \
             filters: [{ rewrite: { host: b } }], sticky: { cookie: c }, \
             backends: [{ service: a, filters: [{ requestHeaders: { remove: [x] } }] }] }, { backends: [{ service: a }] }]"
        ),
        [
            format!("routes[0].rules[0].matches: {unread} `matches` is for HTTP: leave it out"),
            format!(
                "routes[0].rules[0].timeouts: {unread} `timeouts` is for HTTP: the listener's `timeouts.tunnelIdle` and the service's `timeouts.connect` are for them"
            ),
            format!(
                "routes[0].rules[0].retry: {unread} `retry` is for HTTP: leave it out: where connecting fails, another endpoint is tried anyway"
            ),
            format!("routes[0].rules[0].filters: {unread} `filters` is for HTTP: leave it out"),
            format!(
                "routes[0].rules[0].sticky: {unread} `sticky` is for HTTP: write `sticky: {{ sourceAddress: true }}`"
            ),
            format!("routes[0].rules[0].backends[0].filters: {unread} `filters` is for HTTP: leave it out"),
            "routes[0].rules[1]: nothing tells the connections of such a listener apart but their host: a route has one rule"
                .to_owned(),
        ]
    );
    assert_eq!(
        wrong("listeners: [db], rules: [{ filters: [{ direct: { status: 200 } }] }]").len(),
        1
    );
}

#[test]
fn tls_does_not_go_within_tls() {
    let rules = "rules: [{ backends: [{ service: s }] }]";
    assert_eq!(
        wrong(&format!("listeners: [through], {rules}")),
        [
            "routes[0].rules[0].backends[0].service: `s` has `tls`, and what is passed on is TLS already: send it to a service without"
        ]
    );
    assert_eq!(wrong(&format!("listeners: [db], {rules}")), [""; 0]);
}

#[test]
fn a_listener_that_passes_on_has_no_options_of_http() {
    let wrong = |listener: &str| {
        let text = format!("listeners: [{{ name: l, bind: '0.0.0.0:1', {listener} }}]");
        without_places(problems(&text))
    };
    assert_eq!(
        wrong("protocol: tls, tls: { certificates: [{ cert: a, key: b }] }"),
        ["listeners[0].tls: a listener that passes TLS on does not end it: write `protocol: https`"]
    );
    let nothing = "connections are passed on unread, so";
    assert_eq!(
        wrong(
            "protocol: tcp, trustedProxies: [10.0.0.1], path: { encodedSlashes: keep }, limits: { bodyBytes: none, headBytes: 8KiB }, \
             timeouts: { head: 1s, tlsHandshake: 1s }"
        ),
        [
            format!(
                "listeners[0].trustedProxies: with `protocol: tcp` {nothing} `trustedProxies` does nothing"
            ),
            format!("listeners[0].path: with `protocol: tcp` {nothing} `path` does nothing"),
            format!("listeners[0].limits.bodyBytes: with `protocol: tcp` {nothing} `bodyBytes` does nothing"),
            format!("listeners[0].limits.headBytes: with `protocol: tcp` {nothing} `headBytes` does nothing"),
            format!("listeners[0].timeouts.head: with `protocol: tcp` {nothing} `head` does nothing"),
            format!(
                "listeners[0].timeouts.tlsHandshake: with `protocol: tcp` {nothing} `tlsHandshake` does nothing"
            ),
        ]
    );
    let both = "limits: { connections: 1, bufferBytes: 8KiB }, timeouts: { tunnelIdle: 1s }, backlog: 1";
    assert_eq!(wrong(&format!("protocol: tcp, {both}")), [""; 0]);
    assert_eq!(
        wrong("protocol: tls, timeouts: { tlsHandshake: 1s, tunnelIdle: 1s }"),
        [""; 0]
    );
    let header = "trustedProxies: [10.0.0.1], proxyProtocol: true, timeouts: { head: 1s }";
    assert_eq!(wrong(&format!("protocol: tcp, {header}")), [""; 0]);
    assert_eq!(wrong(&format!("protocol: tls, {header}")), [""; 0]);
}

#[test]
fn policies_that_ask_what_is_not_told_are_warned_of() {
    let of = |policy: &str| {
        let found = warnings(&format!("{LISTENERS}{ROUTED}policies: [{{ name: p, {policy} }}]"));
        without_places(found)
    };
    let told = |what: &str, does: &str| {
        vec![format!(
            "policies[0]: connections of the {what}, so this {does}: ask for `cidrs`, `ports` or `sni`"
        )]
    };
    assert_eq!(
        of("action: allow, to: [{ methods: [GET] }]"),
        told(
            "listener `through` are passed on unread and tell no `methods`",
            "allows none of them"
        )
    );
    assert_eq!(
        of("action: deny, target: { routes: [pg] }, when: [{ headers: { a: { present: false } } }]"),
        told(
            "route `pg` are passed on unread and tell no `headers`",
            "denies none of them"
        )
    );
    assert_eq!(
        of("action: deny, target: { listeners: [through] }, from: [{ spiffe: ['spiffe://e.org/**'] }]"),
        told(
            "listener `through` are passed on unread and tell no `spiffe`",
            "denies none of them"
        )
    );
    assert_eq!(
        of("action: deny, target: { services: [s] }, to: [{ paths: [/a] }]"),
        told(
            "service `s` are passed on unread and tell no `paths`",
            "denies none of them"
        )
    );
    for well in [
        "action: allow, target: { listeners: [web] }, to: [{ methods: [GET] }]",
        "action: allow, from: [{ cidrs: [10.0.0.0/8] }], to: [{ ports: [443] }], when: [{ sni: [a.example] }]",
        "action: allow, to: [{ methods: [GET] }, { ports: [5432, 443] }]",
    ] {
        assert_eq!(of(well), [""; 0], "{well}");
    }
}

#[test]
fn one_without_a_route_closes_what_comes() {
    let text = "listeners: [{ name: db, bind: '0.0.0.0:1', protocol: tcp }]\n\
                services: [{ name: a, endpoints: [{ address: 'a:1' }] }]\n";
    assert_eq!(
        warnings(&format!(
            "{text}routes: [{{ name: r, listeners: [db], rules: [{{ backends: [{{ service: a, weight: 0 }}] }}] }}]"
        )),
        ["3:48: routes[0].rules[0].backends: every weight is 0: connections are closed"]
    );
    assert_eq!(
        without_places(warnings(text))[0],
        "listeners[0]: no route serves the listener `db`: it closes every connection"
    );
}
