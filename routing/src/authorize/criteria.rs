//! What one policy asks of a request.
//!
//! Owns what it means for an entry to hold, above all for a request that tells nothing of itself: without an identity or
//! a server name no pattern for one holds. A `not` for one then keeps the policy from allowing, and not from denying or
//! auditing: whoever says "all but this one" to let pass means those who have proved to be another, and to keep out, all
//! who have not proved to be this one.

use sluice_config::model::{
    Condition, Criteria, FieldMatch, HeaderName, Operation, PathPattern, Policy, PolicyAction, Source,
};

use crate::{
    Arrival, RequestView,
    table::condition::{holds, host_matches},
};

/// A list of a policy of which no entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// Somebody else asks.
    From,
    /// Something else is asked for.
    To,
    /// Something else is told.
    When,
}

/// The first list of `policy` that has no entry for `request`; `None` where the policy matches it.
pub(super) fn unmet(policy: &Policy, request: &impl RequestView) -> Option<Unmet> {
    let arrival = request.arrival();
    let unknown = Unknown {
        passes_not: policy.action != PolicyAction::Allow,
    };
    if !any(&policy.from, |entry| source(entry, &arrival, unknown)) {
        return Some(Unmet::From);
    }
    if !any(&policy.to, |entry| operation(entry, request, arrival.port)) {
        return Some(Unmet::To);
    }
    if !any(&policy.when, |entry| condition(entry, request, &arrival, unknown)) {
        return Some(Unmet::When);
    }
    None
}

/// What is made of a value that the request does not tell.
#[derive(Debug, Clone, Copy)]
struct Unknown {
    passes_not: bool,
}

impl Unknown {
    /// Whether none of `unwanted` is what the request tells.
    fn is_none_of<T, V: Copy>(self, unwanted: &[T], told: Option<V>, is: impl Fn(&T, V) -> bool) -> bool {
        unwanted.is_empty()
            || told.map_or(self.passes_not, |value| {
                !unwanted.iter().any(|one| is(one, value))
            })
    }
}

fn any<T>(entries: &[Criteria<T>], holds: impl Fn(&Criteria<T>) -> bool) -> bool {
    entries.is_empty() || entries.iter().any(holds)
}

/// Whether one of `wanted` is what the request tells; true where nothing is asked.
fn one_of<T, V: Copy>(wanted: &[T], told: Option<V>, is: impl Fn(&T, V) -> bool) -> bool {
    wanted.is_empty() || told.is_some_and(|value| wanted.iter().any(|one| is(one, value)))
}

fn source(Criteria { all, none }: &Criteria<Source>, arrival: &Arrival<'_>, unknown: Unknown) -> bool {
    let id = arrival.identity;
    let account = id.and_then(|id| id.service_account());
    let (peer, client) = (Some(arrival.peer), Some(arrival.client));
    one_of(&all.spiffe, id, |pattern, id| pattern.matches(id))
        && one_of(&all.namespaces, account, |glob, (namespace, _)| {
            glob.matches(namespace)
        })
        && one_of(&all.service_accounts, account, |one, (namespace, name)| {
            one.matches(namespace, name)
        })
        && one_of(&all.cidrs, peer, |network, address| network.contains(&address))
        && one_of(&all.remote_cidrs, client, |network, address| {
            network.contains(&address)
        })
        && unknown.is_none_of(&none.spiffe, id, |pattern, id| pattern.matches(id))
        && unknown.is_none_of(&none.namespaces, account, |glob, (namespace, _)| {
            glob.matches(namespace)
        })
        && unknown.is_none_of(&none.service_accounts, account, |one, (namespace, name)| {
            one.matches(namespace, name)
        })
        && unknown.is_none_of(&none.cidrs, peer, |network, address| network.contains(&address))
        && unknown.is_none_of(&none.remote_cidrs, client, |network, address| {
            network.contains(&address)
        })
}

fn operation(Criteria { all, none }: &Criteria<Operation>, request: &impl RequestView, port: u16) -> bool {
    let (host, method, path) = (request.host(), request.method(), request.path());
    one_of(&all.hosts, Some(host), |pattern, host| {
        host_matches(Some(pattern), host)
    }) && one_of(&all.methods, Some(method), |one, method| one == method)
        && one_of(&all.paths, Some(path), PathPattern::matches)
        && one_of(&all.ports, Some(port), |one, port| *one == port)
        && !none.hosts.iter().any(|pattern| host_matches(Some(pattern), host))
        && !none.methods.iter().any(|one| one == method)
        && !none.paths.iter().any(|pattern| pattern.matches(path))
        && !none.ports.contains(&port)
}

fn condition(
    Criteria { all, none }: &Criteria<Condition>,
    request: &impl RequestView,
    arrival: &Arrival<'_>,
    unknown: Unknown,
) -> bool {
    let told = |field: &FieldMatch<HeaderName>| {
        let value = request.header(field.name.as_str());
        holds(&field.test, value.as_deref())
    };
    all.headers.iter().all(told)
        && !none.headers.iter().any(told)
        && one_of(&all.sni, arrival.sni, |name, sni| host_matches(Some(name), sni))
        && unknown.is_none_of(&none.sni, arrival.sni, |name, sni| host_matches(Some(name), sni))
}
