//! Routes and their rules.

use std::collections::{HashMap, HashSet};

use super::{Checker, each, filter::RuleFilters};
use crate::{
    defaults,
    model::{
        Action, Backend, HostPattern, ListenerId, Name, Route, Rule, ServiceId, Sticky, Timeouts, Weight,
    },
    spec::{self, OrNone, PathMatch, Slot, Written},
    tree::NodeId,
};

impl Checker<'_> {
    pub(super) fn route(&mut self, at: NodeId, spec: &spec::Route) -> Option<Route> {
        let name = self.required(at, "name", &spec.name);
        let listeners = self.route_listeners(at, spec);
        let hosts = self.hosts(spec);
        let rules = self.required(at, "rules", &spec.rules).and_then(|list| {
            let names = self.rule_names(&list.0);
            let mut names = names.into_iter();
            each(&list.0, |at, rule| {
                let name = names.next().flatten();
                self.rule(at, rule, name)
            })
        });
        if let Some(listeners) = &listeners {
            self.passthrough_route(at, spec, listeners);
        }
        Some(Route {
            name: name?.0.clone(),
            listeners: listeners?,
            hosts: hosts?,
            rules: rules?,
        })
    }

    fn route_listeners(&mut self, at: NodeId, spec: &spec::Route) -> Option<Vec<ListenerId>> {
        match &spec.listeners {
            Slot::Absent => self.http_listeners(at),
            Slot::Wrong(_) => None,
            Slot::Given(_, list) => {
                let mut seen = HashSet::new();
                each(&list.0, |at, Written(name)| {
                    let listener = self.listener_named(at, name)?;
                    if !seen.insert(listener) {
                        self.error(at, format!("the listener `{name}` stands twice"));
                    }
                    Some(ListenerId(listener))
                })
            }
        }
    }

    fn hosts(&mut self, spec: &spec::Route) -> Option<Vec<HostPattern>> {
        if matches!(spec.hosts, Slot::Wrong(_)) {
            return None;
        }
        let mut seen = HashSet::new();
        each(spec.hosts.items(), |at, Written(host)| {
            if !seen.insert(host) {
                self.error(at, format!("the host `{host}` stands twice"));
            }
            Some(host.clone())
        })
    }

    /// The name of each rule, written or made up; each once.
    fn rule_names(&mut self, rules: &[Slot<spec::Rule>]) -> Vec<Option<Name>> {
        let mut taken: HashMap<Name, NodeId> = HashMap::new();
        for (at, Written(name)) in rules.iter().filter_map(|rule| rule.value()?.name.given()) {
            if let Some(first) = taken.insert(name.clone(), at) {
                let place = self.tree.place(first);
                self.error(
                    at,
                    format!("another rule of this route has the name `{name}`, at {place}"),
                );
            }
        }
        let mut names = Vec::with_capacity(rules.len());
        for (number, rule) in (1..).zip(rules) {
            // Only rules that could be read are converted, so only they take a name.
            let Some((at, rule)) = rule.given() else { continue };
            let name = match &rule.name {
                Slot::Given(_, Written(name)) => Some(name.clone()),
                Slot::Wrong(_) => None,
                Slot::Absent => {
                    let name = Name::new(&format!("rule-{number}")).ok();
                    if name.as_ref().is_some_and(|name| taken.contains_key(name)) {
                        self.error(
                            at,
                            format!("without a name this is `rule-{number}`, which another rule is"),
                        );
                    }
                    name
                }
            };
            names.push(name);
        }
        names
    }

    fn rule(&mut self, at: NodeId, spec: &spec::Rule, name: Option<Name>) -> Option<Rule> {
        let matches = match &spec.matches {
            Slot::Absent => Some(Vec::new()),
            Slot::Wrong(_) => None,
            Slot::Given(_, list) => each(&list.0, |_, spec| self.matching(spec)),
        };
        let filters = self.rule_filters(&spec.filters, is_prefix(spec));
        let backends = spec
            .backends
            .given()
            .map(|(_, list)| each(&list.0, |at, spec| self.backend(at, spec)));
        let timeouts = spec.timeouts.nested(timeouts);
        let retry = match &spec.retry {
            Slot::Absent => Some(None),
            Slot::Wrong(_) => None,
            Slot::Given(at, retry) => self.retry(*at, retry).map(Some),
        };
        let sticky = spec.sticky.read_or(None, |sticky| Some(self::sticky(sticky)));
        let RuleFilters { filters, answers } = filters?;
        let action = self.action(at, spec, backends, answers);
        Some(Rule {
            name: name?,
            matches: matches?,
            action: action?,
            filters,
            timeouts: timeouts?,
            retry: retry?,
            sticky: sticky?,
            place: self.tree.place(at),
        })
    }

    /// What a rule does: exactly one thing. `backends` is none where none are written, or no list.
    fn action(
        &mut self,
        at: NodeId,
        spec: &spec::Rule,
        backends: Option<Option<Vec<Backend>>>,
        answers: Vec<(NodeId, Action)>,
    ) -> Option<Action> {
        let mut answers = answers.into_iter();
        let answer = answers.next();
        if let Some((second, _)) = answers.next() {
            self.error(second, "a rule answers once: it has one `direct` or `redirect`");
        }
        match (spec.backends.node(), answer) {
            (None, None) => {
                self.error(at, "a rule has `backends`, or a `direct` or `redirect` filter");
                None
            }
            (Some(_), Some((answer, _))) => {
                self.error(answer, "a rule has `backends` or answers itself, not both");
                None
            }
            (None, Some((_, action))) => Some(action),
            (Some(_), None) => backends.flatten().map(Action::Forward),
        }
    }

    fn backend(&mut self, at: NodeId, spec: &spec::Backend) -> Option<Backend> {
        self.required(at, "service", &spec.service);
        let service = spec
            .service
            .given()
            .and_then(|(at, name)| self.service_named(at, &name.0));
        let filters = self.backend_filters(&spec.filters);
        let weight = spec.weight.number_or(defaults::BACKEND_WEIGHT.get())?;
        Some(Backend {
            service: ServiceId(service?),
            weight: Weight::new(weight).ok()?,
            filters: filters?,
        })
    }
}

/// Whether every match has a `prefix` path; also when some could not be read, as they were reported.
fn is_prefix(spec: &spec::Rule) -> bool {
    match &spec.matches {
        Slot::Absent => false,
        Slot::Wrong(_) => true,
        Slot::Given(_, list) => list.0.iter().filter_map(Slot::value).all(|one| match &one.path {
            Slot::Absent => false,
            Slot::Wrong(_) => true,
            Slot::Given(_, path) => matches!(path, PathMatch::Prefix(_)),
        }),
    }
}

fn timeouts(spec: &spec::Timeouts) -> Option<Timeouts> {
    let read = |timeout: &OrNone<Written<_>>| match timeout {
        OrNone::None => None,
        OrNone::Some(timeout) => Some(timeout.0),
    };
    let request = spec.request.read_or(None, read)?;
    // A request that is bounded as a whole needs no second bound to end a hanging backend.
    let unwritten = request.is_none().then_some(defaults::BACKEND_TIMEOUT);
    Some(Timeouts {
        request,
        backend: spec.backend.read_or(unwritten, read)?,
    })
}

fn sticky(spec: &spec::Sticky) -> Sticky {
    match spec {
        spec::Sticky::Header(name) => Sticky::Header(name.0.clone()),
        spec::Sticky::Cookie(name) => Sticky::Cookie(name.0.0.clone()),
        spec::Sticky::SourceAddress(_) => Sticky::SourceAddress,
    }
}
