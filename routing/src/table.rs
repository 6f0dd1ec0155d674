//! The route table of one listener: which rule takes a request.
//!
//! Owns the order of precedence and the index that makes it fast. Refuses to know what a rule then does: it
//! answers with positions in the [`Model`] it was compiled from.
//!
//! The order is Gateway API's (HTTPRoute, "matches"): an exact host before a wildcard, a longer wildcard before a
//! shorter, any host last; then an exact path, a regular expression, the longest prefix; then a match that names
//! a method; then one that names peers; then more header tests; then more query tests; then the order in the
//! configuration. What Gateway API leaves open is settled so: a regular expression stands between exact and prefix, the
//! one with the longer source first; a host whose rules all fail passes the request on to less specific hosts; and
//! peers, which it does not know, stand where they do.
//!
//! A rule takes part once for each of its hosts and matches: each such pair is a *candidate*. Candidates lie sorted
//! by precedence, so those that share a host and a path are neighbours; a trie over hosts and path elements leads to
//! them. A lookup costs one probe for the host and one for each fork on the way of the path, then the tests of the
//! candidates there, one by one; regular expressions of a host are tried one by one too. It allocates nothing but the
//! decoded value of a query parameter that holds escapes.

mod compile;
pub(crate) mod condition;
mod explain;
mod query;
mod trie;

use sluice_config::model::{HostPattern, ListenerId, Model, PathMatch};

pub use condition::Test;
pub use explain::{Considered, Verdict, Watch};

use crate::RequestView;
use condition::{Rest, path_matches};
use trie::{NO_NODE, Node, Span, Trie};

/// The rules of one listener, ready to be searched. Never changes.
#[derive(Debug)]
pub struct RouteTable {
    /// In order of precedence; what a lookup reads.
    candidates: Vec<Candidate>,
    /// Where each candidate comes from, by the same index; read by explanations and regular expressions only.
    origins: Vec<Origin>,
    trie: Trie,
    /// The node of the rules for every host.
    any_host: Option<u32>,
    /// No wildcard is longer: longer tails of a host need no probe.
    wildcard_bytes_max: usize,
}

/// A rule that takes a request, as positions in the [`Model`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Index in [`Model::routes`].
    pub route: usize,
    /// Index in the route's rules.
    pub rule: usize,
    /// Bytes of the path that the match's prefix covers; 0 if it has none.
    pub prefix_bytes: usize,
}

/// One way for one rule to take a request.
#[derive(Debug)]
struct Candidate {
    place: Place,
    /// What is asked beyond host and path; most ask nothing.
    rest: Option<Box<Rest>>,
}

/// [`Found`] in the form in which tables keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    route: u32,
    rule: u32,
    prefix_bytes: u32,
}

/// What a candidate was compiled from.
#[derive(Debug)]
struct Origin {
    host: Option<HostPattern>,
    path: Option<PathMatch>,
    match_index: Option<usize>,
}

impl RouteTable {
    /// Gathers the rules of every route that serves `listener`.
    #[must_use]
    pub fn compile(model: &Model, listener: ListenerId) -> Self {
        compile::compile(model, listener)
    }

    /// The rule that takes `request`, if any does.
    pub fn find(&self, request: &impl RequestView) -> Option<Found> {
        self.find_watched(request, &mut ())
    }

    /// As [`find`](Self::find), telling `watch` of each candidate tried, in order of precedence.
    pub fn find_watched<'t>(
        &'t self,
        request: &impl RequestView,
        watch: &mut impl Watch<'t>,
    ) -> Option<Found> {
        let host = request.host();
        let exact = self.trie.child(trie::EXACT_HOSTS, host);
        if let Some(found) = exact.and_then(|host| self.find_in(host, request, watch)) {
            return Some(found);
        }
        for tail in condition::host_tails(host, self.wildcard_bytes_max) {
            let wildcard = self.trie.child(trie::WILDCARD_HOSTS, tail);
            if let Some(found) = wildcard.and_then(|host| self.find_in(host, request, watch)) {
                return Some(found);
            }
        }
        self.any_host.and_then(|host| self.find_in(host, request, watch))
    }

    /// Every candidate of the listener in order of precedence, with what became of it.
    ///
    /// What the search itself tried is told as it was told to its watch; the index passes over the others, and
    /// those are put to the same tests one by one. Costs as much as the table is long: for people, not for traffic.
    pub fn explain(&self, request: &impl RequestView) -> Vec<Considered<'_>> {
        explain::explain(self, request)
    }

    fn find_in<'t>(
        &'t self,
        host: u32,
        request: &impl RequestView,
        watch: &mut impl Watch<'t>,
    ) -> Option<Found> {
        let path = request.path();
        let (mut node, whole) = self.trie.descend(host, path);
        if whole {
            let at = self.trie.node(node);
            if let Some(found) = self.first(at, at.spans.own, request, watch) {
                return Some(found);
            }
        }
        for index in self.trie.node(host).spans.own.indices() {
            if !path_matches(self.origins[index].path.as_ref(), path) {
                watch.considered(self.considered(index, Verdict::Failed(Test::Path)));
            } else if let Some(found) = self.test(index, request, watch) {
                return Some(found);
            }
        }
        while node != NO_NODE {
            let at = self.trie.node(node);
            if let Some(found) = self.first(at, at.spans.prefix, request, watch) {
                return Some(found);
            }
            node = at.shorter;
        }
        None
    }

    /// The first candidate of `span`, one of `node`, that takes the request.
    fn first<'t>(
        &'t self,
        node: &Node,
        span: Span,
        request: &impl RequestView,
        watch: &mut impl Watch<'t>,
    ) -> Option<Found> {
        if let Some(sole) = node.sole(span) {
            watch.considered(self.considered(span.indices().start, Verdict::Won));
            return Some(sole.found());
        }
        span.indices().find_map(|index| self.test(index, request, watch))
    }

    /// Puts the rest of the tests to a candidate whose host and path hold.
    fn test<'t>(
        &'t self,
        index: usize,
        request: &impl RequestView,
        watch: &mut impl Watch<'t>,
    ) -> Option<Found> {
        let candidate = &self.candidates[index];
        if let Some(test) = candidate.failed(request) {
            watch.considered(self.considered(index, Verdict::Failed(test)));
            return None;
        }
        watch.considered(self.considered(index, Verdict::Won));
        Some(candidate.place.found())
    }

    #[inline]
    fn considered<'t>(&'t self, index: usize, verdict: Verdict<'t>) -> Considered<'t> {
        let (candidate, origin) = (&self.candidates[index], &self.origins[index]);
        Considered {
            rank: index,
            route: candidate.place.route as usize,
            rule: candidate.place.rule as usize,
            host: origin.host.as_ref(),
            match_index: origin.match_index,
            verdict,
        }
    }
}

impl Candidate {
    fn failed(&self, request: &impl RequestView) -> Option<Test<'_>> {
        self.rest.as_ref().and_then(|rest| rest.failed(request))
    }
}

impl Place {
    /// Of no rule.
    const NONE: Self = Self {
        route: u32::MAX,
        rule: u32::MAX,
        prefix_bytes: 0,
    };

    const fn found(self) -> Found {
        Found {
            route: self.route as usize,
            rule: self.rule as usize,
            prefix_bytes: self.prefix_bytes as usize,
        }
    }
}

#[cfg(test)]
mod tests;
