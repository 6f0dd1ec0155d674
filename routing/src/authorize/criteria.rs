//! What one policy asks of a request.
//!
//! Owns what it means for an entry to hold, above all for a request that tells nothing of itself: without an identity or
//! a server name no pattern for one holds, and of a connection that is passed on no host, method, path or header. A `not` for one then keeps the policy from allowing, and not from denying or
//! auditing: whoever says "all but this one" to let pass means those who have proved to be another, and to keep out, all
//! who have not proved to be this one.

use sluice_config::model::{
    Condition, Criteria, FieldMatch, HeaderName, Operation, PathPattern, Policy, PolicyAction, Source,
    SpiffePattern,
};

use crate::{
    Arrival, RequestView,
    table::condition::{holds, host_matches, names_match},
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
    if !any(&policy.to, |entry| {
        operation(entry, request, arrival.port, unknown)
    }) {
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
    /// Whether what the request tells is one of `wanted`, where any are, and none of `unwanted`.
    fn meets<T, V: Copy>(
        self,
        wanted: &[T],
        unwanted: &[T],
        told: Option<V>,
        is: impl Fn(&T, V) -> bool,
    ) -> bool {
        let is_wanted =
            wanted.is_empty() || told.is_some_and(|value| wanted.iter().any(|one| is(one, value)));
        is_wanted
            && (unwanted.is_empty()
                || told.map_or(self.passes_not, |value| {
                    !unwanted.iter().any(|one| is(one, value))
                }))
    }
}

fn any<T>(entries: &[Criteria<T>], holds: impl Fn(&Criteria<T>) -> bool) -> bool {
    entries.is_empty() || entries.iter().any(holds)
}

fn source(Criteria { all, none }: &Criteria<Source>, arrival: &Arrival<'_>, unknown: Unknown) -> bool {
    let id = arrival.identity;
    let account = id.and_then(|id| id.service_account());
    let names = Some(arrival.names).filter(|names| !names.is_empty());
    let (peer, client) = (Some(arrival.peer), Some(arrival.client));
    unknown.meets(&all.spiffe, &none.spiffe, id, SpiffePattern::matches)
        && unknown.meets(
            &all.namespaces,
            &none.namespaces,
            account,
            |glob, (namespace, _)| glob.matches(namespace),
        )
        && unknown.meets(
            &all.service_accounts,
            &none.service_accounts,
            account,
            |one, (namespace, name)| one.matches(namespace, name),
        )
        && unknown.meets(&all.names, &none.names, names, names_match)
        && unknown.meets(&all.cidrs, &none.cidrs, peer, |network, address| {
            network.contains(&address)
        })
        && unknown.meets(
            &all.remote_cidrs,
            &none.remote_cidrs,
            client,
            |network, address| network.contains(&address),
        )
}

fn operation(
    Criteria { all, none }: &Criteria<Operation>,
    request: &impl RequestView,
    port: u16,
    unknown: Unknown,
) -> bool {
    let read = is_read(request);
    let host = read.then(|| request.host());
    let method = read.then(|| request.method());
    let path = read.then(|| request.path());
    unknown.meets(&all.hosts, &none.hosts, host, |pattern, host| {
        host_matches(Some(pattern), host)
    }) && unknown.meets(&all.methods, &none.methods, method, |one, method| one == method)
        && unknown.meets(&all.paths, &none.paths, path, PathPattern::matches)
        && unknown.meets(&all.ports, &none.ports, Some(port), |one, port| *one == port)
}

/// Whether it is a request, and not a connection that is passed on unread.
fn is_read(request: &impl RequestView) -> bool {
    !request.method().is_empty()
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
    // A field that a request lacks is known to be absent; of what was not read nothing is.
    let read = is_read(request).then_some(());
    let has_all = all.headers.is_empty() || read.is_some() && all.headers.iter().all(told);
    has_all
        && unknown.meets(&[], &none.headers, read, |field, ()| told(field))
        && unknown.meets(&all.sni, &none.sni, arrival.sni, |name, sni| {
            host_matches(Some(name), sni)
        })
}
