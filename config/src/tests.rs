//! Tests of the whole loader: every kind of mistake, with its place, its path and what was meant.

use proptest::prelude::*;

use super::*;
use crate::model::{
    Action, ByteSize, FieldMatch, HeaderEdit, HostPattern, PathMatch, PathRewrite, Pattern, RetryOn, Sticky,
    StringMatch, Workers,
};

mod passthrough;
mod schema;

const BROKEN: &str = include_str!("tests/broken.yaml");
const BROKEN_TOO: &str = include_str!("tests/broken-too.yaml");
const EVERY_FIELD: &str = include_str!("tests/every-field.yaml");

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.into(),
        text: text.into(),
    }
}

/// Every problem of one text, a line each, without the file's name.
fn problems(text: &str) -> Vec<String> {
    let problems = load(&[source("f", text)]).model.err().unwrap_or_default();
    problems
        .iter()
        .map(|problem| problem.to_string().trim_start_matches("f:").to_owned())
        .collect()
}

#[test]
fn every_mistake_of_every_document_and_file_is_reported_at_its_place() {
    let loaded = load(&[source("a.yaml", BROKEN), source("b.yaml", BROKEN_TOO)]);
    let found: Vec<String> = loaded
        .model
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found.join("\n"), include_str!("tests/broken.txt").trim_end());
}

/// A configuration to which tests add what they are about.
const BASE: &str = "listeners: [{ name: web, bind: '0.0.0.0:80' }]\nservices: [{ name: reviews, endpoints: [{ address: 'a:1' }] }]\n";

fn problems_of_rule(rule: &str) -> Vec<String> {
    problems(&format!("{BASE}routes: [{{ name: r, rules: [{rule}] }}]\n"))
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = load(&[source("f", text)]);
    assert_eq!(loaded.model.err(), None);
    loaded
        .warnings
        .iter()
        .map(|warning| warning.to_string().trim_start_matches("f:").to_owned())
        .collect()
}

#[test]
fn dangling_names_are_reported_with_the_one_that_was_meant() {
    let text = format!(
        "{BASE}routes:\n- name: r\n  listeners: [wbe, other]\n  rules:\n  - backends: [{{ service: review }}, {{ service: x }}]\n"
    );
    assert_eq!(
        problems(&text),
        [
            "5:15: routes[0].listeners[0]: there is no listener `wbe` (did you mean \"web\"?)",
            "5:20: routes[0].listeners[1]: there is no listener `other`",
            "7:27: routes[0].rules[0].backends[0].service: there is no service `review` (did you mean \"reviews\"?)",
            "7:48: routes[0].rules[0].backends[1].service: there is no service `x`",
        ]
    );
}

#[test]
fn policies_name_what_is_there() {
    let policy = "policies:\n- { name: p, action: deny, target: { listeners: [wbe], routes: [r, s], services: [reviws] } }\n";
    let routes = "routes: [{ name: r, rules: [{ backends: [{ service: reviews }] }] }]\n";
    assert_eq!(
        problems(&format!("{BASE}{routes}{policy}")),
        [
            "5:50: policies[0].target.listeners[0]: there is no listener `wbe` (did you mean \"web\"?)",
            "5:68: policies[0].target.routes[1]: there is no route `s` (did you mean \"r\"?)",
            "5:83: policies[0].target.services[0]: there is no service `reviws` (did you mean \"reviews\"?)",
        ]
    );
    let nested = "policies: [{ name: p, action: deny, from: [{ not: { not: { cidrs: [10.0.0.1] } } }] }]";
    assert_eq!(
        problems(&format!("{BASE}{nested}")),
        ["3:58: policies[0].from[0].not.not: expected no `not` within `not`"]
    );
    let model = Model::from_yaml(&format!("{BASE}policies: [{{ name: p, action: deny }}]")).unwrap();
    assert_eq!(model.policies[0].target.listeners, [model::ListenerId(0)]);
}

#[test]
fn names_are_found_across_files_whatever_their_order() {
    let routes = source(
        "a",
        "routes: [{ name: r, rules: [{ backends: [{ service: s }] }] }]",
    );
    let services = source("b", "services: [{ name: s, endpoints: [{ address: 'a:1' }] }]");
    let listeners = source(
        "c",
        "# first\n---\nlisteners: [{ name: web, bind: '0.0.0.0:80' }]\n---\n",
    );
    let loaded = load(&[routes, services, listeners]);
    let model = loaded.model.unwrap();
    assert_eq!(model.routes[0].listeners, [model::ListenerId(0)]);
    assert_eq!(model.listeners[0].place.to_string(), "c:3:13");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_name_is_not_missed_where_its_declaration_may_be_what_is_wrong() {
    let text = "listeners: [{ name: web, bind: '0.0.0.0:80' }]\nroutes: [{ name: r, rules: [{ backends: [{ service: s }] }] }]\nservces: []";
    assert_eq!(
        problems(text),
        ["3:1: servces: unknown field `servces` (did you mean \"services\"?)"]
    );
}

#[test]
fn nothing_to_serve_is_a_problem() {
    let none = "there is no listener: nothing would be served";
    assert_eq!(problems(""), [format!("1:1: {none}")]);
    assert_eq!(problems("# words\n---\n"), [format!("1:1: {none}")]);
    assert_eq!(problems("workers: 1"), [format!("1:1: {none}")]);
    assert_eq!(
        problems("workers: 1\nlisteners: []"),
        [format!("2:12: listeners: {none}")]
    );
    assert_eq!(load(&[]).model.unwrap_err().len(), 1);
    assert_eq!(
        problems("[]"),
        ["1:1: expected a map of listeners, routes and services, found a list"]
    );
}

#[test]
fn two_sockets_cannot_be_one() {
    let text = "admin: { bind: '0.0.0.0:80' }\nlisteners:\n- { name: a, bind: '0.0.0.0:80' }\n- { name: b, bind: '127.0.0.1:9901' }\n- { name: c, bind: '127.0.0.1:9901' }\n";
    assert_eq!(
        problems(text),
        [
            "3:20: listeners[0].bind: the admin server binds 0.0.0.0:80 already, at f:1:16",
            "5:20: listeners[2].bind: another listener binds 127.0.0.1:9901 already, at f:4:20",
        ]
    );
    assert_eq!(
        problems("listeners: [{ name: a, bind: '127.0.0.1:9901' }]"),
        ["1:30: listeners[0].bind: the admin server binds 127.0.0.1:9901 already, by default"]
    );
}

#[test]
fn shorthand_and_singles_are_refused_with_what_was_meant() {
    let at = |rule: &str| {
        problems_of_rule(rule)
            .remove(0)
            .split_once(": ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(
        at("{ backends: [{ service: reviews }], matches: [{ path: /api }] }"),
        "routes[0].rules[0].matches[0].path: expected `exact`, `prefix` or `regex`, found \"/api\" (did you mean \"{ prefix: /api }\"?)"
    );
    assert_eq!(
        at("{ backends: [{ service: reviews }], matches: [{ headers: { a: b } }] }"),
        "routes[0].rules[0].matches[0].headers.a: expected `exact`, `prefix`, `regex`, `present` or `not`, found \"b\" (did you mean \"{ exact: b }\"?)"
    );
    assert_eq!(
        at("{ backends: reviews }"),
        "routes[0].rules[0].backends: expected a list, found \"reviews\" (did you mean \"[reviews]\"?)"
    );
    assert_eq!(
        at("{ backends: }"),
        "routes[0].rules[0].backends: expected a list, found nothing"
    );
    assert_eq!(
        at("{ backends: [{ service: reviews }], matches: [{ headers: { a: { exact: } } }] }"),
        "routes[0].rules[0].matches[0].headers.a.exact: expected text, found nothing"
    );
    assert_eq!(
        at("{ backends: [{ service: reviews }], matches: [{ headers: { a: exact } }] }"),
        "routes[0].rules[0].matches[0].headers.a: `exact` takes a value, as in `{ exact: ... }`"
    );
}

#[test]
fn a_proxy_header_is_believed_of_named_proxies_only() {
    let wrong = |listener: &str| {
        let text = format!("listeners: [{{ name: l, bind: '0.0.0.0:1', {listener} }}]");
        problems(&text)
    };
    let nobody = "1:58: listeners[0].proxyProtocol: a PROXY header is believed of `trustedProxies`, and there are none: name \
                  the proxies in front, as in `trustedProxies: [10.0.0.0/8]`";
    assert_eq!(wrong("proxyProtocol: true"), [nobody]);
    assert_eq!(wrong("proxyProtocol: true, trustedProxies: []"), [nobody]);
    assert_eq!(wrong("proxyProtocol: false"), [""; 0]);
    assert_eq!(wrong("proxyProtocol: true, trustedProxies: [10.0.0.1]"), [""; 0]);
}

#[test]
fn what_loads_but_was_hardly_meant_is_a_warning() {
    let text = "\
admin: { bind: 0.0.0.0:9901 }
listeners:
- { name: web, bind: 0.0.0.0:80, trustedProxies: [0.0.0.0/0] }
- { name: idle, bind: 0.0.0.0:81 }
services:
- { name: used, endpoints: [{ address: a:1 }] }
- { name: unused, endpoints: [{ address: a:1 }] }
routes:
- name: r
  listeners: [web]
  rules:
  - backends: [{ service: used, weight: 0 }]
    sticky: { header: x }
    timeouts: { request: 1s, backend: 2s }
  - backends: [{ service: used }]
    timeouts: { backend: none }
    retry: { on: [timeout], budget: { percent: 0, minPerSecond: 0 } }
  - filters: [{ direct: { status: 200 } }]
    matches: [{ path: { exact: /x } }, { path: { prefix: /a%2Fb } }]
    timeouts: { request: 1s }
- name: same
  listeners: [web]
  rules:
  - matches: [{ path: { exact: /x } }]
    backends: [{ service: used }]
policies:
- { name: seen, action: audit, dryRun: true }
identity: { authority: a:1 }
";
    assert_eq!(
        warnings(text),
        [
            "1:16: admin.bind: the admin server has no authentication and is reachable from other hosts",
            "3:34: listeners[0].trustedProxies: every peer is believed what it says of its clients' addresses",
            "4:3: listeners[1]: no route serves the listener `idle`: it answers 404",
            "7:3: services[1]: no rule sends to the service `unused`",
            "12:5: routes[0].rules[0].backends: every weight is 0: requests are answered 503",
            "13:5: routes[0].rules[0].sticky: there is only one backend to stay on",
            "14:5: routes[0].rules[0].timeouts: `backend` is longer than `request`, which always ends first",
            "15:5: routes[0].rules[1]: `rule-2` never gets a request: earlier rules take all it matches",
            "17:5: routes[0].rules[1].retry: `timeout` never happens: the rule has no `timeouts.backend`",
            "17:5: routes[0].rules[1].retry: the budget allows no retry",
            "19:5: routes[0].rules[2].matches: an encoded slash is refused: its listener lacks `path: { encodedSlashes: keep }`",
            "20:5: routes[0].rules[2].timeouts: no backend is asked, so this does nothing",
            "24:5: routes[1].rules[0]: `rule-1` never gets a request: earlier rules take all it matches",
            "27:32: policies[0].dryRun: a policy that audits decides nothing anyway",
            "28:11: identity: nothing shows it: a listener with `protocol: https` does, and a service with `tls: { mode: mutual }`, where they name no certificate",
        ]
    );
}

#[test]
fn what_is_left_out_has_the_defaults() {
    let model = Model::from_yaml(BASE).unwrap();
    assert_eq!(model.admin.bind, defaults::ADMIN_BIND);
    assert_eq!(model.workers, Workers::Auto);
    assert_eq!(model.limits.connections, defaults::WORKER_CONNECTIONS);
    assert_eq!(model.limits.memory, crate::model::Memory::ControlGroup);
    assert_eq!(
        (model.drain.timeout, model.access_log),
        (defaults::DRAIN_TIMEOUT, None)
    );
    let web = &model.listeners[0];
    assert_eq!(
        (web.head_bytes_max, web.body_bytes_max),
        (defaults::HEAD_BYTES, None)
    );
    assert_eq!(
        (web.head_timeout, web.idle_timeout),
        (defaults::HEAD_TIMEOUT, defaults::IDLE_TIMEOUT)
    );
    assert!(!web.path.keep_encoded_slashes);
    let service = &model.services[0];
    assert_eq!(service.connect_timeout, defaults::CONNECT_TIMEOUT);
    assert_eq!(
        service.outlier.unwrap().consecutive_failures,
        defaults::OUTLIER_CONSECUTIVE_FAILURES
    );
    assert_eq!(service.health, None);
    let rule = "routes: [{ name: r, rules: [{ backends: [{ service: reviews }], retry: {} }] }]";
    let model = Model::from_yaml(&format!("{BASE}{rule}")).unwrap();
    let rule = &model.routes[0].rules[0];
    assert_eq!((rule.name.as_str(), rule.matches.len()), ("rule-1", 0));
    assert_eq!(
        (rule.timeouts.request, rule.timeouts.backend),
        (None, Some(defaults::BACKEND_TIMEOUT))
    );
    let retry = rule.retry.as_ref().unwrap();
    assert_eq!(retry.on, [RetryOn::ConnectFailure, RetryOn::Reset]);
    assert_eq!(
        (retry.attempts, retry.budget_percent),
        (defaults::RETRY_ATTEMPTS, defaults::RETRY_BUDGET_PERCENT)
    );
}

#[test]
fn every_field_reaches_the_model() {
    let model = Model::from_yaml(EVERY_FIELD).unwrap();
    let value = serde_json::to_value(&model).unwrap();
    assert_eq!(
        serde_yaml::to_string(&value).unwrap(),
        include_str!("tests/every-field.model.yaml")
    );
}

#[test]
fn tls_towards_a_service_says_what_is_wrong_with_it_and_where() {
    let problems = |tls: &str| {
        let text = format!(
            "listeners: [{{ name: web, bind: '0.0.0.0:80' }}]\nservices: [{{ name: a, endpoints: [{{ address: '10.0.0.1:1' }}], tls: {{ {tls} }} }}]"
        );
        problems(&text)
            .iter()
            .map(|problem| problem.split_once(": ").unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    for good in [
        "ca: a",
        "ca: [a, b], verify: { names: [a.example] }",
        "mode: mutual, ca: a, cert: b, key: c",
    ] {
        assert_eq!(problems(good), [""; 0], "{good}");
    }
    let missing = "services[0].tls: `ca` is missing: a file of the authorities that the endpoints' certificates lead to, \
                   such as the system's, often /etc/ssl/certs/ca-certificates.crt; with `mode: mutual` and an `identity` \
                   at the top of the configuration its mesh's root is believed";
    assert_eq!(problems("serverName: a.example"), [missing]);
    assert_eq!(
        problems("ca: a, insecureSkipVerify: true, verify: { names: [b.example] }"),
        [
            "services[0].tls.ca: `ca` checks certificates and `insecureSkipVerify` does not: remove one",
            "services[0].tls.verify: `verify` checks certificates and `insecureSkipVerify` does not: remove one",
        ]
    );
    assert_eq!(
        problems("ca: a, cert: b"),
        ["services[0].tls.cert: a certificate is shown to endpoints with `mode: mutual`: write that too"]
    );
    assert_eq!(
        problems("mode: mutual, ca: ''"),
        [
            "services[0].tls: with `mode: mutual` a certificate is shown: `cert` and `key` say which, or an `identity` at the top of the configuration gets one",
            "services[0].tls.ca: a file has a name",
        ]
    );
    assert_eq!(
        problems("ca: a, verify: { spiffe: ['https://a'] }").len(),
        1,
        "no SPIFFE ID"
    );
    assert_eq!(problems("ca: a, serverName: 'a b'").len(), 1, "no host");
    assert_eq!(problems("ca: { a: b }").len(), 1, "no file");
}

#[test]
fn tls_says_what_is_wrong_with_it_and_where() {
    let problems = |listener: &str| {
        let text = format!("listeners: [{{ name: web, bind: '0.0.0.0:80', {listener} }}]");
        problems(&text)
            .iter()
            .map(|problem| problem.split_once(": ").unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    let tls = |more: &str| {
        problems(&format!(
            "protocol: https, tls: {{ certificates: [{{ cert: a, key: b }}]{more} }}"
        ))
    };
    assert_eq!(tls(""), [""; 0]);
    assert_eq!(
        problems("protocol: https"),
        [
            "listeners[0]: with `protocol: https` a listener has `tls: { certificates: [...] }`, or `tls: {}` where the configuration has an `identity`"
        ]
    );
    assert_eq!(
        problems("tls: { certificates: [{ cert: a, key: b }] }"),
        ["listeners[0].tls: TLS is spoken with `protocol: https` only"]
    );
    assert_eq!(
        problems("protocol: https, tls: { certificates: [{ cert: a }, { crt: b, key: '' }] }"),
        [
            "listeners[0].tls.certificates[0]: `key` is missing",
            "listeners[0].tls.certificates[1]: `cert` is missing",
            "listeners[0].tls.certificates[1].crt: unknown field `crt` (did you mean \"cert\"?)",
            "listeners[0].tls.certificates[1].key: a file has a name",
        ]
    );
    assert_eq!(
        tls(", minVersion: '1.1', groups: [x25519], alpn: [h3]"),
        [
            "listeners[0].tls.minVersion: expected `1.2` or `1.3`, found \"1.1\" (did you mean \"1.2\"?)",
            "listeners[0].tls.groups[0]: expected `X25519MLKEM768`, `X25519`, `P-256` or `P-384`, found \"x25519\" (did you mean \"X25519\"?)",
            "listeners[0].tls.alpn[0]: `h3` is not supported in this version",
        ]
    );
    assert_eq!(
        tls(", clientAuth: { mode: require }"),
        [
            "listeners[0].tls.clientAuth: `ca` is missing: it says which certificates are good; with an `identity` at the top of the configuration those of its mesh are"
        ]
    );
    assert_eq!(
        tls(", clientAuth: { ca: [a] }"),
        ["listeners[0].tls.clientAuth: with `mode: none` no certificate is asked for: write `mode: require`"]
    );
    assert_eq!(
        tls(", clientAuth: { mode: permissive, crl: [a] }"),
        ["listeners[0].tls.clientAuth: `ca` is missing: without it no certificate is asked for"]
    );
}

#[test]
fn an_identity_stands_where_no_file_is_named() {
    let text = |identity: &str| {
        format!(
            "{identity}listeners:\n- {{ name: web, bind: '0.0.0.0:80', protocol: https, tls: {{ clientAuth: {{ mode: require }} }} }}\n\
             - {{ name: own, bind: '0.0.0.0:81', protocol: https, tls: {{ certificates: [{{ cert: a, key: b }}], \
             clientAuth: {{ mode: permissive, ca: c }} }} }}\n\
             services:\n- {{ name: a, endpoints: [{{ address: 'a:1' }}], tls: {{ mode: mutual }} }}\n\
             - {{ name: b, endpoints: [{{ address: 'b:1' }}], tls: {{ mode: mutual, ca: c, cert: a, key: b }} }}\n"
        )
    };
    let identity = "identity: { authority: 'CA.example.org:8600', token: join.token, ttl: 1h }\n";
    let model = load(&[source("/etc/sluice/mesh.yaml", &text(identity))])
        .model
        .unwrap();
    let enrollment = model.identity.as_ref().unwrap();
    assert_eq!(enrollment.authority.to_string(), "ca.example.org:8600");
    assert_eq!(enrollment.folder.to_str(), Some("/etc/sluice/identity"));
    let token = enrollment.token.as_ref().unwrap();
    assert_eq!(token.path.to_str(), Some("/etc/sluice/join.token"));
    let own = enrollment.certificate();
    assert_eq!(own.cert.path.to_str(), Some("/etc/sluice/identity/identity.pem"));
    let listener = |index: usize| model.listeners[index].tls.as_ref().unwrap();
    assert_eq!(listener(0).certificates, std::slice::from_ref(&own));
    assert_eq!(listener(0).client_auth.ca, [enrollment.roots()]);
    assert_ne!(listener(1).certificates, std::slice::from_ref(&own));
    assert_ne!(listener(1).client_auth.ca, [enrollment.roots()]);
    let service = |index: usize| model.services[index].tls.as_ref().unwrap();
    assert_eq!(service(0).identity, Some(own.clone()));
    assert_eq!(service(0).ca, [enrollment.roots()]);
    assert_ne!(service(1).identity, Some(own));
    assert_ne!(service(1).ca, [enrollment.roots()]);
    assert_eq!(
        problems(&text(""))
            .iter()
            .map(|one| one.split_once(": ").unwrap().1)
            .collect::<Vec<_>>(),
        [
            "listeners[0].tls: no certificate is shown: `certificates` names some, or an `identity` at the top of the configuration gets one",
            "listeners[0].tls.clientAuth: `ca` is missing: it says which certificates are good; with an `identity` at the top of the configuration those of its mesh are",
            "services[0].tls: `ca` is missing: a file of the authorities that the endpoints' certificates lead to, such as the system's, often /etc/ssl/certs/ca-certificates.crt; with `mode: mutual` and an `identity` at the top of the configuration its mesh's root is believed",
            "services[0].tls: with `mode: mutual` a certificate is shown: `cert` and `key` say which, or an `identity` at the top of the configuration gets one",
        ]
    );
}

#[test]
fn an_identity_says_what_is_wrong_with_it_and_never_a_secret() {
    let problems = |identity: &str| problems(&format!("identity: {identity}\n{BASE}"));
    let secret = "sluice-join-v1.0123";
    let found = problems(&format!("{{ authority: 'a:1', token: {secret} }}"));
    assert_eq!(
        found,
        [
            "1:38: identity.token: this is a token itself: whoever reads the configuration could join with it, so put it in a file and name that"
        ]
    );
    assert_eq!(
        problems("{ authority: 'https://ca.example:8600/', ttl: 1s, token: '', folder: '' }"),
        [
            "1:24: identity.authority: an address has no scheme (did you mean \"ca.example:8600\"?)",
            "1:57: identity.ttl: certificates are good for at least 5s, not 1s",
            "1:68: identity.token: a file has a name",
            "1:80: identity.folder: a file has a name",
        ]
    );
    assert_eq!(
        problems("{ token: a }"),
        ["1:11: identity: `authority` is missing"]
    );
}

#[test]
fn files_are_beside_the_file_that_names_them() {
    let text = "listeners: [{ name: web, bind: '0.0.0.0:80', protocol: https, tls: { certificates: [{ cert: a, key: /b }] } }]";
    let model = load(&[source("/etc/sluice/web.yaml", text)]).model.unwrap();
    let certificate = &model.listeners[0].tls.as_ref().unwrap().certificates[0];
    assert_eq!(certificate.cert.path.to_str(), Some("/etc/sluice/a"));
    assert_eq!(certificate.key.path.to_str(), Some("/b"));
    assert_eq!(certificate.cert.place.to_string(), "/etc/sluice/web.yaml:1:93");
}

#[test]
fn matches_and_filters_become_what_routing_asks() {
    let model = Model::from_yaml(EVERY_FIELD).unwrap();
    let rule = &model.routes[0].rules[0];
    assert_eq!(
        model.routes[0].hosts[1],
        HostPattern::Wildcard("example.com".into())
    );
    assert_eq!(rule.matches[0].path, Some(PathMatch::Prefix("/api".into())));
    let not = StringMatch::Not(Box::new(StringMatch::Regex(Pattern::new("[0-9]+").unwrap())));
    let name = "x-b".parse().unwrap();
    assert_eq!(rule.matches[0].headers[1], FieldMatch { name, test: not });
    let edits: Vec<&str> = rule
        .filters
        .request_headers
        .iter()
        .map(|edit| match edit {
            HeaderEdit::Set(name, _) | HeaderEdit::Add(name, _) | HeaderEdit::Remove(name) => name.as_str(),
        })
        .collect();
    assert_eq!(edits, ["set", "add", "remove", "later"]);
    let rewrite = rule.filters.rewrite.as_ref().unwrap();
    assert_eq!(rewrite.path, Some(PathRewrite::Prefix("/v1".into())));
    assert!(matches!(&rule.action, Action::Forward(backends) if backends.len() == 2));
    assert_eq!(rule.sticky, Some(Sticky::Cookie("session".into())));
    assert_eq!(
        model.listeners[0].body_bytes_max,
        Some(ByteSize::new(10 << 20).unwrap())
    );
}

#[test]
fn a_model_is_the_same_after_serde() {
    let model = Model::from_yaml(EVERY_FIELD).unwrap();
    let text = serde_json::to_string(&model).unwrap();
    let back: Model = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}

#[test]
fn more_problems_than_anyone_reads_are_counted() {
    let text = "x: 1\n".repeat(defaults::PROBLEMS_MAX + 500);
    let found = problems(&text);
    assert_eq!(found.len(), defaults::PROBLEMS_MAX + 1);
    assert!(
        found
            .last()
            .unwrap()
            .ends_with("and 500 more problems, not shown"),
        "{:?}",
        found.last()
    );
}

proptest! {
    #[test]
    fn any_text_loads_or_says_why(text in "[ -~\\n\\t\u{e9}]{0,200}") {
        let loaded = load(&[source("f", &text)]);
        prop_assert!(loaded.model.is_ok() || !loaded.model.unwrap_err().is_empty());
    }

    #[test]
    fn any_change_of_a_good_text_loads_or_says_why(
        at in 0..EVERY_FIELD.len(),
        cut in 0..40_usize,
        put in "[-a-z0-9:{}\\[\\],\"'&*!|>#%@`? \n\t]{0,6}",
    ) {
        let end = (at + cut).min(EVERY_FIELD.len());
        prop_assume!(EVERY_FIELD.is_char_boundary(at) && EVERY_FIELD.is_char_boundary(end));
        let text = format!("{}{put}{}", &EVERY_FIELD[..at], &EVERY_FIELD[end..]);
        match load(&[source("f", &text)]).model {
            Ok(_) => {}
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                let lines = u32::try_from(text.lines().count()).unwrap() + 1;
                for problem in problems {
                    prop_assert!((1..=lines).contains(&problem.place.line), "{problem}");
                    prop_assert!(problem.place.column >= 1, "{problem}");
                }
            }
        }
    }
}
