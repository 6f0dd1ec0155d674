//! Who a peer is: SPIFFE IDs, and the patterns that stand for several of them.
//!
//! Owns their grammar (SPIFFE-ID 2) and what a pattern means. Refuses certificates: who a peer is, is proved elsewhere.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::value::Invalid;

/// A SPIFFE ID, checked, taken apart: `spiffe://example.org/ns/default/sa/web`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiffeId<'t> {
    text: &'t str,
    trust_domain: &'t str,
    /// Without the slash at its start; `None` where the ID is of the trust domain itself.
    path: Option<&'t str>,
}

/// Which SPIFFE IDs are meant: one, or all that a `*` in it could stand for.
///
/// `*` stands for any characters within one segment of the path, for a whole trust domain where nothing else is its
/// name, and `**` as the last segment for one segment or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffePattern {
    trust_domain: Glob,
    segments: Vec<Glob>,
    /// Ends in `/**`.
    is_open: bool,
}

/// A text in which one `*` may stand for any characters, none too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob {
    before: String,
    /// What follows the `*`; `None` without one.
    after: Option<String>,
}

/// A service account of Kubernetes, in any namespace (`web`) or in one (`default/web`); a `*` in either part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceAccount {
    namespace: Option<Glob>,
    name: Glob,
}

impl<'t> SpiffeId<'t> {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// Which rule of SPIFFE-ID 2 it breaks: the scheme; a trust domain of 1 to 255 of `a-z 0-9 . - _`, so no port and no
    /// user; a path of segments of `A-Z a-z 0-9 . - _`, none empty, `.` or `..`; no query and no fragment; at most 2048
    /// bytes in all.
    pub fn parse(text: &'t str) -> Result<Self, Invalid> {
        let (trust_domain, path) = split(text)?;
        check_trust_domain(trust_domain)?;
        for segment in path.into_iter().flat_map(|path| path.split('/')) {
            check_segment(segment, "")?;
        }
        Ok(Self {
            text,
            trust_domain,
            path,
        })
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'t str {
        self.text
    }

    /// The name behind `spiffe://`.
    #[must_use]
    pub const fn trust_domain(self) -> &'t str {
        self.trust_domain
    }

    /// Namespace and service account, if it has the form of Istio: `spiffe://<trust domain>/ns/<ns>/sa/<sa>`.
    #[must_use]
    pub fn service_account(self) -> Option<(&'t str, &'t str)> {
        let mut segments = self.path?.split('/');
        let form = [
            segments.next()?,
            segments.next()?,
            segments.next()?,
            segments.next()?,
        ];
        match (form, segments.next()) {
            (["ns", namespace, "sa", account], None) => Some((namespace, account)),
            _ => None,
        }
    }
}

impl SpiffePattern {
    /// Whether `id` is one of those meant.
    #[must_use]
    pub fn matches(&self, id: SpiffeId<'_>) -> bool {
        if !self.trust_domain.matches(id.trust_domain) {
            return false;
        }
        let mut segments = id.path.into_iter().flat_map(|path| path.split('/'));
        let each = self
            .segments
            .iter()
            .all(|glob| segments.next().is_some_and(|segment| glob.matches(segment)));
        each && segments.next().is_some() == self.is_open
    }
}

impl Glob {
    /// Whether `text` is one of those meant.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.after {
            None => self.before == text,
            Some(after) => text
                .strip_prefix(self.before.as_str())
                .is_some_and(|rest| rest.ends_with(after.as_str())),
        }
    }

    fn new(text: &str) -> Self {
        match text.split_once('*') {
            None => Self {
                before: text.to_owned(),
                after: None,
            },
            Some((before, after)) => Self {
                before: before.to_owned(),
                after: Some(after.to_owned()),
            },
        }
    }
}

impl ServiceAccount {
    /// Whether the account `name` of `namespace` is one of those meant.
    #[must_use]
    pub fn matches(&self, namespace: &str, name: &str) -> bool {
        self.name.matches(name) && self.namespace.as_ref().is_none_or(|glob| glob.matches(namespace))
    }
}

impl FromStr for SpiffePattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (trust_domain, path) = split(text)?;
        if trust_domain != "*" {
            check_trust_domain(trust_domain)?;
        }
        let (path, is_open) = match path {
            Some("**") => (None, true),
            Some(path) => match path.strip_suffix("/**") {
                Some(path) => (Some(path), true),
                None => (Some(path), false),
            },
            None => (None, false),
        };
        let segments = path.into_iter().flat_map(|path| path.split('/'));
        let globs = segments.map(|segment| {
            if segment.contains("**") {
                return Err(Invalid::because(
                    "`**` is the last segment or none: it stands for the rest",
                ));
            }
            check_glob(segment)
        });
        Ok(Self {
            trust_domain: Glob::new(trust_domain),
            segments: globs.collect::<Result<_, _>>()?,
            is_open,
        })
    }
}

impl FromStr for Glob {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check_glob(text)
    }
}

impl FromStr for ServiceAccount {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(match text.split_once('/') {
            None => Self {
                namespace: None,
                name: check_glob(text)?,
            },
            Some((namespace, name)) => Self {
                namespace: Some(check_glob(namespace)?),
                name: check_glob(name)?,
            },
        })
    }
}

/// Trust domain and path, unchecked.
fn split(text: &str) -> Result<(&str, Option<&str>), Invalid> {
    if text.len() > SPIFFE_ID_BYTES_MAX {
        return Err(Invalid::because(format!(
            "a SPIFFE ID has at most {SPIFFE_ID_BYTES_MAX} bytes"
        )));
    }
    let Some(rest) = text.strip_prefix("spiffe://") else {
        return Err(match text.split_once("://") {
            Some((_, rest)) => {
                Invalid::rather("a SPIFFE ID begins with `spiffe://`", format!("spiffe://{rest}"))
            }
            None => Invalid::rather("a SPIFFE ID begins with `spiffe://`", format!("spiffe://{text}")),
        });
    };
    if let Some(wrong) = rest.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(Invalid::because(format!(
            "a SPIFFE ID has no query and no fragment, so no {wrong:?}"
        )));
    }
    Ok(match rest.split_once('/') {
        None => (rest, None),
        Some((trust_domain, path)) => (trust_domain, Some(path)),
    })
}

fn check_trust_domain(name: &str) -> Result<(), Invalid> {
    if name.is_empty() || name.len() > TRUST_DOMAIN_BYTES_MAX {
        return Err(Invalid::because(format!(
            "a trust domain has 1 to {TRUST_DOMAIN_BYTES_MAX} characters"
        )));
    }
    let may_stand = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    match name.chars().find(|&c| !may_stand(c)) {
        None => Ok(()),
        Some(wrong) if wrong.is_ascii_uppercase() => Err(Invalid::rather(
            "a trust domain is in lower case",
            name.to_ascii_lowercase(),
        )),
        Some(':') => Err(Invalid::because("a trust domain has no port")),
        Some('@') => Err(Invalid::because("a trust domain has no user")),
        Some('*') => Err(Invalid::because(
            "a trust domain is named, or `*` alone stands for every one",
        )),
        Some(wrong) => Err(Invalid::because(format!("a trust domain holds no {wrong:?}"))),
    }
}

/// Checks a segment that may hold `besides` too.
fn check_segment(segment: &str, besides: &str) -> Result<(), Invalid> {
    if segment.is_empty() {
        return Err(Invalid::because(
            "no segment is empty, so no slash stands at the end or beside another",
        ));
    }
    if matches!(segment, "." | "..") {
        return Err(Invalid::because(format!("no segment is `{segment}`")));
    }
    let may_stand =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || besides.contains(c);
    match segment.chars().find(|&c| !may_stand(c)) {
        None => Ok(()),
        Some(wrong) => Err(Invalid::because(format!(
            "a segment holds only letters, digits, `.`, `-` and `_`, not {wrong:?}"
        ))),
    }
}

fn check_glob(segment: &str) -> Result<Glob, Invalid> {
    check_segment(segment, "*")?;
    if segment.matches('*').count() > 1 {
        return Err(Invalid::because("at most one `*` stands in a segment"));
    }
    Ok(Glob::new(segment))
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        match &self.after {
            Some(after) => write!(f, "*{after}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}", self.trust_domain)?;
        self.segments.iter().try_for_each(|glob| write!(f, "/{glob}"))?;
        f.write_str(if self.is_open { "/**" } else { "" })
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{}", self.name)
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Glob, SpiffePattern, ServiceAccount);

/// Longest SPIFFE ID (SPIFFE-ID 2.3).
const SPIFFE_ID_BYTES_MAX: usize = 2048;
/// Longest trust domain (SPIFFE-ID 2.1).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests;
