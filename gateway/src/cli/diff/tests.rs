//! Changes as people read them.

use super::*;

const OLD: &str = r#"
workers: 2
listeners:
- { name: web, bind: "127.0.0.1:8080" }
- { name: side, bind: "127.0.0.1:8081" }
- { name: moved, bind: "127.0.0.1:8082" }
- { name: named, bind: "127.0.0.1:8083" }
routes:
- name: reviews
  listeners: [web, side]
  hosts: [reviews.example.com]
  rules:
  - name: testers
    matches: [{ headers: { x-canary: { exact: "true" } } }]
    backends: [{ service: v2 }]
  - name: everyone
    backends: [{ service: v1, weight: 90 }, { service: v2, weight: 10 }]
    timeouts: { request: 3s }
- { name: gone, rules: [{ filters: [{ direct: { status: 404, body: "" } }] }] }
services:
- { name: unused, endpoints: [{ address: "10.9.0.1:80" }] }
- { name: v1, endpoints: [{ address: "10.0.0.1:80" }, { address: "10.0.0.2:80" }] }
- { name: v2, endpoints: [{ address: "10.0.1.1:80" }], health: { http: { path: /healthz } } }
"#;

const NEW: &str = r#"
workers: 4
accessLog: { output: stdout }
listeners:
- { name: web, bind: "127.0.0.1:8080", timeouts: { head: 5s } }
- { name: fresh, bind: "127.0.0.1:8090" }
- { name: moved, bind: "127.0.0.1:8092" }
- { name: renamed, bind: "127.0.0.1:8083" }
routes:
- name: reviews
  listeners: [web]
  hosts: [reviews.example.com, "*.reviews.example.com"]
  rules:
  - name: everyone
    backends: [{ service: v1, weight: 50 }, { service: v2, weight: 40 }, { service: v3, weight: 10 }]
    timeouts: { request: 1s }
  - name: testers
    matches: [{ headers: { x-canary: { exact: "true" } } }]
    backends: [{ service: v2 }]
  - { name: more, matches: [{ method: POST }], backends: [{ service: v3 }] }
- { name: shop, hosts: [shop.example.com], rules: [{ backends: [{ service: v1 }] }] }
services:
- { name: v3, endpoints: [{ address: "10.0.3.1:80" }] }
- { name: v2, endpoints: [{ address: "10.0.1.1:80" }], balance: random, health: { http: { path: /ready }, interval: 1s } }
- { name: v1, endpoints: [{ address: "10.0.0.1:80", weight: 3 }, { address: "10.0.0.9:80" }] }
"#;

fn model(text: &str) -> Model {
    Model::from_yaml(text).unwrap()
}

#[test]
fn every_change_is_told_by_name() {
    assert_eq!(
        diff(&model(OLD), &model(NEW)),
        r#"process
  ~ accessLog: none -> Stdout
  ~ workers.Count: 2 -> 4  (needs a restart)
listeners
  ~ web 127.0.0.1:8080: keeps its socket and its connections
      headTimeout: 10000 -> 5000
  + fresh 127.0.0.1:8090: opens a new socket
  ~ moved 127.0.0.1:8092: opens a new socket; the one on 127.0.0.1:8082 drains
      bind: 127.0.0.1:8082 -> 127.0.0.1:8092
  + renamed 127.0.0.1:8083: takes over the socket of named
  - side 127.0.0.1:8081: drains: its connections end after their request
  - named 127.0.0.1:8083: its socket goes to renamed
routes
  ~ reviews
      hosts: reviews.example.com -> reviews.example.com, *.reviews.example.com
      listeners: side, web -> web
      ~ rule everyone
          v1: 90 % -> 50 % (weight 90 -> 50)
          v2: 10 % -> 40 % (weight 10 -> 40)
          v3: none -> 10 % (weight none -> 10)
          timeouts.request: 3000 -> 1000
      + rule more
          v3: none -> 100 % (weight none -> 1)
      ~ order of the rules, which decides between those that match alike
  + shop: for shop.example.com; rules rule-1
  - gone: for every host; rules rule-1
services
  + v3: 10.0.3.1:80
  ~ v2
      balance: LeastRequest -> Random
      health.check.Http.target: /healthz -> /ready
      health.interval: 5000 -> 1000
  ~ v1
      - 10.0.0.2:80
      10.0.0.1:80: weight 1 -> 3
      + 10.0.0.9:80
  - unused: 10.9.0.1:80
"#
    );
}

#[test]
fn places_comments_and_the_order_of_names_are_no_change() {
    let reordered = format!(
        "# a comment\n\n{}",
        OLD.replace(
            "    timeouts: { request: 3s }\n",
            "    timeouts: { request: 3000ms }\n"
        )
    );
    assert_eq!(diff(&model(OLD), &model(&reordered)), "no change\n");
}

#[test]
fn what_comes_over_the_admin_server_compares_as_well() {
    let sent: Model = serde_json::from_value(serde_json::to_value(model(OLD)).unwrap()).unwrap();
    assert_eq!(diff(&sent, &model(OLD)), "no change\n");
}

#[test]
fn no_gateway_to_ask_is_a_failure_at_run_time() {
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    assert!(running(&nobody.to_string()).is_err());
}

#[test]
fn an_identity_is_compared_field_by_field() {
    let with = |identity: &str| model(&format!("{OLD}{identity}"));
    let old = with("identity: { authority: 'ca.example:8600', token: join.token }\n");
    let new = with("identity: { authority: 'ca.example:8601', ttl: 1h }\n");
    assert_eq!(
        diff(&old, &new),
        "process\n  ~ identity.authority: ca.example:8600 -> ca.example:8601\n  ~ identity.token: join.token -> none\n  \
         ~ identity.ttl: 86400000 -> 3600000\n"
    );
}

#[test]
fn policies_are_compared_by_name_and_place() {
    let with = |policies: &str| model(&format!("{OLD}{policies}"));
    let old = with(
        "policies:
- { name: gone, action: deny, target: { routes: [gone], listeners: [web] } }
- { name: kept, action: audit }
- { name: changed, action: allow, target: { services: [v2] }, to: [{ methods: [GET] }] }
",
    );
    let new = with(
        "policies:
- { name: changed, action: allow, dryRun: true, target: { services: [v2, v1] }, to: [{ methods: [PUT] }] }
- { name: kept, action: audit }
- { name: come, action: deny, target: { services: [v1] } }
",
    );
    let text = diff(&old, &new);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        (lines[0], lines[1]),
        (
            "policies",
            "  ~ changed: allow (dry run) at service v1, service v2"
        )
    );
    for line in [
        "      dryRun: false -> true",
        "      target: service v2 -> service v1, service v2",
        "  + come: deny at service v1",
        "  - gone: deny at listener web, route gone",
    ] {
        assert!(lines.contains(&line), "{line}: {text}");
    }
    assert!(lines.iter().any(|line| line.starts_with("      to: ")), "{text}");
    assert!(!text.contains("kept"), "{text}");
}

#[test]
fn a_listener_that_becomes_another_says_what_becomes_of_its_connections() {
    let of = |protocol: &str| {
        let text = format!("listeners: [{{ name: web, bind: '127.0.0.1:1', protocol: {protocol} }}]");
        model(&text)
    };
    assert_eq!(
        diff(&of("http"), &of("tcp")),
        "listeners\n  ~ web 127.0.0.1:1: takes over the socket of web, whose connections drain\n      protocol: Http -> Tcp\n"
    );
    let none = model("listeners: [{ name: b, bind: '127.0.0.1:2' }]");
    assert!(
        diff(&of("tls"), &none).contains("- web 127.0.0.1:1: drains: its connections end by themselves\n")
    );
}
