//! Tests of the normal form.

use proptest::prelude::*;

use super::*;

const STRICT: PathPolicy = PathPolicy {
    keep_encoded_slashes: false,
};
const KEEP: PathPolicy = PathPolicy {
    keep_encoded_slashes: true,
};

fn normal(path: &str, policy: PathPolicy) -> Result<String, BadPath> {
    let mut out = String::from("before");
    let outcome = normalize_path(path, policy, &mut out);
    let rest = out
        .strip_prefix("before")
        .expect("what was there stays")
        .to_owned();
    match outcome {
        Ok(()) => Ok(rest),
        Err(bad) => {
            assert!(rest.is_empty(), "{path}: a refused path leaves nothing");
            Err(bad)
        }
    }
}

#[test]
fn each_path_has_one_normal_form() {
    for (path, form) in [
        ("/", "/"),
        ("/a/b;v=1/c", "/a/b;v=1/c"),
        ("//", "/"),
        ("//a///b//", "/a/b/"),
        ("/a/./b/.", "/a/b/"),
        ("/a/b/../c/..", "/a/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a//../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/%2e/a", "/a"),
        ("/.%2e/a", "/a"),
        ("/%61%7e", "/a~"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%252e%252e/", "/%252e%252e/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/.../..a/a..", "/.../..a/a.."),
        ("/a;..;/b", "/a;..;/b"),
        ("/a[0]|{b}", "/a%5B0%5D%7C%7Bb%7D"),
        ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="),
    ] {
        assert_eq!(normal(path, STRICT).as_deref(), Ok(form), "{path}");
    }
}

#[test]
fn what_has_no_safe_form_is_refused() {
    for (path, bad) in [
        ("", BadPath::Character),
        ("a", BadPath::Character),
        ("/a\\b", BadPath::Character),
        ("/a#b", BadPath::Character),
        ("/a?b", BadPath::Character),
        ("/a b", BadPath::Character),
        ("/é", BadPath::Character),
        ("/\u{7f}", BadPath::Character),
        ("/%", BadPath::Escape),
        ("/%4", BadPath::Escape),
        ("/%4g", BadPath::Escape),
        ("/%%34%31", BadPath::Escape),
        ("/%u0041", BadPath::Escape),
        ("/%00", BadPath::Control),
        ("/%0d%0aa", BadPath::Control),
        ("/%7F", BadPath::Control),
        ("/a%2fb", BadPath::Slash),
        ("/a%5Cb", BadPath::Slash),
        ("/a/..;/b", BadPath::Dots),
        ("/a/.;x=1/b", BadPath::Dots),
        ("/a/%2e%2e;x", BadPath::Dots),
        ("/a/..%3bx", BadPath::Dots),
    ] {
        assert_eq!(normal(path, STRICT), Err(bad), "{path}");
    }
}

#[test]
fn encoded_slashes_can_be_kept() {
    assert_eq!(normal("/a%2fb%5cc", KEEP).as_deref(), Ok("/a%2Fb%5Cc"));
    assert_eq!(normal("/a%2f..%2fb", KEEP), Err(BadPath::Dots));
    assert_eq!(normal("/..%5cb", KEEP), Err(BadPath::Dots));
    assert_eq!(normal("/a%2f.;x", KEEP), Err(BadPath::Dots));
    assert_eq!(normal("/%00", KEEP), Err(BadPath::Control));
}

proptest! {
    #[test]
    fn a_normal_form_is_normal(
        path in "(/|\\.|%2[eEfF]|%5c|%61|%C3|;|a|\\[|%3[bB]|%0|\\\\|%){0,24}",
        keep: bool,
    ) {
        let policy = PathPolicy { keep_encoded_slashes: keep };
        let path = format!("/{path}");
        if let Ok(form) = normal(&path, policy) {
            let again = normal(&form, policy);
            prop_assert_eq!(again.as_deref(), Ok(form.as_str()));
            prop_assert!(form.starts_with('/'));
            prop_assert!(!form.contains("//"), "{}", form);
            prop_assert!(form.split('/').all(|segment| segment != "." && segment != ".."), "{}", form);
            prop_assert!(keep || !form.to_ascii_lowercase().contains("%2f"));
        }
    }

    #[test]
    fn any_text_is_safe(path in "\\PC{0,40}") {
        let _ = normal(&path, STRICT);
    }
}
