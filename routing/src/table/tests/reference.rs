//! The slow truth: every candidate of the model, tested one by one, the best kept.
//!
//! Shares no code with the table, so that a mistake would have to be made twice.

use std::cmp::Ordering;

use sluice_config::model::{HostPattern, ListenerId, Match, Model, PathMatch, StringMatch};

use super::{Found, Request, RequestView};

pub(super) struct Candidate {
    route: usize,
    rule: usize,
    host: Option<HostPattern>,
    matched: Match,
}

pub(super) fn candidates(model: &Model, listener: ListenerId) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (r, route) in model.routes.iter().enumerate() {
        if !route.listeners.contains(&listener) {
            continue;
        }
        for (u, rule) in route.rules.iter().enumerate() {
            let mut matches = rule.matches.clone();
            if matches.is_empty() {
                matches.push(Match::default());
            }
            for matched in matches {
                let mut hosts: Vec<_> = route.hosts.iter().cloned().map(Some).collect();
                if hosts.is_empty() {
                    hosts.push(None);
                }
                let new = |host| Candidate {
                    route: r,
                    rule: u,
                    host,
                    matched: matched.clone(),
                };
                candidates.extend(hosts.into_iter().map(new));
            }
        }
    }
    candidates
}

pub(super) fn find(model: &Model, listener: ListenerId, request: &Request) -> Option<Found> {
    let mut best: Option<Candidate> = None;
    for candidate in candidates(model, listener) {
        let better = best
            .as_ref()
            .is_none_or(|best| compare(&candidate, best) == Ordering::Greater);
        if takes(&candidate, request) && better {
            best = Some(candidate);
        }
    }
    best.map(|best| Found {
        route: best.route,
        rule: best.rule,
        prefix_bytes: match best.matched.path {
            Some(PathMatch::Prefix(prefix)) => prefix.len(),
            _ => 0,
        },
    })
}

/// Greater is better; equal leaves the one earlier in the configuration.
fn compare(one: &Candidate, other: &Candidate) -> Ordering {
    let host = |candidate: &Candidate| match &candidate.host {
        Some(HostPattern::Exact(_)) => (2, 0),
        Some(HostPattern::Wildcard(tail)) => (1, tail.len()),
        None => (0, 0),
    };
    let path = |candidate: &Candidate| match &candidate.matched.path {
        Some(PathMatch::Exact(_)) => (2, 0),
        Some(PathMatch::Regex(pattern)) => (1, pattern.source().len()),
        Some(PathMatch::Prefix(prefix)) => (0, prefix.len()),
        None => (0, 1),
    };
    let counts = |candidate: &Candidate| {
        let matched = &candidate.matched;
        (
            matched.method.is_some(),
            matched.peer.is_some(),
            matched.headers.len(),
            matched.query.len(),
        )
    };
    let by_host = host(one).cmp(&host(other));
    by_host
        .then(path(one).cmp(&path(other)))
        .then(counts(one).cmp(&counts(other)))
}

fn takes(candidate: &Candidate, request: &Request) -> bool {
    let matched = &candidate.matched;
    let host = match &candidate.host {
        None => true,
        Some(HostPattern::Exact(host)) => *host == request.host,
        Some(HostPattern::Wildcard(tail)) => {
            request.host.ends_with(&format!(".{tail}")) && request.host.len() > tail.len() + 1
        }
    };
    let path = match &matched.path {
        None => true,
        Some(PathMatch::Exact(path)) => *path == request.path,
        Some(PathMatch::Regex(pattern)) => pattern.regex().is_match(request.path.as_bytes()),
        Some(PathMatch::Prefix(prefix)) => {
            *prefix == "/" || request.path == *prefix || request.path.starts_with(&format!("{prefix}/"))
        }
    };
    let method = matched
        .method
        .as_ref()
        .is_none_or(|method| *method == request.method);
    let headers = matched.headers.iter().all(|header| {
        let value = request.header(header.name.as_str());
        holds(
            &header.test,
            value.map(|value| String::from_utf8(value.into_owned()).unwrap()),
        )
    });
    let query = matched.query.iter().all(|parameter| {
        let all = request.query.as_deref().unwrap_or_default();
        let mut pairs = all
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let value = pairs
            .find(|(name, _)| *name == parameter.name)
            .map(|(_, value)| value.to_owned());
        holds(&parameter.test, value)
    });
    // The one pattern that models have here is `spiffe://a.t/ns/*`.
    let peer = matched.peer.is_none()
        || request
            .identity
            .is_some_and(|id| id.starts_with("spiffe://a.t/ns/"));
    host && path && method && peer && headers && query
}

fn holds(test: &StringMatch, value: Option<String>) -> bool {
    match test {
        StringMatch::Exact(exact) => value.is_some_and(|value| value == *exact),
        StringMatch::Prefix(prefix) => value.is_some_and(|value| value.starts_with(prefix)),
        StringMatch::Regex(pattern) => value.is_some_and(|value| pattern.regex().is_match(value.as_bytes())),
        StringMatch::Present(wanted) => value.is_some() == *wanted,
        StringMatch::Not(inner) => !holds(inner, value),
    }
}
