//! Policies as they are written, put to requests with and without an identity.

use std::{borrow::Cow, net::IpAddr};

use proptest::prelude::*;
use sluice_config::model::{ListenerId, RouteId, ServiceId, SpiffeId};

use super::*;
use crate::Arrival;

#[derive(Debug, Clone)]
struct Request {
    host: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    identity: Option<&'static str>,
    peer: IpAddr,
    client: IpAddr,
    port: u16,
    sni: Option<&'static str>,
    names: Vec<String>,
}

impl RequestView for Request {
    fn host(&self) -> &str {
        self.host
    }
    fn method(&self) -> &str {
        self.method
    }
    fn path(&self) -> &str {
        self.path
    }
    fn query(&self) -> Option<&str> {
        None
    }
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let found = self.headers.iter().find(|(key, _)| *key == name)?;
        Some(Cow::Borrowed(found.1.as_bytes()))
    }
    fn arrival(&self) -> Arrival<'_> {
        Arrival {
            identity: self.identity.map(|id| SpiffeId::parse(id).unwrap()),
            names: &self.names,
            peer: self.peer,
            client: self.client,
            port: self.port,
            sni: self.sni,
        }
    }
}

const WEB: &str = "spiffe://example.org/ns/default/sa/web";
const BATCH: &str = "spiffe://example.org/ns/jobs/sa/batch";

/// `GET http://shop.example/path` on plaintext, from 10.0.0.1.
fn get(path: &'static str) -> Request {
    Request {
        host: "shop.example",
        method: "GET",
        path,
        headers: Vec::new(),
        identity: None,
        names: Vec::new(),
        peer: "10.0.0.1".parse().unwrap(),
        client: "10.0.0.1".parse().unwrap(),
        port: 8080,
        sni: None,
    }
}

fn by(identity: &'static str) -> Request {
    Request {
        identity: Some(identity),
        sni: Some("shop.example"),
        ..get("/")
    }
}

/// A model of one listener with these policies, a line each without the dash.
fn model(policies: &[&str]) -> Model {
    let lines: String = policies.iter().map(|policy| format!("- {policy}\n")).collect();
    let text = format!(
        "listeners: [{{ name: web, bind: '0.0.0.0:8080' }}]\n\
         services: [{{ name: s, endpoints: [{{ address: 'a:1' }}] }}]\n\
         routes: [{{ name: r, rules: [{{ backends: [{{ service: s }}] }}] }}]\n\
         policies:\n{lines}"
    );
    Model::from_yaml(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn on_listener(model: &Model) -> Policies {
    Policies::compile(model, |target| target.listeners.contains(&ListenerId(0)))
}

fn policies(policies: &[&str]) -> Policies {
    on_listener(&model(policies))
}

/// What is told, and whether it passes.
fn decide(policies: &Policies, request: &Request) -> (Vec<(usize, &'static str)>, bool) {
    let mut told = Vec::new();
    let outcome = policies.decide(request, |id, decision| told.push((id.0, decision.as_str())));
    (told, outcome.is_ok())
}

/// Whether a policy with this body, of any action, matches: asked as one that allows and as one that denies.
fn matches(body: &str, request: &Request) -> (bool, bool) {
    let alone = |action: &str| policies(&[&format!("{{ name: p, action: {action}, {body} }}")]);
    (
        decide(&alone("allow"), request).1,
        !decide(&alone("deny"), request).1,
    )
}

/// As [`matches`], where both say the same.
fn met(body: &str, request: &Request) -> bool {
    let (allows, denies) = matches(body, request);
    assert_eq!(allows, denies, "{body}");
    allows
}

#[test]
fn without_policies_all_passes() {
    assert_eq!(
        decide(
            &policies(&["{ name: p, action: audit, to: [{ methods: [PUT] }] }"]),
            &get("/")
        ),
        (vec![], true)
    );
    let none = Policies::default();
    assert!(none.is_empty() && decide(&none, &get("/")).1);
}

#[test]
fn deny_comes_first_whatever_the_order_of_the_file() {
    let allow = "{ name: a, action: allow }";
    let deny = "{ name: d, action: deny, to: [{ paths: [/admin*] }] }";
    for order in [[allow, deny], [deny, allow]] {
        let policies = policies(&order);
        assert!(!decide(&policies, &get("/admin/x")).1);
        assert!(decide(&policies, &get("/x")).1);
    }
}

#[test]
fn what_no_policy_allows_is_denied_in_the_name_of_the_first_that_could() {
    let both = policies(&[
        "{ name: a, action: allow, to: [{ paths: [/a] }] }",
        "{ name: b, action: allow, to: [{ paths: [/b] }] }",
    ]);
    assert_eq!(decide(&both, &get("/b")), (vec![(1, "allow")], true));
    assert_eq!(decide(&both, &get("/c")), (vec![(0, "deny")], false));
}

#[test]
fn audit_and_dry_runs_tell_and_decide_nothing() {
    let policies = policies(&[
        "{ name: audit, action: audit }",
        "{ name: dry-deny, action: deny, dryRun: true, to: [{ paths: [/x] }] }",
        "{ name: deny, action: deny, to: [{ paths: [/secret] }] }",
    ]);
    assert_eq!(
        decide(&policies, &get("/x")),
        (vec![(0, "audit"), (1, "dry_run_deny")], true)
    );
    assert_eq!(
        decide(&policies, &get("/secret")),
        (vec![(0, "audit"), (2, "deny")], false)
    );
}

#[test]
fn a_dry_allow_tells_what_it_would_change() {
    let dry = "{ name: dry, action: allow, dryRun: true, to: [{ paths: [/x] }] }";
    let alone = policies(&[dry]);
    assert_eq!(decide(&alone, &get("/x")), (vec![(0, "dry_run_allow")], true));
    assert_eq!(decide(&alone, &get("/y")), (vec![(0, "dry_run_deny")], true));
    let beside = policies(&[dry, "{ name: real, action: allow, to: [{ paths: [/y] }] }"]);
    assert_eq!(
        decide(&beside, &get("/y")),
        (vec![(1, "allow")], true),
        "the other allows it already"
    );
    assert_eq!(
        decide(&beside, &get("/x")),
        (vec![(0, "dry_run_allow"), (1, "deny")], false)
    );
}

#[test]
fn entries_are_any_fields_are_all_values_are_any() {
    let two = "to: [{ methods: [GET, HEAD], paths: [/a, /b] }, { methods: [POST], paths: [/c] }]";
    let post = |path| Request {
        method: "POST",
        ..get(path)
    };
    for (request, expected) in [
        (get("/a"), true),
        (get("/b"), true),
        (get("/c"), false),
        (post("/c"), true),
        (post("/a"), false),
    ] {
        assert_eq!(met(two, &request), expected, "{request:?}");
    }
    let all = "from: [{ cidrs: [10.0.0.0/8] }], to: [{ methods: [GET] }], when: [{ headers: { x-a: { exact: '1' } } }]";
    assert!(!met(all, &get("/")));
    let told = Request {
        headers: vec![("x-a", "1")],
        ..get("/")
    };
    assert!(met(all, &told));
    assert!(!met(
        all,
        &Request {
            peer: "11.0.0.1".parse().unwrap(),
            ..told
        }
    ));
}

#[test]
fn not_means_none_of_these() {
    let body = "to: [{ paths: [/a*], not: { paths: [/admin*], methods: [DELETE] } }]";
    assert!(met(body, &get("/a")));
    assert!(!met(body, &get("/admin")));
    assert!(
        !met(
            body,
            &Request {
                method: "DELETE",
                ..get("/a")
            }
        ),
        "either is enough"
    );
    assert!(!met(body, &get("/x")));
}

#[test]
fn hosts_ports_addresses_and_headers() {
    assert!(met("to: [{ hosts: ['*.example'] }]", &get("/")));
    assert!(!met("to: [{ hosts: [example] }]", &get("/")));
    assert!(met("to: [{ ports: [1, 8080] }]", &get("/")) && !met("to: [{ ports: [1] }]", &get("/")));
    let proxied = Request {
        client: "203.0.113.9".parse().unwrap(),
        ..get("/")
    };
    assert!(met("from: [{ cidrs: [10.0.0.1] }]", &proxied));
    assert!(met("from: [{ remoteCidrs: [203.0.113.0/24] }]", &proxied));
    assert!(!met("from: [{ cidrs: [203.0.113.0/24] }]", &proxied));
    assert!(!met(
        "from: [{ not: { remoteCidrs: [203.0.113.0/24] } }]",
        &proxied
    ));
    assert!(!met("from: [{ cidrs: ['::/0'] }]", &proxied));
    assert!(met("when: [{ headers: { x-a: { present: false } } }]", &get("/")));
    assert!(met(
        "when: [{ not: { headers: { x-a: { exact: b } } } }]",
        &get("/")
    ));
    let told = Request {
        headers: vec![("x-a", "b")],
        ..get("/")
    };
    assert!(!met(
        "when: [{ not: { headers: { x-a: { exact: b }, x-b: { exact: b } } } }]",
        &told
    ));
}

#[test]
fn identities_are_matched_by_id_namespace_and_account() {
    for (body, web, batch) in [
        (
            "from: [{ spiffe: ['spiffe://example.org/ns/*/sa/web'] }]",
            true,
            false,
        ),
        ("from: [{ spiffe: ['spiffe://example.org/**'] }]", true, true),
        ("from: [{ namespaces: [default] }]", true, false),
        ("from: [{ namespaces: ['j*'] }]", false, true),
        ("from: [{ serviceAccounts: [web, jobs/batch] }]", true, true),
        (
            "from: [{ serviceAccounts: [jobs/web, default/batch] }]",
            false,
            false,
        ),
        (
            "from: [{ namespaces: [default], serviceAccounts: [batch] }]",
            false,
            false,
        ),
        (
            "from: [{ namespaces: ['*'], not: { serviceAccounts: [batch] } }]",
            true,
            false,
        ),
        ("from: [{ not: { namespaces: [default] } }]", false, true),
    ] {
        assert_eq!(
            (met(body, &by(WEB)), met(body, &by(BATCH))),
            (web, batch),
            "{body}"
        );
    }
}

#[test]
fn names_are_those_of_the_certificate() {
    let of = |names: &[&str]| Request {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..get("/")
    };
    let peer = of(&["a.example", "b.internal"]);
    for (body, is_met) in [
        ("from: [{ names: [a.example] }]", true),
        ("from: [{ names: ['*.internal'] }]", true),
        ("from: [{ names: [c.example] }]", false),
        ("from: [{ not: { names: [a.example] } }]", false),
        ("from: [{ not: { names: [c.example] } }]", true),
        ("from: [{ spiffe: ['spiffe://*/**'] }]", false),
    ] {
        assert_eq!(met(body, &peer), is_met, "{body}");
    }
    assert!(!met("from: [{ names: [a.example] }]", &of(&["x.a.example"])));
}

#[test]
fn without_an_identity_no_pattern_holds_and_a_not_errs_on_the_safe_side() {
    let id = Request {
        identity: Some("spiffe://example.org/other"),
        ..get("/")
    };
    for field in [
        "spiffe: ['spiffe://example.org/x']",
        "namespaces: [x]",
        "serviceAccounts: [x]",
        "names: [x.example]",
        "spiffe: ['spiffe://*/**']",
        "namespaces: ['*']",
        "serviceAccounts: ['*']",
    ] {
        assert_eq!(
            matches(&format!("from: [{{ {field} }}]"), &get("/")),
            (false, false),
            "{field}"
        );
        let not = format!("from: [{{ not: {{ {field} }} }}]");
        assert_eq!(matches(&not, &get("/")), (false, true), "{not}");
        let mixed = format!("from: [{{ cidrs: [10.0.0.0/8], not: {{ {field} }} }}]");
        assert_eq!(matches(&mixed, &get("/")), (false, true), "{mixed}");
    }
    let namespaces = "from: [{ not: { namespaces: [x] } }]";
    assert_eq!(
        matches(namespaces, &id),
        (false, true),
        "an identity that tells no namespace"
    );
    assert_eq!(
        matches("when: [{ sni: ['*.example'] }]", &get("/")),
        (false, false)
    );
    assert_eq!(
        matches("when: [{ not: { sni: [other.example] } }]", &get("/")),
        (false, true)
    );
    assert!(met("when: [{ sni: ['*.example'] }]", &by(WEB)));
    assert!(met("when: [{ not: { sni: [other.example] } }]", &by(WEB)));
    let dry = "{ name: p, action: allow, dryRun: true, from: [{ not: { namespaces: [x] } }] }";
    assert_eq!(
        decide(&policies(&[dry]), &get("/")).0,
        [(0, "dry_run_deny")],
        "a dry run judges alike"
    );
    let audit = "{ name: p, action: audit, from: [{ not: { namespaces: [x] } }] }";
    assert_eq!(decide(&policies(&[audit]), &get("/")).0, [(0, "audit")]);
}

#[test]
fn each_target_is_asked_by_itself() {
    let model = model(&[
        "{ name: l, action: deny, target: { listeners: [web] } }",
        "{ name: r, action: deny, target: { routes: [r], services: [s] } }",
        "{ name: every, action: audit }",
    ]);
    let here = |is_here: fn(&PolicyTarget) -> bool| {
        let policies = Policies::compile(&model, is_here);
        policies
            .0
            .iter()
            .map(|attached| attached.id.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(here(|target| target.listeners.contains(&ListenerId(0))), [0, 2]);
    assert_eq!(here(|target| target.routes.contains(&RouteId(0))), [1]);
    assert_eq!(here(|target| target.services.contains(&ServiceId(0))), [1]);
}

#[test]
fn an_explanation_names_the_list_that_does_not_hold() {
    let policies = policies(&[
        "{ name: a, action: allow, from: [{ namespaces: [x] }] }",
        "{ name: b, action: deny, to: [{ paths: [/x] }] }",
        "{ name: c, action: deny, when: [{ headers: { a: { present: true } } }] }",
        "{ name: d, action: audit }",
    ]);
    let unmet: Vec<_> = policies.consider(&get("/")).iter().map(|one| one.unmet).collect();
    assert_eq!(
        unmet,
        [Some(Unmet::From), Some(Unmet::To), Some(Unmet::When), None]
    );
}

fn bodies() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "",
        ", to: [{ paths: [/a] }]",
        ", to: [{ paths: ['/{*}/b'] }, { methods: [GET], not: { paths: [/a] } }]",
        ", from: [{ cidrs: [10.0.0.0/8] }]",
        ", from: [{ namespaces: [default] }]",
        ", from: [{ not: { spiffe: ['spiffe://example.org/ns/default/**'] } }]",
        ", when: [{ not: { sni: [shop.example] } }]",
        ", when: [{ headers: { x-a: { not: { exact: '1' } } } }]",
    ])
}

fn written() -> impl Strategy<Value = Vec<(&'static str, bool, &'static str)>> {
    let action = proptest::sample::select(vec!["allow", "deny", "audit"]);
    proptest::collection::vec((action, any::<bool>(), bodies()), 0..6)
}

fn lines(written: &[(&str, bool, &str)]) -> Vec<String> {
    let line = |(index, (action, dry, body)): (usize, &(&str, bool, &str))| {
        format!("{{ name: p{index}, action: {action}, dryRun: {dry}{body} }}")
    };
    written.iter().enumerate().map(line).collect()
}

fn of(written: &[(&str, bool, &str)]) -> Policies {
    let lines = lines(written);
    match lines.is_empty() {
        true => Policies::default(),
        false => policies(&lines.iter().map(String::as_str).collect::<Vec<_>>()),
    }
}

fn requests() -> impl Strategy<Value = Request> {
    let paths = proptest::sample::select(vec!["/a", "/b", "/x/b", "/"]);
    let identities =
        proptest::sample::select(vec![None, Some(WEB), Some(BATCH), Some("spiffe://example.org/x")]);
    (paths, identities, any::<bool>(), any::<bool>()).prop_map(|(path, identity, near, told)| Request {
        identity,
        sni: identity.map(|_| "shop.example"),
        peer: if near { "10.0.0.1" } else { "192.0.2.1" }.parse().unwrap(),
        headers: if told { vec![("x-a", "1")] } else { vec![] },
        ..get(path)
    })
}

proptest! {
    #[test]
    fn a_policy_that_denies_beats_all_others(written in written(), body in bodies(), request in requests()) {
        let mut with = written;
        let alone = of(&[("deny", false, body)]);
        with.push(("deny", false, body));
        if !decide(&alone, &request).1 {
            prop_assert!(!decide(&of(&with), &request).1);
        }
    }

    #[test]
    fn what_runs_dry_or_audits_never_changes_a_verdict(written in written(), request in requests()) {
        let real: Vec<_> = written.iter().copied().filter(|(action, dry, _)| !dry && *action != "audit").collect();
        prop_assert_eq!(decide(&of(&written), &request).1, decide(&of(&real), &request).1);
    }

    #[test]
    fn another_policy_that_allows_opens_only_what_it_matches(
        written in written(),
        body in bodies(),
        request in requests(),
    ) {
        let before = decide(&of(&written), &request).1;
        let matched = decide(&of(&[("allow", false, body)]), &request).1;
        let mut with = written;
        with.push(("allow", false, body));
        let after = decide(&of(&with), &request).1;
        prop_assert!(before || matched || !after, "what was denied stays so unless the new one matches");
    }

    #[test]
    fn a_policy_elsewhere_changes_nothing_here(written in written(), body in bodies(), request in requests()) {
        let mut all = lines(&written);
        all.push(format!("{{ name: elsewhere, action: allow, target: {{ services: [s] }}{body} }}"));
        all.push(format!("{{ name: elsewhere-too, action: deny, target: {{ routes: [r] }}{body} }}"));
        let with = policies(&all.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(decide(&with, &request), decide(&of(&written), &request));
    }
}

/// A connection that is passed on, of a client that asks for this server name.
fn connection(sni: Option<&'static str>) -> Request {
    Request {
        host: "",
        method: "",
        sni,
        ..get("")
    }
}

#[test]
fn a_connection_passed_on_tells_nothing_of_http() {
    let asks = |body: &str| matches(body, &connection(Some("shop.example")));
    for field in [
        "to: [{ hosts: [shop.example] }]",
        "to: [{ methods: [GET] }]",
        "to: [{ paths: [/a] }]",
        "when: [{ headers: { x-a: { exact: a } } }]",
        "when: [{ headers: { x-a: { present: false } } }]",
        "when: [{ headers: { x-a: { not: { exact: a } } } }]",
        "from: [{ spiffe: ['spiffe://example.org/**'] }]",
    ] {
        assert_eq!(asks(field), (false, false), "{field}");
        let turned = field.replacen("[{", "[{ not: {", 1).replacen("}]", "} }]", 1);
        assert_eq!(asks(&turned), (false, true), "{turned}");
    }
    assert!(met("from: [{ cidrs: [10.0.0.0/8] }]", &connection(None)));
    assert!(met("from: [{ remoteCidrs: [10.0.0.0/8] }]", &connection(None)));
    assert!(met("to: [{ ports: [8080] }]", &connection(None)));
    assert!(!met("to: [{ not: { ports: [8080] } }]", &connection(None)));
    assert!(met(
        "when: [{ sni: ['*.example'] }]",
        &connection(Some("shop.example"))
    ));
    assert!(!met("when: [{ sni: ['*.example'] }]", &connection(None)));
}
