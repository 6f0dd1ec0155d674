//! Explanations as people read them.

use super::*;

const YAML: &str = r#"
listeners:
- { name: web, bind: "127.0.0.1:8080" }
- { name: other, bind: "127.0.0.1:9090" }
routes:
- name: reviews
  listeners: [web]
  hosts: [reviews.example.com]
  rules:
  - name: testers
    matches: [{ path: { prefix: /api }, headers: { x-canary: { exact: "true" } } }]
    backends: [{ service: v2 }]
  - name: everyone
    matches: [{ path: { prefix: /api } }]
    backends:
    - service: v1
      weight: 90
    - service: v2
      weight: 10
      filters: [{ requestHeaders: { set: { x-env: canary }, remove: [x-debug] } }]
    filters: [{ rewrite: { host: internal.example.com, path: { prefix: /v3 } } }]
    timeouts: { request: 3s, backend: 1s }
    retry: { attempts: 2, on: [connectFailure, gatewayError] }
  - name: writes
    matches: [{ path: { prefix: /api }, method: POST, query: { debug: { exact: "1" } } }]
    filters: [{ direct: { status: 403, body: "no" } }]
- name: shop
  hosts: ["*.shop.example.com"]
  rules: [{ filters: [{ redirect: { scheme: https, status: 301 } }, { responseHeaders: { set: { x-moved: "1" } } }] }]
services:
- { name: v1, endpoints: [{ address: "10.0.0.1:80" }, { address: "10.0.0.2:80", weight: 2 }] }
- { name: v2, endpoints: [{ address: "v2.internal:80" }] }
"#;

fn ask(url: &str, headers: &[(&str, &str)]) -> Result<Explanation, QuestionError> {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let question = Question {
        url: url.to_owned(),
        headers,
        ..Question::default()
    };
    explain(&Model::from_yaml(YAML).unwrap(), &question)
}

fn chosen(explanation: &Explanation) -> &Chosen {
    match &explanation.listeners[0].outcome {
        Outcome::Tried {
            chosen: Some(chosen), ..
        } => chosen,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_split_reads_so() {
    let explanation = ask(
        "http://Reviews.Example.com:8080/x/../api/list?a=1",
        &[("x-canary", "no")],
    )
    .unwrap();
    assert_eq!(
        explanation.to_string(),
        r#"GET http://Reviews.Example.com:8080/x/../api/list?a=1

on listener web (127.0.0.1:8080)
  rules see host reviews.example.com, path /api/list
  rules, the first that matches takes it:
     1. reviews/writes: host reviews.example.com, path prefix /api, method POST, query debug "1"
        no: the method is GET
     2. reviews/testers: host reviews.example.com, path prefix /api, header x-canary "true"
        no: header x-canary is "no", not "true"
     3. reviews/everyone: host reviews.example.com, path prefix /api
     -> takes it
        and 1 for another host
  rule reviews/everyone
      90 % to v1 (weight 90): 10.0.0.1:80, 10.0.0.2:80 (weight 2), least request
           sends GET /v3/list?a=1, Host: internal.example.com
      10 % to v2 (weight 10): v2.internal:80, least request
           sends GET /v3/list?a=1, Host: internal.example.com
           request header x-env: canary
           request header x-debug as received is dropped
           request header x-env as received is dropped
    timeouts: request 3s, each try 1s
    retries: up to 2 on connectFailure, gatewayError; waits 25ms to 250ms
             budget 20 % and 10 a second; bodies up to 64KiB; not POST and PATCH
"#
    );
}

#[test]
fn what_comes_later_is_said_to_be_outranked() {
    let explanation = ask("http://reviews.example.com:8080/api", &[("x-canary", "true")]).unwrap();
    assert_eq!(chosen(&explanation).rule, "testers");
    assert!(
        explanation.to_string().contains("would match, but comes later"),
        "{explanation}"
    );
}

#[test]
fn answers_of_the_gateway_are_told() {
    let explanation = ask("http://a.shop.example.com:8080/x?y", &[]).unwrap();
    assert_eq!(
        chosen(&explanation).answer.as_deref(),
        Some("301 to https://a.shop.example.com/x?y")
    );
    assert_eq!(
        chosen(&explanation).answer_headers,
        ["x-moved: 1", "x-moved as received is dropped"]
    );
    let text = explanation.to_string();
    assert!(text.contains("response header x-moved: 1\n"), "{text}");
    let nothing = ask("http://nobody.example.com:8080/", &[]).unwrap();
    assert!(nothing.to_string().contains("no rule takes it: 404"), "{nothing}");
}

#[test]
fn a_head_is_read_as_a_clients_is() {
    for (url, headers, status, rule) in [
        ("http://reviews.example.com:8080/a%2fb", &[][..], 400, "path"),
        ("http://reviews.example.com:8080/a b", &[], 400, "request_line"),
        (
            "http://reviews.example.com:8080/",
            &[("bad name", "x")],
            400,
            "field_name",
        ),
    ] {
        match &ask(url, headers).unwrap().listeners[0].outcome {
            Outcome::Refused {
                status: found,
                rule: broken,
            } => {
                assert_eq!(*found, status, "{url}");
                assert!(broken.contains(rule), "{url}: {broken}");
            }
            other => panic!("{url}: {other:?}"),
        }
    }
}

#[test]
fn listeners_are_found_by_name_then_port_then_all() {
    let names = |explanation: Explanation| -> Vec<String> {
        explanation
            .listeners
            .into_iter()
            .map(|one| one.listener)
            .collect()
    };
    assert_eq!(names(ask("http://x:9090/", &[]).unwrap()), ["other"]);
    assert_eq!(names(ask("http://x/", &[]).unwrap()), ["web", "other"]);
    let question = |listener: &str| Question {
        url: "http://x:9090/".to_owned(),
        listener: Some(listener.to_owned()),
        ..Question::default()
    };
    let model = Model::from_yaml(YAML).unwrap();
    assert_eq!(names(explain(&model, &question("web")).unwrap()), ["web"]);
    assert_eq!(
        explain(&model, &question("wbe")).unwrap_err(),
        QuestionError::Listener("wbe".to_owned(), "web, other".to_owned())
    );
}

#[test]
fn what_is_no_question_is_said_so() {
    for url in ["/path", "ftp://host/", "http://", "http:///x"] {
        assert!(matches!(ask(url, &[]), Err(QuestionError::Url(_))), "{url}");
    }
    assert_eq!(
        ask("http://x/\r\nhost: y", &[]).unwrap_err(),
        QuestionError::LineEnd
    );
    assert_eq!(
        ask("http://x/", &[("a", "b\nc: d")]).unwrap_err(),
        QuestionError::LineEnd
    );
}

const PASSED_ON: &str = r#"
listeners:
- { name: web, bind: "127.0.0.1:8080" }
- { name: through, bind: "127.0.0.1:8443", protocol: tls }
- { name: db, bind: "127.0.0.1:5432", protocol: tcp }
routes:
- name: shop
  listeners: [through]
  hosts: [shop.example.com]
  rules: [{ backends: [{ service: a, weight: 3 }, { service: b }] }]
- { name: pg, listeners: [db], rules: [{ backends: [{ service: b }] }] }
services:
- { name: a, endpoints: [{ address: "10.0.0.1:443" }] }
- { name: b, endpoints: [{ address: "10.0.0.2:443" }] }
policies:
- { name: blocked, action: deny, from: [{ cidrs: [127.0.0.1] }], to: [{ ports: [5432] }] }
"#;

fn ask_passed_on(url: &str, listener: Option<&str>) -> Result<Explanation, QuestionError> {
    let question = Question {
        url: url.to_owned(),
        listener: listener.map(str::to_owned),
        ..Question::default()
    };
    explain(&Model::from_yaml(PASSED_ON).unwrap(), &question)
}

#[test]
fn connections_that_are_passed_on_are_explained_by_their_name() {
    assert_eq!(
        ask_passed_on("tls://Shop.example.com:8443", None)
            .unwrap()
            .to_string(),
        "\
tls://Shop.example.com:8443

on listener through (127.0.0.1:8443)
  passed on unread, rules see shop.example.com
  rules, the first that matches takes it:
     1. shop/rule-1: host shop.example.com
     -> takes it
  policies, asked by 127.0.0.1, no identity:
    listener through: passes
      blocked (deny): no: nothing in `to` is what is asked for
      75 % to a (weight 3): 10.0.0.1:443, least request
      25 % to b (weight 1): 10.0.0.2:443, least request
"
    );
    let told = |url| ask_passed_on(url, None).unwrap().to_string();
    assert!(told("tls://else.example").ends_with("  no rule takes it: closed\n"));
    let tcp = told("tcp://db:5432");
    assert!(tcp.contains("rules see no server name"), "{tcp}");
    assert!(tcp.contains("listener db: closed, denied by blocked"), "{tcp}");
}

#[test]
fn a_listener_is_asked_in_its_own_words() {
    for (url, listener) in [
        ("http://shop.example.com/", Some("through")),
        ("https://shop.example.com:8443/", None),
    ] {
        assert_eq!(
            ask_passed_on(url, listener).unwrap_err().to_string(),
            "the listener \"through\" is for tls: ask with tls://host:port"
        );
    }
    assert_eq!(
        ask_passed_on("tls://a:8080", None).unwrap_err().to_string(),
        "the listener \"web\" is for http: ask with http://host:port"
    );
    assert!(matches!(
        ask_passed_on("tls://a/path", None),
        Err(QuestionError::Url(_))
    ));
    // Others are not asked beside those it may arrive at.
    assert_eq!(ask_passed_on("http://x/", None).unwrap().listeners.len(), 1);
    assert_eq!(
        ask("tls://x", &[]).unwrap_err().to_string(),
        "the configuration has no listener for tls"
    );
}

#[test]
fn json_tells_the_same() {
    let explanation = ask("http://reviews.example.com:8080/api", &[]).unwrap();
    let json = serde_json::to_value(&explanation).unwrap();
    let listener = &json["listeners"][0];
    assert_eq!(listener["outcome"], "tried");
    assert_eq!(listener["rules"].as_array().unwrap().len(), 4);
    assert_eq!(listener["chosen"]["backends"][1]["percent"], 10.0);
}

#[test]
fn percents_are_short() {
    for (value, words) in [
        (90.0, "90 %"),
        (33.333_333, "33.33 %"),
        (0.5, "0.5 %"),
        (0.0, "0 %"),
    ] {
        assert_eq!(text::percent(value), words);
    }
}

const POLICIES: &str = r#"
listeners: [{ name: web, bind: "127.0.0.1:8080", trustedProxies: [10.0.0.1] }]
routes:
- name: shop
  rules:
  - matches: [{ path: { prefix: /api }, peer: { spiffe: ["spiffe://a.example/ns/*/sa/web"] } }]
    filters: [{ rewrite: { path: { prefix: /v3 } } }]
    backends: [{ service: v1 }]
  - backends: [{ service: v1 }]
services: [{ name: v1, endpoints: [{ address: "10.0.0.1:80" }] }]
policies:
- { name: no-bots, action: deny, dryRun: true, from: [{ remoteCidrs: [203.0.113.0/24] }] }
- { name: named, action: allow, from: [{ namespaces: ["*"] }] }
- { name: v3, action: allow, target: { services: [v1] }, to: [{ paths: [/v3/*] }] }
"#;

fn ask_policies(question: &Question) -> String {
    let model = Model::from_yaml(POLICIES).unwrap();
    explain(&model, question).unwrap().to_string()
}

#[test]
fn policies_are_told_place_by_place() {
    let mut question = Question {
        url: "http://h:8080/api/list".to_owned(),
        headers: vec![("x-forwarded-for".to_owned(), "203.0.113.9".to_owned())],
        source: Some("10.0.0.1".parse().unwrap()),
        spiffe: Some("spiffe://a.example/ns/x/sa/web".to_owned()),
        ..Question::default()
    };
    let text = ask_policies(&question);
    let told = "  policies, asked by 10.0.0.1, for 203.0.113.9, spiffe://a.example/ns/x/sa/web:
    listener web: passes
      no-bots (deny, dry run): matches
      named (allow): matches
    service v1: passes
      v3 (allow): matches
  rule shop/rule-1
";
    assert!(text.contains(told), "{text}");
    (question.source, question.spiffe) = (None, None);
    let text = ask_policies(&question);
    let told = "  policies, asked by 127.0.0.1, no identity:
    listener web: 403, denied by named
      no-bots (deny, dry run): no: nothing in `from` is who asks
      named (allow): no: `from` asks for an identity, and there is none
    service v1: 403, denied by v3
      v3 (allow): no: nothing in `to` is what is asked for
  rule shop/rule-2
";
    assert!(text.contains(told), "{text}");
    assert!(
        text.contains(
            "path prefix /api, peer spiffe://a.example/ns/*/sa/web\n        no: the peer has no identity"
        ),
        "{text}"
    );
    question.spiffe = Some("web".to_owned());
    let error = explain(&Model::from_yaml(POLICIES).unwrap(), &question).unwrap_err();
    assert!(error.to_string().contains("no SPIFFE ID"), "{error}");
}
