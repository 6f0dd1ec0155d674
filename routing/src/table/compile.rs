//! From the model to a route table.
//!
//! Owns the order of precedence, as the order of [`Precedence`], and the building of the trie. Refuses to search.
//! Relies on the model: its paths begin with `/`.

use std::cmp::Reverse;

use sluice_config::model::{HostPattern, ListenerId, Match, Model, PathMatch};

use super::{
    Candidate, Origin, Place, RouteTable,
    condition::Rest,
    trie::{self, Sketch, Span, index},
};

pub(super) fn compile(model: &Model, listener: ListenerId) -> RouteTable {
    let mut drafts = drafts(model, listener);
    drafts.sort_by_cached_key(Draft::precedence);
    let mut sketch = Sketch::default();
    for (rank, draft) in drafts.iter().enumerate() {
        let span = draft.span(&mut sketch);
        let rank = index(rank);
        if span.is_empty() {
            *span = Span {
                start: rank,
                end: rank,
            };
        }
        debug_assert_eq!(span.end, rank, "equal hosts and paths are neighbours");
        span.end += 1;
    }
    let candidates: Vec<_> = drafts.iter().map(Draft::candidate).collect();
    let trie = sketch.finish(|rank| match &candidates[rank] {
        Candidate { place, rest: None } => Some(*place),
        _ => None,
    });
    let mut wildcards = drafts.iter().filter_map(|draft| match draft.host {
        Some(HostPattern::Wildcard(tail)) => Some(tail.len()),
        _ => None,
    });
    RouteTable {
        // Of wildcards the longest comes first.
        wildcard_bytes_max: wildcards.next().unwrap_or(0),
        candidates,
        origins: drafts.iter().map(Draft::origin).collect(),
        any_host: trie.child(trie::ANY_HOST, ""),
        trie,
    }
}

/// A candidate as the model has it.
struct Draft<'m> {
    route: usize,
    rule: usize,
    host_index: usize,
    host: Option<&'m HostPattern>,
    match_index: usize,
    matched: Option<&'m Match>,
}

/// Less is tried first. The order of the fields is the order of Gateway API.
///
/// Hosts and paths of equal weight are told apart by their text only to make equal ones neighbours: two different
/// ones never take the same request. Regular expressions may, so those of one length are not told apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Precedence<'m> {
    host: (HostRank, Reverse<usize>, &'m str),
    path: (PathRank, Reverse<usize>, &'m str),
    any_method: bool,
    any_peer: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    order: [usize; 4],
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Exact,
    Wildcard,
    Any,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Exact,
    Regex,
    Prefix,
}

fn drafts(model: &Model, listener: ListenerId) -> Vec<Draft<'_>> {
    let mut drafts = Vec::new();
    let routes = model.routes.iter().enumerate();
    for (route, model_route) in routes.filter(|(_, route)| route.listeners.contains(&listener)) {
        for (rule, model_rule) in model_route.rules.iter().enumerate() {
            for (host_index, host) in or_none(&model_route.hosts).enumerate() {
                for (match_index, matched) in or_none(&model_rule.matches).enumerate() {
                    let draft = Draft {
                        route,
                        rule,
                        host_index,
                        host,
                        match_index,
                        matched,
                    };
                    drafts.push(draft);
                }
            }
        }
    }
    drafts
}

/// Each item, or once `None` where there is none: no host is every host, no match is every request.
fn or_none<T>(items: &[T]) -> impl Iterator<Item = Option<&T>> {
    items.iter().map(Some).chain(items.is_empty().then_some(None))
}

impl<'m> Draft<'m> {
    fn path(&self) -> Option<&'m PathMatch> {
        self.matched.and_then(|matched| matched.path.as_ref())
    }

    fn precedence(&self) -> Precedence<'m> {
        let (host_rank, host) = match self.host {
            Some(HostPattern::Exact(host)) => (HostRank::Exact, host.as_str()),
            Some(HostPattern::Wildcard(tail)) => (HostRank::Wildcard, tail.as_str()),
            None => (HostRank::Any, ""),
        };
        let path = match self.path() {
            Some(PathMatch::Exact(path)) => (PathRank::Exact, Reverse(path.len()), path.as_str()),
            Some(PathMatch::Regex(pattern)) => (PathRank::Regex, Reverse(pattern.source().len()), ""),
            Some(PathMatch::Prefix(path)) => (PathRank::Prefix, Reverse(path.len()), path.as_str()),
            // Gateway API: a match without a path has the prefix `/`.
            None => (PathRank::Prefix, Reverse(1), "/"),
        };
        Precedence {
            host: (host_rank, Reverse(host.len()), host),
            path,
            any_method: self.matched.is_none_or(|matched| matched.method.is_none()),
            any_peer: self.matched.is_none_or(|matched| matched.peer.is_none()),
            headers: Reverse(self.matched.map_or(0, |matched| matched.headers.len())),
            query: Reverse(self.matched.map_or(0, |matched| matched.query.len())),
            order: [self.route, self.rule, self.match_index, self.host_index],
        }
    }

    /// Where the trie keeps the candidates for the same host and path.
    fn span<'s>(&self, sketch: &'s mut Sketch<'m>) -> &'s mut Span {
        let host = match self.host {
            Some(HostPattern::Exact(host)) => sketch.child(trie::EXACT_HOSTS, host),
            Some(HostPattern::Wildcard(tail)) => sketch.child(trie::WILDCARD_HOSTS, tail),
            None => sketch.child(trie::ANY_HOST, ""),
        };
        let mut descend = |path: &'m str| {
            let elements = path.split('/').skip(1);
            elements.fold(host, |node, element| sketch.child(node, element))
        };
        match self.path() {
            None => &mut sketch.spans(host).prefix,
            Some(PathMatch::Prefix(path)) if path == "/" => &mut sketch.spans(host).prefix,
            Some(PathMatch::Regex(_)) => &mut sketch.spans(host).own,
            Some(PathMatch::Exact(path)) => {
                let node = descend(path);
                &mut sketch.spans(node).own
            }
            Some(PathMatch::Prefix(path)) => {
                let node = descend(path);
                &mut sketch.spans(node).prefix
            }
        }
    }

    fn candidate(&self) -> Candidate {
        let prefix_bytes = match self.path() {
            Some(PathMatch::Prefix(prefix)) => prefix.len(),
            _ => 0,
        };
        Candidate {
            place: Place {
                route: index(self.route),
                rule: index(self.rule),
                prefix_bytes: index(prefix_bytes),
            },
            rest: self.matched.and_then(Rest::of),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            host: self.host.cloned(),
            path: self.path().cloned(),
            match_index: self.matched.map(|_| self.match_index),
        }
    }
}
