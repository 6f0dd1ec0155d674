//! The single tests of a match: host, path, method, peer, header, query.
//!
//! Owns what it means for each to hold. The index only passes over tests that it knows to fail or to hold; search,
//! explanation and policies all end here.

use std::borrow::Cow;

use sluice_config::model::{
    FieldMatch, HeaderName, HostPattern, Match, PathMatch, Peer, SpiffeId, StringMatch,
};

use super::query;
use crate::{Arrival, RequestView};

/// A test that a request can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test<'t> {
    /// The route does not serve this host.
    Host,
    /// Another path.
    Path,
    /// Another method.
    Method,
    /// The peer has proved to be another, or nothing.
    Peer,
    /// This header field is absent or has another value.
    Header(&'t HeaderName),
    /// This query parameter is absent or has another value.
    Query(&'t str),
}

/// What a match asks beyond host and path.
#[derive(Debug)]
pub(super) struct Rest {
    method: Option<String>,
    peer: Option<Peer>,
    headers: Vec<FieldMatch<HeaderName>>,
    query: Vec<FieldMatch<String>>,
}

impl Rest {
    /// `None` when nothing more is asked.
    pub(super) fn of(matched: &Match) -> Option<Box<Self>> {
        let asks = matched.method.is_some()
            || matched.peer.is_some()
            || !matched.headers.is_empty()
            || !matched.query.is_empty();
        asks.then(|| {
            Box::new(Self {
                method: matched.method.clone(),
                peer: matched.peer.clone(),
                headers: matched.headers.clone(),
                query: matched.query.clone(),
            })
        })
    }

    /// The first test that `request` fails.
    pub(super) fn failed(&self, request: &impl RequestView) -> Option<Test<'_>> {
        if self
            .method
            .as_ref()
            .is_some_and(|method| method != request.method())
        {
            return Some(Test::Method);
        }
        if let Some(peer) = &self.peer
            && !peer_matches(peer, &request.arrival())
        {
            return Some(Test::Peer);
        }
        let header = self.headers.iter().find(|header| {
            let value = request.header(header.name.as_str());
            !holds(&header.test, value.as_deref())
        });
        if let Some(header) = header {
            return Some(Test::Header(&header.name));
        }
        let parameter = self.query.iter().find(|parameter| {
            let value = request
                .query()
                .and_then(|query| query::value(query, &parameter.name));
            !holds(&parameter.test, value.as_ref().map(Cow::as_ref))
        })?;
        Some(Test::Query(&parameter.name))
    }
}

/// Whether `identity` is one of those asked for; none is none of them.
fn peer_matches(peer: &Peer, arrival: &Arrival<'_>) -> bool {
    let has_id = |id: SpiffeId<'_>| peer.spiffe.iter().any(|pattern| pattern.matches(id));
    arrival.identity.is_some_and(has_id)
        || peer
            .names
            .iter()
            .any(|pattern| names_match(pattern, arrival.names))
}

/// Whether one of the names that a certificate has is meant.
pub(crate) fn names_match(pattern: &HostPattern, names: &[String]) -> bool {
    names.iter().any(|name| host_matches(Some(pattern), name))
}

/// Whether a route for `pattern` (for every host if there is none) serves `host`.
pub(crate) fn host_matches(pattern: Option<&HostPattern>, host: &str) -> bool {
    match pattern {
        None => true,
        Some(HostPattern::Exact(name)) => name == host,
        Some(HostPattern::Wildcard(tail)) => host_tails(host, tail.len()).next() == Some(tail),
    }
}

/// What follows each dot of `host` but a leading one, longest first, as long as it has at most `bytes_max` bytes.
///
/// A wildcard stands for one label or more, so these are the names it may have.
pub(super) fn host_tails(host: &str, bytes_max: usize) -> impl Iterator<Item = &str> {
    let first = host.len().saturating_sub(bytes_max.saturating_add(1)).max(1);
    let searched = host.as_bytes().get(first..).unwrap_or_default();
    let dots = searched.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    dots.map(move |(position, _)| &host[first + position + 1..])
}

/// Whether `path` is what `asked` asks for; nothing asks for any.
pub(super) fn path_matches(asked: Option<&PathMatch>, path: &str) -> bool {
    match asked {
        None => true,
        Some(PathMatch::Exact(exact)) => exact == path,
        Some(PathMatch::Prefix(prefix)) if prefix == "/" => true,
        Some(PathMatch::Prefix(prefix)) => {
            let rest = path.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        Some(PathMatch::Regex(pattern)) => pattern.regex().is_match(path.as_bytes()),
    }
}

/// Whether a value that may be absent passes a test.
pub(crate) fn holds(test: &StringMatch, value: Option<&[u8]>) -> bool {
    match (test, value) {
        (StringMatch::Present(wanted), value) => *wanted == value.is_some(),
        (StringMatch::Not(inner), value) => !holds(inner, value),
        (_, None) => false,
        (StringMatch::Exact(exact), Some(value)) => exact.as_bytes() == value,
        (StringMatch::Prefix(prefix), Some(value)) => value.starts_with(prefix.as_bytes()),
        (StringMatch::Regex(pattern), Some(value)) => pattern.regex().is_match(value),
    }
}

#[cfg(test)]
mod tests {
    use sluice_config::model::Pattern;

    use super::*;

    fn wildcard(tail: &str) -> HostPattern {
        HostPattern::Wildcard(tail.to_owned())
    }

    #[test]
    fn a_wildcard_stands_for_one_label_or_more() {
        let pattern = wildcard("example.com");
        for host in ["foo.example.com", "a.b.example.com", "a.example.com.example.com"] {
            assert!(host_matches(Some(&pattern), host), "{host}");
        }
        for host in [
            "example.com",
            ".example.com",
            "fooexample.com",
            "example.com.evil",
            "com",
            "",
        ] {
            assert!(!host_matches(Some(&pattern), host), "{host}");
        }
        assert!(host_matches(None, ""));
        assert!(host_matches(
            Some(&HostPattern::Exact("[::1]".to_owned())),
            "[::1]"
        ));
    }

    #[test]
    fn tails_go_from_long_to_short_within_the_bound() {
        let tails = |bytes_max| host_tails("a.bc.def.g", bytes_max).collect::<Vec<_>>();
        assert_eq!(tails(usize::MAX), ["bc.def.g", "def.g", "g"]);
        assert_eq!(tails(8), ["bc.def.g", "def.g", "g"]);
        assert_eq!(tails(7), ["def.g", "g"]);
        assert_eq!(tails(1), ["g"]);
        assert_eq!(tails(0), [""; 0]);
        assert_eq!(host_tails("", 5).count(), 0);
        assert_eq!(host_tails(".", 5).count(), 0);
    }

    #[test]
    fn prefixes_go_by_element() {
        let api = PathMatch::Prefix("/api".to_owned());
        for path in ["/api", "/api/", "/api/x", "/api/x/y"] {
            assert!(path_matches(Some(&api), path), "{path}");
        }
        for path in ["/apix", "/ap", "/", "/x/api", "/API"] {
            assert!(!path_matches(Some(&api), path), "{path}");
        }
        let root = PathMatch::Prefix("/".to_owned());
        for path in ["/", "/x", "*"] {
            assert!(path_matches(Some(&root), path), "{path}");
        }
    }

    #[test]
    fn exact_and_regex_paths_are_whole() {
        let exact = PathMatch::Exact("/api".to_owned());
        assert!(path_matches(Some(&exact), "/api") && !path_matches(Some(&exact), "/api/"));
        let regex = PathMatch::Regex(Pattern::new("/v[0-9]+|/x").unwrap());
        assert!(path_matches(Some(&regex), "/v12") && path_matches(Some(&regex), "/x"));
        assert!(!path_matches(Some(&regex), "/v1/x") && !path_matches(Some(&regex), "/a/v1"));
    }

    #[test]
    fn values_are_compared_byte_by_byte() {
        let exact = StringMatch::Exact("On".to_owned());
        assert!(holds(&exact, Some(b"On")) && !holds(&exact, Some(b"on")) && !holds(&exact, None));
        let prefix = StringMatch::Prefix("ab".to_owned());
        assert!(holds(&prefix, Some(b"ab\xff")) && !holds(&prefix, Some(b"a")) && !holds(&prefix, None));
        let regex = StringMatch::Regex(Pattern::new("a.c").unwrap());
        assert!(holds(&regex, Some(b"abc")) && !holds(&regex, Some(b"abcd")) && !holds(&regex, None));
        assert!(holds(&StringMatch::Present(true), Some(b"")) && !holds(&StringMatch::Present(true), None));
        assert!(holds(&StringMatch::Present(false), None) && !holds(&StringMatch::Present(false), Some(b"")));
    }

    #[test]
    fn not_turns_its_test_over_and_passes_what_is_absent() {
        let not = |test| StringMatch::Not(Box::new(test));
        let exact = not(StringMatch::Exact("1".to_owned()));
        assert!(holds(&exact, None) && holds(&exact, Some(b"2")) && !holds(&exact, Some(b"1")));
        let twice = not(not(StringMatch::Exact("1".to_owned())));
        assert!(holds(&twice, Some(b"1")) && !holds(&twice, None));
    }
}
