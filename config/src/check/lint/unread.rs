//! Policies that ask what connections passed on do not tell.

use super::{backends, is_passthrough};
use crate::model::{Criteria, Model, Policy, PolicyAction, ServiceId};

/// Why `policy` will not do what it says where connections are passed on, if it is asked there.
pub(super) fn unread(model: &Model, policy: &Policy) -> Option<String> {
    let place = place(model, policy)?;
    let asked = asked(policy)?;
    let outcome = match policy.action {
        PolicyAction::Allow => "so this allows none of them",
        PolicyAction::Deny => "so this denies none of them",
        PolicyAction::Audit => "so this tells of none of them",
    };
    Some(format!(
        "connections of the {place} are passed on unread and tell no `{asked}`, {outcome}: ask for `cidrs`, `ports` or `sni`"
    ))
}

/// The first listener, route or service it is attached to of which connections are passed on.
fn place(model: &Model, policy: &Policy) -> Option<String> {
    let mut listeners = policy.target.listeners.iter().map(|id| &model.listeners[id.0]);
    let mut routes = policy.target.routes.iter().map(|id| &model.routes[id.0]);
    let mut services = policy.target.services.iter();
    let listener = listeners.find(|listener| listener.protocol.is_passthrough());
    listener
        .map(|listener| format!("listener `{}`", listener.name))
        .or_else(|| {
            let route = routes.find(|route| is_passthrough(model, route))?;
            Some(format!("route `{}`", route.name))
        })
        .or_else(|| {
            let service = services.find(|id| is_sent_to(model, **id))?;
            Some(format!("service `{}`", model.services[service.0].name))
        })
}

/// Whether connections are passed on to a service.
fn is_sent_to(model: &Model, service: ServiceId) -> bool {
    let mut rules = model
        .routes
        .iter()
        .filter(|route| is_passthrough(model, route))
        .flat_map(|route| &route.rules);
    rules.any(|rule| backends(rule).iter().any(|backend| backend.service == service))
}

/// What every entry of one of its lists asks for, and only HTTP, or a handshake that ends here, tells.
fn asked(policy: &Policy) -> Option<&'static str> {
    let from = each(&policy.from, |source| {
        [
            ("spiffe", source.spiffe.is_empty()),
            ("namespaces", source.namespaces.is_empty()),
            ("serviceAccounts", source.service_accounts.is_empty()),
        ]
    });
    let to = each(&policy.to, |operation| {
        [
            ("hosts", operation.hosts.is_empty()),
            ("methods", operation.methods.is_empty()),
            ("paths", operation.paths.is_empty()),
        ]
    });
    let when = each(&policy.when, |condition| {
        [("headers", condition.headers.is_empty())]
    });
    from.or(to).or(when)
}

/// The first such field of the first entry, where no entry goes without.
fn each<T, const N: usize>(
    entries: &[Criteria<T>],
    empty: impl Fn(&T) -> [(&'static str, bool); N],
) -> Option<&'static str> {
    let asked = |entry: &Criteria<T>| {
        let mut fields = empty(&entry.all).into_iter();
        fields.find(|(_, is_empty)| !is_empty).map(|(name, _)| name)
    };
    let all: Option<Vec<&str>> = entries.iter().map(asked).collect();
    all?.first().copied()
}
