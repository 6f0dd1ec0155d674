//! SPIFFE IDs and patterns, right and wrong.

use super::*;

fn reason(text: &str) -> String {
    SpiffeId::parse(text).unwrap_err().to_string()
}

#[test]
fn ids_are_taken_apart() {
    let id = SpiffeId::parse("spiffe://example.org/ns/default/sa/web").unwrap();
    assert_eq!(id.trust_domain(), "example.org");
    assert_eq!(id.service_account(), Some(("default", "web")));
    for text in [
        "spiffe://example.org",
        "spiffe://example.org/web",
        "spiffe://example.org/ns/default/sa/web/v2",
        "spiffe://example.org/sa/default/ns/web",
    ] {
        assert_eq!(SpiffeId::parse(text).unwrap().service_account(), None, "{text}");
    }
}

#[test]
fn what_breaks_the_grammar_is_refused_with_its_rule() {
    for (text, part) in [
        ("https://example.org/a", "begins with `spiffe://`"),
        ("example.org/a", "begins with `spiffe://`"),
        ("spiffe:///a", "1 to 255"),
        ("spiffe://Example.org/a", "lower case"),
        ("spiffe://example.org:443/a", "no port"),
        ("spiffe://user@example.org/a", "no user"),
        ("spiffe://example.org/a?b", "no query"),
        ("spiffe://example.org/a#b", "no fragment"),
        ("spiffe://example.org/", "no segment is empty"),
        ("spiffe://example.org/a//b", "no segment is empty"),
        ("spiffe://example.org/a/", "no segment is empty"),
        ("spiffe://example.org/a/../b", "no segment is `..`"),
        ("spiffe://example.org/a%20b", "not '%'"),
        ("spiffe://example.org/a*", "not '*'"),
        ("spiffe://*/a", "is named"),
    ] {
        assert!(reason(text).contains(part), "{text}: {}", reason(text));
    }
    assert!(SpiffeId::parse(&format!("spiffe://a/{}", "b".repeat(2037))).is_ok());
    assert!(reason(&format!("spiffe://a/{}", "b".repeat(2038))).contains("2048"));
    assert!(reason(&format!("spiffe://{}/a", "b".repeat(256))).contains("255"));
    let suggestion = SpiffeId::parse("example.org/a").unwrap_err().suggestion;
    assert_eq!(suggestion.as_deref(), Some("spiffe://example.org/a"));
}

fn matches(pattern: &str, id: &str) -> bool {
    let pattern: SpiffePattern = pattern.parse().unwrap();
    pattern.matches(SpiffeId::parse(id).unwrap())
}

#[test]
fn a_star_stays_within_its_segment() {
    let web = "spiffe://example.org/ns/default/sa/web";
    for pattern in [
        web,
        "spiffe://example.org/ns/*/sa/web",
        "spiffe://example.org/ns/def*/sa/w*b",
        "spiffe://*/ns/default/sa/web",
        "spiffe://example.org/ns/default/**",
        "spiffe://example.org/**",
        "spiffe://*/**",
    ] {
        assert!(matches(pattern, web), "{pattern}");
    }
    for pattern in [
        "spiffe://example.org",
        "spiffe://example.org/ns/default/sa/we",
        "spiffe://example.org/ns/*",
        "spiffe://example.org/*",
        "spiffe://example.org/ns/*/web",
        "spiffe://example.org/ns/default/sa/web/**",
        "spiffe://example.com/**",
        "spiffe://example.org/ns/default/sa/web*b",
    ] {
        assert!(!matches(pattern, web), "{pattern}");
    }
    assert!(!matches("spiffe://example.org/**", "spiffe://example.org"));
    assert!(matches("spiffe://example.org", "spiffe://example.org"));
    assert!(
        !matches("spiffe://a/x*x", "spiffe://a/x"),
        "the two ends share no byte"
    );
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    for text in [
        "spiffe://example.*/a",
        "spiffe://a/**/b",
        "spiffe://a/x**",
        "spiffe://a/*b*",
        "spiffe://a//b",
        "default/web",
        "*",
    ] {
        assert!(text.parse::<SpiffePattern>().is_err(), "{text}");
    }
    for text in ["", "a b", "a/b", "**"] {
        assert!(text.parse::<Glob>().is_err(), "{text}");
    }
    assert!("a/b/c".parse::<ServiceAccount>().is_err());
}

#[test]
fn service_accounts_are_of_any_namespace_or_of_one() {
    let account = |text: &str| text.parse::<ServiceAccount>().unwrap();
    assert!(account("web").matches("any", "web") && !account("web").matches("any", "web2"));
    assert!(account("default/web").matches("default", "web"));
    assert!(!account("default/web").matches("other", "web"));
    assert!(account("prod-*/*").matches("prod-a", "web"));
}

#[test]
fn patterns_are_written_as_they_were_read() {
    for text in [
        "spiffe://a/b*/**",
        "spiffe://*/ns/*/sa/x",
        "spiffe://a",
        "spiffe://a/**",
    ] {
        assert_eq!(text.parse::<SpiffePattern>().unwrap().to_string(), text);
    }
    assert_eq!("a/*b".parse::<ServiceAccount>().unwrap().to_string(), "a/*b");
}
