//! What an origin is told about the client: true, whatever the client claims.

use crate::harness::{self, Config, Gateway, Origin, on_both_drivers};

const CLAIMS: &str = "X-Forwarded-For: 203.0.113.7\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil.example\r\n\
     Forwarded: for=203.0.113.7;proto=https\r\nX-Real-IP: 203.0.113.7\r\n";

fn request(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: a.example:8080\r\n{fields}\r\n")
}

#[test]
fn a_strangers_claims_are_dropped() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for fields in ["", CLAIMS] {
            let seen = gateway.ask(request(fields)).seen();
            assert_eq!(seen.headers("x-forwarded-for"), ["127.0.0.1"]);
            assert_eq!(seen.headers("x-forwarded-proto"), ["http"]);
            assert_eq!(seen.headers("x-forwarded-host"), ["a.example:8080"]);
            let claimed = String::from_utf8_lossy(&seen.head.raw).into_owned();
            assert!(
                !claimed.contains("203.0.113.7") && !claimed.contains("evil"),
                "{claimed}"
            );
        }
    });
}

#[test]
fn a_trusted_proxys_claims_are_kept_and_added_to() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new().service("v1", &[origin.address()]);
        let gateway = Gateway::start(driver, &config.listener("trustedProxies: [127.0.0.0/8]"));
        let seen = gateway.ask(request(CLAIMS)).seen();
        assert_eq!(
            seen.headers("x-forwarded-for").join(", "),
            "203.0.113.7, 127.0.0.1"
        );
        assert_eq!(seen.headers("x-forwarded-proto"), ["https"]);
        assert_eq!(seen.headers("x-forwarded-host"), ["evil.example"]);
    });
}

#[test]
fn a_request_id_is_made_where_there_is_none() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        let id =
            |response: harness::Response| response.seen().header("x-request-id").unwrap_or("").to_owned();
        let (first, second) = (id(client.get("h", "/first")), id(client.get("h", "/second")));
        assert!(first.len() >= 16 && first != second, "{first:?} {second:?}");
        assert_eq!(gateway.logged("/first")["request_id"], first.as_str());
        client.send("GET / HTTP/1.1\r\nhost: h\r\nx-request-id: mine\r\n\r\n");
        assert_eq!(id(client.response()), "mine");
    });
}

#[test]
fn names_with_underscores_do_not_stand_in_for_others() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for field in [
            "x_forwarded_for: 203.0.113.7",
            "x-user: a\r\nx_user: b",
            "content_length: 4",
        ] {
            let response = gateway.ask(request(&format!("{field}\r\n")));
            assert!(matches!(response.status, 200 | 400), "{field}");
            if response.status == 200 {
                let names = response.seen().head.fields;
                assert!(
                    !names.iter().any(|(name, _)| name.contains('_')),
                    "{field}: {names:?}"
                );
            }
        }
    });
}
