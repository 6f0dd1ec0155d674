//! One normal form of the path, for matching and for forwarding; what has none is refused
//! (RFC 3986 6.2.2; CVE-2021-29492).

use crate::harness::{Config, Gateway, Origin, on_both_drivers};

const ROUTES: &str = "
- name: all
  rules:
  - matches: [{ path: { prefix: /admin } }]
    filters: [{ direct: { status: 403, body: guarded } }]
  - backends: [{ service: v1 }]
";

#[test]
fn a_path_is_forwarded_in_the_form_it_was_matched() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(
            driver,
            &Config::new().service("v1", &[origin.address()]).routes(ROUTES),
        );
        for (target, seen) in [
            ("/a//b", "/a/b"),
            ("//a", "/a"),
            ("///", "/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/%61%2Db%5F%7e", "/a-b_~"),
            ("/a%20b", "/a%20b"),
            ("/a;x=1/b", "/a;x=1/b"),
            ("/a/...", "/a/..."),
            ("/a%252fb", "/a%252fb"),
            ("/a%252e%252e/b", "/a%252e%252e/b"),
            ("/a?b=/../%2f//c\\", "/a?b=/../%2f//c\\"),
            ("/a?", "/a?"),
            ("/caf%c3%a9", "/caf%C3%A9"),
        ] {
            let response = gateway.get("h", target);
            assert_eq!(response.status, 200, "{target}");
            assert_eq!(response.seen().target(), seen, "{target}");
        }
    });
}

#[test]
fn no_spelling_of_a_path_gets_around_its_rule() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(
            driver,
            &Config::new().service("v1", &[origin.address()]).routes(ROUTES),
        );
        for target in [
            "/admin",
            "/admin/",
            "//admin",
            "/./admin",
            "/x/../admin",
            "/%61dmin",
            "/%61%64%6d%69%6e/x",
            "/x/%2e%2e/admin",
            "/x/..//admin",
            "/a/b/../../admin/secret",
            "http://h//admin",
            "/admin/x/..",
            "/admin//../admin",
        ] {
            assert_eq!(gateway.get("h", target).status, 403, "{target}");
        }
        assert!(origin.bytes().is_empty());
    });
}

#[test]
fn a_path_that_origins_read_in_two_ways_is_refused() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(
            driver,
            &Config::new().service("v1", &[origin.address()]).routes(ROUTES),
        );
        for target in [
            "/a%2fb",
            "/a%2Fb",
            "/x%2f..%2fadmin",
            "/a%5cb",
            "/a%5C..%5Cadmin",
            "/a\\b",
            "\\admin",
            "/a%00",
            "/a%00.html",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%u002f",
            "/a#b",
            "/a%0d%0ax:1",
        ] {
            let response = gateway.get("h", target);
            assert_eq!(response.status, 400, "{target}");
        }
        assert!(
            origin.bytes().is_empty(),
            "{:?}",
            String::from_utf8_lossy(&origin.bytes())
        );
    });
}

#[test]
fn a_path_cannot_climb_above_the_root() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(
            driver,
            &Config::new().service("v1", &[origin.address()]).routes(ROUTES),
        );
        for target in ["/..", "/../a", "/../../etc/passwd", "/a/../../b", "/%2e%2e/a"] {
            let response = gateway.get("h", target);
            match response.status {
                400 => {}
                200 => assert!(!response.seen().target().contains(".."), "{target}"),
                other => panic!("{target}: {other}"),
            }
        }
    });
}

#[test]
fn encoded_slashes_are_kept_where_the_listener_says_so() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new().service("v1", &[origin.address()]).routes(ROUTES);
        let gateway = Gateway::start(driver, &config.listener("path: { encodedSlashes: keep }"));
        for target in ["/a%2fb", "/a%5Cb"] {
            let response = gateway.get("h", target);
            assert_eq!(response.status, 200, "{target}");
            assert!(
                response.seen().target().eq_ignore_ascii_case(target),
                "{:?}",
                response.seen()
            );
        }
        for target in ["/a%00b", "/a\\b"] {
            assert_eq!(gateway.get("h", target).status, 400, "{target}");
        }
    });
}
