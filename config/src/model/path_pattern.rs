//! Paths with wildcards, as policies ask for them.
//!
//! Owns their forms, which are those of Istio's AuthorizationPolicy, and what each means. Refuses a pattern that no path
//! in normal form could have.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{PathPolicy, value::Invalid};
use crate::path::{BadPath, normalize_path};

/// Which paths are meant.
///
/// * `/info`: this path.
/// * `/info*`: every path that begins so, `/information` too.
/// * `*/info`: every path that ends so.
/// * `*`: every path.
/// * `/a/{*}/b`: one segment, never an empty one, in the place of `{*}`.
/// * `/a/{**}`: any rest behind `/a/`, also none; `/a/{**}/b`: segments, or none, between the two. `{**}` is the last
///   operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Any,
    Exact,
    Prefix(String),
    Suffix(String),
    Template {
        segments: Vec<Segment>,
        /// There is a `{**}`; what is written behind it, without the slash between.
        rest: Option<Option<String>>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One,
}

impl PathPattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `path`, in normal form and without its query, is one of those meant. Allocates nothing.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Any => true,
            Form::Exact => self.text == path,
            Form::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Form::Suffix(suffix) => path.ends_with(suffix.as_str()),
            Form::Template { segments, rest } => fits(segments, rest.as_ref(), path),
        }
    }
}

fn fits(segments: &[Segment], rest: Option<&Option<String>>, path: &str) -> bool {
    // What is left of the path behind the last slash passed; none behind its end.
    let mut left = path.strip_prefix('/');
    for segment in segments {
        let Some(text) = left else { return false };
        let (first, behind) = match text.split_once('/') {
            Some((first, behind)) => (first, Some(behind)),
            None => (text, None),
        };
        let holds = match segment {
            Segment::Literal(literal) => literal == first,
            Segment::One => !first.is_empty(),
        };
        if !holds {
            return false;
        }
        left = behind;
    }
    match (rest, left) {
        (None, left) => left.is_none(),
        (Some(_), None) => false,
        (Some(None), Some(_)) => true,
        (Some(Some(end)), Some(left)) => left
            .strip_suffix(end.as_str())
            .is_some_and(|between| between.is_empty() || between.ends_with('/')),
    }
}

impl FromStr for PathPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = if text.contains(['{', '}']) {
            template(text)?
        } else if text == "*" {
            Form::Any
        } else if let Some(suffix) = text.strip_prefix('*') {
            check(suffix, &format!("/x{suffix}"))?;
            Form::Suffix(suffix.to_owned())
        } else if let Some(prefix) = text.strip_suffix('*') {
            check(prefix, &format!("{prefix}x"))?;
            Form::Prefix(prefix.to_owned())
        } else {
            check(text, text)?;
            Form::Exact
        };
        Ok(Self {
            text: text.to_owned(),
            form,
        })
    }
}

fn template(text: &str) -> Result<Form, Invalid> {
    let Some(inner) = text.strip_prefix('/') else {
        return Err(Invalid::rather("a path begins with `/`", format!("/{text}")));
    };
    let mut segments = Vec::new();
    let mut parts = inner.split('/');
    let mut rest = None;
    while let Some(part) = parts.next() {
        match part {
            "{*}" => segments.push(Segment::One),
            "{**}" => {
                let end: Vec<&str> = parts.by_ref().collect();
                if end.iter().any(|part| part.contains(['{', '}'])) {
                    return Err(Invalid::because("`{**}` is the last operator of a path"));
                }
                rest = Some((!end.is_empty()).then(|| end.join("/")));
            }
            literal if literal.contains(['{', '}']) => {
                return Err(Invalid::because(
                    "`{*}` and `{**}` are whole segments, and no other word stands in braces",
                ));
            }
            literal => segments.push(Segment::Literal(literal.to_owned())),
        }
    }
    let plain = text.replace("{**}", "x").replace("{*}", "x");
    if plain.contains('*') {
        return Err(Invalid::because("`*` does not stand beside `{*}` or `{**}`"));
    }
    check(&plain, &plain)?;
    Ok(Form::Template { segments, rest })
}

/// Checks what is `written` beside the wildcards by `example`, a path that is meant.
fn check(written: &str, example: &str) -> Result<(), Invalid> {
    if written.contains('*') {
        return Err(Invalid::because(
            "`*` stands at one end: write `{*}` for a segment in the middle",
        ));
    }
    if !example.starts_with('/') {
        return Err(Invalid::rather("a path begins with `/`", format!("/{written}")));
    }
    if let Some(wrong) = written.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(Invalid::because(format!(
            "a path holds no {wrong:?}: it ends before the query and the fragment"
        )));
    }
    let mut normal = String::with_capacity(example.len());
    normalize_path(example, ANY_SLASH, &mut normal).map_err(|bad| {
        Invalid::because(match bad {
            BadPath::Escape => "`%` is followed by two hexadecimal digits".to_owned(),
            other => format!("{other} is refused in every request"),
        })
    })?;
    if normal == example {
        return Ok(());
    }
    let reason = "requests never have this path: they are matched and sent on in the normal form";
    Err(match written == example && !example.contains("{") {
        true => Invalid::rather(reason, normal),
        false => Invalid::because(reason),
    })
}

impl TryFrom<String> for PathPattern {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.text
    }
}

/// Whether requests may have encoded slashes is the listener's to say.
const ANY_SLASH: PathPolicy = PathPolicy {
    keep_encoded_slashes: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `paths` the pattern means.
    fn met<'p>(pattern: &str, paths: &[&'p str]) -> Vec<&'p str> {
        let pattern: PathPattern = pattern.parse().unwrap();
        paths
            .iter()
            .copied()
            .filter(|path| pattern.matches(path))
            .collect()
    }

    #[test]
    fn a_star_at_one_end_stands_for_any_characters() {
        let paths = ["/", "/info", "/information", "/info/x", "/x/info", "/xinfo", "*"];
        assert_eq!(met("/info", &paths), ["/info"]);
        assert_eq!(met("/info*", &paths), ["/info", "/information", "/info/x"]);
        assert_eq!(met("/info/*", &paths), ["/info/x"]);
        assert_eq!(met("*/info", &paths), ["/info", "/x/info"]);
        assert_eq!(met("*info", &paths), ["/info", "/x/info", "/xinfo"]);
        assert_eq!(met("*", &paths), paths);
        assert_eq!(met("/*", &paths), &paths[..6]);
    }

    #[test]
    fn operators_stand_for_segments() {
        let paths = [
            "/foo",
            "/foo/",
            "/foo/bar",
            "/foo/bar/",
            "/foo/bar/baz",
            "/foo/a/b/baz",
            "/x/bar",
        ];
        assert_eq!(met("/foo/{*}", &paths), ["/foo/bar"]);
        assert_eq!(met("/foo/{*}/", &paths), ["/foo/bar/"]);
        assert_eq!(met("/foo/{*}/baz", &paths), ["/foo/bar/baz"]);
        assert_eq!(met("/{*}/bar", &paths), ["/foo/bar", "/x/bar"]);
        assert_eq!(met("/foo/{**}", &paths), &paths[1..6]);
        assert_eq!(met("/foo/{**}/", &paths), ["/foo/", "/foo/bar/"]);
        assert_eq!(met("/foo/{**}/baz", &paths), ["/foo/bar/baz", "/foo/a/b/baz"]);
        assert_eq!(met("/foo/{**}/bar", &paths), ["/foo/bar"], "none is enough");
        assert_eq!(met("/foo/{*}/{**}", &paths), &paths[3..6]);
        assert_eq!(met("/{**}", &paths), paths);
        assert!(met("/foo/{**}/ar", &paths).is_empty(), "by whole segments");
        assert!(met("/{*}", &["*", "/"]).is_empty());
    }

    #[test]
    fn what_no_request_has_is_refused() {
        for wrong in [
            "",
            "info",
            "/a*b",
            "/*/b*",
            "**",
            "/a//b*",
            "*//a",
            "/a/../b",
            "/a?b",
            "/%zz",
            "/a%4*",
            "/a%2f*",
            "{*}",
            "/{*}.txt",
            "/{x}",
            "/a{",
            "/{**}/{*}",
            "/{**}/{**}",
            "/a*/{*}",
            "/a//{*}",
            "/a b",
        ] {
            assert!(wrong.parse::<PathPattern>().is_err(), "{wrong}");
        }
        for good in ["/a%2F*", "/.well-known/*", "*.txt", "/a/{*}/b%20c", "/{**}/v1"] {
            assert_eq!(good.parse::<PathPattern>().unwrap().as_str(), good);
        }
        let suggestion = |text: &str| text.parse::<PathPattern>().unwrap_err().suggestion;
        assert_eq!(suggestion("/a/./b").as_deref(), Some("/a/b"));
        assert_eq!(suggestion("info*").as_deref(), Some("/info"));
    }
}
