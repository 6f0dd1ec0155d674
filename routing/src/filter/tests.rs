//! Edits against one after the other, rewrites and locations against Gateway API's tables.

use proptest::prelude::*;
use serde_json::{from_value, json};

use super::*;

fn name(name: &str) -> HeaderName {
    from_value(json!(name)).unwrap()
}

fn value(value: &str) -> HeaderValue {
    from_value(json!(value)).unwrap()
}

/// The fields that a message with `received` ends up with.
fn applied(edits: &HeaderEdits, received: &[(String, String)]) -> Vec<(String, String)> {
    let kept = received
        .iter()
        .filter(|(name, _)| !edits.touches(name.as_bytes()))
        .cloned();
    let added = edits
        .added()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()));
    kept.chain(added).collect()
}

#[test]
fn names_have_no_case() {
    let edits = HeaderEdits::merge(&[HeaderEdit::Remove(name("x-debug"))], &[]);
    assert!(edits.touches(b"X-Debug") && edits.touches(b"x-debug"));
    assert!(!edits.touches(b"x-debu") && !edits.touches(b"x-debug2"));
    assert!(!edits.is_empty() && HeaderEdits::merge(&[], &[]).is_empty());
}

#[test]
fn a_backend_edits_what_the_rule_left() {
    let rule = [
        HeaderEdit::Set(name("x-env"), value("prod")),
        HeaderEdit::Add(name("x-tag"), value("rule")),
        HeaderEdit::Remove(name("x-debug")),
    ];
    let backend = [
        HeaderEdit::Add(name("x-env"), value("canary")),
        HeaderEdit::Set(name("x-tag"), value("backend")),
        HeaderEdit::Add(name("x-debug"), value("1")),
    ];
    let received = [("X-Env", "spoofed"), ("x-debug", "0"), ("accept", "*/*")];
    let received = received.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fields = applied(&HeaderEdits::merge(&rule, &backend), &received);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("accept", "*/*"),
        ("x-env", "prod"),
        ("x-env", "canary"),
        ("x-tag", "backend"),
        ("x-debug", "1"),
    ];
    assert_eq!(fields, expected);
}

fn any_edits() -> impl Strategy<Value = Vec<HeaderEdit>> {
    let edit = (0..3, "[ab]", "[0-9]").prop_map(|(kind, n, v)| match kind {
        0 => HeaderEdit::Set(name(&n), value(&v)),
        1 => HeaderEdit::Add(name(&n), value(&v)),
        _ => HeaderEdit::Remove(name(&n)),
    });
    prop::collection::vec(edit, 0..6)
}

proptest! {
    #[test]
    fn the_closed_form_is_one_after_the_other(
        rule in any_edits(),
        backend in any_edits(),
        received in prop::collection::vec(("[abc]", "[0-9]"), 0..4),
    ) {
        let mut expected = received.clone();
        for edit in rule.iter().chain(&backend) {
            match edit {
                HeaderEdit::Remove(name) => expected.retain(|(key, _)| key != name.as_str()),
                HeaderEdit::Set(name, value) => {
                    expected.retain(|(key, _)| key != name.as_str());
                    expected.push((name.as_str().to_owned(), value.as_str().to_owned()));
                }
                HeaderEdit::Add(name, value) => {
                    expected.push((name.as_str().to_owned(), value.as_str().to_owned()));
                }
            }
        }
        let fields = applied(&HeaderEdits::merge(&rule, &backend), &received);
        // The order of fields counts within a name only (RFC 9110 5.3).
        for name in ["a", "b", "c"] {
            let of_name = |fields: &[(String, String)]| -> Vec<_> {
                fields.iter().filter(|(key, _)| key == name).cloned().collect()
            };
            prop_assert_eq!(of_name(&fields), of_name(&expected));
        }
    }

    #[test]
    fn a_rewritten_path_is_a_path(
        prefix in "(/[a-c]){1,3}|/",
        rest in "(/[a-c]{1,2}){0,3}/?",
        replacement in "(/[x-z]){0,3}/?",
    ) {
        let path = match (prefix.as_str(), rest.as_str()) {
            ("/", "") => "/".to_owned(),
            ("/", rest) => rest.to_owned(),
            (prefix, rest) => format!("{prefix}{rest}"),
        };
        let rewritten = rewrite_path(&PathRewrite::Prefix(replacement.clone()), &path, prefix.len());
        prop_assert!(rewritten.starts_with('/') && !rewritten.contains("//"), "{}", rewritten);
        prop_assert!(rewritten.starts_with(replacement.trim_end_matches('/')));
        // A path that is its prefix becomes the replacement; any other keeps what follows.
        prop_assert!(path == prefix || rewritten.ends_with(&rest));
    }
}

#[test]
fn prefixes_are_replaced_as_gateway_api_says() {
    for (path, prefix, replacement, expected) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/bar", "/foo", "/", "/bar"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/foo/bar", "/", "/xyz", "/xyz/foo/bar"),
        ("/foo/bar", "", "/xyz", "/xyz/foo/bar"),
        ("/foo/bar", "/", "/", "/foo/bar"),
        ("/", "/", "/xyz", "/xyz"),
        ("/", "/", "/", "/"),
        ("*", "/", "/xyz", "*"),
    ] {
        let rewritten = rewrite_path(&PathRewrite::Prefix(replacement.to_owned()), path, prefix.len());
        assert_eq!(rewritten, expected, "{path} {prefix} -> {replacement}");
    }
    assert_eq!(
        rewrite_path(&PathRewrite::Full("/x/".to_owned()), "/a/b", 2),
        "/x/"
    );
    assert_eq!(rewrite_path(&PathRewrite::Full(String::new()), "/a/b", 2), "/");
}

const TARGET: Target<'static> = Target {
    scheme: "http",
    host: "a.test",
    port: 8080,
    path: "/foo/bar",
    query: Some("q=%2F"),
    prefix_bytes: 4,
};

fn redirect() -> Redirect {
    Redirect {
        scheme: None,
        host: None,
        port: None,
        path: None,
        status: 302,
    }
}

#[test]
fn a_location_keeps_what_is_not_replaced() {
    assert_eq!(location(&redirect(), &TARGET), "http://a.test:8080/foo/bar?q=%2F");
    let host = Redirect {
        host: Some("b.test".to_owned()),
        ..redirect()
    };
    assert_eq!(location(&host, &TARGET), "http://b.test:8080/foo/bar?q=%2F");
    let prefix = Redirect {
        path: Some(PathRewrite::Prefix("/x".to_owned())),
        ..redirect()
    };
    assert_eq!(
        location(
            &prefix,
            &Target {
                query: None,
                ..TARGET
            }
        ),
        "http://a.test:8080/x/bar"
    );
    let full = Redirect {
        path: Some(PathRewrite::Full("/".to_owned())),
        ..redirect()
    };
    assert_eq!(location(&full, &TARGET), "http://a.test:8080/?q=%2F");
}

#[test]
fn the_port_of_a_location_is_gateway_apis() {
    let scheme = |scheme: &str| Redirect {
        scheme: Some(scheme.to_owned()),
        ..redirect()
    };
    let bare = Target {
        path: "/",
        query: None,
        ..TARGET
    };
    let on = |port| Target { port, ..bare };
    let https = Target {
        scheme: "https",
        ..bare
    };
    for (redirect, target, expected) in [
        (scheme("https"), bare, "https://a.test/"),
        (scheme("http"), bare, "http://a.test/"),
        (
            Redirect {
                port: Some(8443),
                ..scheme("https")
            },
            bare,
            "https://a.test:8443/",
        ),
        (
            Redirect {
                port: Some(443),
                ..scheme("https")
            },
            bare,
            "https://a.test/",
        ),
        (
            Redirect {
                port: Some(80),
                ..scheme("https")
            },
            bare,
            "https://a.test:80/",
        ),
        (
            Redirect {
                port: Some(80),
                ..redirect()
            },
            bare,
            "http://a.test/",
        ),
        (
            Redirect {
                port: Some(81),
                ..redirect()
            },
            bare,
            "http://a.test:81/",
        ),
        (redirect(), on(80), "http://a.test/"),
        (redirect(), on(443), "http://a.test:443/"),
        (redirect(), Target { port: 443, ..https }, "https://a.test/"),
        (redirect(), https, "https://a.test:8080/"),
    ] {
        assert_eq!(location(&redirect, &target), expected);
    }
}

#[test]
fn ipv6_hosts_have_brackets_once() {
    let target = Target {
        path: "/",
        query: None,
        port: 80,
        ..TARGET
    };
    for host in ["::1", "[::1]"] {
        assert_eq!(location(&redirect(), &Target { host, ..target }), "http://[::1]/");
        let own = Redirect {
            host: Some(host.to_owned()),
            port: Some(81),
            ..redirect()
        };
        assert_eq!(location(&own, &target), "http://[::1]:81/");
    }
}

#[test]
fn without_a_host_the_location_is_a_path() {
    let target = Target { host: "", ..TARGET };
    assert_eq!(location(&redirect(), &target), "/foo/bar?q=%2F");
}

#[test]
fn a_host_goes_without_its_port() {
    for (authority, host) in [
        ("a.test", "a.test"),
        ("a.test:80", "a.test"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
    ] {
        assert_eq!(host_of(authority), host);
    }
}
