//! Tests of `forwarded`.

use super::*;
use crate::http::{HeadLimits, RequestLimits, Scan};

/// The request with these field lines, as it comes from `peer`, where 10.0.0.0/8 and fd00::/8 are trusted.
fn from(peer: &str, lines: &str) -> (RequestHead, Forwarded) {
    with(peer, lines, ForwardCertificate::None)
}

fn with(peer: &str, lines: &str, certificate: ForwardCertificate) -> (RequestHead, Forwarded) {
    let limits = RequestLimits {
        head: HeadLimits {
            bytes_max: 4096,
            fields_max: 20,
        },
        target_bytes_max: 512,
        path: sluice_config::model::PathPolicy::default(),
    };
    let mut request = RequestHead::default();
    let head = format!("GET / HTTP/1.1\r\nHost: a.example:8\r\n{lines}\r\n");
    request
        .parse(head.as_bytes(), &mut Scan::default(), &limits)
        .unwrap();
    let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let forwarded = Forwarded::read(
        &mut request,
        peer.parse().unwrap(),
        &trusted,
        Scheme::Http,
        certificate,
    );
    (request, forwarded)
}

fn client(peer: &str, addresses: &str) -> String {
    from(peer, &format!("X-Forwarded-For: {addresses}\r\n"))
        .1
        .client()
        .to_string()
}

fn sent(peer: &str, lines: &str) -> String {
    let (request, forwarded) = from(peer, lines);
    let mut out = Vec::new();
    forwarded.write_for(&mut out, &request);
    forwarded.write_host(&mut out, &request);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_told_of_a_certificate_comes_from_trusted_peers_alone() {
    let lines = "X-Forwarded-Client-Cert: Hash=1\r\nx-forwarded-client-cert: Hash=2,Hash=3\r\n";
    let told = |peer, certificate| {
        let (request, forwarded) = with(peer, lines, certificate);
        let mut out = Vec::new();
        forwarded.write_certificate(&mut out, &request, None);
        let matched = request
            .header("x-forwarded-client-cert")
            .map(|value| value.into_owned());
        (String::from_utf8(out).unwrap(), matched)
    };
    let all = Some(b"Hash=1, Hash=2,Hash=3".to_vec());
    for certificate in [
        ForwardCertificate::None,
        ForwardCertificate::Set,
        ForwardCertificate::Append,
    ] {
        assert_eq!(told("192.0.2.1", certificate), (String::new(), None));
    }
    assert_eq!(
        told("10.0.0.1", ForwardCertificate::None),
        (String::new(), all.clone())
    );
    assert_eq!(told("10.0.0.1", ForwardCertificate::Set), (String::new(), None));
    let appended = "x-forwarded-client-cert: Hash=1,Hash=2,Hash=3\r\n".to_owned();
    assert_eq!(told("10.0.0.1", ForwardCertificate::Append), (appended, all));
}

#[test]
fn a_peer_that_is_not_trusted_speaks_for_itself_alone() {
    let lines = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 1.1.1.1\r\n";
    let (request, forwarded) = from("192.0.2.1", lines);
    assert_eq!(
        (forwarded.client().to_string(), forwarded.scheme()),
        ("192.0.2.1".into(), Scheme::Http)
    );
    assert_eq!(request.header("x-real-ip"), None);
    assert_eq!(
        sent("192.0.2.1", lines),
        "x-forwarded-for: 192.0.2.1\r\nx-forwarded-host: a.example:8\r\n"
    );
}

#[test]
fn a_trusted_peer_is_believed_and_carried_on() {
    let lines = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.2\r\nX-Forwarded-Proto: HTTPS\r\n\
        X-Forwarded-Host: b.example\r\nX-Real-IP: 1.1.1.1\r\n";
    let (request, forwarded) = from("10.0.0.1", lines);
    assert_eq!(
        (forwarded.client().to_string(), forwarded.scheme()),
        ("1.1.1.1".into(), Scheme::Https)
    );
    assert_eq!(request.header("x-real-ip").as_deref(), Some(&b"1.1.1.1"[..]));
    assert_eq!(
        sent("10.0.0.1", lines),
        "x-forwarded-for: 9.9.9.9, 1.1.1.1, 10.0.0.2, 10.0.0.1\r\nx-forwarded-host: b.example\r\n"
    );
}

#[test]
fn the_walk_back_ends_at_the_first_address_not_trusted() {
    assert_eq!(client("10.0.0.1", ""), "10.0.0.1");
    assert_eq!(client("10.0.0.1", "6.6.6.6, 1.1.1.1"), "1.1.1.1");
    assert_eq!(client("10.0.0.1", "10.0.0.3, 10.0.0.2"), "10.0.0.3");
    assert_eq!(client("10.0.0.1", "6.6.6.6, unknown, 10.0.0.2"), "10.0.0.2");
    assert_eq!(client("10.0.0.1", "1.1.1.1:443"), "1.1.1.1");
    assert_eq!(client("fd00::1", "[2001:db8::1]:443"), "2001:db8::1");
    assert_eq!(client("fd00::1", "[2001:db8::1], fd00::2"), "2001:db8::1");
    assert_eq!(client("::ffff:10.0.0.1", "::ffff:1.1.1.1"), "1.1.1.1");
    assert_eq!(client("2001:db8::9", "1.1.1.1"), "2001:db8::9");
}

#[test]
fn what_a_trusted_peer_says_must_make_sense() {
    let (_, forwarded) = from("10.0.0.1", "X-Forwarded-Proto: gopher\r\n");
    assert_eq!(forwarded.scheme(), Scheme::Http);
    let (_, forwarded) = from(
        "10.0.0.1",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
    );
    assert_eq!(forwarded.scheme(), Scheme::Http);
    let host = "x-forwarded-for: 10.0.0.1\r\nx-forwarded-host: a.example:8\r\n";
    assert_eq!(sent("10.0.0.1", "X-Forwarded-Host: b/c\r\n"), host);
    assert_eq!(
        sent("10.0.0.1", "X-Forwarded-Host: b\r\nX-Forwarded-Host: c\r\n"),
        host
    );
}

#[test]
fn an_ipv6_peer_is_written_in_its_canonical_form() {
    assert!(sent("2001:db8:0:0::1", "").starts_with("x-forwarded-for: 2001:db8::1\r\n"));
    assert!(sent("::ffff:192.0.2.255", "").starts_with("x-forwarded-for: 192.0.2.255\r\n"));
}
