//! Warnings: what loads, but was probably not meant.

mod unread;

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use crate::{
    model::{Action, Enrollment, Match, Model, PathMatch, PolicyAction, RetryOn, Route, Rule},
    problem::Findings,
    spec::{Document, Slot},
    tree::{NodeId, Tree},
};

/// Warns about a configuration that has no problem, so every node below has its part in the model.
pub(super) fn lint(model: &Model, documents: &[(NodeId, Document)], tree: &Tree, findings: &mut Findings) {
    let mut lint = Lint { tree, findings };
    lint.process(model, documents);
    lint.unused(model, documents);
    lint.policies(model, documents);
    lint.unverified(model, documents);
    lint.identity(model, documents);
    let mut seen = Seen::default();
    for (route, spec) in model
        .routes
        .iter()
        .zip(nodes(documents, |document| document.routes.items()))
    {
        let rules = tree
            .get(spec, "rules")
            .map_or_else(Vec::new, |entry| tree.items(entry.value));
        for (rule, at) in route.rules.iter().zip(rules) {
            lint.rule(rule, is_passthrough(model, route), at);
            if !route
                .listeners
                .iter()
                .any(|id| model.listeners[id.0].path.keep_encoded_slashes)
            {
                lint.encoded_slashes(rule, at);
            }
            if !seen.is_new(route, rule) {
                let reason = format!(
                    "`{}` never gets a request: earlier rules take all it matches",
                    rule.name
                );
                lint.findings.warn(at, reason);
            }
        }
    }
}

struct Lint<'l> {
    tree: &'l Tree,
    findings: &'l mut Findings,
}

impl Lint<'_> {
    fn unverified(&mut self, model: &Model, documents: &[(NodeId, Document)]) {
        let services = nodes(documents, |document| document.services.items());
        for (service, at) in model.services.iter().zip(services) {
            if service.tls.as_ref().is_some_and(|tls| tls.unverified)
                && let Some(tls) = self.tree.get(at, "tls")
            {
                self.warn(
                    tls.value,
                    "insecureSkipVerify",
                    "anyone who gets between can read and change everything: give `ca` instead",
                );
            }
        }
    }

    /// An identity that nobody gets to see.
    fn identity(&mut self, model: &Model, documents: &[(NodeId, Document)]) {
        let Some(own) = model.identity.as_ref().map(Enrollment::certificate) else {
            return;
        };
        let listeners = model
            .listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref());
        let services = model.services.iter().filter_map(|service| service.tls.as_ref());
        let is_shown = listeners
            .flat_map(|tls| &tls.certificates)
            .any(|pair| *pair == own)
            || services
                .filter_map(|tls| tls.identity.as_ref())
                .any(|pair| *pair == own);
        let written = documents
            .iter()
            .find_map(|(_, document)| document.identity.node());
        if let (Some(at), false) = (written, is_shown) {
            self.findings.warn(
                at,
                "nothing shows it: a listener with `protocol: https` does, and a service with `tls: { mode: mutual }`, \
                 where they name no certificate",
            );
        }
    }

    fn process(&mut self, model: &Model, documents: &[(NodeId, Document)]) {
        let admin = documents
            .iter()
            .find_map(|(_, document)| document.admin.value()?.bind.node());
        if let (Some(at), false) = (admin, model.admin.bind.ip().is_loopback()) {
            self.findings.warn(
                at,
                "the admin server has no authentication and is reachable from other hosts",
            );
        }
        for (listener, at) in model
            .listeners
            .iter()
            .zip(nodes(documents, |document| document.listeners.items()))
        {
            if listener
                .trusted_proxies
                .iter()
                .any(|network| network.prefix_len() == 0)
            {
                self.warn(
                    at,
                    "trustedProxies",
                    "every peer is believed what it says of its clients' addresses",
                );
            }
        }
    }

    fn unused(&mut self, model: &Model, documents: &[(NodeId, Document)]) {
        let routed: HashSet<_> = model
            .routes
            .iter()
            .flat_map(|route| &route.listeners)
            .map(|id| id.0)
            .collect();
        let listeners = nodes(documents, |document| document.listeners.items());
        for ((index, listener), at) in model.listeners.iter().enumerate().zip(listeners) {
            if !routed.contains(&index) {
                let does = if listener.protocol.is_passthrough() {
                    "closes every connection"
                } else {
                    "answers 404"
                };
                let reason = format!("no route serves the listener `{}`: it {does}", listener.name);
                self.findings.warn(at, reason);
            }
        }
        let rules = model.routes.iter().flat_map(|route| &route.rules);
        let used: HashSet<_> = rules
            .flat_map(backends)
            .map(|backend| backend.service.0)
            .collect();
        let services = nodes(documents, |document| document.services.items());
        for ((index, service), at) in model.services.iter().enumerate().zip(services) {
            if !used.contains(&index) {
                self.findings
                    .warn(at, format!("no rule sends to the service `{}`", service.name));
            }
        }
    }

    fn policies(&mut self, model: &Model, documents: &[(NodeId, Document)]) {
        let nodes = nodes(documents, |document| document.policies.items());
        for (policy, at) in model.policies.iter().zip(nodes) {
            if policy.action == PolicyAction::Audit && policy.dry_run {
                self.warn(at, "dryRun", "a policy that audits decides nothing anyway");
            }
            if let Some(reason) = unread::unread(model, policy) {
                self.findings.warn(at, reason);
            }
        }
    }

    fn rule(&mut self, rule: &Rule, is_passthrough: bool, at: NodeId) {
        match &rule.action {
            Action::Forward(backends) => {
                if backends.iter().all(|backend| backend.weight.get() == 0) {
                    let does = if is_passthrough {
                        "connections are closed"
                    } else {
                        "requests are answered 503"
                    };
                    self.warn(at, "backends", &format!("every weight is 0: {does}"));
                }
                if backends.len() == 1 && rule.sticky.is_some() {
                    self.warn(at, "sticky", "there is only one backend to stay on");
                }
            }
            Action::Direct(_) | Action::Redirect(_) => {
                for field in ["retry", "sticky", "timeouts"] {
                    self.warn(at, field, "no backend is asked, so this does nothing");
                }
            }
        }
        if let (Some(request), Some(backend)) = (rule.timeouts.request, rule.timeouts.backend)
            && backend > request
        {
            self.warn(
                at,
                "timeouts",
                "`backend` is longer than `request`, which always ends first",
            );
        }
        if let Some(retry) = &rule.retry {
            if retry.on.contains(&RetryOn::Timeout) && rule.timeouts.backend.is_none() {
                self.warn(
                    at,
                    "retry",
                    "`timeout` never happens: the rule has no `timeouts.backend`",
                );
            }
            if retry.budget_percent == 0 && retry.budget_per_second == 0 {
                self.warn(at, "retry", "the budget allows no retry");
            }
        }
    }

    /// A path with an encoded slash, on listeners that all refuse such requests.
    fn encoded_slashes(&mut self, rule: &Rule, at: NodeId) {
        let holds = |path: &str| path.contains("%2F") || path.contains("%5C");
        let is_refused = |one: &Match| match &one.path {
            Some(PathMatch::Exact(path) | PathMatch::Prefix(path)) => holds(path),
            Some(PathMatch::Regex(_)) | None => false,
        };
        if rule.matches.iter().any(is_refused) {
            let reason = "an encoded slash is refused: its listener lacks `path: { encodedSlashes: keep }`";
            self.warn(at, "matches", reason);
        }
    }

    /// Warns at the key `field` of the map `at`, if it is written.
    fn warn(&mut self, at: NodeId, field: &str, reason: &str) {
        if let Some(entry) = self.tree.get(at, field) {
            self.findings.warn(entry.key, reason);
        }
    }
}

/// Which matches an earlier rule takes, by listener and host.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    taken: HashSet<u64>,
}

impl Seen {
    /// Whether `rule` matches anything that no rule before it matches in just the same way. Takes note of it.
    fn is_new(&mut self, route: &Route, rule: &Rule) -> bool {
        if self.taken.len() > SEEN_MAX {
            return true;
        }
        let any = [Match::default()];
        let matches = if rule.matches.is_empty() {
            &any
        } else {
            rule.matches.as_slice()
        };
        let mut is_new = false;
        for one in matches {
            // A pattern has no hash of its own; as text two matches are equal when they are written the same.
            let text = format!("{one:?}");
            for listener in &route.listeners {
                let hosts = route.hosts.iter().map(Some);
                for host in hosts.chain(route.hosts.is_empty().then_some(None)) {
                    is_new |= self.taken.insert(self.hasher.hash_one((listener, host, &text)));
                }
            }
        }
        is_new
    }
}

/// Whether the connections of a route are passed on, and not its requests.
pub(super) fn is_passthrough(model: &Model, route: &Route) -> bool {
    let mut listeners = route.listeners.iter();
    listeners.any(|id| model.listeners[id.0].protocol.is_passthrough())
}

fn backends(rule: &Rule) -> &[crate::model::Backend] {
    match &rule.action {
        Action::Forward(backends) => backends,
        Action::Direct(_) | Action::Redirect(_) => &[],
    }
}

fn nodes<'d, T: 'd>(
    documents: &'d [(NodeId, Document)],
    items: impl Fn(&'d Document) -> &'d [Slot<T>],
) -> impl Iterator<Item = NodeId> {
    documents
        .iter()
        .flat_map(move |(_, document)| items(document))
        .filter_map(Slot::node)
}

/// Most matches compared with earlier ones: routes of many hosts and many rules on many listeners multiply.
const SEEN_MAX: usize = 1_000_000;
