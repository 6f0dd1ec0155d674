//! Request heads that could be read in two ways: refused before a byte reaches an origin, and the
//! connection closed, so that nothing after them is ever read as a request (RFC 9112 2.2, 3.2, 5.1, 6.3).

use crate::harness::{Config, Driver, Gateway, Origin, on_both_drivers};

/// What follows each bad request: it must never be answered.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n";

/// Sends each of `requests`, followed by another, on a connection of its own.
fn all_refused(driver: Driver, statuses: &[u16], requests: &[Vec<u8>]) {
    let origin = Origin::echo("v1");
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    for request in requests {
        let shown = String::from_utf8_lossy(request).into_owned();
        let mut client = gateway.client();
        client.try_send([request, NEXT.as_bytes()].concat());
        let response = client
            .try_response("GET")
            .unwrap_or_else(|broken| panic!("{shown:?}: {broken:?}"));
        assert!(
            statuses.contains(&response.status),
            "{shown:?}: {}",
            response.status
        );
        assert!(response.closes(), "{shown:?}: {response:?}");
        assert_eq!(client.rest(), b"", "{shown:?}: an answer to what followed");
        let reached = origin.bytes();
        assert!(
            reached.is_empty(),
            "{shown:?} let through {:?}",
            String::from_utf8_lossy(&reached)
        );
    }
    assert_eq!(gateway.get("h", "/after").backend(), "v1", "others are served");
    assert_eq!(origin.requests().len(), 1, "and nothing else ever came");
}

fn get_with(fields: &[&str]) -> Vec<Vec<u8>> {
    let request = |field: &&str| format!("GET / HTTP/1.1\r\nhost: h\r\n{field}\r\n\r\n").into_bytes();
    fields.iter().map(request).collect()
}

fn post_with(fields: &[&str], body: &str) -> Vec<Vec<u8>> {
    let request = |field: &&str| format!("POST / HTTP/1.1\r\nhost: h\r\n{field}\r\n\r\n{body}").into_bytes();
    fields.iter().map(request).collect()
}

fn bytes(requests: &[&str]) -> Vec<Vec<u8>> {
    requests
        .iter()
        .map(|request| request.as_bytes().to_vec())
        .collect()
}

#[test]
fn content_length_beside_transfer_encoding_is_refused() {
    let requests = post_with(
        &[
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 5",
            "Content-Length: 0\r\nTRANSFER-ENCODING: chunked",
        ],
        "0\r\n\r\n",
    );
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn a_content_length_that_is_not_one_number_is_refused() {
    let requests = post_with(
        &[
            "content-length: 4\r\ncontent-length: 5",
            "content-length: 4, 5",
            "content-length: 4,",
            "content-length: +4",
            "content-length: -4",
            "content-length: 0x4",
            "content-length: 4_0",
            "content-length: 4.0",
            "content-length: 1e1",
            "content-length: \"4\"",
            "content-length: 4 4",
            "content-length: ",
            "content-length: abc",
            "content-length: ٤",
            "content-length: 9223372036854775808",
            "content-length: 18446744073709551620",
            "content-length: 99999999999999999999999999",
        ],
        "abcd",
    );
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn a_transfer_encoding_that_is_not_exactly_chunked_is_refused() {
    let requests = post_with(
        &[
            "transfer-encoding: xchunked",
            "transfer-encoding: chunkedx",
            "transfer-encoding: chunked, gzip",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: gzip",
            "transfer-encoding: identity",
            "transfer-encoding: identity, chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: , chunked",
            "transfer-encoding: chunked,",
            "transfer-encoding: \"chunked\"",
            "transfer-encoding: chunked;q=1",
            "transfer-encoding: ",
            "transfer-encoding: chun ked",
        ],
        "0\r\n\r\n",
    );
    on_both_drivers(|driver| all_refused(driver, &[400, 501], &requests));
}

#[test]
fn transfer_encoding_in_http_1_0_is_refused() {
    let requests = bytes(&[
        "POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nhost: h\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ]);
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn a_field_name_that_is_no_token_is_refused() {
    let requests = get_with(&[
        "x-a : 1",
        "x-a\t: 1",
        "content-length : 5",
        "transfer-encoding\t: chunked",
        "no colon",
        "x y: 1",
        ": empty",
        "x(y): 1",
        "\"x\": 1",
        "x@y: 1",
        "x\u{7f}: 1",
        "ä: 1",
        "x\0: 1",
    ]);
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn folded_lines_are_refused() {
    let mut requests = get_with(&[
        "x-a: 1\r\n 2",
        "x-a: 1\r\n\t2",
        "x-a:\r\n 1",
        "x-a: 1\r\n transfer-encoding: chunked",
    ]);
    requests.extend(bytes(&[
        "GET / HTTP/1.1\r\n host: h\r\n\r\n",
        "GET / HTTP/1.1\r\n\thost: h\r\nhost: h\r\n\r\n",
    ]));
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn control_characters_in_a_head_are_refused() {
    let mut requests = get_with(&[
        "x-a: 1\r2",
        "x-a: 1\r",
        "x-a: \0",
        "x-a: a\x01b",
        "x-a: \x1b[0m",
        "x-a: \x7f",
        "x-a: a\x0bb",
    ]);
    requests.extend(bytes(&[
        "GET /\r HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a\0b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a\x01b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a\x7fb HTTP/1.1\r\nhost: h\r\n\r\n",
        "G\0T / HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1\rhost: h\r\r",
    ]));
    // The last one has no line end at all: what follows it ends its first line.
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn a_line_that_ends_in_a_bare_line_feed_is_refused() {
    let requests = bytes(&[
        "GET / HTTP/1.1\nhost: h\n\n",
        "GET / HTTP/1.1\r\nhost: h\n\r\n",
        "GET / HTTP/1.1\nhost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nx-a: 1\ntransfer-encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\n\n",
    ]);
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn a_request_line_that_is_not_three_words_is_refused() {
    let requests = bytes(&[
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /  HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nhost: h\r\n\r\n",
        " GET / HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nhost: h\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET x HTTP/1.1\r\nhost: h\r\n\r\n",
        "G(T / HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /\u{e4} HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nhost: h\r\n\r\n",
    ]);
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn other_versions_are_refused() {
    let requests = bytes(&[
        "GET / HTTP/2.0\r\nhost: h\r\n\r\n",
        "GET / HTTP/3\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.10\r\nhost: h\r\n\r\n",
        "GET / HTTP/01.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1x\r\nhost: h\r\n\r\n",
        "GET / http/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/0.9\r\nhost: h\r\n\r\n",
        "GET / FTP/1.1\r\nhost: h\r\n\r\n",
    ]);
    on_both_drivers(|driver| all_refused(driver, &[400, 505], &requests));
}

#[test]
fn a_host_that_is_not_one_authority_is_refused() {
    let mut requests = bytes(&["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nx-a: 1\r\n\r\n"]);
    let hosts = [
        "host: a\r\nhost: b",
        "host: a\r\nhost: a",
        "host: a, b",
        "host: user@a",
        "host: a/b",
        "host: a b",
        "host: a?b",
        "host: a#b",
        "host: a\\b",
        "host: a:x",
        "host: a:99999",
        "host: a:80:80",
        "host: a:-1",
        "host: [::1",
        "host: ::1",
        "host: http://a",
    ];
    requests.extend(hosts.map(|host| format!("GET / HTTP/1.1\r\n{host}\r\n\r\n").into_bytes()));
    on_both_drivers(|driver| all_refused(driver, &[400], &requests));
}

#[test]
fn connect_and_a_misplaced_asterisk_are_refused() {
    let requests = bytes(&[
        "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n",
        "CONNECT /x HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST * HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
        "GET h:80 HTTP/1.1\r\nhost: h:80\r\n\r\n",
        "GET ftp://h/ HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET http:///x HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET http://u@h/x HTTP/1.1\r\nhost: h\r\n\r\n",
    ]);
    on_both_drivers(|driver| all_refused(driver, &[400, 405, 501], &requests));
}

#[test]
fn a_refusal_says_which_rule_was_broken() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        gateway.ask("GET /folded HTTP/1.1\r\nhost: h\r\nx: 1\r\n 2\r\n\r\n");
        let line = gateway.log_line("the refusal", |line| line["status"] == 400);
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.starts_with("bad_request:"), "{line}");
        gateway.wait_metrics("the rule, counted", |metrics| {
            metrics.sum(
                "sluice_bad_requests_total",
                &[("rule", &reason["bad_request:".len()..])],
            ) == 1.0
        });
    });
}

#[test]
fn what_is_unusual_but_clean_is_served() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for request in [
            "GET / HTTP/1.1\r\nHOST:h\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:\t h \t\r\nx-a:\r\nx-b: a\tb\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: h\r\nx-a: \u{e4}\u{f6}\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n",
            "M-SEARCH / HTTP/1.1\r\nhost: h\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
            "OPTIONS / HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n",
        ] {
            assert_eq!(gateway.ask(request).status, 200, "{request:?}");
        }
        // Two equal values may be merged or refused (RFC 9110 8.6), never passed on twice.
        let twice = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx";
        assert!(matches!(gateway.ask(twice).status, 200 | 400));
        assert!(origin.seen().unclean.is_empty(), "{:?}", origin.seen().unclean);
    });
}

#[test]
fn an_absolute_target_names_the_host() {
    on_both_drivers(|driver| {
        let (named, other) = (Origin::echo("named"), Origin::echo("other"));
        let config = Config::new()
            .service("named", &[named.address()])
            .service("other", &[other.address()])
            .routes(
                "
- { name: named, hosts: [named.example], rules: [{ backends: [{ service: named }] }] }
- { name: other, rules: [{ backends: [{ service: other }] }] }
",
            );
        let gateway = Gateway::start(driver, &config);
        let response = gateway.ask("GET http://named.example/x?y HTTP/1.1\r\nhost: other.example\r\n\r\n");
        assert_eq!(response.backend(), "named");
        assert_eq!(response.seen().headers("host"), ["named.example"]);
        assert_eq!(response.seen().target(), "/x?y");
        assert_eq!(
            gateway
                .ask("GET http://named.example HTTP/1.1\r\nhost: named.example\r\n\r\n")
                .seen()
                .target(),
            "/"
        );
    });
}
