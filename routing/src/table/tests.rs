//! The table against cases from Gateway API and against a reference that knows no index.

mod reference;

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
};

use proptest::prelude::*;
use serde_json::{Value, from_value, json};
use sluice_config::model::{
    FieldMatch, HeaderName, Match, Pattern, Peer, Route, Rule, SpiffeId, StringMatch,
};

use super::*;
use crate::Arrival;

const LISTENER: ListenerId = ListenerId(0);

/// A request made of its parts.
#[derive(Debug, Clone, Default)]
struct Request {
    host: String,
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    identity: Option<&'static str>,
}

impl RequestView for Request {
    fn host(&self) -> &str {
        &self.host
    }
    fn method(&self) -> &str {
        &self.method
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let values = self.headers.iter().filter(|(key, _)| key == name);
        let values: Vec<_> = values.map(|(_, value)| value.as_bytes()).collect();
        (!values.is_empty()).then(|| Cow::Owned(values.join(&b", "[..])))
    }
    fn arrival(&self) -> Arrival<'_> {
        let plain = Arrival::plain(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
        Arrival {
            identity: self.identity.map(|id| SpiffeId::parse(id).unwrap()),
            ..plain
        }
    }
}

/// `GET http://host/path?query`, without the `GET http://`.
fn get(url: &str) -> Request {
    let (host, rest) = url.split_once('/').unwrap();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (rest, None),
    };
    Request {
        host: host.to_owned(),
        method: "GET".to_owned(),
        path: format!("/{path}"),
        query,
        headers: Vec::new(),
        identity: None,
    }
}

fn model(routes: Vec<Route>) -> Model {
    let mut model: Model = from_value(json!({
        "admin": { "bind": "127.0.0.1:1" }, "workers": "Auto", "limits": { "connections": 1, "memory": "Unbounded" },
        "drain": { "timeout": 1 }, "access_log": null, "listeners": [], "routes": [], "services": [],
    }))
    .unwrap();
    model.routes = routes;
    model
}

fn route(hosts: Vec<HostPattern>, rules: Vec<Vec<Match>>) -> Route {
    let rules = rules.into_iter().map(|matches| {
        let mut rule: Rule = from_value(json!({
            "name": "rule", "matches": [],
            "action": { "Direct": { "status": 200, "body": "", "headers": [] } },
            "filters": { "request_headers": [], "response_headers": [], "rewrite": null },
            "timeouts": { "request": null, "backend": null }, "retry": null, "sticky": null,
        }))
        .unwrap();
        rule.matches = matches;
        rule
    });
    Route {
        name: from_value(json!("route")).unwrap(),
        listeners: vec![LISTENER],
        hosts,
        rules: rules.collect(),
    }
}

/// Hosts as they are written in YAML.
fn hosts(written: &[&str]) -> Vec<HostPattern> {
    let pattern = |host: &&str| match host.strip_prefix("*.") {
        Some(tail) => HostPattern::Wildcard(tail.to_owned()),
        None => HostPattern::Exact((*host).to_owned()),
    };
    written.iter().map(pattern).collect()
}

fn matching(path: Value) -> Match {
    Match {
        path: from_value(path).unwrap(),
        ..Match::default()
    }
}

fn prefix(path: &str) -> Match {
    matching(json!({ "Prefix": path }))
}

fn header(name: &str, test: StringMatch) -> FieldMatch<HeaderName> {
    FieldMatch {
        name: from_value(json!(name)).unwrap(),
        test,
    }
}

fn peers(pattern: &str) -> Peer {
    Peer {
        spiffe: vec![pattern.parse().unwrap()],
        names: Vec::new(),
    }
}

fn exact(value: &str) -> StringMatch {
    StringMatch::Exact(value.to_owned())
}

/// (route, rule) of what is found.
fn found(table: &RouteTable, request: &Request) -> Option<(usize, usize)> {
    table.find(request).map(|found| (found.route, found.rule))
}

#[test]
fn an_empty_table_finds_nothing() {
    let table = RouteTable::compile(&model(Vec::new()), LISTENER);
    assert_eq!(table.find(&get("a.test/")), None);
    assert!(table.explain(&get("a.test/")).is_empty());
}

#[test]
fn only_routes_of_the_listener_take_part() {
    let mut other = route(Vec::new(), vec![Vec::new()]);
    other.listeners = vec![ListenerId(1), ListenerId(2)];
    let model = model(vec![other]);
    assert_eq!(RouteTable::compile(&model, LISTENER).find(&get("a.test/")), None);
    assert!(
        RouteTable::compile(&model, ListenerId(2))
            .find(&get("a.test/"))
            .is_some()
    );
}

#[test]
fn hosts_go_from_exact_to_any() {
    let any = || vec![Vec::new()];
    let table = RouteTable::compile(
        &model(vec![
            route(Vec::new(), any()),
            route(hosts(&["*.test"]), any()),
            route(hosts(&["*.a.test", "b.test"]), any()),
            route(hosts(&["x.a.test"]), any()),
        ]),
        LISTENER,
    );
    for (url, expected) in [
        ("x.a.test/", 3),
        ("y.x.a.test/", 2),
        ("y.a.test/", 2),
        ("b.test/", 2),
        ("a.test/", 1),
        ("test/", 0),
        ("/", 0),
    ] {
        assert_eq!(found(&table, &get(url)), Some((expected, 0)), "{url}");
    }
}

#[test]
fn a_host_whose_rules_all_fail_passes_the_request_on() {
    let table = RouteTable::compile(
        &model(vec![
            route(hosts(&["a.b.test"]), vec![vec![prefix("/exact")]]),
            route(hosts(&["*.b.test"]), vec![vec![prefix("/long")]]),
            route(hosts(&["*.test"]), vec![vec![prefix("/short")]]),
            route(Vec::new(), vec![vec![prefix("/any")]]),
        ]),
        LISTENER,
    );
    for (expected, path) in ["exact", "long", "short", "any"].into_iter().enumerate() {
        assert_eq!(
            found(&table, &get(&format!("a.b.test/{path}/x"))),
            Some((expected, 0))
        );
    }
    assert_eq!(found(&table, &get("a.b.test/other")), None);
}

#[test]
fn paths_go_from_exact_over_regex_to_the_longest_prefix() {
    let table = RouteTable::compile(
        &model(vec![route(
            Vec::new(),
            vec![
                vec![prefix("/")],
                vec![prefix("/a")],
                vec![prefix("/a/b")],
                vec![matching(json!({ "Regex": "/a/[bc]" }))],
                vec![matching(json!({ "Regex": "/a/(b|c|d)" }))],
                vec![matching(json!({ "Exact": "/a/b" }))],
                vec![matching(json!({ "Exact": "/" }))],
                vec![matching(json!({ "Exact": "/a/" }))],
            ],
        )]),
        LISTENER,
    );
    for (path, rule, prefix_bytes) in [
        ("/a/b", 5, 0),
        ("/a/c", 4, 0),
        ("/a/d", 4, 0),
        ("/a/b/", 2, 4),
        ("/a/b/c/d", 2, 4),
        ("/a/bc", 1, 2),
        ("/a/", 7, 0),
        ("/a", 1, 2),
        ("/ab", 0, 1),
        ("/", 6, 0),
    ] {
        let found = table.find(&get(&format!("a.test{path}")));
        let expected = Found {
            route: 0,
            rule,
            prefix_bytes,
        };
        assert_eq!(found, Some(expected), "{path}");
    }
}

#[test]
fn equal_paths_go_by_method_headers_query_and_order() {
    let method = Match {
        method: Some("GET".to_owned()),
        ..prefix("/a")
    };
    let two_headers = Match {
        headers: vec![header("x", exact("1")), header("y", StringMatch::Present(false))],
        ..prefix("/a")
    };
    let header_and_query = Match {
        headers: vec![header("x", exact("1"))],
        query: vec![FieldMatch {
            name: "q".to_owned(),
            test: exact("1"),
        }],
        ..prefix("/a")
    };
    let query = Match {
        headers: Vec::new(),
        ..header_and_query.clone()
    };
    let rules = [
        prefix("/a"),
        prefix("/a"),
        query,
        header_and_query,
        two_headers,
        method,
    ];
    let table = RouteTable::compile(
        &model(vec![route(
            Vec::new(),
            rules.into_iter().map(|matched| vec![matched]).collect(),
        )]),
        LISTENER,
    );
    let mut request = get("a.test/a?q=1");
    request.headers.push(("x".to_owned(), "1".to_owned()));
    assert_eq!(found(&table, &request), Some((0, 5)));
    request.method = "get".to_owned();
    assert_eq!(found(&table, &request), Some((0, 4)));
    request.headers.push(("y".to_owned(), "1".to_owned()));
    assert_eq!(found(&table, &request), Some((0, 3)));
    request.headers.push(("x".to_owned(), "2".to_owned()));
    assert_eq!(found(&table, &request), Some((0, 2)));
    request.query = None;
    assert_eq!(found(&table, &request), Some((0, 0)));
}

#[test]
fn a_match_of_peers_never_holds_without_an_identity() {
    let matched = Match {
        peer: Some(peers("spiffe://example.org/ns/*/sa/web")),
        ..prefix("/a")
    };
    let headers = Match {
        headers: vec![header("x", exact("1"))],
        ..prefix("/a")
    };
    let rules = vec![vec![headers], vec![matched], vec![prefix("/a")]];
    let table = RouteTable::compile(&model(vec![route(Vec::new(), rules)]), LISTENER);
    let mut request = get("a.test/a");
    request.headers.push(("x".to_owned(), "1".to_owned()));
    assert_eq!(found(&table, &request), Some((0, 0)));
    request.identity = Some("spiffe://example.org/ns/default/sa/other");
    assert_eq!(found(&table, &request), Some((0, 0)));
    request.identity = Some("spiffe://example.org/ns/default/sa/web");
    assert_eq!(found(&table, &request), Some((0, 1)), "before headers");
}

#[test]
fn a_rule_takes_part_once_for_each_match() {
    let rules = vec![
        vec![prefix("/a"), prefix("/x/y/z")],
        vec![prefix("/x/y")],
        vec![prefix("/a/b")],
    ];
    let table = RouteTable::compile(&model(vec![route(Vec::new(), rules)]), LISTENER);
    assert_eq!(found(&table, &get("a.test/x/y/z")), Some((0, 0)));
    assert_eq!(found(&table, &get("a.test/x/y")), Some((0, 1)));
    assert_eq!(found(&table, &get("a.test/a/b")), Some((0, 2)));
}

#[test]
fn the_asterisk_of_options_is_taken_by_rules_for_every_path() {
    let table = RouteTable::compile(&model(vec![route(Vec::new(), vec![vec![prefix("/")]])]), LISTENER);
    let asterisk = Request {
        path: "*".to_owned(),
        ..get("a.test/")
    };
    assert_eq!(found(&table, &asterisk), Some((0, 0)));
}

#[test]
fn an_explanation_names_what_failed() {
    let asks = |name: &str| Match {
        headers: vec![header(name, StringMatch::Present(true))],
        ..prefix("/a")
    };
    let q = FieldMatch {
        name: "q".to_owned(),
        test: exact("1"),
    };
    let table = RouteTable::compile(
        &model(vec![
            route(hosts(&["b.test"]), vec![vec![prefix("/a")]]),
            route(
                hosts(&["a.test"]),
                vec![
                    Vec::new(),
                    vec![prefix("/b"), asks("x")],
                    vec![Match {
                        query: vec![q],
                        ..prefix("/a")
                    }],
                    vec![Match {
                        method: Some("PUT".to_owned()),
                        ..prefix("/a")
                    }],
                    vec![prefix("/a")],
                ],
            ),
        ]),
        LISTENER,
    );
    let told = table.explain(&get("a.test/a"));
    let told: Vec<_> = told
        .iter()
        .map(|c| (c.route, c.rule, c.match_index, c.verdict))
        .collect();
    let x = from_value(json!("x")).unwrap();
    assert_eq!(
        told,
        [
            (1, 3, Some(0), Verdict::Failed(Test::Method)),
            (1, 1, Some(1), Verdict::Failed(Test::Header(&x))),
            (1, 2, Some(0), Verdict::Failed(Test::Query("q"))),
            (1, 4, Some(0), Verdict::Won),
            (1, 1, Some(0), Verdict::Failed(Test::Path)),
            (1, 0, None, Verdict::Outranked),
            (0, 0, Some(0), Verdict::Failed(Test::Host)),
        ]
    );
}

fn string_match() -> impl Strategy<Value = StringMatch> {
    let plain = prop_oneof![
        "[01]".prop_map(StringMatch::Exact),
        "[01]{0,2}".prop_map(StringMatch::Prefix),
        "[01]\\?".prop_map(|source| StringMatch::Regex(Pattern::new(&source).unwrap())),
        any::<bool>().prop_map(StringMatch::Present),
    ];
    (plain, prop::bool::weighted(0.3)).prop_map(|(test, not)| match not {
        true => StringMatch::Not(Box::new(test)),
        false => test,
    })
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        2 => "(/[ab]?){1,3}".prop_map(PathMatch::Exact),
        4 => "(/[ab]){1,3}|/".prop_map(PathMatch::Prefix),
        1 => "(/[ab.]){1,2}(/\\.\\*)?".prop_map(|source| PathMatch::Regex(Pattern::new(&source).unwrap())),
    ]
}

prop_compose! {
    fn any_match()(
        path in prop::option::weighted(0.9, path_match()),
        method in prop::option::weighted(0.2, "GET|PUT"),
        headers in prop::collection::vec(("[xy]", string_match()), 0..3),
        query in prop::collection::vec(("[pq]", string_match()), 0..3),
        peer in prop::bool::weighted(0.2),
        bare in prop::bool::weighted(0.4),
    ) -> Match {
        let headers = headers.into_iter().map(|(name, test)| header(&name, test));
        let query = query.into_iter().map(|(name, test)| FieldMatch { name, test });
        match bare {
            true => Match { path, ..Match::default() },
            false => Match {
                path,
                method,
                headers: headers.collect(),
                query: query.collect(),
                peer: peer.then(|| peers("spiffe://a.t/ns/*")),
            },
        }
    }
}

fn any_model() -> impl Strategy<Value = Model> {
    let host = prop::sample::select(vec!["a.t", "b.t", "a.b.t", "t", "*.t", "*.b.t", "*.a.b.t"]);
    let rules = prop::collection::vec(prop::collection::vec(any_match(), 0..3), 1..4);
    let route = (
        prop::collection::vec(host, 0..3),
        rules,
        prop::bool::weighted(0.9),
    )
        .prop_map(|(written, rules, here)| {
            let mut route = route(hosts(&written), rules);
            route.listeners = vec![ListenerId(usize::from(!here))];
            route
        });
    prop::collection::vec(route, 0..6).prop_map(model)
}

prop_compose! {
    fn any_request()(
        host in "([abc]\\.){0,3}t|",
        method in "GET|PUT|get",
        path in "(/[abc]?){1,4}",
        query in prop::option::of("([pq]=[01]{0,2}&?){0,3}"),
        headers in prop::collection::vec(("[xy]", "[01]{0,2}"), 0..3),
        identity in prop::sample::select(vec![None, Some("spiffe://a.t/ns/x"), Some("spiffe://a.t/x")]),
    ) -> Request {
        Request { host, method, path, query, headers, identity }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn finds_what_the_reference_finds(model in any_model(), requests in prop::collection::vec(any_request(), 1..8)) {
        let table = RouteTable::compile(&model, LISTENER);
        for request in requests {
            prop_assert_eq!(table.find(&request), reference::find(&model, LISTENER, &request), "{:?}", request);
        }
    }

    #[test]
    fn an_explanation_ends_as_the_search_does(model in any_model(), request in any_request()) {
        let table = RouteTable::compile(&model, LISTENER);
        let explained = table.explain(&request);
        prop_assert!(explained.iter().enumerate().all(|(rank, considered)| considered.rank == rank));
        prop_assert_eq!(explained.len(), reference::candidates(&model, LISTENER).len());
        // Alone from the single tests: the first that fails none is the winner, the later ones are outranked.
        let alone: Vec<_> = (0..explained.len()).map(|rank| explain::passed_over(&table, rank, &request)).collect();
        let winner = alone.iter().position(|verdict| *verdict == Verdict::Outranked);
        for (rank, considered) in explained.iter().enumerate() {
            let expected = if Some(rank) == winner { Verdict::Won } else { alone[rank] };
            prop_assert_eq!(considered.verdict, expected);
        }
        let won = winner.map(|rank| (explained[rank].route, explained[rank].rule));
        prop_assert_eq!(found(&table, &request), won);
    }

    #[test]
    fn a_watch_hears_of_tries_in_order(model in any_model(), request in any_request()) {
        let table = RouteTable::compile(&model, LISTENER);
        let mut told: Vec<Considered<'_>> = Vec::new();
        let watched = table.find_watched(&request, &mut told);
        prop_assert_eq!(watched, table.find(&request));
        prop_assert!(told.is_sorted_by(|one, next| one.rank < next.rank));
        let won = told.iter().position(|considered| considered.verdict == Verdict::Won);
        prop_assert_eq!(won, watched.map(|_| told.len() - 1));
    }
}
